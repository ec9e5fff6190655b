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
_HALVES = np.uint64(0x0000000100000001)
_QUARTERS = np.uint64(0x0001000100010001)
_BYTE = np.uint64(0xFF)
_63 = np.uint64(63)
_8 = np.uint64(8)
_6 = np.uint64(6)
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
def fetch_bits(words, position):
    """64 bits of the stream from bit `position` on, both uint64."""
    word = position >> _6
    shift = position & _63
    return (words[word] >> shift) | ((words[word + _1] << (_63 - shift)) << _1)


@kernel
def _negated(lanes, signs):
    """Eight int8 lanes, those negated whose bit in the byte `signs` is set: ~c + 1 in each, with no carry between lanes."""
    mask = _SPREAD[signs]
    flipped = lanes ^ mask
    return ((flipped & _LOW7) + (mask & _ONES)) ^ (flipped & _TOP)


@kernel
def _raw_lanes(bits, width):
    """Eight lanes of `width` bits, two's complement, as eight int8 lanes; all uint64.

    Halves move apart three times (4 lanes a half of the word, 2 a quarter, 1 a byte), then each lane's sign is extended: u ^ t - t with
    t its top bit, subtracted with bit 7 of each byte set so that no lane borrows from the next.
    """
    if width == _8:
        return bits
    four, two = width << np.uint64(2), width << _1
    lanes = (bits & ((_1 << four) - _1)) | ((bits >> four & ((_1 << four) - _1)) << np.uint64(32))
    pairs = ((_1 << two) - _1) * _HALVES
    lanes = (lanes & pairs) | ((lanes >> two & pairs) << np.uint64(16))
    singles = ((_1 << width) - _1) * _QUARTERS
    lanes = (lanes & singles) | ((lanes >> width & singles) << _8)
    top = (_1 << (width - _1)) * _ONES
    return (((lanes ^ top) | _TOP) - top) ^ _TOP


@kernel
def decode_records(words, first_bit, d, index_bits, sign, raw_bits, codebook, records):
    """Unpack records, look their codewords up and apply the signs.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bit : of the first record
    d : lanes of a record
    index_bits, sign : form of a record with an index, and whether a sign bit a lane follows it; unused for raw records
    raw_bits : bits of a raw lane, at most 8; 0: records are indices
    codebook : uint64 (codewords, ceil(d / 8)), `codeword_words`; at least one codeword if it is used
    records : uint64 (records, ceil(d / 8)), written: eight int8 lanes a word; lanes past d are undefined

    Returns
    -------
    Records whose index is past the codebook; they decode as zeros.

    Raises
    ------
    ValueError
        The stream ends before the records, or the shapes do not fit together.
    """
    parts = (d + 7) // 8
    step = raw_bits * d if raw_bits > 0 else index_bits + (d if sign else 0)
    if records.shape[1] != parts or (raw_bits == 0 and (codebook.shape[0] == 0 or codebook.shape[1] != parts)):
        raise ValueError("the shapes of codebook and records do not fit the codeword length")
    if first_bit < 0 or first_bit + records.shape[0] * step > 64 * (words.size - 1):
        raise ValueError("the stream ends before the records")
    position = np.uint64(first_bit)
    record_step = np.uint64(step)
    if raw_bits > 0:
        width = np.uint64(raw_bits)
        for record in range(records.shape[0]):
            for part in range(parts):
                records[record, part] = _raw_lanes(fetch_bits(words, position + _8 * width * np.uint64(part)), width)
            position += record_step
        return 0
    past = 0
    codewords = np.uint64(codebook.shape[0])
    index_step = np.uint64(index_bits)
    index_mask = (_1 << index_step) - _1
    for record in range(records.shape[0]):
        bits = fetch_bits(words, position)
        index = bits & index_mask
        known = index < codewords
        if not known:
            past += 1
            index = np.uint64(0)
        lanes = codebook[index, 0]
        if sign:
            lanes = _negated(lanes, (bits >> index_step) & _BYTE)
        records[record, 0] = lanes if known else np.uint64(0)
        for part in range(1, parts):
            lanes = codebook[index, part]
            if sign:
                lanes = _negated(lanes, fetch_bits(words, position + index_step + _8 * np.uint64(part)) & _BYTE)
            records[record, part] = lanes if known else np.uint64(0)
        position += record_step
    return past


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
def decode_stripe(words, first_bit, tile_bits, tile_rows, d, axis, index_bits, sign, raw_bits, codebook, panel):
    """Decode the K-tiles of one N-stripe, in order, into `panel`, int8 (C, K): column c of the stripe is row c of the panel.

    `tile_bits` lie between the starts of two tiles, which have `tile_rows` rows, the last one fewer. The others, the result and the
    errors are those of `decode_records`.
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
        count = rows * cols // d if axis == 0 else (rows + d - 1) // d * cols
        tile = records[:count]
        past += decode_records(words, first_bit + kt * tile_bits, d, index_bits, sign, raw_bits, codebook, tile)
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
