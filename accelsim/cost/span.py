"""A figure with its uncertainty: nominal, low and high; sums and products keep all three.

Disputable assumption: errors are taken as fully correlated (lows add to lows, highs to highs), so the range of a sum is the
widest that its terms allow and not a standard deviation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """low <= nominal <= high, all in one unit, none negative."""

    nominal: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.nominal <= self.high:
            raise ValueError(f"a span must have 0 <= low <= nominal <= high; got {self.low}, {self.nominal}, {self.high}")

    @staticmethod
    def exact(value: float) -> Span:
        """A figure without uncertainty of its own."""
        return Span(value, value, value)

    @staticmethod
    def around(nominal: float, low: float, high: float) -> Span:
        """A span from estimates that need not be in order: it is widened to hold all three."""
        return Span(nominal, min(nominal, low, high), max(nominal, low, high))

    def __add__(self, other: Span) -> Span:
        return Span(self.nominal + other.nominal, self.low + other.low, self.high + other.high)

    def __mul__(self, other: Span | float) -> Span:
        by = other if isinstance(other, Span) else Span.exact(other)
        return Span(self.nominal * by.nominal, self.low * by.low, self.high * by.high)

    def __truediv__(self, other: Span | float) -> Span:
        by = other if isinstance(other, Span) else Span.exact(other)
        return Span(self.nominal / by.nominal, self.low / by.high, self.high / by.low)

    @property
    def ends(self) -> tuple[tuple[str, float], ...]:
        """Pairs of a name's suffix and the figure: nominal, low and high."""
        return (("", self.nominal), ("_low", self.low), ("_high", self.high))

    def holds(self, value: float) -> bool:
        """Whether `value` lies in the range."""
        return self.low <= value <= self.high


ZERO = Span(0.0, 0.0, 0.0)


def total(figures: Iterable[Span | float]) -> Span:
    """Sum of spans, and of figures without uncertainty."""
    nominal = low = high = 0.0
    for figure in figures:
        if isinstance(figure, Span):
            nominal += figure.nominal
            low += figure.low
            high += figure.high
        else:
            nominal += figure
            low += figure
            high += figure
    return Span(nominal, low, high)
