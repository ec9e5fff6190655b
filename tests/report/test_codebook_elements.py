"""Elements of a codebook of 2 to 8 bits, and a table that expands them: area and energy worked by hand, what fits and what is refused."""

from __future__ import annotations

from math import log2
from pathlib import Path

import pytest
import yaml

from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import LEAST_MACRO_BITS, codebook_fields_for
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.technology import FOLDER, load_technology
from accelsim.errors import CompileError, ConfigError
from accelsim.formats.catalog import format_examples, parse_format
from accelsim.formats.codebook_elements import stored_bits
from accelsim.presets import built_in, preset_names
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from accelsim.what_if import with_overrides
from tests.contract.test_weight_traffic import machine, product

NODE = load_technology("nangate45")
CHIP = "edge-64x64"  # 4 ports, 2 sets, 256 codewords of 8
ROM = ("codebook.store=rom", "codebook.circuit=logic_rom")


def area(name: str, *overrides: str) -> tuple[float | None, float]:
    """(GE, um2) of a part."""
    part = area_of(load_accelerator(CHIP, overrides), NODE).component(name)
    return part.gates and part.gates.nominal, part.area_um2.nominal


@pytest.mark.parametrize("bits", [2, 3, 5, 7, 8])
def test_storage_and_registers_pay_for_the_bits_of_elements(bits: int) -> None:
    stored, width = 256 * 8 * bits, f"codebook.element_bits={bits}"
    assert area("codebook storage", width)[0] == pytest.approx(2 * stored * (8.0 + 4 * 2.15))
    assert area("codebook storage", width, "codebook.circuit=latches")[0] == pytest.approx(2 * stored * (3.25 + 4 * 2.15))
    assert area("codebook storage", width, "codebook.circuit=sram")[1] == pytest.approx(2 * 4 * (0.603 * stored + 130))
    macro = ("codebook.store=rom", "codebook.circuit=rom_macro")
    assert area("codebook storage", width, *macro)[1] == pytest.approx(4 * 0.22 * stored)
    assert area("codebook output registers", width)[0] == pytest.approx(4 * 8 * 45.0 * bits / 8)


def test_a_logic_rom_of_narrow_elements_is_one_of_fewer_bytes() -> None:
    # 256 x 8 elements of 4 bits are 256 x 4 bytes, which were synthesized: 1763.7 GE. Of 2 bits: as many GE over b / log2 b as those.
    assert area("codebook storage", *ROM, "codebook.element_bits=4")[0] == pytest.approx(4 * 1763.7)
    fewer = 1763.7 * (4096 / log2(4096)) / (8192 / log2(8192))
    assert area("codebook storage", *ROM, "codebook.element_bits=2")[0] == pytest.approx(4 * fewer)


def test_a_table_stands_behind_each_element_that_is_read() -> None:
    # 4 values of a byte, as many GE over b / log2 b as the smallest synthesized ROM, of 16 x 4 bytes: 106 GE.
    table = 106.0 * (32 / log2(32)) / (512 / log2(512))
    table_of_two_bits = ("codebook.element_bits=2", "codebook.element_code=table")
    assert area("element tables", *ROM, *table_of_two_bits)[0] == pytest.approx(4 * 8 * table)
    assert area("codebook storage", *ROM, *table_of_two_bits) == area("codebook storage", *ROM, "codebook.element_bits=2")
    with pytest.raises(KeyError):
        area("element tables", *ROM, "codebook.element_bits=2")
    energies = [action_energies(load_accelerator(CHIP, [*ROM, *words]), NODE)["lookup"].pj.nominal for words in (table_of_two_bits, ())]
    fewer = 1763.7 * (4096 / log2(4096)) / (8192 / log2(8192))
    assert energies[0] == pytest.approx(8 * 2 * 0.004 + (fewer + 8 * table) * 0.00037)
    assert energies[1] == pytest.approx(8 * 8 * 0.004 + 3129.3 * 0.00037)


def test_crossbar_switch_and_held_registers_have_the_bits_of_elements() -> None:
    banked = ("codebook.banks=8", "codebook.element_bits=3")
    # 4 lookups, 8 banks: 24 bits of data and 8 of index, 6 GE of arbitration each, comparators of 8 bits for 6 pairs.
    assert area("codebook crossbar and merge", *banked)[0] == pytest.approx(2.15 * 32 * (24 + 8) + 6 * 32 + 3 * 8 * 6)
    energies = action_energies(load_accelerator(CHIP, ["codebook.element_bits=3"]), NODE)
    assert energies["codebook_held_cycle"].pj.nominal == pytest.approx((2 * 256 * 24 + 4 * 24) * 0.004 * 0.15)


@pytest.mark.parametrize("name", preset_names(FOLDER))
def test_an_sram_macro_of_256_bytes_is_smaller_than_registers_in_every_technology(name: str) -> None:
    table = yaml.safe_load(Path(built_in().configs / "technology" / f"{name}.yaml").read_text())
    bit, fixed, gate = (
        table[part][field]["value"]
        for part, field in (("memory", "codebook_sram_um2_per_bit"), ("memory", "codebook_sram_fixed_um2"), ("logic", "um2_per_ge"))
    )
    assert LEAST_MACRO_BITS == 8 * 256
    for bits in (200, 2_048, 8_192):
        for ports in (1, 2, 4, 8, 16):
            macro, latches = ports * (bit * bits + fixed), gate * bits * (3.25 + 2.15 * ports)
            assert macro < latches, (bits, ports)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vq:k=256,d=4", "sram"),  # 8,192 bits
        ("vq:k=64,d=4", "sram"),  # 2,048
        ("vq:k=32,d=4", "flops"),  # 1,024
        ("aqlm:books=1,bits=5,d=8,element_bits=7", "flops"),  # 32 x 8 x 7 = 1,792; of a byte each, 2,048
    ],
)
def test_a_fitted_codebook_is_in_the_smaller_circuit_that_exists(text: str, expected: str) -> None:
    assert codebook_fields_for(load_accelerator(CHIP), [parse_format(text)])["codebook.circuit"] == expected
    banked = load_accelerator(CHIP, ["codebook.banks=8"])  # 8 banks of at most 1,024 bits
    assert codebook_fields_for(banked, [parse_format(text)])["codebook.circuit"] == "flops"


@pytest.mark.parametrize(
    ("texts", "width", "code"),
    [
        (["uniform:bits=8"], 8, "integer"),
        (["ssvq:k=256,d=8"], 8, "integer"),
        (["aqlm:books=2,bits=8"], 7, "integer"),
        (["aqlm:books=4,bits=4,d=4,element_bits=6", "aqlm:books=2,bits=8"], 7, "integer"),
        (["gguf:type=IQ2_XXS"], 2, "table"),  # 8, 25, 43
        (["gguf:type=IQ3_XXS"], 3, "table"),  # 4, 12, ... 62
        (["gguf:type=IQ3_S"], 3, "table"),  # 1, 3, ... 15: 5 bits in two's complement
        (["gguf:type=IQ1_S"], 2, "integer"),  # -1, 0, 1
        (["quip_e8p"], 3, "table"),  # -10, -6, -2, 2, 6, 10: 5 bits in two's complement
        (["gguf:type=IQ2_XXS", "gguf:type=IQ3_XXS", "gguf:type=IQ3_S"], 5, "table"),  # 3 + 8 + 8 values
        (["gguf:type=IQ1_S", "gguf:type=IQ2_S", "uniform:bits=8"], 3, "table"),  # 3 + 3 values
    ],
)
def test_a_fitted_codebook_has_the_elements_of_its_formats(texts: list[str], width: int, code: str) -> None:
    fields = codebook_fields_for(load_accelerator(CHIP), [parse_format(text) for text in texts])
    assert (fields["codebook.element_bits"], fields["codebook.element_code"]) == (width, code)


@pytest.mark.parametrize("text", [text for text in format_examples() if parse_format(text).codebook_scope == "shared"])
def test_the_table_of_a_fitted_rom_saves_more_than_it_takes(text: str) -> None:
    chip = load_accelerator(CHIP)
    fields = codebook_fields_for(chip, [parse_format(text)])
    if fields["codebook.element_code"] == "integer":
        return
    plain = fields | {"codebook.element_code": "integer", "codebook.element_bits": stored_bits([parse_format(text)], "integer") or 8}
    areas = [
        area_of(with_overrides(chip, tuple(f"{path}={value}" for path, value in each.items())), NODE).placed_um2.nominal
        for each in (fields, plain)
    ]
    assert areas[0] < areas[1]


@pytest.mark.parametrize(
    ("text", "book", "words"),
    [
        ("ssvq:k=16,d=4", {"element_bits": 7}, r"elements of 8 bits exceed codebook\.element_bits = 7 of .*; allowed: at least 8"),
        ("aqlm:books=1,bits=5,d=4,element_bits=5", {"element_bits": 4}, r"elements of 5 bits exceed codebook\.element_bits = 4"),
        ("ssvq:k=16,d=4", {"element_code": "table"}, r"any integers, but codebook\.element_code = 'table'.*allowed: .* = 'integer'"),
        ("gguf:type=IQ3_XXS", {"element_code": "table", "element_bits": 2}, r"elements of 3 bits exceed codebook\.element_bits = 2"),
        ("gguf:type=IQ2_XXS", {"element_bits": 6}, r"elements of 7 bits exceed codebook\.element_bits = 6"),
    ],
)
def test_elements_that_a_chip_does_not_store_are_refused(text: str, book: dict[str, object], words: str) -> None:
    spec = parse_format(text)
    chip = machine(spec)
    with pytest.raises(CompileError, match=words):
        simulate(with_overrides(chip, tuple(f"codebook.{field}={value}" for field, value in book.items())), product(spec))
    assert simulate(chip, product(spec)).total_cycles > 0


def test_one_table_holds_the_values_of_all_grids_of_a_rom() -> None:
    specs = [parse_format(f"gguf:type={name}") for name in ("IQ1_S", "IQ2_S")]  # 3 + 3 values, 2,048 + 1,024 codewords of 8
    traces = [product(spec) for spec in specs]
    other = Trace(traces[1].manifest.with_fields(name="other"))
    book = ("codebook.codewords=3072", "codebook.element_code=table")
    chips = [with_overrides(machine(specs[0]), (*book, f"codebook.element_bits={bits}")) for bits in (2, 3)]
    with pytest.raises(CompileError, match=r"codebooks iq1s, iq2s take 3 bits together, but codebook\.element_bits = 2 .*= 3 or more"):
        simulate(chips[0], traces[0], other)
    assert simulate(chips[1], traces[0], other).total_cycles > 0


@pytest.mark.parametrize(("bits", "words"), [(1, "2"), (9, "8")])
def test_a_width_that_no_codebook_has_is_refused(bits: int, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"codebook\.element_bits.*{words}"):
        load_accelerator(CHIP, [f"codebook.element_bits={bits}"])


def test_the_width_of_elements_moves_no_cycle() -> None:
    spec = parse_format("gguf:type=IQ2_XXS")
    chip, trace = machine(spec), product(spec)
    for overrides in (("codebook.element_bits=7",), ("codebook.element_bits=2", "codebook.element_code=table")):
        assert simulate(with_overrides(chip, overrides), trace).total_cycles == simulate(chip, trace).total_cycles
