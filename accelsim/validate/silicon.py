"""Measured boards against simulations: rows, pairs of encodings, and the host's overhead of a step, which `fit` rows set.

Disputable assumption: before a step of a language model the machine waits for its host (sampling, launch), as long for all steps of a
network on a board; it is what that network's `fit` rows take longer, on average, than they are simulated without. The rows are then
simulated with that wait (`control.overhead.token`). Nothing else is fitted here: what the chips' files call fitted was fitted to `fit`
rows once, and is written in them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from accelsim.errors import AccelsimError
from accelsim.progress import Progress
from accelsim.validate.reference_csv import check_tolerance
from accelsim.validate.silicon_bench import Bench, is_step
from accelsim.validate.silicon_rows import MeasuredRow, read_rows

TOLERANCE_PCT = 20.0
PS_PER_MS = 10**9
FIT, PREDICT = "fit", "predict"


@dataclass(frozen=True)
class SiliconRow:
    """A measured row and its simulation.

    Attributes
    ----------
    measured, simulated : in the row's unit; None where it cannot be simulated, as `problem` says
    error_pct : of the time: positive where the simulation is slower
    overhead_ms : of the simulated time, the wait for the host that the network's `fit` rows set
    ok : not judged, or simulated within the tolerance
    """

    line: int
    board: str
    chip: str
    network_id: str
    recipe: str
    context: str
    metric: str
    unit: str
    role: str
    measured: float
    measured_ms: float
    simulated: float | None
    error_pct: float | None
    overhead_ms: float
    problem: str
    ok: bool

    @property
    def simulated_ms(self) -> float | None:
        """The simulated time; None where it cannot be simulated."""
        return None if self.error_pct is None else self.measured_ms * (1 + self.error_pct / 100)


@dataclass(frozen=True)
class SiliconPair:
    """A network in two encodings on one board: the slower one's time over the faster one's, and the difference, in which overheads cancel.

    Attributes
    ----------
    role : fit where both rows are
    """

    chip: str
    network_id: str
    context: str
    recipes: tuple[str, str]
    role: str
    measured_speedup: float
    simulated_speedup: float
    speedup_error_pct: float
    measured_difference_ms: float
    simulated_difference_ms: float


@dataclass(frozen=True)
class SiliconReport:
    """All rows of a file, in its order, and all pairs."""

    source: str
    tolerance_pct: float
    rows: tuple[SiliconRow, ...]
    pairs: tuple[SiliconPair, ...]

    @property
    def ok(self) -> bool:
        """Whether every predicted row is simulated within the tolerance."""
        return all(row.ok for row in self.rows)

    @property
    def misses(self) -> tuple[SiliconRow, ...]:
        """Predicted rows that are not, those that cannot be simulated first, then the largest error."""
        return tuple(sorted((row for row in self.rows if not row.ok), key=_error, reverse=True))

    def median_error_pct(self, role: str) -> float:
        """Median of the absolute errors of the rows of a role; a row that cannot be simulated is infinitely wrong."""
        errors = [_error(row) for row in self.rows if row.role == role]
        return statistics.median(errors) if errors else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        medians = {role: self.median_error_pct(role) for role in (FIT, PREDICT)}
        return {
            "kind": "silicon",
            "source": self.source,
            "ok": self.ok,
            "tolerance_pct": self.tolerance_pct,
            "count": {role: sum(row.role == role for row in self.rows) for role in (FIT, PREDICT, "context")},
            "median_error_pct": {role: value if math.isfinite(value) else "inf" for role, value in medians.items()},
            "misses": [row.line for row in self.misses],
            "rows": [asdict(row) for row in self.rows],
            "pairs": [asdict(pair) for pair in self.pairs],
        }


def validate_silicon(csv_path: Path, tolerance_pct: float | None = None, progress: Progress | None = None) -> SiliconReport:
    """Simulate every row of a file of measured figures.

    Parameters
    ----------
    csv_path : see `silicon_rows`
    tolerance_pct : largest error of a predicted row; 20 if it is not given
    progress : called with (phase, done, total)

    Raises
    ------
    ReferenceDataError
        The file, line, column and value that cannot be read. A row that names an unknown board or network is no error but a miss.
    """
    check_tolerance(tolerance_pct)
    rows, bench, times = read_rows(csv_path), Bench(), {}
    for done, row in enumerate(rows, 1):
        times[row.line] = _simulated(bench, row)
        if progress is not None:
            progress("simulating the measured rows", done, len(rows))
    tolerance = TOLERANCE_PCT if tolerance_pct is None else tolerance_pct
    overheads = _overheads(rows, times)
    judged = []
    for row in rows:
        launch_ps = overheads.get((row.chip, row.network), 0) if is_step(row) else 0
        simulated = times[row.line]
        if launch_ps and not isinstance(simulated, str):
            simulated = bench.milliseconds(row, launch_ps)
        judged.append(_judged(row, simulated, launch_ps, tolerance))
    return SiliconReport(str(csv_path), tolerance, tuple(judged), tuple(_pairs(rows, judged)))


def _simulated(bench: Bench, row: MeasuredRow) -> float | str:
    """Milliseconds, or the reason why there are none."""
    try:
        return bench.milliseconds(row)
    except AccelsimError as error:
        return str(error)


def _overheads(rows: Sequence[MeasuredRow], times: Mapping[int, float | str]) -> dict[tuple[str, str], int]:
    """Picoseconds of the host before each step, by chip and network."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        simulated = times[row.line]
        if row.role == FIT and is_step(row) and not isinstance(simulated, str):
            found.setdefault((row.chip, row.network), []).append(row.milliseconds - simulated)
    return {key: max(0, round(statistics.mean(differences) * PS_PER_MS)) for key, differences in found.items()}


def _judged(row: MeasuredRow, simulated: float | str, launch_ps: int, tolerance_pct: float) -> SiliconRow:
    about = (row.line, row.board, row.chip, row.network, row.recipe, row.context, row.metric, row.unit, row.role, row.value,
             row.milliseconds)  # fmt: skip
    if isinstance(simulated, str):
        return SiliconRow(*about, None, None, 0.0, simulated, ok=row.role != PREDICT)
    error = 100 * (simulated / row.milliseconds - 1)
    ok = row.role != PREDICT or abs(error) <= tolerance_pct
    return SiliconRow(*about, row.shown(simulated), error, launch_ps / PS_PER_MS, "", ok=ok)


def _pairs(rows: Sequence[MeasuredRow], judged: Sequence[SiliconRow]) -> list[SiliconPair]:
    """Of each network on each board: the slowest encoding against each other one."""

    def subject(item: tuple[MeasuredRow, SiliconRow]) -> tuple[str, ...]:
        return item[0].chip, item[0].network, item[0].context, item[0].metric

    known = [item for item in zip(rows, judged, strict=True) if item[1].simulated is not None and item[0].role != "context"]
    found = []
    for _, group in groupby(sorted(known, key=subject), key=subject):
        slowest, *others = sorted(group, key=lambda item: -item[0].milliseconds)
        found += [_pair(slowest, other) for other in others if other[0].recipe != slowest[0].recipe]
    return found


def _pair(slow: tuple[MeasuredRow, SiliconRow], fast: tuple[MeasuredRow, SiliconRow]) -> SiliconPair:
    first, second = slow[0], fast[0]
    times = [judged.simulated_ms or 0.0 for _, judged in (slow, fast)]
    measured, simulated = first.milliseconds / second.milliseconds, times[0] / times[1]
    return SiliconPair(
        chip=first.chip,
        network_id=first.network,
        context=first.context,
        recipes=(first.recipe, second.recipe),
        role=FIT if first.role == second.role == FIT else PREDICT,
        measured_speedup=measured,
        simulated_speedup=simulated,
        speedup_error_pct=100 * (simulated / measured - 1),
        measured_difference_ms=first.milliseconds - second.milliseconds,
        simulated_difference_ms=times[0] - times[1],
    )


def _error(row: SiliconRow) -> float:
    return math.inf if row.error_pct is None else abs(row.error_pct)
