"""Context shared by the tracks of a recorded run: names of runs and tasks, times of cycles, the window, and running totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from accelsim.hw.background import FIRST_ID
from accelsim.quantities import cycle_at, edge_ps
from accelsim.simulation import RecordedRun
from accelsim.timeline.layout import CoreLayout, SharedLayout
from accelsim.timeline.trace_file import Slice, TraceFile, Track
from accelsim.timeline.window import Window


@dataclass
class Sums:
    """Totals of the written slices, to be compared with the result.

    Attributes
    ----------
    cycles : (layer, category) -> cycles of array slices in the window; vector_cycles : of the vector unit's slices
    dma_bits : (layer, write) -> bits of DMA slices; commands : DRAM commands of the run by name, all banks and channels
    """

    cycles: Counter[tuple[int, str]] = field(default_factory=Counter)
    vector_cycles: int = 0
    dma_bits: Counter[tuple[int, bool]] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)


@dataclass
class Context:
    """A recorded run, as one of `cores` cores saw it or as a whole; the part of it that is shown; and the file that shows it."""

    run: RecordedRun
    window: Window
    out: TraceFile
    cores: int = 1
    sums: Sums = field(default_factory=Sums)

    @cached_property
    def places(self) -> CoreLayout:
        """Where the units of the run's core are drawn."""
        return CoreLayout(self.run.core or 0, self.cores)

    @cached_property
    def shared(self) -> SharedLayout:
        """Where the memories are drawn."""
        return SharedLayout(self.cores)

    def time_ps(self, cycle: int) -> int:
        """Time of an edge of the core's clock."""
        return edge_ps(cycle, self.run.accelerator.clock)

    def cycle(self, time_ps: int) -> int:
        """First core cycle at or after a time."""
        return cycle_at(time_ps, self.run.accelerator.clock)

    @cached_property
    def runs(self) -> list[Mapping[str, int]]:
        """The program's runs, by field."""
        names = self.run.program.runs.dtype.names or ()
        return [dict(zip(names, row, strict=True)) for row in self.run.program.runs.tolist()]

    @cached_property
    def tasks(self) -> list[Mapping[str, int]]:
        """The program's tasks, by field."""
        names = self.run.program.tasks.dtype.names or ()
        return [dict(zip(names, row, strict=True)) for row in self.run.program.tasks.tolist()]

    def layer_name(self, layer: int) -> str:
        return self.run.program.layers[layer].name

    def of_layer(self, layer: int) -> dict[str, Any]:
        """Arguments that every slice of a layer has."""
        return {"layer": self.layer_name(layer), "frame": self.run.program.layers[layer].frame}

    def of_number(self, transfer: int) -> dict[str, int]:
        """The core whose DMA issued a transfer, by its number in the memories, where there are several."""
        return {"core": transfer % self.cores} if self.cores > 1 and transfer < FIRST_ID else {}

    def tile_name(self, run: int, tile: int) -> str:
        """'fc1 [n3 k1]': layer, N-tile (or those of a fold, n3-5) and K-tile; 'fc1 [drain]' for the time after a run's last tile.

        'fc1 [m2 k1]': M-tile and K-tile of activations that stay in the PEs.
        """
        record = self.runs[run]
        layer = self.layer_name(record["layer"])
        if tile == record["kt_count"] * record["nt_count"]:
            return f"{layer} [drain]"
        if record["turned"]:
            return f"{layer} [m{record['nt0']} k{tile}]"
        file = max(1, record["file"])
        stripe = tile // (file * record["kt_count"]) * file  # first of its fold
        tiles = min(file, record["nt_count"] - stripe)
        k = (tile - stripe * record["kt_count"]) // tiles
        last = f"-{record['nt0'] + stripe + tiles - 1}" if tiles > 1 else ""
        return f"{layer} [n{record['nt0'] + stripe}{last} k{k}]"

    def load_name(self, run: int, tile: int) -> str:
        """The name of a tile of the loader; of weights that pass activations 'fc1 [m2 k1] n0': the first N-tile of those that pass."""
        passing = self.runs[run]["turned"]
        return f"{self.tile_name(run, tile // passing)} n{tile % passing}" if passing else self.tile_name(run, tile)

    def draw(self, track: Track, name: str, category: str, start: int, end: int, arguments: Mapping[str, Any]) -> None:
        """Write a slice of core cycles start..end-1."""
        cycles = {"start_cycle": start, "cycles": end - start}
        self.out.slice(Slice(track, name, category, self.time_ps(start), self.time_ps(end), {**arguments, **cycles}))
