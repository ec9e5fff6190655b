"""DRAM against other simulators: replays the traces of a reference file and judges each group of its rows.

Rows with the same trace, device, mapping and `mo` are one group: what several simulators, under the same timing and the same
injection rules, made of one trace. A result is right when it lies between the smallest and the largest of them, or within
the tolerance of the nearest. Disputable assumption: controllers differ legitimately in policy, so a result between two of
them is not an error; `compare_presets` asks the harder question, each reference against the policy that models it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from accelsim.errors import ReferenceDataError
from accelsim.hw.dram.controller import DEFAULT_POLICY, load_policy
from accelsim.hw.dram.device import load_device
from accelsim.hw.dram.mapping import MAPPINGS
from accelsim.hw.dram.memory_trace import MemoryTrace, read_memory_trace
from accelsim.hw.dram.replay import ReplayResult, replay
from accelsim.hw.dram.synthetic import make_trace, read_cases, trace_sha256
from accelsim.validate.reference_csv import ReferenceRow, read_reference
from accelsim.validate.report import RowVerdict, ValidationReport, relative_error_pct

CASES = "cases.json"
KEY = ("trace", "device", "mapping", "mo")
REFRESH_TOLERANCE = 1.0  # commands: the last one may come before or after the last data


@dataclass(frozen=True)
class _Column:
    """A judged column: its figure in a result, the column of its tolerance, and whether that is absolute."""

    name: str
    got: Callable[[ReplayResult], float]
    tolerance: str
    absolute: bool


_COLUMNS = (
    _Column("cycles", lambda result: result.cycles, "tolerance_pct", False),
    _Column("lat_avg", lambda result: result.read_latency_mean_cycles, "lat_tolerance_pct", False),
    _Column("hit", lambda result: result.hit_rate, "hit_tolerance", True),
    _Column("refreshes", lambda result: result.refresh_commands, "", True),
)
NEEDED = (*KEY, "reference", *(column.name for column in _COLUMNS))

# The policy preset that models each simulator of the references.
PRESET_OF_REFERENCE = {"ramulator2.1": "frfcfs", "ramulator2.1-RowHit": "frfcfs-row-hit", "dramsim3": "bank-queues"}


def _key(row: ReferenceRow) -> tuple[str, ...]:
    return tuple(row.cells[column] for column in KEY)


def _figure(row: ReferenceRow, column: _Column) -> float | None:
    """The row's figure; None where the reference has none (read latency of a trace of writes)."""
    return row.number(column.name, -1.0) if row.cells[column.name] else None


class _Replays:
    """The replays of one reference file, each run once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trace = cache(self._read)
        self._sha256 = cache(lambda name: trace_sha256(self._trace(name)))
        self._replay = cache(self._run)

    def _read(self, name: str) -> MemoryTrace:
        """The trace of a file; if it is missing, generated from the cases beside the reference."""
        path = self._folder / name
        cases = self._folder / CASES
        if path.exists() or not cases.is_file():
            return read_memory_trace(path)
        case_name, _, burst_bytes = path.name.removesuffix(".txt").rpartition(".")
        case = next((case for case in read_cases(cases) if case.name == case_name), None)
        if case is None or not burst_bytes.isdecimal():
            what = "no such file, and no case for it beside the reference (such files are named CASE.BURST_BYTES.txt)"
            raise ReferenceDataError(f"{path}: {what}")
        return make_trace(case, int(burst_bytes))

    def result(self, row: ReferenceRow, policy: str) -> ReplayResult:
        """Replay the row's trace under `policy`."""
        if row.cells["mapping"] not in MAPPINGS:
            raise row.error("mapping", ", ".join(MAPPINGS))
        expected, found = row.cells.get("sha256_16", ""), self._sha256(row.cells["trace"])
        if not found.startswith(expected):
            raise row.error(
                "sha256_16", f"the start of the trace's own, {found[:16]}: {row.cells['trace']} is not the trace of the reference"
            )
        mo = row.integer("mo", 1, 2**16)
        return self._replay(row.cells["trace"], row.cells["device"], row.cells["mapping"], mo, policy)

    def _run(self, trace: str, device: str, mapping: str, mo: int, policy: str) -> ReplayResult:
        return replay(self._trace(trace), load_device(device), load_policy(policy), mapping, mo)


def _tolerance(column: _Column, row: ReferenceRow, tolerance_pct: float | None) -> float:
    """The row's own tolerance, else the caller's (percent, or as a share for an absolute column), else 0."""
    if not column.tolerance:
        return REFRESH_TOLERANCE
    if row.cells.get(column.tolerance):
        return row.number(column.tolerance, 0)
    return (tolerance_pct or 0.0) / (100 if column.absolute else 1)


def _judge(column: _Column, rows: list[ReferenceRow], got: float, tolerance_pct: float | None, title: str) -> RowVerdict | None:
    """The verdict on one figure of a group; None if no row has that figure."""
    figures = [(figure, row) for row in rows if (figure := _figure(row, column)) is not None]
    if not figures:
        return None
    expected = [figure for figure, _ in figures]
    errors = [abs(got - value) if column.absolute else relative_error_pct(value, got) for value in expected]
    nearest = errors.index(min(errors))
    tolerance = _tolerance(column, figures[nearest][1], tolerance_pct)
    slack = 1e-9 if column.absolute else 0.0  # a decimal tolerance against the difference of two decimals
    ok = min(expected) <= got <= max(expected) or errors[nearest] <= tolerance + slack
    return RowVerdict(title, column.name, expected[nearest], got, errors[nearest], tolerance, ok)


def validate_dram(path: Path, tolerance_pct: float | None = None, policy: str = DEFAULT_POLICY) -> ValidationReport:
    """Replay each group of a reference file once under `policy` and judge cycles, mean read latency, hit rate and refreshes.

    Parameters
    ----------
    path : CSV with the columns NEEDED, and optionally tolerance_pct, lat_tolerance_pct, hit_tolerance and sha256_16; traces are named
        relative to it.
    tolerance_pct : percent, for a file without tolerances of its own; None: exact.
    policy : controller preset or YAML file.

    Returns
    -------
    ValidationReport
        A verdict for each group and column: the nearest reference, and the distance from it.

    Raises
    ------
    ReferenceDataError, ConfigError
        If the file, a trace or a name in it does not fit.
    """
    groups: dict[tuple[str, ...], list[ReferenceRow]] = {}
    for row in read_reference(path, NEEDED):
        groups.setdefault(_key(row), []).append(row)
    replays = _Replays(path.parent)
    verdicts = []
    for rows in groups.values():
        result = [replays.result(row, policy) for row in rows][-1]  # one result; every row is checked against its trace
        verdicts += [_judge(column, rows, column.got(result), tolerance_pct, _title(rows[0])) for column in _COLUMNS]
    return ValidationReport("dram", str(path), tuple(verdict for verdict in verdicts if verdict))


def compare_presets(path: Path, tolerance_pct: float | None = None) -> ValidationReport:
    """Replay each row under the preset that models its simulator (PRESET_OF_REFERENCE) and judge it alone.

    Rows of other references are left out. For parameters, return and errors see `validate_dram`.
    """
    replays = _Replays(path.parent)
    verdicts = []
    for row in read_reference(path, NEEDED):
        policy = PRESET_OF_REFERENCE.get(row.cells["reference"])
        if policy:
            result = replays.result(row, policy)
            title = f"{_title(row)} {row.cells['reference']} as {policy}"
            verdicts += [_judge(column, [row], column.got(result), tolerance_pct, title) for column in _COLUMNS]
    return ValidationReport("dram", str(path), tuple(verdict for verdict in verdicts if verdict))


def _title(row: ReferenceRow) -> str:
    """'seq_1m.64 ddr4-2400-x64 RoBaBgCo mo 32'."""
    return f"{Path(row.cells['trace']).stem} {row.cells['device']} {row.cells['mapping']} mo {row.cells['mo']}"
