"""The choice of the vector path (see `hw.mappings.vector_path`) for a depthwise layer, and its estimate.

A layer with more taps than the lanes hold weights of a channel keeps its place on the array.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.compiler.target import Target
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.vector_path import VectorPath
from accelsim.trace.layers import WeightedLayer

_ANY_ROWS = 1 << 40  # more than a layer has: sums are registers of the lanes, not accumulators


def on_lanes(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> CoreGeometry | None:
    """The core as the runs of a depthwise layer see it on the vector unit; None where the lanes or the layer are not made for it.

    Scales per group of taps, and records that the core cannot decode alone, keep a tile per group.
    """
    path, taps = layer.weight.format.decode_path(), target.vector_unit.depthwise_taps
    if taps is None or layer.channel_window is None or layer.k > taps or path.scale_levels or path.beyond_core:
        return None
    return replace(geometry, mapping=VectorPath(), file=1, max_m=_ANY_ROWS)


def lane_cycles(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """Estimated cycles of a layer on the lanes, one image: of each stripe its passes, at the rate of their reads, or its load."""
    vector, buffer = target.vector_unit, target.activation_buffer
    channels = layer.n * layer.bounds.G
    columns = min(geometry.cols, channels)
    passes = geometry.mapping.lane_passes(layer.k) + vector.passes.requantize
    work = vector.row_cycles(layer.m * columns, passes)
    reads = layer.m * geometry.mapping.lane_accesses(buffer, layer, columns)
    if work:
        work *= -(-reads // (work * buffer.port_accesses))
    groups = geometry.stripe_groups(layer.k)
    load = max(groups, -(-groups * geometry.pop_bits // geometry.word_bits))
    return -(-channels // geometry.cols) * max(work, load)
