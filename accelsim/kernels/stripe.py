"""Stripes in full: their tiles decoded into a panel of weights, and the panel's products as exact integer sums.

The array adds up K-tiles one after the other; here whole columns are multiplied at once. Sums of integers are associative, also in
accumulators that wrap, so the result is the same to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.kernels.decode import decode_records
from accelsim.kernels.decode_masked import decode_masked_records
from accelsim.kernels.kernel import kernel

Float32 = npt.NDArray[np.float32]

EXACT_K = 1 << 10  # products of int8 are at most 2^14, so no partial sum of so many passes 2^24: float32 holds each, in any order

INT32_K = (1 << 17) - 1  # of so many products of int8, int32 holds each sum


@kernel
def place_records(records, d, axis, first_row, rows, first_column, cols, panel):
    """Write the records of a tile where its weights belong.

    Parameters
    ----------
    records : int8 (records, at least d), one record per row: the bytes of `decode_records`
    d, axis : lanes of a record, and whether they lie along the columns (0) or the rows (1) of the tile
    first_row, rows : of the tile, in the reduction; lanes past the last row are dropped
    first_column, cols : of the tile, in the panel
    panel : float32 (K, columns); weight (row, column) of the tile is written from (first_row, first_column) on

    Raises
    ------
    ValueError
        The tile does not lie in the panel, or the records are too few.
    """
    across = cols // d if axis == 0 else cols
    down = rows if axis == 0 else (rows + d - 1) // d
    if first_row < 0 or first_row + rows > panel.shape[0] or first_column < 0 or first_column + cols > panel.shape[1]:
        raise ValueError("the tile does not fit its panel")
    if down * across > records.shape[0] or d > records.shape[1]:
        raise ValueError("the tile does not fit its records")
    whole = axis == 0 and records.shape[1] == d and across * d == cols  # no lane is left over: a row of records is a row of weights
    flat = records.reshape(records.size)
    for row in range(rows):
        target = panel[first_row + row, first_column : first_column + cols]
        if whole:
            source = flat[row * cols : row * cols + cols]
            for column in range(cols):
                target[column] = source[column]
        elif axis == 0:
            for column in range(across * d):
                target[column] = records[row * across + column // d, column % d]
        else:
            place, lane = row // d * across, row % d
            for column in range(cols):
                target[column] = records[place + column, lane]


@kernel
def decode_stripes(words, first_bits, tile_rows, d, axis, index_bits, sign, raw_bits, codebook, mask_lanes, mask_bits, masks, panel):
    """Decode the K-tiles of N-stripes, in order, into `panel`, which is written as float32 for BLAS.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bits : int64 (stripes, K-tiles), of each tile
    tile_rows : rows of a tile; the last one has fewer
    d, axis : lanes of a record, and whether they lie along the columns (0) or the rows (1)
    index_bits, sign, raw_bits, codebook : see `decode_records`
    mask_lanes, mask_bits, masks : see `decode_masked_records`; `mask_lanes` = 0: records have no masks
    panel : float32 (K, stripes * C), integers of int8; stripe s is written to columns s * C to s * C + C - 1

    Returns
    -------
    Number of indices past the codebook and of unknown masks; they decode as zeros.

    Raises
    ------
    ValueError
        The stream ends before the records, or the shapes do not fit together.
    """
    k, cols = panel.shape[0], panel.shape[1] // first_bits.shape[0]
    if axis == 0 and cols % d != 0:
        raise ValueError("the codeword length does not divide the columns")
    full = tile_rows * cols // d if axis == 0 else (tile_rows + d - 1) // d * cols
    records = np.empty((full, (d + 7) // 8), np.uint64)
    past = 0
    if first_bits.shape[1] * tile_rows < k:
        raise ValueError("the tiles do not fill the panel")
    for stripe in range(first_bits.shape[0]):
        for kt in range((k + tile_rows - 1) // tile_rows):
            first_row = kt * tile_rows
            rows = min(tile_rows, k - first_row)
            tile = records[: rows * cols // d if axis == 0 else (rows + d - 1) // d * cols]
            start = first_bits[stripe, kt]
            if mask_lanes > 0:
                past += decode_masked_records(words, start, d, mask_lanes, index_bits, mask_bits, codebook, masks, tile)
            else:
                past += decode_records(words, start, d, index_bits, sign, raw_bits, codebook, tile)
            place_records(tile.view(np.int8), d, axis, first_row, rows, stripe * cols, cols, panel)
    return past


@kernel
def append_one(panel):
    """Raw values u of `panel`, float32 (K, columns), become the odd integers 2u + 1 in place: a 1 is appended below the lowest bit."""
    for row in range(panel.shape[0]):
        for column in range(panel.shape[1]):
            panel[row, column] = np.float32(2) * panel[row, column] + np.float32(1)


def multiply(activations: Float32, panel: Float32, sums: npt.NDArray[Any], scratch: Float32) -> None:
    """Write activations x panel, exactly, as the low bits of `sums`: by BLAS in blocks of the reduction, which are added as integers.

    Parameters
    ----------
    activations, panel : float32 (M, K) and (K, C), integers of int8
    sums : int32 or int64 (M, C), written
    scratch : float32 (M, C), overwritten

    Raises
    ------
    ValueError
        The shapes do not fit together.
    """
    (m, k), (rows, columns) = activations.shape, panel.shape
    if k != rows or sums.shape != (m, columns) or scratch.shape != (m, columns):
        raise ValueError("the shapes of activations, panel and sums do not fit together")
    for first in range(0, k, EXACT_K):
        np.matmul(activations[:, first : first + EXACT_K], panel[first : first + EXACT_K], out=scratch)
        if first == 0:
            np.copyto(sums, scratch, casting="unsafe")  # integers, so nothing is cut off
        else:
            np.add(sums, scratch, out=sums, dtype=sums.dtype, casting="unsafe")
