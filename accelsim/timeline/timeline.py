"""A recorded run as a file that Perfetto and chrome://tracing open, with the sums of what it shows compared with the result.

Each core's cluster is replayed twice: first to check it and to learn when each task was done, then to draw it. Nothing is held of the
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
from accelsim.quantities import cycle_at
from accelsim.report.export.whole_file import new_file
from accelsim.report.verdict import decide
from accelsim.simulation import RecordedRun
from accelsim.timeline.context import Context
from accelsim.timeline.core_tracks import ArrayTrack, CodebookTrack, LayerTrack, LoaderTrack, VectorTrack
from accelsim.timeline.core_view import CoreView, all_flights, views_of
from accelsim.timeline.counters import Bandwidth, WeightBuffer, draw_activations
from accelsim.timeline.flows import Flows
from accelsim.timeline.layout import CoreLayout, name_core, name_shared
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
    cycles : category -> cycles of the array's slices in the window, of several cores those of the last to end
    cores : of several cores, `cycles` of each that has work, by its number
    vector_cycles : cycles of the vector units' slices
    dma_bytes : of the DMAs' slices; checked : figures found equal to the result; limit : the run's verdict
    """

    path: str
    first_cycle: int
    end_cycle: int
    layers: int
    events: int
    file_bytes: int
    cycles: dict[str, int]
    cores: dict[int, dict[str, int]]
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
            **({"cores": {str(core): cycles for core, cycles in self.cores.items()}} if self.cores else {}),
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
    views = views_of(run)
    window = _around_layers(run, window, views)
    with new_file(path) as raw:
        out = TraceFile(raw, _header(run, window))
        whole = Context(run, window, out, run.cores)
        contexts = [Context(view.run, window, out, run.cores) for view in views]
        _draw(whole, contexts, views)
        if not any(context.sums.cycles or context.sums.dma_bits or context.sums.vector_cycles for context in contexts):
            raise ConfigError(_nothing(run, window))
        checked = check_sums(whole, contexts)
        out.close()
    cycles = {context.run.core or 0: _cycles(context) for context in contexts}
    return TimelineSummary(
        path=str(path),
        first_cycle=window.first,
        end_cycle=window.end,
        layers=len(window.layers),
        events=out.events,
        file_bytes=path.stat().st_size,
        cycles=cycles[run.outcome.last_core],
        cores=cycles if run.cores > 1 else {},
        vector_cycles=sum(context.sums.vector_cycles for context in contexts),
        dma_bytes=sum(sum(context.sums.dma_bits.values()) for context in contexts) // 8,
        checked=checked,
        limit=decide(run.result).sentence,
    )


def _cycles(context: Context) -> dict[str, int]:
    """Category -> cycles of a core's array slices."""
    cycles: Counter[str] = Counter()
    for (_, category), count in context.sums.cycles.items():
        cycles[category] += count
    return {category: count for category, count in cycles.items() if count}


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
        **({} if run.cores == 1 else {"cores": f"{run.cores}; core {run.outcome.last_core} is the last to end"}),
        "core_clock_hz": result.clock_hz,
        "cycles_of_the_run": result.total_cycles,
        "limit": decide(result).sentence,
        "window_cycles": f"{window.first}..{window.end}",
        "time": "ts and dur are microseconds of simulated time, cut to 1 ns: ts = cycle / core_clock_hz; arguments hold whole cycles",
    }


def _around_layers(run: RecordedRun, window: Window, views: Sequence[CoreView]) -> Window:
    """The window from the first to the last activity of the chosen layers, if layers and no cycles were chosen."""
    if window.all_layers or not window.all_cycles:
        return window
    clock = run.accelerator.clock
    starts: list[int] = []
    ends: list[int] = []
    for view in views:
        own = view.run
        spans = [(layer.start_cycle, layer.end_cycle) for index, layer in enumerate(own.result.layers) if index in window.layers]
        tasks = own.program.tasks[np.isin(own.program.tasks["layer"], list(window.layers))]
        starts += [first for first, _ in spans]
        starts += [cycle_at(flight.start_ps, clock) for flight in view.flights if flight.layer in window.layers]
        ends += [end for _, end in spans]
        ends += np.minimum(view.finished[tasks["offset"] + tasks["units"] - 1], own.outcome.cycles).tolist()
    first, end = min(starts), max(ends)
    return replace(window, first=first, end=max(first + 1, end))


def _draw(whole: Context, contexts: Sequence[Context], views: Sequence[CoreView]) -> None:
    idle = set(range(whole.cores)) - {context.places.number for context in contexts}
    name_shared(whole.out, whole.shared)
    for number in idle:
        name_core(whole.out, CoreLayout(number, whole.cores), whole.run.accelerator.name, ", without work")
    for context, view in zip(contexts, views, strict=True):
        last = whole.cores > 1 and context.places.number == whole.run.outcome.last_core
        name_core(whole.out, context.places, whole.run.accelerator.name, ", the last to end" if last else "")
        draw_flights(context, view.flights)
    bandwidth = Bandwidth(whole)
    for memory, moved in draw_memories(whole, all_flights(views)):
        bandwidth.add(memory, moved)
    bandwidth.draw()
    for context, view in zip(contexts, views, strict=True):
        _draw_core(context, view, bandwidth.bin_cycles)


def _draw_core(context: Context, view: CoreView, bin_cycles: int) -> None:
    draw_activations(context, view.flights, view.finished)
    flows = Flows(context, view.flights)
    tracks = (LoaderTrack(context, flows), ArrayTrack(context, flows), LayerTrack(context), CodebookTrack(context), VectorTrack(context))
    weights = WeightBuffer(context, view.flights, bin_cycles)
    for piece in ClusterReplay(context.run).samples():
        for track in tracks:
            track.feed(piece)
        weights.feed(piece)
        if piece.first >= context.window.end and not context.window.all_cycles:
            break
    for track in tracks:
        track.flush()


def check_sums(whole: Context, contexts: Sequence[Context]) -> tuple[str, ...]:
    """Compare the drawn totals with the result, core by core and layer by layer, for layers shown whole; return the names of the checks.

    Raises
    ------
    ConservationError
        Something is drawn twice or missing.
    """
    window = whole.window
    if not window.all_cycles:
        for context in contexts:
            drawn = sum(context.sums.cycles.values())
            if window.all_layers and drawn != window.end - window.first:
                raise ConservationError(f"the array's slices have {drawn} cycles, the window {window.end - window.first}")
        return ("cycles of the window",) if window.all_layers else ()
    checked = ["cycles by category and layer", "DMA bytes by layer"]
    for context in contexts:
        _check_layers(context)
    if window.whole:
        commands = {"ACT": "activates", "PRE": "precharges", "REF": "refreshes", "RD": "reads", "WR": "writes"}
        counters = whole.run.result.counters
        wanted = {"vector_busy_cycles": sum(context.sums.vector_cycles for context in contexts)}
        if not any(key.endswith("background_bytes") and value for key, value in counters.items()):
            wanted |= {f"dram_{name}": whole.sums.commands[key] for key, name in commands.items() if f"dram_{name}" in counters}
        for name, drawn in wanted.items():
            if counters[name] != drawn:
                raise ConservationError(f"{drawn} {name} are drawn, the result has {counters[name]}")
        checked += [name.replace("_", " ") for name in wanted]
    return tuple(checked)


def _check_layers(context: Context) -> None:
    """Cycles by category and DMA bytes of each layer shown are those of the core's result."""
    sums = context.sums
    for index, layer in enumerate(context.run.result.layers):
        if index not in context.window.layers:
            continue
        name = context.places.named(f"layer {layer.name!r}")
        drawn = {category: sums.cycles[index, category] for category in layer.cycles}
        if drawn != dict(layer.cycles):
            raise ConservationError(f"{name}: the array's slices have {drawn} cycles, the result {dict(layer.cycles)}")
        for write in (False, True):
            bits = sum(item.bits for item in layer.traffic if item.write == write and item.operand != "burst_rounding")
            bits += 0 if write else layer.broadcast_bits or 0  # that another core's reads brought here as well
            if sums.dma_bits[index, write] != bits:
                way = "write" if write else "read"
                raise ConservationError(f"{name}: DMA slices {way} {sums.dma_bits[index, write]} bits, the result {bits}")
