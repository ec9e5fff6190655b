"""A run over tokens as a table of its steps, and as one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Console

from accelsim.report.tables.terminal import row, show, table
from accelsim.report.tables.text import bytes_column, count, milliseconds, short, times
from accelsim.result import ESTIMATED, Verdict


class Step(Protocol):
    """A simulated step."""

    @property
    def tokens(self) -> int: ...
    @property
    def context(self) -> int: ...
    @property
    def milliseconds(self) -> float: ...
    @property
    def tokens_per_second(self) -> float: ...
    @property
    def joules_per_token(self) -> float: ...
    @property
    def limiter(self) -> str: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def bytes(self) -> Mapping[str, int]: ...


def render_steps(console: Console, title: str, prefill: Step | None, decode: Sequence[Step]) -> None:
    """Time, energy, limit and cache traffic of each step."""
    steps = [*([] if prefill is None else [(f"prefill {count(prefill.tokens)}", prefill)]), *(("decode", step) for step in decode)]
    read, written = (bytes_column([step.bytes.get(name, 0) for _, step in steps]) for name in ("kv_read", "kv_write"))
    out = table(
        ["step", ">context", ">ms", ">tokens/s", ">mJ per\ntoken", "limits", "if free", ">cache\nread", ">cache\nwritten"], dense=True
    )
    for place, (name, step) in enumerate(steps):
        gain = ESTIMATED if step.verdict.gain is None else times(step.verdict.gain)
        row(
            out, name, count(step.context), milliseconds(step.milliseconds), short(step.tokens_per_second),
            short(1e3 * step.joules_per_token), " or ".join(step.verdict.alike), gain, read[place], written[place],
        )  # fmt: skip
    show(console, title, out)


def one_line(prefill: Step | None, decode: Sequence[Step]) -> str:
    """'first token after 112.336 ms, 26.27 to 26.32 tokens per second'."""
    found = [] if prefill is None else [f"first token after {milliseconds(prefill.milliseconds)} ms"]
    rates = [step.tokens_per_second for step in decode]
    if rates:
        ends = dict.fromkeys(f"{rate:,.2f}" for rate in (min(rates), max(rates)))
        found.append(f"{' to '.join(ends)} tokens per second")
    return ", ".join(found)
