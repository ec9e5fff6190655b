"""Columns with a feed of their own: a channel of a depthwise convolution per column, each with a window of registers or without.

A shift of the windows brings one input position of a line: a value of each of FY lines for every used column, out of the activation
buffer. The first row of a line takes FX shifts, each other one as many as the stride. Without windows a row reads all of its taps.
Disputable assumptions: windows are emptied at the end of a line and, with more K-tiles than one, moved over the image once per K-tile;
positions in the padding take a shift and are read like any other.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from accelsim.hw.mappings.mapping import Int64, Mapping, ProductRuns, Stripes
from accelsim.hw.row_accesses import window_accesses
from accelsim.hw.sram import ActivationBufferSpec
from accelsim.ops.channel_window import ChannelWindow
from accelsim.ops.mac_layers import MacLayer

if TYPE_CHECKING:
    from accelsim.hw.decode_mac_core import CoreGeometry


@dataclass(frozen=True)
class ColumnFeed(Mapping):
    """A channel per column; `windows`: each holds a window of registers."""

    windows: bool

    @property
    def takes_passes(self) -> bool:
        return False

    @property
    def own_rows(self) -> bool:
        return True

    @property
    def part(self) -> str:
        return ""

    @property
    def group_name(self) -> str:
        return "a channel per column, each with a feed of its own"

    def stripes(self, groups: int, columns: int, cols: int) -> Stripes:
        """The channels of all groups lie side by side."""
        return Stripes(1, groups * columns, cols)

    def chunk_step(self, layer: MacLayer, most_rows: int) -> int:
        """Whole lines, if they fit."""
        positions = _window(layer).positions
        return positions if positions <= most_rows else 1

    def fields(self, geometry: CoreGeometry, k: int) -> dict[str, int]:
        """The rows of the array that a column's sum passes: as many as its tile has taps."""
        return {**super().fields(geometry, k), "feed": 1, "feed_rows": min(k, geometry.rows)}

    def read_fields(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns, rows_per_cycle: int) -> dict[str, int | Int64]:
        """Accesses of a shift, or of a row without windows, and the shifts of a row."""
        window, (full, last) = _window(layer), self._accesses(buffer, layer, split)
        fields: dict[str, int | Int64] = {
            "row_accesses": full,
            "last_accesses": np.where(_ends(split), last, full) if split.runs > 1 else last,
        }
        if self.windows and rows_per_cycle == 1:
            fields |= {"line": window.positions, "line_shifts": window.width, "row_shifts": window.stride}
        return fields

    def array_cycles(self, layer: MacLayer, split: ProductRuns, rows_per_cycle: int) -> int:
        """A shift per cycle, or a row without windows."""
        if rows_per_cycle > 1:
            return super().array_cycles(layer, split, rows_per_cycle)
        return int((self.run_steps(_window(layer), split.first_rows, split.run_rows) * split.nt_counts).sum()) * split.kt_count

    def figures(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns) -> Dictionary[str, int]:
        """Accesses of the activation buffer that all runs make for the feeds."""
        full, last = self._accesses(buffer, layer, split)
        steps = self.run_steps(_window(layer), split.first_rows, split.run_rows)
        return {"feed_reads": int((steps * (split.nt_counts * full + np.where(_ends(split), last - full, 0))).sum()) * split.kt_count}

    def run_steps(self, window: ChannelWindow, first: Int64, rows: Int64) -> Int64:
        """Shifts, or rows without windows, that runs of `rows` rows from `first` on take for each tile: int64 (runs,)."""
        if not self.windows:
            return rows
        begun = -(-(first + rows) // window.positions) - first // window.positions  # lines, the first perhaps in its midst
        steps: Int64 = begun * window.width + (rows - begun) * window.stride
        return steps

    def step_accesses(self, buffer: ActivationBufferSpec, window: ChannelWindow, columns: int, rows: int) -> int:
        """Accesses of the activation buffer for a shift of `columns` windows, or without windows for a row of `rows` taps each (int8)."""
        if self.windows:
            return window.height * (columns * buffer.accesses(1) if window.planar else buffer.accesses(columns))
        return window_accesses(buffer, window, columns, rows)

    def _accesses(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns) -> tuple[int, int]:
        """Accesses of a step of a full stripe, and of the last one."""
        rows, last = min(split.k, split.geometry.rows), split.columns - (split.stripes - 1) * split.stripe_columns
        full, rest = (self.step_accesses(buffer, _window(layer), columns, rows) for columns in (split.stripe_columns, last))
        return full, rest


def _window(layer: MacLayer) -> ChannelWindow:
    window = layer.channel_window
    assert window is not None  # no other layer has feeds
    return window


def _ends(split: ProductRuns) -> npt.NDArray[np.bool_]:
    """Runs with the last stripe."""
    ends: npt.NDArray[np.bool_] = split.nt0 + split.nt_counts == split.stripes
    return ends
