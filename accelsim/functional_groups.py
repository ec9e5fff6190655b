"""Products whose scales belong to groups of inputs: exact sums of a group in a K-tile, scaled and added in float32, K ascending.

A group that spans several K-tiles is scaled as the sum of each tile leaves the array, so the order of rounding is the chip's own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from accelsim.compiler.accumulator_range import FLOAT_BITS
from accelsim.compiler.image import LayerImage
from accelsim.errors import CompileError
from accelsim.formats.weight_format import WeightFormat
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels.decode import Words
from accelsim.kernels.group_sums import add_scaled, read_fields
from accelsim.kernels.stripe import Float32, multiply
from accelsim.trace.layers import WeightedLayer

_STREAMS = {"weights", "scales", "zeros"}


def computes_groups(weight_format: WeightFormat, k: int, n: int) -> bool:
    """Whether the check computes a format's scales: raw fields with one binary16 scale per group, and zero points or none."""
    path = weight_format.decode_path()
    return path.raw is not None and len(path.scale_levels) == 1 and set(weight_format.streams(k, n)) <= _STREAMS


def check_scale_place(scale_at: str, layer: WeightedLayer) -> None:
    """CompileError unless sums of groups are scaled: the only place that the check computes."""
    if scale_at != "group":
        raise CompileError(f"layer {layer.name!r}: the functional check scales sums of groups; allowed: array.scale_at = 'group'")


def check_sum_width(psum_bits: int, layer: WeightedLayer) -> None:
    """CompileError if accumulators are too narrow for float32; sums of a group in a K-tile then fit as integers, however long it is."""
    if psum_bits < FLOAT_BITS:
        raise CompileError(
            f"layer {layer.name!r}: sums of scaled groups are float32, which array.psum_bits = {psum_bits} does not hold; "
            f"allowed: at least {FLOAT_BITS} bits"
        )


def decode_scaled(
    geometry: CoreGeometry, image: LayerImage, words: Words, stripes: list[int], k: int, zeros: bool
) -> tuple[Float32, Float32]:
    """(integers (K, columns), scales (groups, columns)) of some stripes, zero points subtracted."""
    ((group, _),) = geometry.scales
    cols, width = geometry.cols, int(geometry.raw_bits)
    panel = np.empty((k, len(stripes) * cols), np.float32)
    scales = np.empty((-(-k // group), len(stripes) * cols), np.float32)
    step = 16 + (width if zeros else 0)
    for place, stripe in enumerate(stripes):
        own = slice(place * cols, (place + 1) * cols)
        zero = np.zeros((scales.shape[0], cols), np.float32)
        for kt in range(geometry.tile_count(k)):
            rows, bit = geometry.tile_rows(k, kt), int(image.first_bits[stripe, kt])
            begun = range(-(-rows.start // group), -(-rows.stop // group))
            codes = _fields(words, bit, step, 16, len(begun) * cols).astype(np.uint16).view(np.float16)
            scales[begun.start : begun.stop, own] = codes.reshape(-1, cols)
            if zeros:
                zero[begun.start : begun.stop] = _fields(words, bit + 16, step, width, len(begun) * cols).reshape(-1, cols)
            bit += geometry.scale_pops(k, kt) * geometry.pop_bits
            values = _fields(words, bit, width, width, len(rows) * cols).reshape(-1, cols)
            if not zeros:
                values -= (values >> width - 1) << width  # two's complement
            panel[rows.start : rows.stop, own] = values - zero[np.arange(rows.start, rows.stop) // group]
    return panel, scales


def _fields(words: Words, first_bit: int, step: int, width: int, count: int) -> npt.NDArray[np.int64]:
    """`count` unsigned integers of `width` bits."""
    out = np.empty((count, 2), np.int64)
    out[:, 0] = width
    if count:
        read_fields(words, first_bit, step, out)
    return out[:, 1]


def scaled_sums(geometry: CoreGeometry, activations: Float32, panel: Float32, scales: Float32) -> Float32:
    """float32 (M, columns): sums of the groups in each K-tile, scaled and added one after the other."""
    ((group, _),) = geometry.scales
    sums = np.zeros((activations.shape[0], panel.shape[1]), np.float32)
    parts, scratch = np.empty(sums.shape, np.int32), np.empty(sums.shape, np.float32)
    for rows in _segments(geometry, panel.shape[0], group):
        own = slice(rows.start, rows.stop)
        multiply(np.ascontiguousarray(activations[:, own]), panel[own], parts, scratch)
        add_scaled(parts, scales[rows.start // group], sums)
    return sums


def _segments(geometry: CoreGeometry, k: int, group: int) -> Iterator[range]:
    """Rows of the reduction that share a K-tile and a scale, ascending."""
    for kt in range(geometry.tile_count(k)):
        tile = geometry.tile_rows(k, kt)
        first = tile.start
        while first < tile.stop:
            last = min(tile.stop, (first // group + 1) * group)
            yield range(first, last)
            first = last
