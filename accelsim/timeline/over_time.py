"""The counters of a recorded run as figures for a paper: bandwidth of each memory, occupancy of both buffers.

The values are those of the counter tracks, from the same code; slices and arrows are left out. Writes are posted:
writes still queued in a memory when the run ends have not crossed its bus and are not in the bandwidth.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelsim.hw.channel import peak_bytes_per_s
from accelsim.hw.l2 import L2
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv
from accelsim.report.plots.over_time import Binning, Panel, Steps, plot_over_time
from accelsim.report.plots.picture import Picture, files_of, picture
from accelsim.report.plots.picture_style import ENDINGS, PAPER, PictureStyle
from accelsim.report.plots.style import OPERAND_PAINT, TOTAL_PAINT, Paint
from accelsim.run_labels import label
from accelsim.simulation import RecordedRun
from accelsim.timeline.context import Context
from accelsim.timeline.core_view import all_flights, views_of
from accelsim.timeline.counters import Bandwidth, WeightBuffer, draw_activations
from accelsim.timeline.memory_tracks import draw_memories
from accelsim.timeline.over_time_page import run_page
from accelsim.timeline.replay import ClusterReplay
from accelsim.timeline.trace_file import TraceFile
from accelsim.timeline.window import Window

_FILE = "counters.csv"
_PAGE = "over_time.html"
_STEMS = (
    "bandwidth_dram",
    "bandwidth_flash",
    "bandwidth_l2",
    *(f"{name}_buffer{core}" for name in ("weight", "activation") for core in ("", "_core_*")),
)
OVER_TIME_FOLDER = FolderKind(_FILE, (_FILE, _PAGE, *(f"{stem}.{end}" for stem in _STEMS for end in ENDINGS)))
_PAINTS: Mapping[str, Paint] = {
    "read": OPERAND_PAINT["raw_weights"],
    "write": OPERAND_PAINT["activations_in"],
    "filled": OPERAND_PAINT["indices"],
    "reserved": OPERAND_PAINT["spill_out"],
    "held": OPERAND_PAINT["activations_in"],
}
_HEIGHT_MM = 45

Counters = Mapping[str, Mapping[str, Steps]]


class _CounterLog(TraceFile):
    """Keeps the counters, and writes nothing."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), {})
        self.values: dict[str, list[tuple[int, Mapping[str, int | float]]]] = {}

    def counter(self, process: int, name: str, time_ps: int, values: Mapping[str, int | float]) -> None:
        self.values.setdefault(name, []).append((time_ps, dict(values)))

    def _put(self, event: Mapping[str, Any]) -> None:
        pass


def counters_of(run: RecordedRun, window: Window) -> Counters:
    """Counter track -> series -> its steps in core cycles, in the window; names as in the timeline, with units.

    Raises
    ------
    ConservationError
        The run cannot be reproduced.
    """
    views, log = views_of(run), _CounterLog()
    whole = Context(run, window, log, run.cores)
    bandwidth = Bandwidth(whole)
    for memory, moved in draw_memories(whole, all_flights(views)):
        bandwidth.add(memory, moved)
    bandwidth.draw()
    for view in views:
        context = Context(view.run, window, log, run.cores)
        draw_activations(context, view.flights, view.finished)
        weights = WeightBuffer(context, view.flights, bandwidth.bin_cycles)
        for piece in ClusterReplay(view.run).samples():
            weights.feed(piece)
    return {name: _steps(whole, found) for name, found in log.values.items()}


def _steps(context: Context, found: list[tuple[int, Mapping[str, int | float]]]) -> dict[str, Steps]:
    """The last value of each cycle holds."""
    by_cycle = {context.cycle(time): values for time, values in found}
    cycles = tuple(sorted(by_cycle))
    end = max(context.window.end, cycles[-1])
    return {name: Steps(cycles, tuple(float(by_cycle[cycle][name]) for cycle in cycles), end) for name in found[0][1]}


@dataclass(frozen=True)
class Counter:
    """A counter track to draw: the stem of its files, its title, and its series."""

    stem: str
    title: str
    panel: Panel


def counter_panels(run: RecordedRun, counters: Counters) -> list[Counter]:
    """A panel per counter track, with the memory's peak rate or the buffer's capacity."""
    chip = run.accelerator
    out: list[Counter] = []
    for name, series in counters.items():
        core, what = _parted(name.partition(" (")[0])
        if what.endswith(" bandwidth"):
            memory = what.removesuffix(" bandwidth")
            rate = peak_bytes_per_s(chip.memory(memory))
            peak = rate / chip.clock if rate is not None else chip.l2_bytes_per_cycle if memory == L2 else None
            limit = ("peak", float(peak)) if peak is not None else None
            title = f"Bandwidth of the memory over time: {memory}{', all cores' if run.cores > 1 else ''}, mean of each bin"
            out.append(Counter(f"bandwidth_{memory}", title, _panel(series, f"{memory} bandwidth (B/core cycle)", "mean", limit)))
            continue
        capacity = chip.weight_buffer.capacity if what == "weight buffer" else chip.activation_buffer.capacity
        kib = {key: Steps(item.cycles, tuple(value / 1024 for value in item.values), item.end) for key, item in series.items()}
        title = f"Occupancy of the {what}{f' of {core}' if core else ''} over time, peak of each bin"
        stem = "_".join((what if not core else f"{what} {core}").split())
        y_label = f"{core}: {what} (KiB)" if core else f"{what} (KiB)"
        out.append(Counter(stem, title, _panel(kib, y_label, "peak", ("capacity", capacity / 1024))))
    return out


def _parted(name: str) -> tuple[str, str]:
    """'core 1: weight buffer' -> ('core 1', 'weight buffer'); ('', name) of what there is once."""
    core, colon, what = name.rpartition(": ")
    return (core, what) if colon else ("", name)


def over_time_pictures(run: RecordedRun, counters: Counters) -> list[Picture]:
    """A picture per counter track."""
    return [_picture(item, label(run.result)) for item in counter_panels(run, counters)]


def _panel(series: Mapping[str, Steps], y_label: str, how: Binning, limit: tuple[str, float] | None) -> Panel:
    shown = {name: item for name, item in series.items() if any(item.values)} or dict(series)
    return Panel(shown, [_PAINTS.get(name, TOTAL_PAINT) for name in shown], y_label, how, limit)


def _picture(counter: Counter, of: str) -> Picture:
    return picture(counter.stem, f"{counter.title}\n{of}", _HEIGHT_MM, lambda ax: plot_over_time(ax, counter.panel))


def check_over_time_folder(folder: Path) -> None:
    """OutputError, before the run is repeated, if `folder` cannot take the figures."""
    check_replaceable(folder, OVER_TIME_FOLDER)


def write_over_time(run: RecordedRun, window: Window, folder: Path, style: PictureStyle = PAPER, *, interactive: bool = False) -> Path:
    """Write the figures, and their data step by step as CSV: all or nothing.

    Parameters
    ----------
    interactive : also an HTML page to zoom (Bokeh)

    Raises
    ------
    ConservationError
        As `counters_of`.
    OutputError
        The folder holds something else, or cannot be written.
    """
    counters = counters_of(run, window)
    rows = [
        {"counter": counter, "series": name, "core_cycle": cycle, "value": value}
        for counter, series in counters.items()
        for name, item in series.items()
        for cycle, value in zip(item.cycles, item.values, strict=True)
    ]
    files = {_FILE: to_csv(rows).encode(), **files_of(over_time_pictures(run, counters), style)}
    if interactive:
        files[_PAGE] = run_page(run, window, [item.panel for item in counter_panels(run, counters)])
    return write_folder(folder, OVER_TIME_FOLDER, files)
