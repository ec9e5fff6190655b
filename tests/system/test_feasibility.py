"""What a lower bound refuses before planning, the planner refuses as well; and the refusal plans nothing."""

from __future__ import annotations

import pytest

from accelsim.compiler import compile as compiler
from accelsim.compiler.caches import Caches
from accelsim.compiler.compile import compile_trace
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
