"""What a lower bound refuses before planning, the compiler would refuse as well; and the refusal plans nothing."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler import compile as compiler
from accelsim.compiler import feasibility, place_on_one_core, program_size, row_tiles
from accelsim.compiler import split_plan as split
from accelsim.compiler.caches import Caches
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.heads import HEAD_ORDERS
from accelsim.compiler.planner import plan
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError
from tests.tiny_machines import gemm_chain, tiny_accelerator, tiny_encoder

# 6 tokens of width 16, 2 heads: a head's keys are 48 B, beside a row of its queries of 8 B and a row of its scores of 6 B: 62 B.


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("capacity", [16, 40, 61, 62, 100])
def test_what_the_bound_refuses_does_not_fit_when_it_is_planned(batch: int, capacity: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chip, trace = tiny_accelerator(activation_buffer__capacity=capacity), tiny_encoder(6, 16, 2, 32, "int8")
    refused = capacity < 62
    monkeypatch.setattr(Caches, "place", lambda *_: pytest.fail("planned"))
    if refused:
        with pytest.raises(CompileError, match=rf"capacity = {capacity} B is short by {62 - capacity} B"):
            compile_trace(chip, trace, batch=batch)
    else:
        with pytest.raises(pytest.fail.Exception):
            compile_trace(chip, trace, batch=batch)
    monkeypatch.undo()
    monkeypatch.setattr(place_on_one_core, "check_heads", lambda *_: None)
    if refused:
        with pytest.raises(CompileError, match="short by"):
            compile_trace(chip, trace, batch=batch)


# Llama 3.2 1B: 16 layers of 2048 x 2048 twice, 2048 x 512 twice and 2048 x 8192 three times; a head of 2048 x 128,256; a byte each.
LLAMA_BYTES = 16 * (2 * 2048 * 2048 + 2 * 2048 * 512 + 3 * 2048 * 8192) + 2048 * 128_256


@pytest.mark.parametrize("tokens", [1, 512])
def test_weights_that_the_memory_cannot_hold_are_refused_unplanned(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Caches, "place", lambda *_: pytest.fail("planned"))
    trace = open_trace(f"llama_1b_float@uniform:bits=8@step:tokens={tokens}")
    with pytest.raises(CompileError, match=rf"dram holds {1 << 30} B, the image needs at least {LLAMA_BYTES} B"):
        compile_trace(load_accelerator("edge-64x64"), trace)


FORMATS = ("uniform:bits=8", "uniform:bits=3", "ssvq:k=16,d=8", "huffman-ssvq:k=16,d=8")


@pytest.mark.parametrize("format_text", FORMATS)
def test_what_the_bound_on_images_refuses_is_refused_when_it_is_laid_out(format_text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chip, trace = load_accelerator("mcu-16x16"), open_trace(f"tiny_vit_float@{format_text}")

    def refusal(capacity: int) -> str:
        flash = chip.flash.with_fields(capacity=capacity) if chip.flash is not None else None
        with pytest.raises(CompileError, match=f"flash holds {capacity} B, the image needs") as caught:
            compile_trace(chip.with_fields(flash=flash), trace)
        return str(caught.value)

    least = int(refusal(1).split(" at least ")[1].split()[0])
    assert f"at least {least} B" in refusal(least - 1)
    monkeypatch.setattr(compiler, "check_images", lambda *_: None)
    assert int(refusal(least - 1).split()[-2]) >= least


# A batch of 1024 of 256 tokens each, of 2048 B, and of the 128,256 B of the last token's logits.
TENSOR_BYTES = 1024 * (256 * 2048 + 128_256)


def test_inputs_and_outputs_that_the_memory_cannot_hold_beside_the_weights_are_refused_unplanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Caches, "place", lambda *_: pytest.fail("planned"))
    chip, trace = load_accelerator("edge-64x64"), open_trace("llama_1b_float@uniform:bits=4@step:tokens=256")
    assert LLAMA_BYTES // 2 + TENSOR_BYTES // 2 < 1 << 30 < LLAMA_BYTES // 2 + TENSOR_BYTES
    with pytest.raises(CompileError, match=rf"dram holds {1 << 30} B, .*: {TENSOR_BYTES} B are inputs and outputs, batch = 1024$"):
        compile_trace(chip, trace, batch=1024)
    with pytest.raises(pytest.fail.Exception):
        compile_trace(chip, trace, batch=256)


# Llama 3.2 1B: 16 layers, each with 8 heads of keys, and for each of these two products and a softmax.
LLAMA_OPERATIONS = 16 * 8 * 3


def test_a_batch_with_too_many_heads_is_refused_unplanned_with_the_largest_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Caches, "place", lambda *_: pytest.fail("planned"))
    chip = load_accelerator("edge-64x64", ["dram.device=lpddr4-3200-x16"])
    trace = open_trace("llama_1b_float@ssvq:k=16,d=8@step:tokens=1")
    allowed = (1 << 17) // LLAMA_OPERATIONS
    needed = rf"batch = 512 needs at least {512 * LLAMA_OPERATIONS:,} operations, .*; allowed: 131,072, batch = {allowed}$"
    with pytest.raises(CompileError, match=needed):
        compile_trace(chip, trace, batch=512)
    with pytest.raises(CompileError, match=f", batch = {allowed}$"):
        compile_trace(chip, trace, batch=allowed + 1)
    with pytest.raises(pytest.fail.Exception):
        compile_trace(chip, trace, batch=allowed)


def test_operations_by_head_are_those_that_a_plan_has() -> None:
    """6 tokens, 2 heads, batch 3: two products and a softmax for each head; the bound counts no other operation."""
    trace = tiny_encoder(6, 16, 2, 32, "int8")
    for order in HEAD_ORDERS:
        assert sum(op.head >= 0 for op in plan(trace, 3, order).ops) == 3 * 2 * 3
    with pytest.MonkeyPatch.context() as patch:
        for most, message in ((17, "at least 18 operations, .*; allowed: 17, batch = 2$"), (5, "; allowed: 5$")):
            patch.setattr(feasibility, "_MOST_BY_HEAD", most)
            with pytest.raises(CompileError, match=message):
                feasibility.check_operations(trace, 3)
        patch.setattr(feasibility, "_MOST_BY_HEAD", 18)
        feasibility.check_operations(trace, 3)


def test_images_in_planes_that_exceed_the_buffer_as_a_batch_are_refused_unplanned(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image of 3 x 224 x 224 B; a buffer of two of them has no room for three."""
    trace = open_trace("deit_tiny_float@uniform:bits=8")
    chip = load_accelerator("edge-64x64", [f"activation_buffer.capacity={2 * 3 * 224 * 224}"])
    monkeypatch.setattr(Caches, "place", lambda *_: pytest.fail("planned"))
    with pytest.raises(CompileError, match=rf"is short by {3 * 224 * 224} B, as the planes of a batch of 3 images are read whole"):
        compile_trace(chip, trace, batch=3)
    with pytest.raises(pytest.fail.Exception):
        compile_trace(chip, trace, batch=2)
    monkeypatch.undo()
    monkeypatch.setattr(place_on_one_core, "check_planes", lambda *_: None)
    with pytest.raises(CompileError, match=r"is short by .* in row tiles; live there: pixel_values"):
        compile_trace(chip, trace, batch=3)


def test_a_plan_in_more_tiles_than_its_order_has_room_for_is_refused_before_it_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "MOST_OPERATIONS", 20)
    chip, trace = tiny_accelerator(activation_buffer__capacity=160), gemm_chain(24, [16, 16, 16], ["int8", "int8"], ["", ""])
    with pytest.raises(CompileError, match=r"layer 'gemm.': runs in \d+ tiles, as the activation buffer .* operations; allowed: 20$"):
        compile_trace(chip, trace)


@pytest.mark.parametrize(("what", "limit"), [("runs", "MOST_RUNS"), ("tasks", "MOST_TASKS"), ("transfers", "MOST_TRANSFERS")])
def test_a_program_with_too_many_records_is_refused_by_its_first_inference(what: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chip, trace = tiny_accelerator(), gemm_chain(24, [16, 16, 16], ["int8", "int8"], ["gelu", ""])
    program = compile_trace(chip, trace)
    made = {"runs": program.runs.size, "tasks": program.tasks.size, "transfers": program.transfers.size.size}[what]
    monkeypatch.setattr(program_size, limit, 3 * made)
    assert compile_trace(chip, trace, frames=3).runs.size == 3 * program.runs.size
    with pytest.raises(CompileError, match=f"^frames = 4: the program needs at least {4 * made:,} {what}; allowed: {3 * made:,}$"):
        compile_trace(chip, trace, frames=4)
    monkeypatch.setattr(program_size, limit, 1)
    with pytest.raises(CompileError, match=f"^.*gemm.*: the program needs at least [0-9]+ {what}; allowed: 1$"):
        compile_trace(chip, trace)


def test_weights_in_too_many_tiles_that_load_before_they_compute_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """K = 64, N = 4 on an array of 4 x 4: 16 tiles of a stripe; weights that are prefetched are not cut between tiles."""
    trace = gemm_chain(24, [64, 4], ["int8"], [""])
    monkeypatch.setattr(program_size, "MOST_TILES", 15)
    for overlap, refused in (("prefetch", False), ("layer", True), ("none", True)):
        chip = tiny_accelerator(array__rows=4, array__cols=4, control__overlap=overlap)
        if refused:
            with pytest.raises(CompileError, match=r"its weights are 16 tiles; allowed: 15, or control.overlap = 'prefetch'$"):
                compile_trace(chip, trace)
        else:
            compile_trace(chip, trace)


def test_numbers_of_row_tiles_are_the_quotients_of_the_lines() -> None:
    for most in (*range(1, 300), 4095, 4096, 4097, 10_000):
        assert list(row_tiles.row_tile_counts(most)) == sorted({-(-most // lines) for lines in range(1, most + 1)})


def test_a_layer_of_more_lines_than_a_plan_has_operations_runs_in_larger_tiles_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """24 rows of 16 B in and out; two tiles have 12 rows each: 192 B in and 192 B out, which 512 B hold and 256 B do not."""
    trace = gemm_chain(24, [16, 16], ["int8"], [""])
    room, short = (tiny_accelerator(activation_buffer__capacity=capacity) for capacity in (512, 256))
    compile_trace(short, trace)
    monkeypatch.setattr(row_tiles, "MOST_OPERATIONS", 2)
    compile_trace(room, trace)
    with pytest.raises(CompileError, match=r"is short by .* in row tiles"):
        compile_trace(short, trace)
