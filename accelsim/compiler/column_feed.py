"""The choice of columns with a feed of their own (see `hw.mappings.column_feed`) for a depthwise layer, and its estimate.

A layer whose window does not fit the registers gets no feeds, as a feed reaches no more rows than these have taps.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.compiler.target import Target
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.column_feed import ColumnFeed
from accelsim.ops.channel_window import ChannelWindow
from accelsim.trace.layers import WeightedLayer


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
    return replace(geometry, mapping=ColumnFeed(fits_window(target, window)), file=1)


def fits_window(target: Target, window: ChannelWindow) -> bool:
    """Whether the columns' registers hold a window."""
    side = target.array.column_feed or 0
    return window.dense and max(window.height, window.width) <= side


def feed_cycles(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """Estimated cycles of a layer with feeds, one image: of each tile its steps, or its load behind the swap of the tile before."""
    window, mapping = layer.channel_window, geometry.mapping
    assert window is not None
    assert isinstance(mapping, ColumnFeed)  # no other layer has feeds
    stripes = -(-layer.n * layer.bounds.G // geometry.cols)
    columns = min(geometry.cols, layer.n * layer.bounds.G)
    accesses = mapping.step_accesses(target.activation_buffer, window, columns, min(layer.k, geometry.rows))
    steps = int(mapping.run_steps(window, np.zeros(1, np.int64), np.array([layer.m]))[0])
    groups = geometry.tile_groups(layer.k, 0)
    load = max(groups, -(-groups * geometry.pop_bits // geometry.word_bits)) + (2 if geometry.shadow_sets == 1 else 0)
    chunks = -(-layer.m // geometry.run_rows(stripes))
    each = max(-(-steps // chunks) * -(-accesses // target.activation_buffer.port_accesses), load)
    return stripes * geometry.tile_count(layer.k) * chunks * each
