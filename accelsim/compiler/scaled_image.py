"""The DRAM image of raw weights with a scale per group: each K-tile's records behind the scales and zero points of its groups.

Ahead of a tile lie, for each group that begins in it and each column, the scale and then the zero point, lowest bits first, in whole
pops; see `image` for the records and the order of the tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.compiler.image import LayerImage, Packing, striped
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer

Bits = npt.NDArray[np.uint8]


def scaled_image(geometry: CoreGeometry, layer: WeightedLayer, arrays: Mapping[str, npt.NDArray[Any]], packing: Packing) -> LayerImage:
    """The image of a layer with the streams `weights` [K,N], `scales` (binary16) and perhaps `zeros`, both [groups,N]."""
    groups, width = layer.bounds.G, int(geometry.raw_bits)
    weights = striped(arrays["weights"].astype(np.int16), groups, geometry.cols)
    fields = [(striped(arrays["scales"].astype(np.float16).view(np.uint16), groups, geometry.cols), 16)]
    if "zeros" in arrays:
        fields.append((striped(arrays["zeros"].astype(np.uint16), groups, geometry.cols), width))
    stripes = weights.shape[0]
    together = stripes // groups if packing == "layer" else 1
    first_bits, parts, bit = [], [], 0
    for stripe in range(stripes):
        if stripe % together == 0:
            bit += -bit % geometry.word_bits
        first_bits.append(bit)
        bits = _stripe_bits(geometry, layer.k, weights[stripe], [(values[stripe], size) for values, size in fields])
        parts.append((bit, bits))
        bit += bits.size
    stream = np.zeros(bit + -bit % geometry.word_bits, np.uint8)
    for first, bits in parts:
        stream[first : first + bits.size] = bits
    return LayerImage(
        data=np.packbits(stream, bitorder="little"),
        words=stream.size // geometry.word_bits,
        word_bits=geometry.word_bits,
        stripe_bits=np.array(first_bits, np.int64),
        tile_bits=0,
        indices=np.zeros((0, geometry.ports), np.int32),
        codebook=np.zeros((0, geometry.codeword_length), np.int8),
    )


def _stripe_bits(geometry: CoreGeometry, k: int, weights: npt.NDArray[Any], fields: list[tuple[npt.NDArray[Any], int]]) -> Bits:
    """The bits of a stripe: (K, C) weights and, of each field, (groups, C) values and their width in bits."""
    ((group, _),) = geometry.scales
    out = []
    for kt, pops in enumerate(geometry.tile_pops(k).tolist()):
        own, ahead = geometry.tile_rows(k, kt), geometry.scale_pops(k, kt) * geometry.pop_bits
        begun = slice(-(-own.start // group), -(-own.stop // group))
        scales = np.concatenate([_low_bits(values[begun], size) for values, size in fields], axis=-1).reshape(-1)
        records = _low_bits(weights[own.start : own.stop], int(geometry.raw_bits)).reshape(-1)
        bits = np.zeros(pops * geometry.pop_bits, np.uint8)
        bits[: scales.size] = scales
        bits[ahead : ahead + records.size] = records
        out.append(bits)
    return np.concatenate(out)


def _low_bits(values: npt.NDArray[Any], size: int) -> Bits:
    """(..., size) bits of integers, lowest first."""
    return (values[..., None].astype(np.int64) >> np.arange(size) & 1).astype(np.uint8)
