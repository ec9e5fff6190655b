"""One reference figure of area or energy beside the model's: identity, error, and role in the fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class FigureCheck:
    """One reference figure and the model's.

    Attributes
    ----------
    group : blocks, other libraries, cores, core parts, mvq40, eva28, SRAM or energy ratios
    role : fitted (the formula was fitted to this row), calibrated (a constant was set by it) or predicted
    expected, got : in `unit`
    low, high : range that the technology's constants give; equal to `got` where a check has none
    tolerance_pct : largest error allowed; infinite: shown, not judged
    note : why a row is missed, or its assumptions
    """

    group: str
    name: str
    role: Literal["fitted", "calibrated", "predicted"]
    unit: str
    expected: float
    got: float
    low: float
    high: float
    tolerance_pct: float
    note: str = ""

    @property
    def error_pct(self) -> float:
        """Signed: positive where the model is larger."""
        return 100 * (self.got / self.expected - 1)

    @property
    def ok(self) -> bool:
        """Whether the row is inside its tolerance."""
        return abs(self.error_pct) <= self.tolerance_pct

    def to_row(self) -> dict[str, Any]:
        """Flat and plain, for a table, CSV or JSON."""
        return {**asdict(self), "error_pct": self.error_pct, "ok": self.ok}


def worst(checks: tuple[FigureCheck, ...], group: str) -> FigureCheck:
    """The row of a group with the largest error."""
    return max((check for check in checks if check.group == group), key=lambda check: abs(check.error_pct))
