"""Encoder of palettes per block: k-means on the weights of each block, entries rounded to int8 with the scale that all tables share.

Post-training: entries are not fine-tuned, so sizes and traffic are exact and the error is an upper bound. A block of fewer entries than
its table has keeps each of them, and zeros.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import Arrays, Floats, channel_range
from accelsim.compression.int8_codebook import level_step
from accelsim.compression.kmeans import kmeans, nearest_codewords
from accelsim.compression.subvectors import subvectors
from accelsim.formats.block_palette import BlockPaletteFormat

KIND = "block_palette"


def encode(spec: BlockPaletteFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `codebook` (-127..127) and `scales`."""
    table = spec.streams(*weights.shape)
    unit = channel_range(weights, spec.scale)
    scaled = weights / unit
    centres = np.zeros(table["codebook"].shape, np.float32)
    points = {place: _block(spec, scaled, place) for place in np.ndindex(centres.shape[:2])}
    for place, own in points.items():
        found = kmeans(own, min(centres.shape[2], own.shape[0]), rng).codebook
        centres[place][: found.shape[0]] = found
    step = level_step(centres)
    levels = np.clip(np.rint(centres / step), -127, 127)
    indices = np.empty(table["indices"].shape, np.uint8)
    down, across = (spec.rows // spec.d, spec.cols) if spec.axis else (spec.rows, spec.cols // spec.d)
    for (j, i), own in points.items():
        nearest, _ = nearest_codewords(own, (levels[j, i] * step).astype(np.float32))
        part = indices[i * down : (i + 1) * down, j * across : (j + 1) * across]
        part[:] = nearest.reshape(part.shape)
    return {"indices": indices, "codebook": levels.astype(np.int8), "scales": unit * np.float32(step)}


def _block(spec: BlockPaletteFormat, weights: Floats, place: tuple[int, ...]) -> Floats:
    """The vectors [count, d] of the block of table `place`, in the order of their indices."""
    column, row = place
    own = weights[row * spec.rows : (row + 1) * spec.rows, column * spec.cols : (column + 1) * spec.cols]
    return subvectors(np.ascontiguousarray(own), spec.d, spec.axis)
