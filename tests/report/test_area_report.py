"""The area report of an accelerator: figures worked by hand, sums, choices of the codebook, notes and warnings."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from math import log2

import pytest
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.cost.area import AreaReport, area_of
from accelsim.cost.span import Span
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError
from accelsim.presets import preset_names

NANGATE45 = load_technology("nangate45")


def report(*overrides: str, preset: str = "edge-32x32") -> AreaReport:
    return area_of(load_accelerator(preset, overrides), NANGATE45)


def area(name: str, *overrides: str) -> float:
    return report(*overrides).component(name).area_um2.nominal


def gates(name: str, *overrides: str) -> float:
    found = report(*overrides).component(name).gates
    assert found is not None
    return found.nominal


@pytest.mark.parametrize("preset", preset_names("accelerators"))
@pytest.mark.parametrize("technology", preset_names("technology"))
def test_each_preset_has_an_area_whose_lines_add_up_and_have_sources(preset: str, technology: str) -> None:
    result = area_of(load_accelerator(preset), load_technology(technology))
    lines = [row for row in result.rows() if row["group"] != "total"]
    assert sum(row["area_um2"] for row in lines) == pytest.approx(result.cells_um2.nominal)
    assert sum(span.nominal for span in result.by_group.values()) == pytest.approx(result.cells_um2.nominal)
    for row in result.rows():
        assert 0 < row["area_low_um2"] <= row["area_um2"] <= row["area_high_um2"]
        assert row["source"]
    placed = result.of_kind("logic").nominal / result.placement_density.nominal + result.of_kind("memory").nominal
    assert result.placed_um2.nominal == pytest.approx(placed)
    assert json.loads(json.dumps(result.to_dict()))["technology"] == technology


def test_the_gates_of_edge_32x32_are_those_worked_by_hand() -> None:
    # PE, psums of 32 bits: 579 + 7.13*32 + 5.67*40 + 128 = 1161.96. Skew: 5.67*(4*32*31 + 63) = 22,855.77.
    # Adders: 32*(7.63*32 - 12.3 + 1.46*32). Sign decoder: 2 lookups of 8 lanes, 38.3 each.
    # Control: 1750 + 7*64*(4 + 8) + 10.6*32 + 8*(16 + 256) = 9641.2.
    assert gates("PE array") == pytest.approx(1024 * 1161.96)
    assert gates("skew registers") == pytest.approx(22_855.77)
    assert gates("accumulator adders") == pytest.approx(8914.56)
    assert gates("sign decoder") == pytest.approx(612.8)
    assert gates("control") == pytest.approx(9641.2)
    # Unpack: W = n = 256, a row of int8 weights; B = 768, filled at any bit: 8.79*768 + 4.42*256*log2(513).
    assert gates("unpack buffer") == pytest.approx(8.79 * 768 + 4.42 * 256 * log2(513))
    assert area("PE array") == pytest.approx(1024 * 1161.96 * 0.798)


def test_the_accumulators_hold_max_m_psums_a_column_and_bank() -> None:
    # 32 columns x 256 psums of 32 bits = 32 KiB; CACTI, 1 KiB, 32 bits, 1R1W, 45 nm lop: 8067.42 um2 against 3757.47 um2 for 1RW;
    # the correction asks for 0.55 um2 a bit of a one-port SRAM: 0.55*8192*(8067.42/3757.47) = 9673.8 um2, and 4505.6 um2 for one more port.
    assert area("accumulator memory") == pytest.approx(32 * (9673.8 + 4505.6), rel=1e-3)
    for way in ("deskew", "stall"):
        assert area("accumulator memory", f"array.accumulator_read={way}") == pytest.approx(32 * 9673.8, rel=1e-3)
    assert area("accumulator memory", "array.accumulator_banks=2") == pytest.approx(2 * area("accumulator memory"))
    assert any("FakeRAM45" in note for note in report().component("accumulator memory").notes)
    assert any("2R1W" in note for note in report().component("accumulator memory").notes)


def test_deskew_registers_hold_a_triangle_of_psums() -> None:
    # Column c of 32 waits 31 - c cycles: 31 + 30 + ... + 0 = 496 psums of 32 bits, flops of 5.67 GE.
    assert gates("deskew registers", "array.accumulator_read=deskew") == pytest.approx(5.67 * 496 * 32)
    for way in ("second_port", "stall"):
        assert "deskew registers" not in {part.name for part in report(f"array.accumulator_read={way}").components}


def test_the_predicted_rule_keeps_a_start_for_each_accumulator_row() -> None:
    # 256 rows, a cycle of the lanes each, and 65 cycles from issue to the sums: 321 cycles, 9 bits, and one for a start to come.
    # Latches of 3.25 GE with a read multiplexer of 2.15; two adders and a comparator of 7.63, three registers of 8.0 GE a bit.
    assert gates("drain start table") == pytest.approx(2560 * (3.25 + 2.15) + 10 * 3 * (7.63 + 8.0))
    # Two banks of 256 rows that take 8 cycles each on 4 lanes: 4161 cycles, 13 bits and one.
    slow = ("array.accumulator_banks=2", "vector_unit.lanes=4")
    assert gates("drain start table", *slow) == pytest.approx(512 * 14 * (3.25 + 2.15) + 14 * 3 * (7.63 + 8.0))
    for override in ("array.accumulator_rule=simple", "array.accumulator_read=deskew"):
        assert "drain start table" not in {part.name for part in report(override).components}


@pytest.mark.parametrize(
    ("circuit", "expected_ge"),
    [
        # 256 x 8 bytes = 16,384 bits, 2 ports, 2 sets
        ("flops", 2 * 16384 * (8.0 + 2 * 2.15)),
        ("latches", 2 * 16384 * (3.25 + 2 * 2.15)),
    ],
)
def test_a_codebook_in_registers_pays_for_bits_ports_and_sets(circuit: str, expected_ge: float) -> None:
    override = f"codebook.circuit={circuit}"
    assert gates("codebook storage", override) == pytest.approx(expected_ge)
    assert gates("codebook storage", override, "codebook.sets=1") == pytest.approx(expected_ge / 2)


def test_a_port_of_a_rom_or_an_sram_is_a_copy() -> None:
    rom = ("codebook.store=rom", "codebook.circuit=logic_rom")
    assert gates("codebook storage", *rom) == pytest.approx(2 * 3129.3)  # the synthesized ROM of 256 x 8, twice; a ROM has one set
    macro = ("codebook.store=rom", "codebook.circuit=rom_macro")
    assert area("codebook storage", *macro) == pytest.approx(2 * 16384 * 0.22)
    sram = ("codebook.circuit=sram", "codebook.sets=1")
    assert area("codebook storage", *sram) == pytest.approx(2 * (0.603 * 16384 + 130))


def test_a_universal_rom_of_65536_codewords_is_about_a_square_millimetre_a_port() -> None:
    # 2^16 x 8 bytes = 4.19 Mbit at 0.20-0.24 um2 a bit: 0.84-1.0 mm2.
    rom = ("codebook.store=rom", "codebook.circuit=rom_macro", "codebook.codewords=65536", "codebook.ports=1")
    assert area("codebook storage", *rom) / 1e6 == pytest.approx(0.92, abs=0.1)


def test_banks_trade_copies_for_a_crossbar() -> None:
    rom = ("codebook.store=rom", "codebook.circuit=rom_macro", "codebook.codewords=65536", "codebook.ports=4")
    banked = report(*rom, "codebook.banks=8")
    assert banked.component("codebook storage").area_um2.nominal == pytest.approx(area("codebook storage", *rom) / 4)
    assert banked.component("codebook crossbar and merge").area_um2.nominal > 0
    assert "estimate" in banked.component("codebook crossbar and merge").source
    with pytest.raises(KeyError):
        report(*rom).component("codebook crossbar and merge")


def test_a_ram_in_a_rom_circuit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"codebook\.circuit = 'logic_rom' cannot be written.*allowed: flops, latches, sram"):
        report("codebook.circuit=logic_rom")


def test_a_universal_codebook_in_flops_is_said_to_be_one() -> None:
    assert "written at power-up" in report("codebook.store=rom").component("codebook storage").notes[0]


def test_what_was_extrapolated_is_said() -> None:
    assert any("extrapolated" in note for note in report("codebook.codewords=65536").component("codebook storage").notes)
    four_ports, two_ports = report("codebook.ports=4", "codebook.codewords=128"), report("codebook.codewords=128")
    relative = [item.component("codebook storage").area_um2 for item in (four_ports, two_ports)]
    assert relative[0].high / relative[0].nominal == pytest.approx(1.25)  # a wider range than inside the fit
    assert relative[1].high / relative[1].nominal == pytest.approx(1.03)
    wide = report("weight_buffer.word_bits=512")
    assert any("wider than the grid" in note for note in wide.component("weight buffer").notes)
    large = report("activation_buffer.capacity=32 MiB")
    assert any("beyond the grid" in note for note in large.component("activation buffer").notes)


def test_an_ideal_vector_unit_has_no_area_and_says_so() -> None:
    unit = report("vector_unit.lanes=0").component("vector unit")
    assert unit.area_um2 == Span(0, 0, 0)
    assert "ideal" in unit.notes[0]


def test_a_clock_above_a_component_names_it() -> None:
    slow = report("clock=100 MHz")
    assert slow.warnings == ()
    fast = report("clock=1 GHz")
    assert any("a PE takes 1.37-1.57 ns" in line for line in fast.warnings)
    # CACTI 7, 45 nm, lop, 48 KiB of 128-bit words, between 32 and 64 KiB: 1.89 ns.
    assert any("the activation buffer takes 1.89 ns in nangate45, at most 530 MHz" in line for line in fast.warnings)
    assert all("sign decoder" not in line for line in fast.warnings)  # 14 gates of 0.03 ns at least


def test_a_slow_codebook_is_named_until_its_latency_covers_it() -> None:
    # 65,536 words in latches: 4 + 2*16 = 36 gates of 0.03 to 0.055 ns; at 1 GHz one cycle is too short even for the fastest.
    book = ("codebook.codewords=65536", "codebook.circuit=latches")
    (line,) = (line for line in report(*book).warnings if "codebook" in line)
    assert "the codebook in latches takes 1.08-1.98 ns" in line
    assert "raise codebook.latency" in line
    assert not any("codebook in" in line for line in report(*book, "codebook.latency=2").warnings)
    macro = report("codebook.codewords=65536", "codebook.store=rom", "codebook.circuit=rom_macro", "codebook.latency=4")
    assert any("the codebook takes" in line and "divide it into banks" in line for line in macro.warnings)


def test_every_limit_has_a_source_and_the_fastest_clock_is_its_cycles_over_its_delay() -> None:
    for limit in report("codebook.latency=2").clock_limits:
        assert len(limit.source) > 10
        row = limit.to_row()
        assert row["max_clock_mhz"] == pytest.approx(1000 * limit.cycles / row["delay_ns"])
        assert limit.exceeded(10**11)
        assert not limit.exceeded(10**6)


@pytest.mark.parametrize(
    "override",
    [
        "array.rows=64",
        "array.max_m=512",
        "codebook.ports=4",
        "weight_buffer.capacity=256 KiB",
        "vector_unit.lanes=64",
        "array.psum_bits=40",
    ],
)
def test_more_of_anything_is_never_smaller(override: str) -> None:
    assert report(override).cells_um2.nominal > report().cells_um2.nominal


CIRCUITS = {
    "logic_rom": ("codebook.store=rom", "codebook.circuit=logic_rom"),
    "rom_macro": ("codebook.store=rom", "codebook.circuit=rom_macro"),
    "sram": ("codebook.circuit=sram",),
    "latches": ("codebook.circuit=latches",),
    "flops": ("codebook.circuit=flops",),
}


@pytest.mark.parametrize("circuit", CIRCUITS)
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("codewords", (2, 3, 8, 15, 16, 17, 31, 32, 33, 64, 65, 128, 129, 256, 257, 511, 512, 513, 1023, 1024, 1025, 4096)),
        ("codeword_length", (1, 2, 4, 8, 16)),
        ("ports", (1, 2, 3, 4, 8)),
    ],
)
def test_a_codebook_grows_with_its_words_their_length_and_its_ports(circuit: str, field: str, values: tuple[int, ...]) -> None:
    areas = [area("codebook storage", *CIRCUITS[circuit], f"codebook.{field}={value}") for value in values]
    assert all(small < large for small, large in pairwise(areas)), areas


def test_the_command_names_a_source_for_each_figure_and_what_was_extrapolated() -> None:
    done = CliRunner().invoke(app, ["area", "edge-32x32", "--set", "activation_buffer.capacity=32 MiB"])
    assert done.exit_code == 0, done.output
    assert all(len(line.rstrip()) <= 80 for line in done.stdout.splitlines())
    table, sources = done.stdout.split("Sources")
    for line in table.splitlines()[4:-1]:
        number = line.split()[-1]
        assert "total, cells" in line or re.search(rf"^ *{number}  \S", sources, re.MULTILINE), line
    assert "beyond the grid" in " ".join(sources.split())
    assert f"{round(area('PE array')):,}" in table  # um2
