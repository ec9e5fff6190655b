"""Tracks of the core, from the samples of its replay: layers, array tiles with their categories inside, loader, codebook load, vector unit.

A slice of the array is a tile with all cycles from the last row of the tile before it, so the tiles of a run tile its time; inside it
stand its cycles by category, as in the result. A slice of the loader goes from its first cycle at the tile to the last group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from accelsim.kernels.compute_state import DRAIN
from accelsim.kernels.cycle_samples import LOADER_STATES
from accelsim.result import CATEGORIES
from accelsim.timeline.context import Context
from accelsim.timeline.flows import Flows
from accelsim.timeline.replay import Samples
from accelsim.timeline.segments import Segment, Segments

_IDLE = LOADER_STATES.index("idle")
_BUSY = CATEGORIES.index("busy")


class LayerTrack:
    """Layers, as the array works on them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._segments = Segments()

    def feed(self, piece: Samples) -> None:
        layers = self._context.run.program.runs["layer"][piece.of("run")]
        self._draw(self._segments.feed(piece, layers, piece.column("run")))

    def flush(self) -> None:
        self._draw(self._segments.flush())

    def _draw(self, found: list[Segment]) -> None:
        context = self._context
        for item in found:
            layer = item.key[0]
            if context.window.shows(layer, item.start, item.end):
                plan = context.run.program.layers[layer]
                arguments = {**context.of_layer(layer), "op": plan.op, "format": plan.format, "runs": item.last - item.first + 1}
                context.draw(context.places.layers, plan.name, "layer", item.start, item.end, arguments)


class ArrayTrack:
    """Tiles of the MAC array, with their cycles by category inside."""

    def __init__(self, context: Context, flows: Flows) -> None:
        self._context, self._flows = context, flows
        self._segments = Segments()
        self._tile: list[Segment] = []  # segments of the tile under way

    def feed(self, piece: Samples) -> None:
        self._take(self._segments.feed(piece, piece.of("run", "tile", "category"), piece.column("row")))

    def flush(self) -> None:
        """Close open slices, and draw the waits after the core's last run, booked to it: for its last write, and for the other cores."""
        self._take(self._segments.flush())
        self._draw()
        run = self._context.run
        outcome, record = run.outcome, self._context.runs[-1]
        last = (len(self._context.runs) - 1, record["kt_count"] * record["nt_count"])
        waits = (
            (outcome.cycles - outcome.tail_cycles, outcome.cycles, run.accelerator.placement.last_wait),
            (outcome.cycles, run.result.total_cycles, "dependency"),
        )
        for start, end, category in waits:
            if end > start:
                self._tile.append(Segment(start, end, (*last, CATEGORIES.index(category)), 0, 0))
        self._draw()

    def _take(self, found: list[Segment]) -> None:
        for item in found:
            if self._tile and self._tile[-1].key[:2] != item.key[:2]:
                self._draw()
            self._tile.append(item)

    def _draw(self) -> None:
        tile, self._tile = self._tile, []
        if not tile:
            return
        context = self._context
        run, index, _ = tile[0].key
        start, end = tile[0].start, tile[-1].end
        record = context.runs[run]
        flows = [self._flows.arrive(run, tile) for tile in _tiles_loaded(record, index)]
        if not context.window.shows(record["layer"], start, end):
            return
        cycles: Counter[str] = Counter()
        for item in tile:
            name = CATEGORIES[item.key[2]]
            cycles[name] += item.cycles
            context.sums.cycles[record["layer"], name] += context.window.part(item.start, item.end)
        arguments = {**context.of_layer(record["layer"]), "run": run, "tile": index, "rows": record["m"], "first_row": record["m0"]}
        if record["gemv_groups"]:
            arguments["mapping"] = "gemv"
        if record["os_line"]:
            arguments["mapping"] = "output stationary"
        if record["vector_path"]:
            arguments["mapping"] = "vector path"
        if record["turned"]:
            arguments["mapping"] = "input stationary"
        context.draw(context.places.array, context.tile_name(run, index), "tile", start, end, {**arguments, **cycles})
        for item in tile:
            context.draw(context.places.array, CATEGORIES[item.key[2]], "cause", item.start, item.end, {})
        used = next((item.start for item in tile if item.key[2] == _BUSY), start)
        # its groups are used as they come, the last one in the last of these cycles
        if record["gemv_groups"] or record["os_line"] or record["turned"]:
            used = next((item.end - 1 for item in reversed(tile) if item.key[2] == _BUSY), start)
        if record["vector_path"]:  # its last cycle gives the stripe to the lanes
            used = end - 1
        for load in flows:
            self._flows.draw(load, context.time_ps(used))


def _tiles_loaded(record: Mapping[str, int], index: int) -> range:
    """Tiles of the loader that the array's tile takes: of the lanes all of a stripe, and all that pass activations which stay."""
    if record["turned"]:
        return range(index * record["turned"], (index + 1) * record["turned"])
    return range(index, index + (record["kt_count"] if record["vector_path"] else 1))


class LoaderTrack:
    """Tiles that the loader reads, decodes and writes into the shadow registers."""

    def __init__(self, context: Context, flows: Flows) -> None:
        self._context, self._flows = context, flows
        self._segments = Segments()
        self._tile: list[Segment] = []

    def feed(self, piece: Samples) -> None:
        self._take(self._segments.feed(piece, piece.of("load_run", "load_tile", "loader"), piece.column("load_group")))
        if self._tile and self._segments.open_key[:2] != self._tile[-1].key[:2]:
            self._draw()  # before the array can be done with it

    def flush(self) -> None:
        self._take(self._segments.flush())
        self._draw()

    def _take(self, found: list[Segment]) -> None:
        for item in found:
            if self._tile and self._tile[-1].key[:2] != item.key[:2]:
                self._draw()
            if self._tile or item.key[2] != _IDLE:
                self._tile.append(item)

    def _draw(self) -> None:
        tile, self._tile = self._tile, []
        while tile and tile[-1].key[2] == _IDLE:
            tile.pop()
        if not tile:
            return
        context = self._context
        run, index, _ = tile[0].key
        record = context.runs[run]
        start, end = tile[0].start, tile[-1].end
        cycles = dict.fromkeys(LOADER_STATES, 0)
        for item in tile:
            cycles[LOADER_STATES[item.key[2]]] += item.cycles
        self._flows.load(run, index, cycles["pop"], context.time_ps(start), context.time_ps(end))
        if not context.window.shows(record["layer"], start, end):
            return
        arguments = {
            **context.of_layer(record["layer"]),
            "run": run,
            "tile": index,
            "groups": cycles["pop"],
            "behind_swap_wave": cycles["behind_swap_wave"],
            "short_of_bits": cycles["short_of_bits"],
            **({"denied": cycles["denied"]} if cycles["denied"] else {}),
            "from": "activation buffer" if record["from_activations"] else "weight buffer",
        }
        context.draw(context.places.loader, context.load_name(run, index), "load", start, end, arguments)


class CodebookTrack:
    """Loads of codebooks into their RAM."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._segments = Segments()

    def feed(self, piece: Samples) -> None:
        self._draw(self._segments.feed(piece, piece.of("codebook"), piece.column("codebook")))

    def flush(self) -> None:
        self._draw(self._segments.flush())

    def _draw(self, found: list[Segment]) -> None:
        context, program = self._context, self._context.run.program
        for item in found:
            if item.key[0] < 0:
                continue
            layer = context.runs[int(program.cb_runs[item.key[0]])]["layer"]
            if context.window.shows(layer, item.start, item.end):
                arguments = {**context.of_layer(layer), "codewords": int(program.cb_words[item.key[0]])}
                context.draw(context.places.codebook, f"{context.layer_name(layer)} codebook", "codebook", item.start, item.end, arguments)


class VectorTrack:
    """Rows that the vector unit works on back to back: the drain of an N-tile, or rows of a function."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._segments = Segments()
        self._rows = context.run.program.tasks["rows"]

    def feed(self, piece: Samples) -> None:
        keys = piece.of("vector_task", "vector_unit")
        unit = keys[:, 1].copy()
        working = keys[:, 0] >= 0
        keys[working, 1] //= self._rows[keys[working, 0]]
        self._draw(self._segments.feed(piece, keys, unit))

    def flush(self) -> None:
        self._draw(self._segments.flush())

    def _draw(self, found: list[Segment]) -> None:
        context = self._context
        for item in found:
            index, stripe = item.key
            if index < 0:
                continue
            task = context.tasks[index]
            if not context.window.shows(task["layer"], item.start, item.end):
                continue
            context.sums.vector_cycles += context.window.part(item.start, item.end)
            plan = context.run.program.layers[task["layer"]]
            name = f"{plan.name} requantize [n{stripe}]" if task["kind"] == DRAIN else plan.name
            arguments = {
                **context.of_layer(task["layer"]),
                "function": "requantize" if task["kind"] == DRAIN else plan.op,
                "first_row": item.first % task["rows"],
                "rows": item.last - item.first + 1,
                "passes": task["passes"],
                "buffer_accesses_a_cycle": task["accesses"],
            }
            context.draw(context.places.vector, name, "vector", item.start, item.end, arguments)
