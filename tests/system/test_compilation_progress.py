"""Progress of a compilation: the orders of heads that are tried, and the operations of all inferences that are lowered."""

from __future__ import annotations

from accelsim.compiler.compile import compile_trace
from tests.tiny_machines import tiny_accelerator, tiny_encoder


def test_a_compilation_says_how_many_orders_and_operations_it_has_gone_through() -> None:
    seen: list[tuple[str, int, int]] = []
    compile_trace(tiny_accelerator(), tiny_encoder(5, 8, 2, 12, "ssvq:16,2"), frames=3, progress=lambda *state: seen.append(state))
    planned = [state for state in seen if state[0] == "plan"]
    assert planned[0][1] == 0
    assert all(done < total for _, done, total in planned)
    lowered = [state for state in seen if state[0] == "compile"]
    each = lowered[0][2] // 3
    assert lowered == [("compile", turn * each, 3 * each) for turn in range(3)]  # a report every 256 operations, which none has


def test_a_long_inference_reports_within_itself() -> None:
    seen: list[tuple[str, int, int]] = []
    compile_trace(tiny_accelerator(), tiny_encoder(5, 8, 2, 12, "ssvq:16,2", depth=40), progress=lambda *state: seen.append(state))
    lowered = [done for phase, done, _ in seen if phase == "compile"]
    assert lowered[:2] == [0, 256]
    assert seen[-1][1] < seen[-1][2]
