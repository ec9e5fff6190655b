"""A stripe for real: its tiles decoded into the weights of its columns, and its products in int32.

What the array adds up over K-tiles one after the other is added here over a whole stripe at once: int32 sums wrap and are
associative, so the result is the same to the bit.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernels.decode import decode_records
from accelsim.kernels.decode_masked import decode_masked_records
from accelsim.kernels.kernel import kernel


@kernel
def place_records(records, d, axis, first_row, rows, panel):
    """Write the records of a tile where its weights belong.

    Parameters
    ----------
    records : int8 (records, at least d), one record a row: the bytes of `decode_records`
    d, axis : lanes of a record, and whether they lie along the columns (0) or the rows (1) of the tile
    first_row, rows : of the tile, in the reduction; lanes past the last row are dropped
    panel : int8 (C, K); column c of the tile is written to row c, from `first_row` on

    Raises
    ------
    ValueError
        The tile does not lie in the panel, or the records are too few.
    """
    cols = panel.shape[0]
    across = cols // d if axis == 0 else cols
    down = rows if axis == 0 else (rows + d - 1) // d
    if first_row < 0 or first_row + rows > panel.shape[1] or down * across > records.shape[0] or d > records.shape[1]:
        raise ValueError("the tile does not fit its panel or its records")
    if axis == 0:
        for column in range(across * d):
            place, lane = column // d, column % d
            for row in range(rows):
                panel[column, first_row + row] = records[row * across + place, lane]
    else:
        for row in range(rows):
            place, lane = row // d * across, row % d
            for column in range(cols):
                panel[column, first_row + row] = records[place + column, lane]


@kernel
def decode_stripe(
    words, first_bit, tile_bits, tile_rows, d, axis, index_bits, sign, raw_bits, codebook, mask_lanes, mask_bits, masks, panel
):
    """Decode the K-tiles of one N-stripe, in order, into `panel`, int8 (C, K): column c of the stripe is row c of the panel.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bit, tile_bits : of the first tile, and from the start of a tile to that of the next
    tile_rows : rows of a tile; the last one has fewer
    d, axis : lanes of a record, and whether they lie along the columns (0) or the rows (1)
    index_bits, sign, raw_bits, codebook : as `decode_records` takes them
    mask_lanes, mask_bits, masks : as `decode_masked_records` takes them; `mask_lanes` = 0: records have no masks

    Returns
    -------
    What the records name past the codebook or the masks; it decodes as zeros.

    Raises
    ------
    ValueError
        The stream ends before the records, or the shapes do not fit together.
    """
    cols, k = panel.shape
    if axis == 0 and cols % d != 0:
        raise ValueError("the codeword length does not divide the columns")
    full = tile_rows * cols // d if axis == 0 else (tile_rows + d - 1) // d * cols
    records = np.empty((full, (d + 7) // 8), np.uint64)
    past = 0
    for kt in range((k + tile_rows - 1) // tile_rows):
        first_row = kt * tile_rows
        rows = min(tile_rows, k - first_row)
        tile = records[: rows * cols // d if axis == 0 else (rows + d - 1) // d * cols]
        start = first_bit + kt * tile_bits
        if mask_lanes > 0:
            past += decode_masked_records(words, start, d, mask_lanes, index_bits, mask_bits, codebook, masks, tile)
        else:
            past += decode_records(words, start, d, index_bits, sign, raw_bits, codebook, tile)
        place_records(tile.view(np.int8), d, axis, first_row, rows, panel)
    return past


@kernel
def append_one(panel):
    """Raw values u of `panel`, int8 (C, K), become the odd integers 2u + 1 in place: a 1 is appended below the lowest bit."""
    for row in range(panel.shape[0]):
        for place in range(panel.shape[1]):
            panel[row, place] = np.int8((panel[row, place] << 1) | 1)


@kernel
def _dot(a, b):
    """Sum of products of two int8 rows of equal length, int32."""
    total = np.int32(0)
    for i in range(a.size):
        total = np.int32(total + np.int32(a[i]) * np.int32(b[i]))
    return total


@kernel
def accumulate(activations, panel, out):
    """out += activations x panel, transposed.

    Parameters
    ----------
    activations : int8 (M, K); panel : int8 (C, K), or only some of its first rows; out : int32 (M, C)

    Raises
    ------
    ValueError
        The shapes do not fit together.
    """
    rows, cols = out.shape
    if activations.shape[0] != rows or panel.shape[0] != cols or activations.shape[1] != panel.shape[1]:
        raise ValueError("the shapes of activations, panel and sums do not fit together")
    k = activations.shape[1]
    whole_rows, whole_cols = rows // 4 * 4, cols // 4 * 4
    for m in range(0, whole_rows, 4):
        a0, a1, a2, a3 = activations[m], activations[m + 1], activations[m + 2], activations[m + 3]
        for c in range(0, whole_cols, 4):
            # Sixteen sums in one loop: each element is used four times, and LLVM turns the loop into vector dot products.
            b0, b1, b2, b3 = panel[c], panel[c + 1], panel[c + 2], panel[c + 3]
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = np.int32(0)
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = np.int32(0)
            for i in range(k):
                x0, x1, x2, x3 = np.int32(a0[i]), np.int32(a1[i]), np.int32(a2[i]), np.int32(a3[i])
                y0, y1, y2, y3 = np.int32(b0[i]), np.int32(b1[i]), np.int32(b2[i]), np.int32(b3[i])
                s00, s01, s02, s03 = np.int32(s00 + x0 * y0), np.int32(s01 + x0 * y1), np.int32(s02 + x0 * y2), np.int32(s03 + x0 * y3)
                s10, s11, s12, s13 = np.int32(s10 + x1 * y0), np.int32(s11 + x1 * y1), np.int32(s12 + x1 * y2), np.int32(s13 + x1 * y3)
                s20, s21, s22, s23 = np.int32(s20 + x2 * y0), np.int32(s21 + x2 * y1), np.int32(s22 + x2 * y2), np.int32(s23 + x2 * y3)
                s30, s31, s32, s33 = np.int32(s30 + x3 * y0), np.int32(s31 + x3 * y1), np.int32(s32 + x3 * y2), np.int32(s33 + x3 * y3)
            out[m, c] += s00
            out[m, c + 1] += s01
            out[m, c + 2] += s02
            out[m, c + 3] += s03
            out[m + 1, c] += s10
            out[m + 1, c + 1] += s11
            out[m + 1, c + 2] += s12
            out[m + 1, c + 3] += s13
            out[m + 2, c] += s20
            out[m + 2, c + 1] += s21
            out[m + 2, c + 2] += s22
            out[m + 2, c + 3] += s23
            out[m + 3, c] += s30
            out[m + 3, c + 1] += s31
            out[m + 3, c + 2] += s32
            out[m + 3, c + 3] += s33
    for m in range(rows):
        for c in range(whole_cols if m < whole_rows else 0, cols):
            out[m, c] += _dot(activations[m], panel[c])
