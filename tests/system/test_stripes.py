"""Stripes of weights over several M-chunks: held where they fit with what comes before them, else fetched again, and booked as often."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.simulation import simulate
from tests.tiny_machines import gemm_chain, tiny_accelerator

# 16 columns of 40 int8 weights on 4x4: 4 stripes of 40 x 4 = 160 B; scales and biases: 8 x 16 = 128 B before the first.
HEADER, STRIPE, CHUNKS = 128, 160, 3


@pytest.mark.parametrize(("capacity", "fetches"), [(HEADER + STRIPE, 1), (HEADER + STRIPE - 1, CHUNKS), (STRIPE + 1, CHUNKS)])
def test_a_stripe_is_held_if_it_fits_beside_the_header(capacity: int, fetches: int) -> None:
    accelerator = tiny_accelerator(
        weight_buffer={"capacity": capacity, "word_bits": 32}, array={"rows": 4, "cols": 4, "max_m": 4},
        dma={"transfer": 32, "max_transfers": 2, "fabric_latency": "10 ns"},
    )  # fmt: skip
    result = simulate(accelerator, gemm_chain(4 * CHUNKS, [40, 16], ["int8"], [""]))
    raw = sum(bits for key, bits in result.traffic.items() if key.operand == "raw_weights")
    assert raw == 8 * 40 * 16 * fetches
    note = next(layer.lowering for layer in result.layers if layer.op == "gemm")
    assert ("held over" in note) is (fetches == 1)


def test_each_frame_reads_the_image_again_unless_it_is_pinned() -> None:
    trace = gemm_chain(4, [16, 16], ["int8"], [""])
    for residency, times in (("stream", 3), ("pinned", 1)):
        accelerator = tiny_accelerator(weight_buffer={"capacity": 1024, "word_bits": 32, "residency": residency})
        result = simulate(accelerator, trace, frames=3)
        assert sum(bits for key, bits in result.traffic.items() if key.operand == "raw_weights") == 8 * 16 * 16 * times


def test_the_starved_preset_gains_from_batches_what_it_loses_in_speed_up() -> None:
    accelerator = load_accelerator("edge-64x64-x16", ["activation_buffer.capacity=2 MiB"])
    trace = gemm_chain(197, [192, 768, 192], ["int8", "int8"], ["gelu", ""])
    one, four = simulate(accelerator, trace), simulate(accelerator, trace, batch=4)
    assert four.total_cycles < 4 * one.total_cycles  # the weights come once for all images
    assert compile_trace(accelerator, trace, batch=4).choices["stripes"].startswith("2 layers held")
