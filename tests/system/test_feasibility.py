"""What a lower bound refuses before planning, the compiler would refuse as well; and the refusal plans nothing."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler import compile as compiler
from accelsim.compiler.caches import Caches
from accelsim.compiler.compile import compile_trace
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError
from tests.tiny_machines import tiny_accelerator, tiny_encoder

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
    monkeypatch.setattr(compiler, "check_heads", lambda *_: None)
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
