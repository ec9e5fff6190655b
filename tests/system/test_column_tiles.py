"""Products in column tiles: weights that exceed their buffer are read once per row tile, whose rows serve all columns; scales in parts."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from accelsim.functional import check_functional
from accelsim.program import Program
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.naive_machine import NaiveMachine
from tests.recorded import run_recorded
from tests.system.test_row_tiles import bytes_of, check_places
from tests.tiny_convnets import ConvNet
from tests.tiny_machines import accelerators, gemm_chain, tiny_accelerator


def machine(activations: int, weights: int = 512, **fields: object) -> Accelerator:
    buffer = {"capacity": weights, "word_bits": 32}
    return tiny_accelerator(activation_buffer__capacity=activations, weight_buffer=buffer, array__max_m=64, **fields)


def tiles(text: str) -> tuple[int, int]:
    """(row tiles, column tiles) that a layer's lowering names."""
    found = [re.search(rf"(\d+) {kind} tiles", text) for kind in ("row", "column")]
    rows, columns = (int(match[1]) if match else 1 for match in found)
    return rows, columns


def moved(program: Program) -> Counter[str]:
    """Bytes by operand, whole network."""
    out: Counter[str] = Counter()
    for layer in program.layers:
        for (operand, _, _), bits in layer.bits.items():
            out[operand] += bits // 8
    return out


# Weights 40 x 64 on 4x4: 16 stripes of 160 B. A row of A takes 40 B, of one stripe's results 4 B, in the buffer twice.
@pytest.mark.parametrize(
    ("rows", "capacity", "wanted"),
    [
        (16, 1024, (1, 6)),  # A stays: 640 B, so 384 B hold 2 x 3 stripes of 16 rows
        (64, 1024, (4, 6)),  # 16 rows as above; 22 rows (3 row tiles) and two results of a stripe take 22 x 48 = 1056 B
        (64, 4096, (1, 6)),  # A stays: 2560 B, so 1536 B hold 2 x 3 stripes of 64 rows
    ],
)
def test_weights_are_read_once_per_row_tile_of_the_hand_count(rows: int, capacity: int, wanted: tuple[int, int]) -> None:
    chip, trace = machine(capacity), gemm_chain(rows, [40, 64], ["int8"], [""])
    program = compile_trace(chip, trace)
    assert tiles(program.layers[0].lowering) == wanted
    found = moved(program)
    assert found["raw_weights"] == wanted[0] * 40 * 64
    assert (found["scales_bias"], found["activations_in"], found["activations_out"]) == (8 * 64, 40 * rows, 64 * rows)
    assert simulate(chip, trace).macs == 40 * 64 * rows
    compare(chip, trace, frames=2)


# 8 channels of 6 x 6, 3 x 3 taps, 32 outputs on 4x4: 8 stripes of 288 B. An input line takes 48 B, a result line of one stripe 24 B, twice.
@pytest.mark.parametrize(
    ("capacity", "wanted"),
    [
        (544, (2, 8)),  # the image stays: 288 B, so 256 B hold 2 x 1 stripes of 3 lines, and not of 6
        (1024, (1, 4)),  # 736 B hold 2 x 2 stripes of 6 lines
    ],
)
def test_a_convolution_reads_its_weights_once_per_row_tile_of_the_hand_count(capacity: int, wanted: tuple[int, int]) -> None:
    chip, trace = machine(capacity), ConvNet(8, 6, 6).conv(32, 3).trace()
    program = compile_trace(chip, trace)
    assert tiles(program.layers[0].lowering) == wanted
    found = moved(program)
    assert found["raw_weights"] == wanted[0] * 72 * 32
    assert (found["scales_bias"], found["activations_in"], found["activations_out"]) == (8 * 32, 288, 36 * 32)
    assert check_functional(chip, trace).ok
    compare(chip, trace, frames=2)


@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("form", ["int8", "ssvq:16,2"])
def test_scales_that_exceed_the_weight_buffer_come_with_their_columns(form: str, batch: int, overlap: str) -> None:
    """256 outputs: 2048 B of scales and biases, and 64 B of a transfer, in a buffer of 1024 B: tiles of (1024 - 64) / 2 B at most.

    That is 15 stripes of 32 B, or 14 beside the codebook of 32 B: 5 column tiles of 13 stripes either way.
    """
    chip, trace = machine(16384, 1024, control__overlap=overlap), gemm_chain(3, [20, 256, 8], [form, form], ["gelu", ""])
    program = compile_trace(chip, trace, batch=batch)
    assert tiles(program.layers[0].lowering) == (1, 5)
    assert moved(program)["scales_bias"] == 8 * (256 + 8)
    assert moved(program)["codebook"] == (0 if form == "int8" else 2 * 16 * 2)
    assert "row_tiles" not in program.choices
    assert program.choices["column_tiles"] == "1 layers run in column tiles"
    compare(chip, trace, frames=2, batch=batch)


@pytest.mark.parametrize("preset", ["edge-32x32", "edge-32x32-x32", "edge-64x64", "edge-64x64-x16"])
@pytest.mark.parametrize("rows", [1, 128])
def test_a_language_model_s_head_takes_its_weights_once_on_every_preset_with_dram(preset: str, rows: int) -> None:
    found = moved(compile_trace(load_accelerator(preset), gemm_chain(rows, [2048, 128256], ["int8"], [""])))
    assert found["raw_weights"] == 2048 * 128256
    assert found["scales_bias"] == 8 * 128256


def test_a_large_product_reads_its_weights_once_where_its_rows_fit() -> None:
    chip = load_accelerator("edge-64x64", ["activation_buffer.capacity=1 MiB"])
    assert moved(compile_trace(chip, gemm_chain(128, [4096, 14336], ["int8"], [""])))["raw_weights"] == 4096 * 14336


@pytest.mark.parametrize("preset", ["edge-32x32", "edge-64x64"])
def test_what_is_read_again_lies_in_the_memory_once(preset: str) -> None:
    """1024 rows of 4096 columns: the buffer takes about a tenth of them at a time."""
    program = compile_trace(load_accelerator(preset), gemm_chain(1024, [4096, 4096], ["int8"], [""]))
    rows, _ = tiles(program.layers[0].lowering)
    assert moved(program)["raw_weights"] == rows * 4096 * 4096
    end = int((program.transfers.address + program.transfers.size).max())
    assert 4096 * 4096 + 8 * 4096 <= end <= 4096 * 4096 + 8 * 4096 + 64 * 4096 // 32


def test_a_stripe_that_is_read_again_for_each_m_chunk_lies_in_the_memory_once() -> None:
    """4 stripes of 160 B and 128 B of scales; the buffer holds no stripe, so 3 chunks of 4 rows read each of them."""
    chip = tiny_accelerator(array__max_m=4, weight_buffer={"capacity": 161, "word_bits": 32}, dma__transfer=32)
    program = compile_trace(chip, gemm_chain(12, [40, 16], ["int8"], [""]))
    moves = program.transfers
    spans = sorted(set(zip(moves.address.tolist(), (moves.address + moves.size).tolist(), strict=True)))
    covered = {byte for first, end in spans for byte in range(first, end)}
    assert covered == set(range(128 + 640))
    assert int(moves.size.sum()) == 128 + 3 * 640
    compare(chip, gemm_chain(12, [40, 16], ["int8"], [""]), frames=2)


# -- any chain on any machine


def on_tight_chip(draw: st.DrawFn, trace: Trace, most: int) -> tuple[Accelerator, Trace, Program]:
    """A machine whose buffers hold a part of a network, at most 64 `most` B of activations; the network; its program in column tiles."""
    chip = draw(accelerators())
    chip = chip.with_fields(weight_buffer=chip.weight_buffer.with_fields(capacity=draw(st.integers(256, 900)), residency="stream"))
    try:
        buffer = chip.activation_buffer.with_fields(capacity=64 * draw(st.integers(6, most)))
        chip = chip.with_fields(activation_buffer=buffer)
        program = compile_trace(chip, trace)
    except CompileError:
        assume(False)
        raise
    assume("column_tiles" in program.choices)
    return chip, trace, program


@st.composite
def tight(draw: st.DrawFn) -> tuple[Accelerator, Trace, Program]:
    """A machine whose buffers hold a part of a chain of products, the chain, and its program with column tiles."""
    widths = draw(st.lists(st.sampled_from([8, 16, 36, 64]), min_size=2, max_size=4))
    count = len(widths) - 1
    forms = draw(st.lists(st.sampled_from(["int8", "ssvq:16,2"]), min_size=count, max_size=count))
    between = draw(st.lists(st.sampled_from(["", "gelu", "add", "layernorm"]), min_size=count, max_size=count))
    trace = gemm_chain(draw(st.integers(3, 40)), widths, forms, between)
    return on_tight_chip(draw, trace, 60)


@st.composite
def tight_convolutions(draw: st.DrawFn) -> tuple[Accelerator, Trace, Program]:
    """The same of convolutions, some with a residual sum."""
    net = ConvNet(draw(st.sampled_from([4, 8])), draw(st.integers(3, 7)), draw(st.integers(3, 7)))
    for outputs in draw(st.lists(st.sampled_from([8, 16, 32]), min_size=1, max_size=3)):
        net.conv(outputs, draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 1, 2])))
        if draw(st.booleans()):
            before = net.at
            net.relu().conv(outputs, draw(st.sampled_from([1, 3]))).add(before)
    trace = net.trace(draw(st.sampled_from(["uniform", "ssvq:k=16,d=2"])), "*")
    return on_tight_chip(draw, trace, 40)


FEW_HAVE_TILES = (HealthCheck.filter_too_much, HealthCheck.too_slow)


@settings(max_examples=10, suppress_health_check=FEW_HAVE_TILES)
@given(st.one_of(tight(), tight_convolutions()))
def test_random_networks_in_column_tiles_equal_the_twin(case: tuple[Accelerator, Trace, Program]) -> None:
    chip, trace, program = case
    assert program.peak_activation_bytes <= chip.activation_buffer.capacity
    assert simulate(chip, trace).macs == trace.macs
    compare(chip, trace)


def check_dram_and_slots(chip: Accelerator, program: Program) -> None:
    """What is read from DRAM was written before, all of it, and no slot is written while it is read."""
    for number, job in enumerate(program.jobs):
        if not job.write and job.operand != "activations_in":
            wanted = bytes_of(job)
            before = {index: bytes_of(program.jobs[index]) for index in range(number) if program.jobs[index].write}
            over = [index for index, written in before.items() if np.isin(written, wanted).any()]
            assert np.isin(wanted, np.concatenate([before[index] for index in over])).all()
            assert sorted(job.after_jobs) == over
    _, landings = run_recorded(chip, program)
    twin = NaiveMachine(program, landings)
    twin.simulate()
    check_places(program, twin, landings)


@settings(max_examples=10, suppress_health_check=FEW_HAVE_TILES)
@given(st.one_of(tight(), tight_convolutions()))
def test_what_is_read_from_dram_was_written_whole_before(case: tuple[Accelerator, Trace, Program]) -> None:
    chip, _, program = case
    check_dram_and_slots(chip, program)
