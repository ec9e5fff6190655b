"""Indices of any width, over every format with a codebook: streams of ceil(log2 k) bits, images with exact and with padded fields."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.cost.area import area_of
from accelsim.cost.technology import load_technology
from accelsim.formats.catalog import format_from_mapping, format_kinds, format_module
from accelsim.functional import check_functional
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.functional.test_functional import gemm_trace

CODED = [kind for kind in format_kinds() if {"k", "d"} <= format_module(kind).SPEC.model_fields.keys()]  # any number of codewords
# codewords -> (bits of an index, bits of its padded field), around and between the powers of two up to 4096
WIDTHS = {
    3: (2, 2), 5: (3, 4), 6: (3, 4), 7: (3, 4), 9: (4, 4), 12: (4, 4), 15: (4, 4), 17: (5, 8), 24: (5, 8), 31: (5, 8), 33: (6, 8),
    65: (7, 8), 100: (7, 8), 127: (7, 8), 129: (8, 8), 255: (8, 8), 257: (9, 16), 300: (9, 16), 511: (9, 16), 513: (10, 16),
    1000: (10, 16), 1025: (11, 16), 2047: (11, 16), 2049: (12, 16), 3000: (12, 16), 4095: (12, 16),
}  # fmt: skip
K, N, D = 20, 24, 4


def fields(kind: str, k: int) -> dict[str, object]:
    return {"kind": kind, "k": k, "d": D, **({"keep": 2, "of": 4} if kind == "masked_vq" else {})}


def chip(kind: str, k: int, field: str) -> Accelerator:
    shared = format_from_mapping(fields(kind, k)).codebook_scope == "shared"
    store = ["codebook.store=rom", "codebook.circuit=logic_rom"] if shared else []
    sizes = [f"codebook.codewords={k}", "codebook.ports=3", "weight_buffer.word_bits=40", f"codebook.index_field={field}"]
    return load_accelerator("mcu-16x16", ["array.rows=8", "array.cols=16", *sizes, *store])


def traffic(result: Result) -> dict[str, int]:
    return {key.operand: bits for key, bits in result.traffic.items()}


def trace_of(kind: str, k: int) -> Trace:
    return gemm_trace(3, K, N, fields(kind, k))


@pytest.mark.parametrize("kind", CODED)
@pytest.mark.parametrize("k", WIDTHS)
def test_any_number_of_codewords_is_stored_exactly_and_decoded_bit_for_bit_in_both_fields(kind: str, k: int) -> None:
    trace = trace_of(kind, k)
    exact, _ = WIDTHS[k]
    assert trace.stream("layer0", "indices").size == -(-K * N // D * exact // 8)
    assert int(np.max(trace.arrays("layer0")["indices"])) == k - 1
    for field in ("exact", "padded"):
        assert check_functional(chip(kind, k, field), trace).ok


@pytest.mark.parametrize("kind", CODED)
@pytest.mark.parametrize("k", [3, 5, 16, 33, 256, 300, 4095])
def test_what_a_padded_field_adds_is_booked_as_padding(kind: str, k: int) -> None:
    exact, padded = {16: (4, 4), 256: (8, 8), **WIDTHS}[k]
    trace = trace_of(kind, k)
    runs = {field: traffic(simulate(chip(kind, k, field), trace)) for field in ("exact", "padded")}
    for run in runs.values():
        assert run["indices"] == K * N // D * exact
    for name in runs["exact"].keys() - {"padding", "burst_rounding"}:
        assert runs["padded"][name] == runs["exact"][name]
    # Two stripes of 16 columns (8 columns of padding), tiles of 8, 8 and 4 rows: 32, 32 and 16 records in groups of 3: 11, 11 and 6.
    # A record also holds a sign a lane (ssvq) or the number of one of 6 patterns (masked_vq).
    other = {"ssvq": D, "masked_vq": 3}.get(kind, 0)
    for field, bits in (("exact", exact), ("padded", padded)):
        image = -(-2 * 28 * 3 * (bits + other) // 40) * 40
        assert runs[field]["padding"] == image - K * N // D * (exact + other)


def test_a_power_of_two_costs_nothing_and_the_highest_index_is_reached() -> None:
    for k, field in itertools.product((2, 4, 16, 256, 65536), ("exact", "padded")):
        assert check_functional(chip("vq", k, field), trace_of("vq", k)).ok
    powers = [simulate(chip("vq", 16, field), trace_of("vq", 16)) for field in ("exact", "padded")]
    assert powers[0].total_cycles == powers[1].total_cycles
    assert traffic(powers[0]) == traffic(powers[1])


def test_padded_fields_leave_fewer_widths_for_the_unpacker_to_align() -> None:
    node = load_technology("nangate45")
    exact, padded = (area_of(load_accelerator("edge-32x32", [f"codebook.index_field={field}"]), node) for field in ("exact", "padded"))
    ours, theirs = padded.component("unpack buffer"), exact.component("unpack buffer")
    assert ours.gates is not None
    assert theirs.gates is not None
    # codebook of 256: fields of 1, 2, 4, 8 bits with and without signs, and raw values of 1 to 8 bits
    assert "a multiplexer over 16 record widths" in ours.notes[0]
    assert ours.gates.high < theirs.gates.high
    assert (ours.gates.low, ours.gates.nominal) == (theirs.gates.low, theirs.gates.nominal)
