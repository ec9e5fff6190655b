"""Replays programs of the compute cluster's RTL, through the engine, the DMA and the kernels of a run.

The RTL ran each program under three rules for the reuse of accumulators. `cycles_tight` is its time under `predicted`, `cycles_simple`
under `simple` (judged where that rule computed right values: ours adds a distance of C cycles where the RTL needs it). The figures of the
runs are those of `predicted` in rows that are judged `tight`. In rows that are judged `literal` they come from a rule that is not modelled,
as hardware cannot follow it. It differs only where a row waits for accumulators under one of the two others, so a program is judged up to
the run in which one does; what no rule moves, always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from accelsim.errors import DeadlockError, ReferenceDataError
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels.compute_state import PREDICTED, SIMPLE
from accelsim.validate.cluster_machine import ChainedRun, ClusterMachine, ClusterOutcome, Supply, run_cluster
from accelsim.validate.reference_csv import ReferenceRow, check_tolerance, read_reference
from accelsim.validate.report import RowVerdict, ValidationReport, relative_error_pct

TOLERANCE = "tolerance_pct"
LOAD_WAIT = ("dram", "buffer_width", "decode", "swap", "buffer_full")

# Judged column -> columns of RUN_RESULTS that it sums.
RUN_FIGURES: Mapping[str, tuple[str, ...]] = {
    "start": ("start",),
    "ts_first": ("ts_first",),
    "end": ("end",),
    "busy": ("busy",),
    "fill_drain": ("fill_drain",),
    "load_wait": LOAD_WAIT,
    "accumulator_and_vector": ("accumulator", "vector"),
    "accumulator": ("accumulator",),
    "vector": ("vector",),
    "st_start": ("st_start",),
    "st_tile": ("st_tile",),
    "ld_bits": ("ld_bits",),
    "ld_haz": ("ld_haz",),
    "words": ("pushed",),
}
FIXED = ("busy", "fill_drain", "words")  # figures that no rule moves
PROGRAM_CYCLES = ("cycles", "cycles_simple", "cycles_tight")

# Column: smallest and largest value. The upper bounds keep a mistyped row from running for hours.
MACHINE_PARAMETERS = {
    "R": (1, 4096),
    "C": (1, 4096),
    "W": (8, 65536),
    "LANES": (1, 65536),
    "VLAT": (0, 1000),
    "NB": (1, 2),
    "SS": (1, 2),
    "MAXM": (1, 2**20),
    "XFER": (0, 2**24),
    "CAP": (0, 2**40),
    "DLAT": (0, 10**5),
    "runs": (1, 4096),
    "simple_exact": (0, 1),
}
RUN_PARAMETERS = {"M": (1, 2**20), "K": (1, 2**20), "N": (1, 2**20), "fmt": (0, 1)}
FORMAT_LIMITS = (("D", 1, 4096), ("KCB", 1, 2**16), ("P", 1, 64), ("DECODE", 0, 1), ("SIGN", 0, 1), ("AXIS", 0, 1))
TEXTS = ("program", "fmt0", "fmt1", "sched", "landings", "judged")
NEEDED = ("run", "src", *TEXTS, *MACHINE_PARAMETERS, *RUN_PARAMETERS, *RUN_FIGURES, *PROGRAM_CYCLES)
MAX_ELEMENTS = 2**24  # of A, W or Y
MAX_WORDS = 2**16  # of a run
MAX_TILE_ROWS = 2**20  # rows of a run, each counted once per tile
MAX_CYCLE = 10**7  # of a schedule
MAX_COUNT = 2**62


@dataclass(frozen=True)
class ClusterCase:
    """A program: its rows of the file, one per run, and the machine that runs it."""

    rows: tuple[ReferenceRow, ...]
    machine: ClusterMachine

    @property
    def label(self) -> str:
        """Its name and first line."""
        return f"program {self.rows[0].cells['program']} (line {self.rows[0].line})"


def validate_cluster(csv_path: Path, tolerance_pct: float | None = None) -> ValidationReport:
    """Judge the compute cluster against the programs in `csv_path`.

    Parameters
    ----------
    csv_path : Path
        A CSV file with the columns NEEDED: one row per run, the rows of a program together and in order. A column `tolerance_pct`,
        where there is one, is each row's tolerance.
    tolerance_pct : float, optional
        Tolerance of rows without their own, in percent; exact if it is not given.

    Raises
    ------
    ReferenceDataError
        The file, line, column and value that cannot be used, and what is allowed.
    """
    check_tolerance(tolerance_pct)
    rows = read_reference(csv_path, NEEDED)
    cases = [read_case(tuple(group)) for _, group in groupby(rows, key=lambda row: row.cells["program"])]
    verdicts = [verdict for case in cases for verdict in _judge(case, tolerance_pct)]
    return ValidationReport("cluster", str(csv_path), tuple(verdicts))


def read_case(rows: tuple[ReferenceRow, ...]) -> ClusterCase:
    """The program of consecutive rows; ReferenceDataError if a cell is out of range or does not fit the others."""
    first = rows[0]
    p = {column: first.integer(column, low, high) for column, (low, high) in MACHINE_PARAMETERS.items()}
    if p["runs"] != len(rows):
        raise first.error("runs", f"{len(rows)}, the number of the program's rows")
    for row in rows[1:]:
        for column in MACHINE_PARAMETERS:
            if row.cells[column] != first.cells[column]:
                raise row.error(column, f"{first.cells[column]}, as in the program's first row")
    runs: list[ChainedRun] = []
    for number, row in enumerate(rows):
        row.integer("run", number, number)
        runs.append(_read_run(row, p, runs))
        _check_figures(row)
    machine = ClusterMachine(p["LANES"], p["VLAT"], p["NB"], tuple(runs), None)
    if p["XFER"]:
        supply = Supply(p["XFER"], p["CAP"], p["DLAT"], _integers(first, "sched"))
        machine = ClusterMachine(p["LANES"], p["VLAT"], p["NB"], tuple(runs), supply)
        _check_supply(first, p, machine, supply)
    return ClusterCase(rows, machine)


def _check_figures(row: ReferenceRow) -> None:
    """ReferenceDataError unless the row's figures and its tolerance are numbers, and it says which rule they come from."""
    if row.cells["judged"] not in ("literal", "tight"):
        raise row.error("judged", "literal, tight")
    for column in (*RUN_FIGURES, *PROGRAM_CYCLES):
        row.integer(column, 0, MAX_COUNT)
    if row.cells.get(TOLERANCE):
        row.number(TOLERANCE)


def _check_supply(row: ReferenceRow, p: Mapping[str, int], machine: ClusterMachine, supply: Supply) -> None:
    for column, least, why in (("CAP", p["XFER"], "XFER"), ("DLAT", 1, "a transfer's least latency")):
        if p[column] < least:
            raise row.error(column, f"at least {least} ({why})")
    count = sum(-(-run.stream_bytes // supply.transfer) for run in machine.runs)  # those of machine.pieces(), which may be many
    for column in ("sched", "landings"):
        if len(_integers(row, column)) != count:
            raise row.error(column, f"a cycle per transfer, {count} of them, separated by ';'")


def _read_run(row: ReferenceRow, p: Mapping[str, int], before: list[ChainedRun]) -> ChainedRun:
    q = {column: row.integer(column, low, high) for column, (low, high) in RUN_PARAMETERS.items()}
    geometry = _read_format(row, f"fmt{q['fmt']}", p)
    if q["M"] > p["MAXM"]:
        raise row.error("M", f"at most MAXM, which is {p['MAXM']}")
    for a, b in (("M", "K"), ("K", "N"), ("M", "N")):
        if q[a] * q[b] > MAX_ELEMENTS:
            raise row.error(b, f"at most {MAX_ELEMENTS} elements a matrix ({a} is {q[a]})")
    source = row.integer("src", -1, len(before) - 1)
    if source >= 0 and (before[source].m, before[source].n) != (q["M"], q["K"]):
        raise row.error("src", f"a run with M = {q['M']} and N = {q['K']}: run {source} puts out {before[source].m} x {before[source].n}")
    run = ChainedRun(geometry, q["M"], q["K"], q["N"], source)
    tile_rows = run.m * geometry.tile_count(run.k) * run.stripes
    if tile_rows > MAX_TILE_ROWS:
        raise row.error("N", f"at most {MAX_TILE_ROWS} rows of tiles a run, M times its tiles ({tile_rows} here)")
    words = geometry.words(run.k, run.stripes)
    if words > MAX_WORDS:
        raise row.error("N", f"at most {MAX_WORDS} words of weights a run ({words} here)")
    return run


def _read_format(row: ReferenceRow, column: str, p: Mapping[str, int]) -> CoreGeometry:
    """'4/64/4/1/0/1': D, KCB, P, DECODE, SIGN and AXIS."""
    allowed = "/".join(f"{name} ({low}..{high})" for name, low, high in FORMAT_LIMITS)
    parts = row.cells[column].split("/")
    if len(parts) != len(FORMAT_LIMITS) or not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts):
        raise row.error(column, allowed)
    d, codewords, ports, decode, sign, axis = values = [int(part) for part in parts]
    if not all(low <= value <= high for value, (_, low, high) in zip(values, FORMAT_LIMITS, strict=True)):
        raise row.error(column, allowed)
    along = "R" if axis else "C"
    if p[along] % d:
        raise row.error(column, f"a D that divides {along}, which is {p[along]} (AXIS is {axis})")
    return CoreGeometry(
        rows=p["R"],
        cols=p["C"],
        codeword_length=d,
        codewords=codewords,
        ports=ports,
        word_bits=p["W"],
        decode=bool(decode),
        sign=bool(sign),
        axis=axis,
        max_m=p["MAXM"],
        shadow_sets=p["SS"],
    )


def _integers(row: ReferenceRow, column: str) -> tuple[int, ...]:
    """Cycles separated by ';'."""
    texts = [text.strip() for text in row.cells[column].split(";") if text.strip()]
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in texts):
        raise row.error(column, "cycles, separated by ';'")
    if any(int(text) > MAX_CYCLE for text in texts):
        raise row.error(column, f"cycles up to {MAX_CYCLE}, separated by ';'")
    return tuple(int(text) for text in texts)


def _judge(case: ClusterCase, tolerance_pct: float | None) -> Iterator[RowVerdict]:
    """Verdicts on a program's totals, then on its runs."""
    first = case.rows[0]
    try:
        predicted, simple = run_cluster(case.machine, PREDICTED), run_cluster(case.machine, SIMPLE)
    except DeadlockError as error:
        raise ReferenceDataError(f"{first.path}: line {first.line}: the program does not end: {error}") from error
    agreed = len(case.rows) if first.cells["judged"] == "tight" else _agreed_runs(predicted, simple)
    tolerances = [row.number(TOLERANCE) if row.cells.get(TOLERANCE) else (tolerance_pct or 0.0) for row in case.rows]
    yield from _judge_program(case, predicted, simple, agreed == len(case.rows), tolerances[0])
    for number, (row, figures) in enumerate(zip(case.rows, predicted.runs, strict=True)):
        label = f"program {row.cells['program']} run {number} (line {row.line})"
        for column, parts in RUN_FIGURES.items():
            if number < agreed or column in FIXED:
                got = sum(figures[part] for part in parts)
                yield _verdict(label, column, row.integer(column, 0, MAX_COUNT), got, tolerances[number])


def _judge_program(
    case: ClusterCase, predicted: ClusterOutcome, simple: ClusterOutcome, whole: bool, tolerance: float
) -> Iterator[RowVerdict]:
    row = case.rows[0]
    expected = {column: row.integer(column, 0, MAX_COUNT) for column in PROGRAM_CYCLES}
    yield _verdict(case.label, "cycles_tight", expected["cycles_tight"], predicted.cycles, tolerance)
    if row.cells["simple_exact"] == "1":
        yield _verdict(case.label, "cycles_simple", expected["cycles_simple"], simple.cycles, tolerance)
    if whole:
        yield _verdict(case.label, "cycles", expected["cycles"], predicted.cycles, tolerance)
        landings = _integers(row, "landings") if case.machine.supply else ()
        for number, (cycle, got) in enumerate(zip(landings, predicted.landings, strict=True)):
            yield _verdict(case.label, f"landing {number}", cycle, got, tolerance)


def _agreed_runs(predicted: ClusterOutcome, simple: ClusterOutcome) -> int:
    """Runs before the first in which a row waits for accumulators: up to there, rule 0 did as the two others."""
    for number, (one, other) in enumerate(zip(predicted.runs, simple.runs, strict=True)):
        if one["accumulator"] or other["accumulator"]:
            return number
    return len(predicted.runs)


def _verdict(label: str, column: str, expected: int, got: int, tolerance: float) -> RowVerdict:
    error = relative_error_pct(expected, got)
    return RowVerdict(label, column, expected, got, error, tolerance, error <= tolerance)
