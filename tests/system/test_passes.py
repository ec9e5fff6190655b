"""Passes on the machine: codebooks whose codewords are weights one after the other, and rows of more than 8 bits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.cost.action_counts import MAC, add_counts, count_actions
from accelsim.errors import AccelsimError, CompileError
from accelsim.formats.catalog import parse_format
from accelsim.functional import check_functional
from accelsim.result import CATEGORIES
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.contract.test_weight_traffic import machine, product, read_bits
from tests.naive_machine import NaiveMachine
from tests.packed_products import packed_product
from tests.recorded import run_recorded
from tests.tiny_machines import tiny_accelerator, tiny_encoder

TEXT = "aqlm:books=2,bits=4,d=4,element_bits=8"


def chip(text: str = TEXT, additive: str = "passes", ports: int = 2, **array: Any) -> Accelerator:
    """A 16x16 chip that looks up two vectors of 4 per cycle, one after the other for each codebook."""
    book = {"ports": ports, "codeword_length": 4, "codewords": 64, "additive": additive}
    return machine(parse_format(text), array={"rows": 16, "cols": 16, "max_m": 32, **array}, codebook=book)


def wide(trace: Trace, bits: int) -> Trace:
    """The same product of activations of `bits` bits."""
    fields = json.loads(trace.manifest.to_json())
    fields["inputs"][0]["shape"]["bits"] = bits
    return Trace(type(trace.manifest).model_validate_json(json.dumps(fields)))


def check_twin(accelerator: Accelerator, trace: Trace) -> None:
    program = compile_trace(accelerator, trace)
    outcome, landings = run_recorded(accelerator, program)
    cycles, runs = NaiveMachine(program, landings).simulate()
    assert cycles == outcome.cycles - outcome.tail_cycles
    for twin, row in zip(runs, outcome.run_results.tolist(), strict=True):
        assert {name: count for name, count in zip(CATEGORIES, row, strict=False) if count} == twin


@pytest.mark.parametrize("array", [{}, {"shadow_sets": 2, "accumulator_banks": 2}, {"accumulator_rule": "simple"}, {"max_m": 8}])
@pytest.mark.parametrize("m", [1, 20])
def test_a_pass_per_codebook_equals_the_clock_by_clock_twin(array: dict[str, Any], m: int) -> None:
    check_twin(chip(**array), product(parse_format(TEXT), m))


@pytest.mark.parametrize("array", [{}, {"shadow_sets": 2, "accumulator_banks": 2}, {"accumulator_read": "stall"}, {"max_m": 8}])
@pytest.mark.parametrize(("text", "bits"), [("uniform", 16), ("int_group:bits=4,group=8", 16), ("uniform", 32)])
@pytest.mark.parametrize("m", [1, 20])
def test_rows_of_more_than_8_bits_equal_the_clock_by_clock_twin(text: str, bits: int, array: dict[str, Any], m: int) -> None:
    accelerator = machine(parse_format(text), array={"rows": 16, "cols": 16, "max_m": 32, **array})
    check_twin(accelerator, wide(product(parse_format(text), m), bits))


def test_rows_of_16_bits_multiply_and_are_busy_twice() -> None:
    """Their bytes are twice as many as well; the weights' are the same."""
    trace = product(parse_format("uniform"), 20)
    accelerator = machine(parse_format("uniform"))
    plain, double = simulate(accelerator, trace), simulate(accelerator, wide(trace, 16))
    assert double.cycles["busy"] == 2 * plain.cycles["busy"]
    assert double.macs == plain.macs
    counts = [add_counts(count_actions(result, accelerator)[:1])[MAC].nominal for result in (plain, double)]
    assert counts[1] == 2 * counts[0]
    assert read_bits(double) == read_bits(plain)
    assert double.layers[0].bounds["array"] == 2 * plain.layers[0].bounds["array"]
    assert "rows of 16 bits, 2 passes of 8 each" in double.layers[0].lowering


@pytest.mark.parametrize(("macs", "as_bits"), [(256, 8), (255, 16), (128, 16), (64, 32)])
def test_multipliers_of_16_bits_have_a_rate_of_their_own(macs: int, as_bits: int) -> None:
    """Of 256 PEs: a row enters in 1, 2 or 4 cycles, as rows of 8, 16 or 32 bits do byte by byte; its own bytes are read."""
    spec, size = parse_format("uniform"), {"rows": 16, "cols": 16, "max_m": 32}
    accelerator = machine(spec, array={**size, "macs_16bit": macs})
    given = wide(product(spec, 20), 16)
    result, plain = (simulate(chip, given) for chip in (accelerator, machine(spec, array=size)))
    assert result.cycles["busy"] == simulate(machine(spec, array=size), wide(product(spec, 20), as_bits)).cycles["busy"]
    assert read_bits(result) == read_bits(plain)
    (ours,), (theirs,) = result.layers, plain.layers
    assert (ours.macs, ours.multiplies, theirs.multiplies) == (theirs.macs, theirs.multiplies, 2 * theirs.macs)
    assert (ours.shifted_sums, bool(theirs.shifted_sums)) == (None, True)
    assert f"rows of 16 bits, {macs} MACs per cycle" in ours.lowering
    check_twin(accelerator, given)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("array.macs_16bit=4097",), "exceeds rows x cols = 4096"),
        (("array.macs_16bit=64", "array.row_bits=8"), "needs row_bits = 16, 32 or null"),
    ],
)
def test_a_rate_that_no_array_has_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(AccelsimError, match=message):
        load_accelerator("edge-64x64", overrides)


def test_rows_of_16_bits_need_8_bits_more_of_an_accumulator() -> None:
    """40 inputs of int8 by int8: 128 x 128 x 40 needs 21 bits, 29 with activations of 16 bits."""
    trace = wide(product(parse_format("uniform"), 20), 16)
    k = trace.weighted_layers()[0].k
    bits = (128 * 128 * k).bit_length() + 1 + 8
    accelerator = machine(parse_format("uniform"), array={"rows": 16, "cols": 16, "max_m": 32, "psum_bits": bits - 1})
    assert any(f"no sum can with {bits} bits" in text for text in simulate(accelerator, trace).warnings)


@pytest.mark.parametrize("array", [{"dataflow": "output_stationary"}, {"dataflow": "input_stationary"}])
def test_mappings_that_take_8_bits_alone_refuse_wide_rows(array: dict[str, Any]) -> None:
    accelerator = machine(parse_format("uniform"), array={"rows": 16, "cols": 16, "max_m": 32, **array})
    with pytest.raises(CompileError, match=r"rows of 16 bits enter tile by tile, which .* does not; allowed: activations of 8 bits"):
        simulate(accelerator, wide(product(parse_format("uniform")), 16))


@pytest.mark.parametrize("array", [{"dataflow": "cheapest"}, {"mapping": "gemv"}, {"mapping": "cheapest"}])
def test_mappings_that_are_chosen_leave_wide_rows_to_tiles(array: dict[str, Any]) -> None:
    accelerator = machine(parse_format("uniform"), array={"rows": 16, "cols": 16, "max_m": 32, **array})
    check_twin(accelerator, wide(product(parse_format("uniform"), 2), 16))


def test_passes_decode_every_codeword_bit_for_bit() -> None:
    trace = packed_product(TEXT, 4, 72, 40)
    accelerator = chip()
    (layer,) = check_functional(accelerator, trace).layers
    assert (layer.ok, layer.message) == (True, "bit-exact")
    assert layer.tiles == 2 * 5 * 3

    def tamper(name: str, image):  # type: ignore[no-untyped-def]
        data = image.data.copy()
        data[int(image.first_bits[0, 1]) // 8] ^= np.uint8(1)  # of the second codebook
        return replace(image, data=data)

    (layer,) = check_functional(accelerator, trace, tamper=tamper).layers
    assert not layer.ok
    assert "tile (nt=0, kt=0): weight [" in layer.message


def test_passes_keep_the_bytes_and_let_codewords_have_8_bits() -> None:
    spec = parse_format(TEXT)
    with pytest.raises(CompileError, match=r"9-bit weights do not fit the 8-bit array .*codebook\.additive = 'passes'"):
        simulate(chip(additive="sum"), product(spec))
    narrow = parse_format("aqlm:books=2,bits=4,d=4,element_bits=7")
    both = [simulate(chip(additive=how), product(narrow)) for how in ("sum", "passes")]
    assert read_bits(both[0]) == read_bits(both[1])
    assert both[1].cycles["busy"] == 2 * both[0].cycles["busy"]


@pytest.mark.parametrize(
    ("text", "array", "words"),
    [
        ("huffman-vptq:bits=4,residual_bits=2,d=4,element_bits=7", {}, "records have an entropy code for those of one codebook alone"),
        (TEXT, {"mapping": "gemv"}, r"needs array\.mapping = 'tiles' and array\.dataflow = 'weight_stationary'"),
        (TEXT, {"dataflow": "output_stationary"}, r"needs array\.mapping = 'tiles' and array\.dataflow = 'weight_stationary'"),
    ],
)
def test_what_has_no_codewords_of_one_codebook_is_refused(text: str, array: dict[str, Any], words: str) -> None:
    with pytest.raises(CompileError, match=words):
        simulate(chip(text, **array), product(parse_format(text)))


@pytest.mark.parametrize(("bits", "residual"), [(4, 2), (2, 4), (4, 4)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_residual_has_a_pass_whose_indices_are_as_wide_as_the_largest(bits: int, residual: int, axis: int) -> None:
    """72 x 40 weights in 16 x 16 tiles: 5 x 3, twice; codewords have 8 bits. An index of 4 bits for each vector of 4 in both passes."""
    text = f"vptq:bits={bits},residual_bits={residual},d=4,element_bits=8,axis={axis}"
    trace, accelerator = packed_product(text, 4, 72, 40), chip(text)
    (layer,) = check_functional(accelerator, trace).layers
    assert (layer.message, layer.tiles) == ("bit-exact", 2 * 5 * 3)
    result = simulate(accelerator, trace)
    assert read_bits(result) == {
        "indices": 72 * 40 // 4 * (bits + residual), "codebook": (2**bits + 2**residual) * 4 * 8, "scales_bias": 40 * 64,
    }  # fmt: skip
    padding = next(count for key, count in result.traffic.items() if key.operand == "padding")
    assert padding == 32 * -(-(2 * 72 * 48 // 4 * 4) // 32) - 72 * 40 // 4 * (bits + residual)
    check_twin(accelerator, trace)


@pytest.mark.parametrize("code", ["huffman", "rice"])
def test_codes_of_several_codebooks_are_read_in_the_pass_of_their_codebook(code: str) -> None:
    """A pass pops the mean code of an index per vector: as many bits in all, up to the last word."""
    text = f"{code}-aqlm:books=2,bits=4,d=4,element_bits=7"
    trace = packed_product(text, 4, 64, 32)
    both = [chip(text, additive=how) for how in ("sum", "passes")]
    assert all(check_functional(accelerator, trace).ok for accelerator in both)
    found = [read_bits(simulate(accelerator, trace))["indices"] for accelerator in both]
    assert found[0] == found[1] == trace.weighted_layers()[0].weight.streams["indices"].bits
    check_twin(both[1], trace)


def test_a_port_per_lookup_is_not_needed() -> None:
    assert simulate(chip(ports=1), product(parse_format(TEXT))).total_cycles > 0


def all_wide(trace: Trace, bits: int) -> Trace:
    """A network all of whose activations have `bits` bits."""
    fields = json.loads(trace.manifest.to_json())
    for shape in (*(item["shape"] for item in fields["inputs"]), *(layer["output"] for layer in fields["layers"])):
        shape["bits"] = bits
    return Trace(type(trace.manifest).model_validate_json(json.dumps(fields)))


def test_attention_of_16_bits_runs_with_keys_and_values_rounded() -> None:
    trace = all_wide(tiny_encoder(5, 8, 2, 12, "ssvq:16,2"), 16)
    accelerator = tiny_accelerator(activation_buffer__capacity=65536)
    check_twin(accelerator, trace)
    layers = {layer.name: layer for layer in simulate(accelerator, trace).layers if layer.op == "matmul"}
    assert layers
    assert all("rows of 16 bits, 2 passes" in layer.lowering for layer in layers.values())
    assert all("operand of 16 bits rounded to 8 as it is loaded" in layer.lowering for layer in layers.values())
    with pytest.raises(CompileError, match=r"has 32 bits, but is loaded as weights of 8; allowed: 8 bits, or 16, which are rounded"):
        simulate(accelerator, all_wide(tiny_encoder(5, 8, 2, 12, "ssvq:16,2"), 32))
