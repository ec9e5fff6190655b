"""Encoder of palettes: k-means on the weights of each share of the outputs, entries rounded to int8 with one scale per table.

Post-training: entries are not fine-tuned, so sizes and traffic are exact and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import Arrays, Floats, channel_range
from accelsim.compression.int8_codebook import int8_codebook
from accelsim.compression.subvectors import subvectors
from accelsim.formats.palette import PaletteFormat

KIND = "palette"


def encode(spec: PaletteFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `codebook` (-127..127) and `scales`."""
    shape = spec.streams(*weights.shape)["indices"].shape
    columns = shape[1] // spec.tables
    indices = np.empty(shape, np.uint8)
    books, scales = [], []
    for table, share in enumerate(np.split(weights, spec.tables, axis=1)):
        unit = channel_range(share, "tensor")
        found = int8_codebook(subvectors(np.ascontiguousarray(share / unit), spec.d, spec.axis), 1 << spec.bits, unit, rng)
        indices[:, table * columns : (table + 1) * columns] = found.indices.reshape(shape[0], columns)
        books.append(found.levels)
        scales.append(found.scales)
    return {"indices": indices, "codebook": np.concatenate(books), "scales": np.concatenate(scales)}
