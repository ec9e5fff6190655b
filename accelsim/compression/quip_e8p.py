"""Encoder of QuIP#'s lattice: the nearest of its 65,536 points to each vector of 8 weights, in units of the root mean square.

Without the Hadamard transforms and the second-order rounding of QuIP#: sizes and traffic are exact, and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.compression.encoder import SMALLEST, Arrays, Floats
from accelsim.compression.subvectors import subvectors
from accelsim.formats.block_decoding import grid_of
from accelsim.formats.quip_e8p import GRID, QuipE8pFormat

KIND = "quip_e8p"
_VECTORS = 1024  # compared with all points at a time


def encode(spec: QuipE8pFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `signs` and `scales`, one of the tensor."""
    size = np.float32(max(float(np.sqrt(np.square(weights, dtype=np.float64).mean())), SMALLEST))
    points = subvectors(weights / size, 8, 1)
    shape = spec.streams(*weights.shape)["indices"].shape
    codes = np.concatenate([_nearest(points[first : first + _VECTORS]) for first in range(0, points.shape[0], _VECTORS)])
    return {"indices": codes[:, 0].reshape(shape), "signs": codes[:, 1].reshape(shape), "scales": size.reshape(1)}


def _nearest(points: Floats) -> npt.NDArray[np.uint8]:
    """(vectors, 2): index and signs of the nearest point of the lattice.

    The flips of a codeword are even in number, since an odd one stands for the other shift. The best are those that turn its signs into the
    point's; if these are odd in number, the one that costs least is left out or added.
    """
    grid = grid_of(GRID).astype(np.float32) / 4
    norms, negative = np.square(grid).sum(axis=1), grid < 0
    every = np.arange(points.shape[0])
    best, found = np.full(points.shape[0], np.inf, np.float32), np.empty((points.shape[0], 2), np.uint8)
    for odd, shift in ((0, np.float32(0.25)), (1, np.float32(-0.25))):
        rest = points - shift
        products = np.abs(rest)[:, None, :] * np.abs(grid)
        flips = (rest < 0).sum(axis=1)[:, None] + negative.sum(axis=1) & 1
        errors = norms - 2 * products.sum(axis=2) + 4 * flips * products.min(axis=2) + np.square(rest).sum(axis=1)[:, None]
        index = errors.argmin(axis=1)
        bits = (rest < 0) ^ negative[index]
        chosen = products[every, index]
        bits[every, chosen.argmin(axis=1)] ^= flips[every, index] == 1
        bits[:, 0] ^= odd == 1  # turned around again by the decoder
        better = errors[every, index] < best
        codes = np.stack([index, np.packbits(bits, axis=1, bitorder="little")[:, 0]], axis=1)
        found[better], best[better] = codes[better], errors[every, index][better]
    return found
