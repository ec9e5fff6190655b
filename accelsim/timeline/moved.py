"""Bytes that crossed the bus of a memory, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Moved:
    """Bytes that crossed a memory's bus evenly from `start` to `end`, in ticks of 1 / `hz` s; at once where these are equal."""

    start: int
    end: int
    hz: int
    size: int
    write: bool
