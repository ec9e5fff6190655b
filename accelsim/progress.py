"""How far long work has come: called as (phase, done, total)."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]


def unseen(phase: str, done: int, total: int) -> None:
    """The progress of work that nobody watches."""
