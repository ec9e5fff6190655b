"""Decode records out of packed words: raw lanes, or codewords by their indices with a sign bit per lane.

Eight lanes are handled as one 64-bit word, lane 0 in its lowest byte, which takes a little-endian host.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.kernels.kernel import inlined_kernel, kernel

Words = npt.NDArray[np.uint64]

_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONES = np.uint64(0x0101010101010101)
_TOP = np.uint64(0x8080808080808080)
_HALVES = np.uint64(0x0000000100000001)
_QUARTERS = np.uint64(0x0001000100010001)
_BYTE = np.uint64(0xFF)
_63 = np.uint64(63)
_32 = np.uint64(32)
_31 = np.uint64(31)
_8 = np.uint64(8)
_6 = np.uint64(6)
_5 = np.uint64(5)
_1 = np.uint64(1)


def _spread_table() -> Words:
    """For each byte of signs: a word with 0xFF in every lane whose bit is set."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    return (bits * 255).astype(np.uint8).view(np.uint64).reshape(256)


SPREAD = _spread_table()


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
    """A codebook with eight lanes per word: int8 (codewords, d) -> uint64 (codewords, ceil(d / 8))."""
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
def negated(lanes, signs):
    """Eight int8 lanes, those negated whose bit in the byte `signs` is set: ~c + 1 in each, with no carry between lanes."""
    mask = SPREAD[signs]
    flipped = lanes ^ mask
    return ((flipped & _LOW7) + (mask & _ONES)) ^ (flipped & _TOP)


@kernel
def _raw_lanes(bits, width):
    """Eight lanes of `width` bits, two's complement, as eight int8 lanes; all uint64.

    Halves move apart three times (4 lanes per half of the word, 2 per quarter, 1 per byte), then each lane's sign is extended:
    u ^ t - t with t its top bit, subtracted with bit 7 of each byte set so that no lane borrows from the next.
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


@inlined_kernel
def _decode_indices(words, position, record_step, index_bits, sign, parts, checked, codebook, records):
    """Decode records with an index. LLVM drops what a caller's constants rule out: signs, further words, the check of the index."""
    past = 0
    codewords = np.uint64(codebook.shape[0])
    index_mask = (_1 << index_bits) - _1
    for record in range(records.shape[0]):
        bits = fetch_bits(words, position)
        index = bits & index_mask
        if checked and index >= codewords:
            past += 1
            for part in range(parts):
                records[record, part] = np.uint64(0)
        else:
            lanes = codebook[index, 0]
            records[record, 0] = negated(lanes, (bits >> index_bits) & _BYTE) if sign else lanes
            for part in range(1, parts):
                lanes = codebook[index, part]
                if sign:
                    lanes = negated(lanes, fetch_bits(words, position + index_bits + _8 * np.uint64(part)) & _BYTE)
                records[record, part] = lanes
        position += record_step
    return past


@inlined_kernel
def _decode_signed(halves, position, record_step, index_bits, codebook, flips, records):
    """Decode records of one word that have signs, where every index has a codeword: half of the instructions of `_decode_indices`.

    A record is read as two neighbouring 32-bit words: 33 bits at least, whatever its first bit. `flips`, uint64 (codewords,), holds the
    bits in which the lanes of a codeword differ from their negations.
    """
    index_mask = (_1 << index_bits) - _1
    for record in range(records.shape[0]):
        half = position >> _5
        bits = (np.uint64(halves[half]) | (np.uint64(halves[half + _1]) << _32)) >> (position & _31)
        index = bits & index_mask
        records[record, 0] = codebook[index, 0] ^ (flips[index] & SPREAD[(bits >> index_bits) & _BYTE])
        position += record_step


@kernel
def decode_records(words, first_bit, d, index_bits, sign, raw_bits, codebook, records):
    """Unpack records, look their codewords up and apply the signs.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bit : of the first record
    d : lanes of a record
    index_bits, sign : form of a record with an index, and whether a sign bit per lane follows it; unused for raw records
    raw_bits : bits of a raw lane, at most 8; 0: records are indices
    codebook : uint64 (codewords, ceil(d / 8)), `codeword_words`; at least one codeword if it is used
    records : uint64 (records, ceil(d / 8)), written: eight int8 lanes per word; lanes past d are undefined

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
    index_step = np.uint64(index_bits)
    if parts > 1 or np.uint64(codebook.shape[0]) < _1 << index_step:
        return _decode_indices(words, position, record_step, index_step, sign, parts, True, codebook, records)
    if not sign:
        return _decode_indices(words, position, record_step, index_step, False, 1, False, codebook, records)
    if index_bits > 25 or codebook.shape[0] > records.shape[0]:  # more flips than records
        return _decode_indices(words, position, record_step, index_step, True, 1, False, codebook, records)
    flips = np.empty(codebook.shape[0], np.uint64)
    for index in range(flips.size):
        flips[index] = codebook[index, 0] ^ negated(codebook[index, 0], _BYTE)
    _decode_signed(words.view(np.uint32), position, record_step, index_step, codebook, flips, records)
    return 0
