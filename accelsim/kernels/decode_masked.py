"""Decode records of an index and N:M masks: codewords with zeros where the masks drop a lane.

A record is the index in its lowest bits, then one pattern number for each group of neighbouring lanes. Eight lanes are handled as one
64-bit word, lane 0 in its lowest byte.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.kernels.decode import Words, fetch_bits, place_records
from accelsim.kernels.kernel import kernel

_64 = np.uint64(64)
_63 = np.uint64(63)
_1 = np.uint64(1)
_0 = np.uint64(0)


def pattern_words(patterns: npt.NDArray[np.int8]) -> Words:
    """Patterns with 0xFF in every lane that is kept: int8 (patterns, of), 1 where kept -> uint64 (patterns, 2); `of` at most 16."""
    count, of = patterns.shape
    lanes = np.zeros((count, 16), np.uint8)
    lanes[:, :of] = np.where(patterns != 0, 255, 0)
    return lanes.view(np.uint64)


@kernel
def decode_masked_records(words, first_bit, d, of, index_bits, mask_bits, codebook, patterns, records):
    """Unpack records, look codewords and patterns up, and zero the lanes that are dropped.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bit : of the first record
    d, of : lanes of a record, and of a group that one pattern masks
    index_bits, mask_bits : of the index, and of each of the d / of pattern numbers that follow it
    codebook : uint64 (codewords, ceil(d / 8)), `codeword_words`; patterns : uint64 (patterns, 2), `pattern_words`
    records : uint64 (records, ceil(d / 8)), written: eight int8 lanes a word; lanes past d are undefined

    Returns
    -------
    Indices past the codebook and numbers past the patterns; such records or groups decode as zeros.

    Raises
    ------
    ValueError
        The stream ends before the records, or the shapes do not fit together.
    """
    parts = (d + 7) // 8
    if of < 1 or of > 16 or d % of != 0 or records.shape[1] != parts or codebook.shape[1] != parts or patterns.shape[1] != 2:
        raise ValueError("the shapes of codebook, patterns and records do not fit together")
    groups = d // of
    step = index_bits + groups * mask_bits
    if first_bit < 0 or first_bit + records.shape[0] * step > 64 * (words.size - 1):
        raise ValueError("the stream ends before the records")
    index_step, number_step = np.uint64(index_bits), np.uint64(mask_bits)
    index_mask, number_mask = (_1 << index_step) - _1, (_1 << number_step) - _1
    codewords, known_patterns = np.uint64(codebook.shape[0]), np.uint64(patterns.shape[0])
    group_bits = np.uint64(8 * of)
    narrow = step <= 64  # a record is read at once
    position = np.uint64(first_bit)
    record_step = np.uint64(step)
    past = 0
    if narrow and parts == 1:  # the usual case, without what groups across words need
        for record in range(records.shape[0]):
            bits = fetch_bits(words, position)
            position += record_step
            index = bits & index_mask
            bits >>= index_step
            known = index < codewords
            past += not known
            lanes = codebook[index if known else _0, 0] if known else _0
            mask = shift = _0
            for _ in range(groups):
                number = bits & number_mask
                bits >>= number_step
                if number < known_patterns:
                    mask |= patterns[number, 0] << shift
                else:
                    past += 1
                shift += group_bits
            records[record, 0] = lanes & mask
        return past
    for record in range(records.shape[0]):
        bits = fetch_bits(words, position)
        index = bits & index_mask
        bits >>= index_step
        place = position + index_step
        position += record_step
        if index < codewords:
            for part in range(parts):
                records[record, part] = codebook[index, part]
        else:
            past += 1
            for part in range(parts):
                records[record, part] = _0
        part = 0
        mask = shift = _0  # of the word that is being masked: lanes so far, and their bits
        for _ in range(groups):
            number = (bits if narrow else fetch_bits(words, place)) & number_mask
            bits >>= number_step
            place += number_step
            low = high = _0
            if number < known_patterns:
                low, high = patterns[number, 0], patterns[number, 1]
            else:
                past += 1
            mask |= low << shift
            end = shift + group_bits
            if end >= _64:
                records[record, part] &= mask
                part += 1
                mask = ((low >> (_63 - shift)) >> _1) | (high << shift)
                end -= _64
                if end >= _64:
                    records[record, part] &= mask
                    part += 1
                    mask = (high >> (_63 - shift)) >> _1
                    end -= _64
            shift = end
        if shift > _0:
            records[record, part] &= mask
    return past


@kernel
def decode_masked_stripe(words, first_bit, tile_bits, tile_rows, d, of, axis, index_bits, mask_bits, codebook, patterns, panel):
    """Decode the K-tiles of one N-stripe, in order, into `panel`, int8 (C, K): column c of the stripe is row c of the panel.

    `tile_bits` lie between the starts of two tiles, which have `tile_rows` rows, the last one fewer. The others, the result and the
    errors are those of `decode_masked_records`.
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
        past += decode_masked_records(words, first_bit + kt * tile_bits, d, of, index_bits, mask_bits, codebook, patterns, tile)
        place_records(tile.view(np.int8), d, axis, first_row, rows, panel)
    return past
