"""Decode and multiply for real: records out of packed words, codewords with their signs, and the products of a stripe in int32.

What the array adds up over K-tiles one after the other is added here over a whole stripe at once: int32 sums wrap and are
associative, so the result is the same to the bit. Eight lanes are handled as one 64-bit word, lane 0 in its lowest byte, which
takes a little-endian host.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.kernels.kernel import kernel

Words = npt.NDArray[np.uint64]

_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONES = np.uint64(0x0101010101010101)
_TOP = np.uint64(0x8080808080808080)
_BYTE = np.uint64(0xFF)
_63 = np.uint64(63)
_8 = np.uint64(8)
_1 = np.uint64(1)


def _spread_table() -> Words:
    """For each byte of signs: a word with 0xFF in every lane whose bit is set."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    return (bits * 255).astype(np.uint8).view(np.uint64).reshape(256)


_SPREAD = _spread_table()


def stream_words(data: npt.NDArray[np.uint8]) -> Words:
    """A packed stream as 64-bit words, with one word more than it needs, so that any 64 bits of it can be read as two words.

    Parameters
    ----------
    data : uint8 (bytes,)

    Returns
    -------
    uint64 (ceil(bytes / 8) + 1,)
    """
    padded = np.zeros(8 * (-(-data.size // 8) + 1), np.uint8)
    padded[: data.size] = data
    return padded.view(np.uint64)


def codeword_words(codebook: npt.NDArray[np.int8]) -> Words:
    """A codebook with eight lanes a word: int8 (codewords, d) -> uint64 (codewords, ceil(d / 8))."""
    codewords, d = codebook.shape
    padded = np.zeros((codewords, -(-d // 8) * 8), np.int8)
    padded[:, :d] = codebook
    return padded.view(np.uint64)


@kernel
def _fetch(words, position):
    """64 bits of the stream from bit `position` on."""
    word = position >> 6
    shift = np.uint64(position & 63)
    return (words[word] >> shift) | ((words[word + 1] << (_63 - shift)) << _1)


@kernel
def _negated(lanes, signs):
    """Eight int8 lanes, those negated whose bit in the byte `signs` is set: ~c + 1 in each, with no carry between lanes."""
    mask = _SPREAD[signs]
    flipped = lanes ^ mask
    return ((flipped & _LOW7) + (mask & _ONES)) ^ (flipped & _TOP)


@kernel
def _raw_lanes(bits, width):
    """Eight lanes of `width` bits, two's complement, as eight int8 lanes."""
    if width == 8:
        return bits
    step = np.uint64(width)
    low = (_1 << step) - _1
    top = _1 << (step - _1)
    lanes = np.uint64(0)
    for lane in range(8):
        value = (bits >> (step * np.uint64(lane))) & low
        if value & top != np.uint64(0):
            value |= _BYTE ^ low
        lanes |= value << (_8 * np.uint64(lane))
    return lanes


@kernel
def decode_tile(words, first_bit, rows, d, axis, index_bits, sign, raw_bits, codebook, tile):
    """Decode the records of one tile.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bit : of the tile's first record
    rows : weight rows of the tile (trimmed); with axis 1 whole records are written, up to d - 1 rows more
    d, axis : lanes of a record, and whether they lie along the columns (0) or the rows (1)
    index_bits, sign : form of a record with an index, and whether a sign bit a lane follows; unused for raw records
    raw_bits : bits of a raw lane; 0: records are indices
    codebook : uint64 (codewords, ceil(d / 8)), `codeword_words`
    tile : int8 (R, C), written in its first rows; C-contiguous

    Returns
    -------
    Records whose index is past the codebook; they decode as zeros.

    Raises
    ------
    ValueError
        The stream ends before the tile, or the tile is too small.
    """
    cols = tile.shape[1]
    across = cols // d if axis == 0 else cols
    record_rows = rows if axis == 0 else (rows + d - 1) // d
    record_bits = raw_bits * d if raw_bits > 0 else index_bits + (d if sign else 0)
    if (axis == 0 and cols % d != 0) or record_rows * (1 if axis == 0 else d) > tile.shape[0]:
        raise ValueError("the records do not fit the tile")
    if first_bit < 0 or first_bit + record_rows * across * record_bits > 64 * (words.size - 1):
        raise ValueError("the stream ends before the tile")
    wide = axis == 0 and d % 8 == 0
    tile_words = tile.reshape(-1)[: tile.size // 8 * 8].view(np.uint64)
    past = 0
    position = first_bit
    index_mask = (_1 << np.uint64(index_bits)) - _1
    for row in range(record_rows):
        for column in range(across):
            index = np.int64(0)
            known = True
            if raw_bits == 0:
                index = np.int64(_fetch(words, position) & index_mask)
                known = index < codebook.shape[0]
                if not known:
                    past += 1
            for lane in range(0, d, 8):
                if raw_bits > 0:
                    lanes = _raw_lanes(_fetch(words, position + raw_bits * lane), raw_bits)
                elif known:
                    lanes = codebook[index, lane >> 3]
                    if sign:
                        lanes = _negated(lanes, np.int64(_fetch(words, position + index_bits + lane) & _BYTE))
                else:
                    lanes = np.uint64(0)
                if wide:
                    tile_words[(row * cols + column * d + lane) >> 3] = lanes
                else:
                    for e in range(lane, min(lane + 8, d)):
                        value = np.int64((lanes >> np.uint64(8 * (e - lane))) & _BYTE)
                        value = (value ^ 128) - 128
                        if axis == 0:
                            tile[row, column * d + e] = value
                        else:
                            tile[row * d + e, column] = value
            position += record_bits
    return past


@kernel
def decode_stripe(words, first_bit, tile_bits, d, axis, index_bits, sign, raw_bits, codebook, tile, panel):
    """Decode all K-tiles of one N-stripe, in order, into `panel`, int8 (C, K): column c of the stripe is row c of the panel.

    `tile`, int8 (R, C), holds one tile at a time; `tile_bits` lie between the starts of two tiles. The others, the result and the
    errors are those of `decode_tile`.
    """
    tile_rows = tile.shape[0]
    k = panel.shape[1]
    if panel.shape[0] != tile.shape[1]:
        raise ValueError("the tile does not fit the panel")
    past = 0
    for kt in range((k + tile_rows - 1) // tile_rows):
        first_row = kt * tile_rows
        rows = min(tile_rows, k - first_row)
        past += decode_tile(words, first_bit + kt * tile_bits, rows, d, axis, index_bits, sign, raw_bits, codebook, tile)
        for column in range(panel.shape[0]):
            for row in range(rows):
                panel[column, first_row + row] = tile[row, column]
    return past


@kernel
def _dot(a, b):
    """Sum of products of two int8 rows of equal length, int32."""
    total = np.int32(0)
    for i in range(a.size):
        total = np.int32(total + np.int32(a[i]) * np.int32(b[i]))
    return total


@kernel
def _block(a0, a1, a2, a3, b0, b1, b2, b3, out, m, c):
    """Add the products of four int8 rows with four others to out[m : m + 4, c : c + 4], int32.

    Sixteen sums in one loop, so that each loaded element is used four times and LLVM turns the loop into vector dot products.
    """
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = np.int32(0)
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = np.int32(0)
    for i in range(a0.size):
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
    whole_rows, whole_cols = rows // 4 * 4, cols // 4 * 4
    for m in range(0, whole_rows, 4):
        a0, a1, a2, a3 = activations[m], activations[m + 1], activations[m + 2], activations[m + 3]
        for c in range(0, whole_cols, 4):
            _block(a0, a1, a2, a3, panel[c], panel[c + 1], panel[c + 2], panel[c + 3], out, m, c)
    for m in range(rows):
        for c in range(whole_cols if m < whole_rows else 0, cols):
            out[m, c] += _dot(activations[m], panel[c])
