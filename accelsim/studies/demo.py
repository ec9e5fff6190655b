"""The demonstration: DeiT-tiny at 8 bit against SSVQ k=16 d=8 on every preset, the maps around them, and the limits.

Disputable assumption: the presets have equal weight, and none was chosen for its ratio; the maps show what holds where.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from accelsim.accelerator import FOLDER, load_accelerator
from accelsim.interrupts import WorkerPool
from accelsim.presets import TRACES, built_in, presets
from accelsim.progress import Progress
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv, to_json
from accelsim.report.plots.pairs import pairs_picture
from accelsim.report.plots.picture import Picture, files_of
from accelsim.report.plots.speedup_map import map_picture
from accelsim.report.speedup_cells import Cell, Point
from accelsim.report.tables.terminal import PIPE_COLUMNS
from accelsim.report.tables.terminal import say as paragraph
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.studies import study_tables as tables
from accelsim.studies.closed_form import closed_form, limit_cells
from accelsim.studies.speedup_map import bandwidth_points, batch_points, lane_points, measure_all, port_points, preset_points
from accelsim.studies.study_records import LimitCell, Walk
from accelsim.studies.walk import walk
from accelsim.studies.walk_plot import walk_picture
from accelsim.trace.trace import load_trace

Say = Callable[[str], None]
NAMES = ("int8", "ssvq")
TRACE_NAMES = ("deit_tiny_int8", "deit_tiny_ssvq_k16d8")
MAX_WORKERS = 4
AROUND_THREE = (2.5, 3.5)
AROUND_ONE = 1.1
_COLUMNS = {
    "bandwidth": "bytes per cycle from memory",
    "lanes": "lanes of the vector unit",
    "ports": "codebook lookups per cycle",
    "batch": "images of one inference",
}
DEMO_FOLDER = FolderKind("demo.json", ("demo.json", "demo.txt", "*.csv", "*.svg", "*.png"))


@dataclass(frozen=True)
class Scope:
    """The scope of the demonstration; the default is everything."""

    presets: tuple[str, ...]
    points: Mapping[str, tuple[Point, ...]]
    cells: bool = True

    @property
    def pairs(self) -> int:
        """Designs on which both networks are simulated, walks and limits apart."""
        return len(self.presets) + sum(map(len, self.points.values()))

    @staticmethod
    def full() -> Scope:
        """Every built-in preset and every map."""
        chips = tuple(sorted(built_in().entries(FOLDER)))
        points = {"bandwidth": bandwidth_points(), "lanes": lane_points(chips), "ports": port_points(), "batch": batch_points()}
        return Scope(chips, points)


def run_demo(
    out: Path,
    say: Say,
    progress: Progress | None = None,
    *,
    scope: Scope | None = None,
    traces: tuple[Path, Path] | None = None,
    workers: int | None = None,
) -> Path:
    """Simulate everything, report it, and write tables and pictures to `out`.

    Parameters
    ----------
    say : called with each part of the text
    traces : directories of the baseline and of its rival; None: TRACE_NAMES
    progress : called with (phase, done, total)
    workers : processes; None: as many as there are cores, at most MAX_WORKERS

    Raises
    ------
    OutputError
        `out` holds something that is not a demonstration, or cannot be written.
    """
    check_replaceable(out, DEMO_FOLDER)
    scope = scope or Scope.full()
    traces = traces or _default_traces()
    text = _Text(say)
    baseline, other = (path.name for path in traces)
    title = f"{other} against {baseline}: one network, compressed twice, on {len(scope.presets)} chips of equal weight."
    text.render(partial(paragraph, text=title))
    simulate(load_accelerator(scope.presets[0]), load_trace(traces[0]))  # compiles the kernels once, before the processes start
    pictures: list[Picture] = []
    with _pool(workers) as pool:
        chips = measure_all(preset_points(scope.presets), *traces, pool, progress)
        text.render(partial(tables.render_presets, cells=chips, names=NAMES))
        maps: dict[str, tuple[Cell, ...]] = {}
        for name, points in scope.points.items():
            maps[name] = measure_all(points, *traces, pool, progress)
            text.render(partial(tables.render_maps, cells=maps[name], column_title=_COLUMNS[name]))
            pictures.append(map_picture(f"map_{name}", f"Speed-up of {other}\nover {baseline}", maps[name], _COLUMNS[name]))
            if name == "bandwidth":
                text.say("")
                text.render(partial(paragraph, text=where_it_holds(maps[name])))
        ideal = _limit_cells(traces, progress) if scope.cells else ((), ())
        if scope.cells:
            text.render(partial(tables.render_limit_cells, cells=ideal[0], expected=ideal[1]))
        walks = _walks(scope.presets, traces, pool, progress)
    for item in walks:
        text.render(partial(tables.render_walk, walk=item, names=NAMES))
        pictures.append(walk_picture(f"walk_{item.accelerator_name}", item, (baseline, other)))
    pictures.append(pairs_picture("presets", [_ends(item) for item in walks], NAMES, (baseline, other)))
    files = files_of(pictures)
    every = [*chips, *(cell for cells in maps.values() for cell in cells)]
    files["speedups.csv"] = to_csv([cell.to_dict() for cell in every]).encode()
    files["walks.csv"] = to_csv([row for item in walks for row in _walk_rows(item)]).encode()
    files["limits.csv"] = to_csv(_limit_rows(*ideal)).encode()
    files["demo.json"] = to_json(_as_json(every, ideal[0], walks)).encode()
    files["demo.txt"] = text.written.encode()
    return write_folder(out, DEMO_FOLDER, files)


def where_it_holds(cells: Sequence[Cell]) -> str:
    """Two sentences: in which cells of the maps the speed-up is about 3, and in which about 1."""
    low, high = AROUND_THREE
    three = [cell for cell in cells if low <= cell.speedup <= high]
    one = [cell for cell in cells if cell.speedup < AROUND_ONE]
    return (
        f"About 3x ({low:g} to {high:g}) holds in {len(three)} of {len(cells)} cells{_places(three)}. "
        f"About 1x (below {AROUND_ONE:g}) holds in {len(one)}{_places(one)}."
    )


def _places(cells: Sequence[Cell]) -> str:
    """', where memory is the baseline's tightest bound: 32x32 with overlap = prefetch at 0.5, 1; ... bytes per cycle'; '' for no cells."""
    if not cells:
        return ""
    bounds = list(dict.fromkeys(cell.baseline_limiter.resource for cell in cells))
    rows: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        rows.setdefault((cell.point.map, cell.point.row), []).append(cell.point.column)
    places = "; ".join(f"{row} with {name.replace(': ', ' = ')} at {', '.join(columns)}" for (name, row), columns in rows.items())
    return f", where {' or '.join(bounds)} is the baseline's tightest bound: {places} bytes per cycle"


def _default_traces() -> tuple[Path, Path]:
    known = presets(TRACES)
    baseline, other = (known[name].path for name in TRACE_NAMES)
    return baseline, other


class _Text:
    """Collects the printed text, so that it can be written too."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.written = ""

    def say(self, text: str) -> None:
        self.written += text + "\n"
        self._say(text)

    def render(self, draw: Callable[[Console], None]) -> None:
        buffer = io.StringIO()
        draw(Console(file=buffer, width=PIPE_COLUMNS, highlight=False, markup=False, emoji=False))
        self.say(buffer.getvalue().rstrip("\n"))


@contextmanager
def _pool(workers: int | None) -> Iterator[Executor | None]:
    """A pool of processes, or None for a single worker."""
    count = min(MAX_WORKERS, os.cpu_count() or 1) if workers is None else workers
    if count < 2:
        yield None
        return
    with WorkerPool(count) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def _limit_cells(traces: tuple[Path, Path], progress: Progress | None) -> tuple[tuple[LimitCell, ...], tuple[tuple[float, float], ...]]:
    """Simulated cells, and the closed form of each."""
    baseline, other = (load_trace(path) for path in traces)
    cells = limit_cells(baseline, other, progress)
    return cells, tuple(closed_form(baseline, other, cell.array, cell.bytes_per_cycle) for cell in cells)


def _walks(presets: Sequence[str], traces: tuple[Path, Path], pool: Executor | None, progress: Progress | None) -> tuple[Walk, ...]:
    work = partial(_walk, traces=traces)
    walks: list[Walk] = []
    for item in pool.map(work, presets) if pool is not None else map(work, presets):
        walks.append(item)
        if progress is not None:
            progress("walks", len(walks), len(presets))
    return tuple(walks)


def _walk(preset: str, traces: tuple[Path, Path]) -> Walk:
    return walk(load_accelerator(preset), load_trace(traces[0]), load_trace(traces[1]))


def _ends(item: Walk) -> tuple[Result, Result]:
    """Both runs of the chip itself."""
    last = item.steps[-1]
    assert last.baseline is not None  # only a walk's first step counts bits alone
    assert last.other is not None
    return last.baseline, last.other


def _walk_rows(item: Walk) -> list[dict[str, Any]]:
    return [
        {
            "accelerator": item.accelerator_name,
            "step": number,
            "adds": step.name,
            "meaning": step.meaning,
            "speed_up": step.speedup,
            "baseline_cycles": step.baseline.total_cycles if step.baseline else "",
            "other_cycles": step.other.total_cycles if step.other else "",
        }
        for number, step in enumerate(item.steps)
    ]


def _limit_rows(cells: Sequence[LimitCell], expected: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    return [
        {
            "array": cell.array,
            "bytes_per_cycle": cell.bytes_per_cycle,
            "load_then_compute_speedup": cell.serial,
            "load_then_compute_closed_form": serial,
            "overlapped_speedup": cell.overlapped,
            "overlapped_closed_form": overlapped,
        }
        for cell, (serial, overlapped) in zip(cells, expected, strict=True)
    ]


def _as_json(cells: Sequence[Cell], ideal: Sequence[LimitCell], walks: Sequence[Walk]) -> dict[str, Any]:
    return {
        "cells": [cell.to_dict() for cell in cells],
        "limits": [asdict(cell) for cell in ideal],
        "walks": [row for item in walks for row in _walk_rows(item)],
    }
