"""Columns with a feed of their own: a channel of a depthwise convolution per column, each with a window of registers or without.

A shift of the windows brings one input position of a line: a value of each of FY lines for every used column, out of the activation
buffer. The first row of a line takes FX shifts, each other one as many as the stride. Without windows a row reads all of its taps. A layer
whose window does not fit the registers gets no feeds, as a feed reaches no more rows than these have taps. Disputable assumptions: windows
are emptied at the end of a line and, with more K-tiles than one, moved over the image once per K-tile; positions in the padding take a
shift and are read like any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.compiler.product_split import ProductSplit
from accelsim.compiler.record_table import Fields
from accelsim.compiler.target import Target
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.sram import ActivationBufferSpec
from accelsim.ops.channel_window import ChannelWindow
from accelsim.program import Int64
from accelsim.trace.layers import MacLayer, WeightedLayer


def fed_columns(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> CoreGeometry | None:
    """The core as the runs of a depthwise layer see it when each column has a feed; None where the chip or the layer has no use for one.

    Scales per group of taps, and records that the core cannot decode alone, keep a tile per group.
    """
    path = layer.weight.format.decode_path()
    window = layer.channel_window
    if target.array.column_feed is None or window is None or path.scale_levels or path.beyond_core:
        return None
    if target.array.column_feed and not fits_window(target, window):
        return None
    return replace(geometry, feed=True, file=1)


def fits_window(target: Target, window: ChannelWindow) -> bool:
    """Whether the columns' registers hold a window."""
    side = target.array.column_feed or 0
    return window.dense and max(window.height, window.width) <= side


def step_accesses(buffer: ActivationBufferSpec, window: ChannelWindow, windows: bool, columns: int, rows: int) -> int:
    """Accesses of the activation buffer for a shift of `columns` windows, or without windows for a row of `rows` taps of each (int8)."""
    if windows:
        return window.height * (columns * buffer.accesses(1) if window.planar else buffer.accesses(columns))
    if not window.planar:
        return rows * buffer.accesses(columns)
    lines, rest = divmod(rows, window.width if window.dense else 1)
    return columns * (lines * buffer.accesses(window.width if window.dense else 1) + (buffer.accesses(rest) if rest else 0))


def feed_fields(target: Target, layer: MacLayer, split: ProductSplit) -> Fields:
    """The fields of the runs of a product that say how the columns are fed; none without feeds."""
    window = layer.channel_window
    if not split.geometry.feed or window is None:
        return {}
    rows, buffer, windows = min(split.k, split.geometry.rows), target.activation_buffer, fits_window(target, window)
    full, last = (step_accesses(buffer, window, windows, columns, rows) for columns in (split.stripe_columns, _last_columns(split)))
    ends = split.nt0 + split.nt_counts == split.stripes  # runs with the last stripe
    fields: dict[str, int | Int64] = {
        "feed": 1,
        "feed_rows": rows,
        "row_accesses": full,
        "last_accesses": np.where(ends, last, full) if split.runs > 1 else last,
    }
    if windows and target.array.rows_per_cycle == 1:
        fields |= {"line": window.positions, "line_shifts": window.width, "row_shifts": window.stride}
    return fields


def _last_columns(split: ProductSplit) -> int:
    return split.columns - (split.stripes - 1) * split.stripe_columns


def run_steps(target: Target, window: ChannelWindow, first: Int64, rows: Int64) -> Int64:
    """Shifts, or rows without windows, that runs of `rows` rows from `first` on take for each tile: int64 (runs,)."""
    if not fits_window(target, window):
        return rows
    begun = -(-(first + rows) // window.positions) - first // window.positions  # lines, the first perhaps in its midst
    steps: Int64 = begun * window.width + (rows - begun) * window.stride
    return steps


def feed_accesses(target: Target, layer: MacLayer, split: ProductSplit) -> int:
    """Accesses of the activation buffer that all runs make for the feeds."""
    window = layer.channel_window
    if window is None:
        return 0
    rows, windows = min(split.k, split.geometry.rows), fits_window(target, window)
    full, last = (
        step_accesses(target.activation_buffer, window, windows, columns, rows) for columns in (split.stripe_columns, _last_columns(split))
    )
    ends = split.nt0 + split.nt_counts == split.stripes
    steps = run_steps(target, window, split.first_rows, split.run_rows)
    return int((steps * (split.nt_counts * full + np.where(ends, last - full, 0))).sum()) * split.kt_count


def feed_cycles(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """Estimated cycles of a layer with feeds, one image: of each tile its steps, or its load behind the swap of the tile before."""
    window = layer.channel_window
    assert window is not None  # no other layer has feeds
    stripes = -(-layer.n * layer.bounds.G // geometry.cols)
    columns = min(geometry.cols, layer.n * layer.bounds.G)
    accesses = step_accesses(target.activation_buffer, window, fits_window(target, window), columns, min(layer.k, geometry.rows))
    steps = int(run_steps(target, window, np.zeros(1, np.int64), np.array([layer.m]))[0])
    groups = geometry.tile_groups(layer.k, 0)
    load = max(groups, -(-groups * geometry.pop_bits // geometry.word_bits)) + (2 if geometry.shadow_sets == 1 else 0)
    chunks = -(-layer.m // geometry.run_rows(stripes))
    each = max(-(-steps // chunks) * -(-accesses // target.activation_buffer.port_accesses), load)
    return stripes * geometry.tile_count(layer.k) * chunks * each
