"""The DRAM image of raw weights with a scale per group: each K-tile's records behind the scales and zero points of its groups.

Ahead of a tile lie, for each group that begins in it and each column, the scale and then the zero point, lowest bits first, in whole
pops; see `image` for the records and the order of the tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.compiler.image import LayerImage, Packing, stream_stripes, striped, tile_first_bits
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
    counts = stream_stripes(geometry, weights.shape[0], groups, packing)
    sizes = np.array([geometry.words(layer.k, count) * geometry.word_bits for count in counts])
    starts = np.cumsum(sizes) - sizes
    first_bits = np.concatenate(
        [start + tile_first_bits(geometry, layer.k, count) for start, count in zip(starts.tolist(), counts, strict=True)]
    )
    stream = np.zeros(int(sizes.sum()), np.uint8)
    for stripe, firsts in enumerate(first_bits.tolist()):
        tiles = _tile_bits(geometry, layer.k, weights[stripe], [(values[stripe], size) for values, size in fields])
        for first, bits in zip(firsts, tiles, strict=True):
            stream[first : first + bits.size] = bits
    return LayerImage(
        data=np.packbits(stream, bitorder="little"),
        words=stream.size // geometry.word_bits,
        word_bits=geometry.word_bits,
        first_bits=first_bits,
        indices=np.zeros((0, geometry.ports), np.int32),
        codebook=np.zeros((0, geometry.codeword_length), np.int8),
    )


def _tile_bits(geometry: CoreGeometry, k: int, weights: npt.NDArray[Any], fields: list[tuple[npt.NDArray[Any], int]]) -> list[Bits]:
    """The bits of each tile of a stripe: (K, C) weights and, of each field, (groups, C) values and their width in bits."""
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
    return out


def _low_bits(values: npt.NDArray[Any], size: int) -> Bits:
    """(..., size) bits of integers, lowest first."""
    return (values[..., None].astype(np.int64) >> np.arange(size) & 1).astype(np.uint8)
