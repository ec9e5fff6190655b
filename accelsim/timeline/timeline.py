"""A recorded run as a file that Perfetto and chrome://tracing open, with the sums of what it shows compared with the result.

The run's cluster is replayed twice: first to check it and to learn when each task was done, then to draw it. Nothing is held of the
cycles but a piece of them, so the file's size does not bound the memory; DMA transfers and the names of runs and tasks are held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.errors import ConfigError, ConservationError
from accelsim.program import Int64
from accelsim.quantities import cycle_at
from accelsim.report.export.whole_file import new_file
from accelsim.report.verdict import decide
from accelsim.simulation import RecordedRun
from accelsim.timeline.context import Context
from accelsim.timeline.core_tracks import ArrayTrack, CodebookTrack, LayerTrack, LoaderTrack, VectorTrack
from accelsim.timeline.counters import Bandwidth, WeightBuffer, draw_activations
from accelsim.timeline.flights import Flight, flights_of
from accelsim.timeline.flows import Flows
from accelsim.timeline.layout import name_core
from accelsim.timeline.memory_tracks import draw_flights, draw_memories
from accelsim.timeline.replay import ClusterReplay
from accelsim.timeline.trace_file import TraceFile
from accelsim.timeline.window import Window


@dataclass(frozen=True)
class TimelineSummary:
    """Summary of a written timeline.

    Attributes
    ----------
    events : slices, counter values and ends of arrows in the file
    cycles : category -> cycles of the array's slices in the window; vector_cycles : of the vector unit's
    dma_bytes : of the DMA's slices; checked : figures found equal to the result; limit : the run's verdict
    """

    path: str
    first_cycle: int
    end_cycle: int
    layers: int
    events: int
    file_bytes: int
    cycles: dict[str, int]
    vector_cycles: int
    dma_bytes: int
    checked: tuple[str, ...]
    limit: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "first_cycle": self.first_cycle,
            "end_cycle": self.end_cycle,
            "layers": self.layers,
            "events": self.events,
            "file_bytes": self.file_bytes,
            "cycles": self.cycles,
            "vector_cycles": self.vector_cycles,
            "dma_bytes": self.dma_bytes,
            "checked": list(self.checked),
            "limit": self.limit,
        }


def write_timeline(run: RecordedRun, window: Window, path: Path) -> TimelineSummary:
    """Write the part of a run that lies in `window`.

    Raises
    ------
    ConfigError
        The window is empty.
    ConservationError
        The run cannot be reproduced, or the drawn totals differ from the result.
    OutputError
        The file cannot be written; no partial file remains.
    """
    check = ClusterReplay(run)
    for _ in check.samples():
        pass
    flights = flights_of(run)
    window = _around_layers(run, window, flights, check.finished)
    with new_file(path) as raw:
        out = TraceFile(raw, _header(run, window))
        context = Context(run, window, out)
        _draw(context, flights, check.finished)
        if not context.sums.cycles and not context.sums.dma_bits and not context.sums.vector_cycles:
            raise ConfigError(_nothing(run, window))
        checked = check_sums(context)
        out.close()
    cycles: Counter[str] = Counter()
    for (_, category), count in context.sums.cycles.items():
        cycles[category] += count
    return TimelineSummary(
        path=str(path),
        first_cycle=window.first,
        end_cycle=window.end,
        layers=len(window.layers),
        events=out.events,
        file_bytes=path.stat().st_size,
        cycles={category: count for category, count in cycles.items() if count},
        vector_cycles=context.sums.vector_cycles,
        dma_bytes=sum(context.sums.dma_bits.values()) // 8,
        checked=checked,
        limit=decide(run.result).sentence,
    )


def _nothing(run: RecordedRun, window: Window) -> str:
    """Why a window is empty: the work of a fused layer is booked to the layer it is fused into."""
    chosen = [run.result.layers[index] for index in sorted(window.layers)]
    fused = next(
        (f"; {layer.name!r} is {layer.lowering}: choose that layer" for layer in chosen if layer.lowering.startswith("fused into")), ""
    )
    return f"the chosen layers have no activity in cycles {window.first}..{window.end}{fused}"


def _header(run: RecordedRun, window: Window) -> dict[str, Any]:
    result = run.result
    return {
        "made_by": f"accelsim {result.versions['accelsim']}",
        "run_id": result.run_id,
        "accelerator": result.accelerator_name,
        "trace": result.trace_name,
        **({} if run.core is None else {"core": f"{run.core}, the last to end"}),
        "core_clock_hz": result.clock_hz,
        "cycles_of_the_run": result.total_cycles,
        "limit": decide(result).sentence,
        "window_cycles": f"{window.first}..{window.end}",
        "time": "ts and dur are microseconds of simulated time, cut to 1 ns: ts = cycle / core_clock_hz; arguments hold whole cycles",
    }


def _around_layers(run: RecordedRun, window: Window, flights: Sequence[Flight], finished: Int64) -> Window:
    """The window from the first to the last activity of the chosen layers, if layers and no cycles were chosen."""
    if window.all_layers or not window.all_cycles:
        return window
    clock, program = run.accelerator.clock, run.program
    spans = [(run.result.layers[layer].start_cycle, run.result.layers[layer].end_cycle) for layer in window.layers]
    issues = [cycle_at(flight.start_ps, clock) for flight in flights if flight.layer in window.layers]
    tasks = program.tasks[np.isin(program.tasks["layer"], list(window.layers))]
    ends = np.minimum(finished[tasks["offset"] + tasks["units"] - 1], run.outcome.cycles).tolist()
    first, end = min([*issues, *(first for first, _ in spans)]), max([*ends, *(end for _, end in spans)])
    return replace(window, first=first, end=max(first + 1, end))


def _draw(context: Context, flights: Sequence[Flight], finished: Int64) -> None:
    name_core(context.out, context.run.accelerator.name, context.run.core)
    draw_flights(context, flights)
    bandwidth = Bandwidth(context)
    for memory, moved in draw_memories(context, flights):
        bandwidth.add(memory, moved)
    bandwidth.draw()
    draw_activations(context, flights, finished)
    flows = Flows(context, flights)
    tracks = (LoaderTrack(context, flows), ArrayTrack(context, flows), LayerTrack(context), CodebookTrack(context), VectorTrack(context))
    weights = WeightBuffer(context, flights, bandwidth.bin_cycles)
    for piece in ClusterReplay(context.run).samples():
        for track in tracks:
            track.feed(piece)
        weights.feed(piece)
        if piece.first >= context.window.end and not context.window.all_cycles:
            break
    for track in tracks:
        track.flush()


def check_sums(context: Context) -> tuple[str, ...]:
    """Compare the drawn totals with the result, layer by layer, for layers shown whole; return the names of the checks.

    Raises
    ------
    ConservationError
        Something is drawn twice or missing.
    """
    run, window, sums = context.run, context.window, context.sums
    checked: list[str] = []
    if not window.all_cycles:
        drawn_cycles = sum(sums.cycles.values())
        if window.all_layers and drawn_cycles != window.end - window.first:
            raise ConservationError(f"the array's slices have {drawn_cycles} cycles, the window {window.end - window.first}")
        return ("cycles of the window",) if window.all_layers else ()
    for index, layer in enumerate(run.result.layers):
        if index not in window.layers:
            continue
        drawn = {name: sums.cycles[index, name] for name in layer.cycles}
        if drawn != dict(layer.cycles):
            raise ConservationError(f"layer {layer.name!r}: the array's slices have {drawn} cycles, the result {dict(layer.cycles)}")
        for write in (False, True):
            bits = sum(item.bits for item in layer.traffic if item.write == write and item.operand != "burst_rounding")
            if sums.dma_bits[index, write] != bits:
                way = "write" if write else "read"
                raise ConservationError(f"layer {layer.name!r}: DMA slices {way} {sums.dma_bits[index, write]} bits, the result {bits}")
    checked += ["cycles by category and layer", "DMA bytes by layer"]
    if window.whole:
        wanted = {"vector_busy_cycles": sums.vector_cycles}
        if not any(key.endswith("background_bytes") and value for key, value in run.result.counters.items()):
            names = {"ACT": "activates", "PRE": "precharges", "REF": "refreshes", "RD": "reads", "WR": "writes"}
            wanted |= {f"dram_{name}": sums.commands[key] for key, name in names.items() if f"dram_{name}" in run.result.counters}
        for name, drawn_count in wanted.items():
            if run.result.counters[name] != drawn_count:
                raise ConservationError(f"{drawn_count} {name} are drawn, the result has {run.result.counters[name]}")
        checked += [name.replace("_", " ") for name in wanted]
    return tuple(checked)
