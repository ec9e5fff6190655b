"""The interactive page of a recorded run: the layers of each core as a strip above the counters, all on one axis of core cycles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accelsim.report.interactive.over_time import Bar, over_time_page
from accelsim.report.plots.over_time import Panel
from accelsim.report.tables.text import count, percent
from accelsim.result import LayerResult
from accelsim.run_labels import label
from accelsim.simulation import RecordedRun
from accelsim.timeline.window import Window

_SHOWN_CAUSES = 4


def run_page(run: RecordedRun, window: Window, panels: Sequence[Panel]) -> bytes:
    """The page of `panels`, with the layers of the window."""
    sentences = [
        "A pointer on the strip shows a layer: its format, its mapping, and where its cycles went; below it, the value of each counter in "
        "a cycle. Drag to zoom: all axes of cycles go together.",
    ]
    strips = {
        ("layers" if run.cores == 1 else f"layers of core {number}"): list(_spans(own, window)) for number, own in enumerate(run.of_cores)
    }
    return over_time_page(f"{label(run.result)} over time", sentences, strips, panels)


def _spans(run: RecordedRun, window: Window) -> Iterator[Bar]:
    number = 0
    for place, frame in enumerate(run.result.frames):
        for layer in frame.layers:
            if layer.end_cycle > layer.start_cycle and window.shows(number, layer.start_cycle, layer.end_cycle):
                inference = {"inference": str(place + 1)} if len(run.result.frames) > 1 else {}
                yield Bar(layer.start_cycle, layer.end_cycle, {**inference, **_shown(layer)})
            number += 1


def _shown(layer: LayerResult) -> dict[str, str]:
    whole = layer.total_cycles
    causes = sorted(layer.cycles.items(), key=lambda item: -item[1])[:_SHOWN_CAUSES]
    return {
        "layer": layer.name,
        "operation": layer.op,
        "format": layer.format or "-",
        "cycles": f"{count(whole)} ({count(layer.start_cycle)} to {count(layer.end_cycle)})",
        "spent on": ", ".join(f"{name} {percent(value, whole)}" for name, value in causes if value),
        "mapping": layer.lowering or "-",
    }
