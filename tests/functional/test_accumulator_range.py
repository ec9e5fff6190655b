"""The width of accumulators: the bound against extreme sums in Python's integers, warnings, and the overflow that the check names."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.accumulator_range import accumulator_bits, bits_for, range_warnings, weight_magnitude
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.errors import CompileError
from accelsim.formats.catalog import format_kinds, format_module, parse_format
from accelsim.functional import check_functional
from accelsim.functional.accumulators import at_width, describe_overflow
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.ops.mac_layers import MacLayer
from accelsim.presets import find_trace, preset_names, trace_names
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, load_trace
from tests.functional.test_functional import gemm_trace

CHIPS = preset_names("accelerators")
CORE = CoreGeometry(4, 4, 1, 1, 4, 32, False, False, 0, 16)


def chip(psum_bits: int, *more: str) -> Accelerator:
    return load_accelerator("mcu-16x16", [f"array.psum_bits={psum_bits}", *more])


def layers(trace: Trace) -> Iterator[MacLayer]:
    return (layer for layer in trace.layers if isinstance(layer, MacLayer))


@pytest.mark.parametrize("k", [1, 2, 3, 1023, 1024, 131_071, 131_072])
@pytest.mark.parametrize("magnitude", [1, 2, 8, 128, 255])
def test_the_bound_holds_the_extreme_sum_and_one_bit_less_does_not(k: int, magnitude: int) -> None:
    bits = bits_for(k, magnitude)
    assert k * 128 * magnitude <= 2 ** (bits - 1) - 1
    assert k * 128 * magnitude > 2 ** (bits - 2) - 1


def test_two_products_of_int8_overflow_sixteen_bits() -> None:
    """(-128) x (-128) = 2^14; two make 2^15, and 16 bits end at 2^15 - 1. 32 bits end at K = 2^17 - 1."""
    assert [bits_for(k, 128) for k in (1, 2, 2**17 - 1, 2**17)] == [16, 17, 32, 33]


@pytest.mark.parametrize(
    ("text", "magnitude"),
    [
        ("uniform:bits=8", 128),
        ("uniform:bits=4", 8),
        ("ssvq:k=16,d=8", 128),
        ("int_group:bits=4,group=32", 8),
        ("int_group:bits=4,group=32,zero=1", 15),  # 0..15 less 0..15
    ],
)
def test_the_magnitude_of_weights_is_their_formats(text: str, magnitude: int) -> None:
    assert weight_magnitude(parse_format(text).decode_path()) == magnitude


@pytest.mark.parametrize("kind", format_kinds())
def test_every_format_has_a_magnitude(kind: str) -> None:
    for text in format_module(kind).EXAMPLES:
        assert weight_magnitude(parse_format(text).decode_path()) >= 1


@pytest.mark.parametrize("bits", [16, 17, 24, 31, 32, 40, 64])
def test_sums_at_a_width_equal_remainders_of_python_integers(bits: int) -> None:
    values = [0, 1, -1, *(sign * 2**power + step for power in (15, 16, 30) for sign in (1, -1) for step in (-1, 0, 1)), 2**31 - 1, -(2**31)]
    for kind in (np.int32, np.int64):
        wanted = [(value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) for value in values]
        assert at_width(np.array(values, kind), bits).tolist() == (values if bits >= np.dtype(kind).itemsize * 8 else wanted)


def test_an_overflow_is_named_by_the_first_running_sum_outside() -> None:
    a, b = np.array([-128, 1, -128, 1, 1], np.int8), np.array([-128, -1, -128, 1, 1], np.int8)
    # 16384, 16383, 32767, 32768, 32769: index 3 is the first above 32767; rows 0..3 are the first tile of four.
    text = describe_overflow(CORE, a, b, 16)
    assert text is not None
    assert "is 32769 and overflows 16 bits (-32768 to 32767)" in text
    assert "at K index 3, in tile kt=0; allowed: array.psum_bits = 17" in text


def test_a_running_sum_that_comes_back_is_no_overflow() -> None:
    a, b = np.array([-128, -128, 1], np.int8), np.array([-128, -128, -1], np.int8)  # 16384, 32768, 32767
    assert describe_overflow(CORE, a, b, 16) is None


def test_the_check_names_layer_sum_and_tile_of_an_overflow() -> None:
    trace = gemm_trace(4, 64, 20, {"kind": "uniform"})  # random int8: sums of 64 products deviate by 43,000, so some pass 32,767
    report = check_functional(chip(16), trace)
    assert not report.ok
    found = re.search(r"stripe nt=0: sum \[\d,\d+\] is (-?\d+) and overflows 16 bits", report.layers[0].message)
    assert found is not None
    assert abs(int(found[1])) > 2**15 - 1
    needed = accumulator_bits(next(layers(trace)), chip(16).array)
    assert needed == 22  # 64 x 2^14 = 2^20
    assert check_functional(chip(needed), trace).ok


@pytest.mark.parametrize("bits", [32, 40, 64])
def test_reductions_past_32_bits_are_exact_at_any_width_that_their_sums_fit(bits: int) -> None:
    assert check_functional(chip(bits), gemm_trace(1, 1 << 17, 1, {"kind": "uniform"})).ok


def test_a_run_warns_of_the_layers_that_need_more_bits() -> None:
    trace = load_trace(find_trace("tiny_vit_int8"))
    (warning,) = simulate(chip(16), trace).warnings
    assert re.match(r"array\.psum_bits = 16: sums of \d+ layers can overflow \(\S+ needs \d+, .*--functional", warning)
    most = max(accumulator_bits(layer, chip(16).array) for layer in layers(trace))
    assert f"no sum can with {most} bits" in warning
    assert range_warnings(chip(most), [trace]) == ()


@pytest.mark.parametrize("name", [name for name in trace_names() if not name.endswith("_float")])  # no chip runs those
def test_no_preset_warns_of_a_committed_trace(name: str) -> None:
    trace = load_trace(find_trace(name))
    assert [range_warnings(load_accelerator(preset), [trace]) for preset in CHIPS] == [()] * len(CHIPS)


def test_scaled_sums_of_groups_need_the_32_bits_of_a_float() -> None:
    trace = gemm_trace(2, 64, 16, {"kind": "int_group", "bits": 4, "group": 32})
    narrow = chip(24, *codebook_overrides(chip(24), trace))
    assert accumulator_bits(next(layers(trace)), narrow.array) == 32
    assert len(range_warnings(narrow, [trace])) == 1
    with pytest.raises(CompileError, match=r"float32, which array\.psum_bits = 24 does not hold"):
        check_functional(narrow, trace)
    assert check_functional(chip(32, *codebook_overrides(chip(32), trace)), trace).ok
