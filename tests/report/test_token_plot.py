"""The picture of a decode: each simulated context to scale, and a mark for each resource that limits."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from matplotlib.figure import Figure

from accelsim.report.plots.tokens import plot_tokens, tokens_picture


@dataclass(frozen=True)
class Step:
    context: int
    tokens_per_second: float
    limiter_label: str


STEPS = [Step(0, 40.0, "memory"), Step(100, 30.0, "memory"), Step(400, 10.0, "MAC array")]


def test_steps_lie_at_their_contexts_by_what_limits_them() -> None:
    ax = Figure().subplots()
    plot_tokens(ax, STEPS)
    line, *marks = ax.get_lines()
    assert list(line.get_xdata()) == [0, 100, 400]
    found = {mark.get_label(): list(zip(mark.get_xdata(), mark.get_ydata(), strict=True)) for mark in marks}
    assert found == {"limited by memory": [(0, 40.0), (100, 30.0)], "limited by MAC array": [(400, 10.0)]}
    assert len({mark.get_marker() for mark in marks}) == 2
    assert ax.get_ylim() == (0, pytest.approx(1.08 * 40))


def test_equal_steps_give_equal_bytes() -> None:
    first, second = (tokens_picture("Tokens per second\nit on a chip", STEPS).files() for _ in range(2))
    assert first == second
    assert set(first) == {"tokens_per_second.svg", "tokens_per_second.png"}
