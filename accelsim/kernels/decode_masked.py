"""Decode records of an index and N:M masks: codewords with zeros where the masks drop a lane.

A record is the index in its lowest bits, then one pattern number for each group of neighbouring lanes. Eight lanes are handled as one
64-bit word, lane 0 in its lowest byte. Neighbouring groups that fit in a word are read at once, as one group of their joint number:
two groups of 2:4 are one of eight lanes and 6 bits, of whose 64 numbers 36 are known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from accelsim.kernels.decode import Words, fetch_bits
from accelsim.kernels.kernel import kernel

_64 = np.uint64(64)
_63 = np.uint64(63)
_1 = np.uint64(1)
_0 = np.uint64(0)


class MaskTable(NamedTuple):
    """The lanes that each pattern number of a group keeps.

    Attributes
    ----------
    lanes, bits : of a group, and of its number
    words : uint64 (2^bits, 2), 0xFF in every lane that is kept; an unknown number keeps none
    """

    lanes: int
    bits: int
    words: Words


NO_MASKS = MaskTable(0, 0, np.zeros((1, 2), np.uint64))


def mask_table(patterns: npt.NDArray[np.int8], d: int) -> MaskTable:
    """The masks of records of `d` lanes, from the patterns of `of` lanes that divide them: int8 (patterns, of), 1 where kept."""
    known, of = patterns.shape
    joined = max(count for count in range(1, max(1, 8 // of) + 1) if d // of % count == 0)
    bits = max(1, (known - 1).bit_length())
    numbers = np.arange(1 << joined * bits)
    lanes, unknown = np.zeros((numbers.size, 16), np.uint8), np.zeros(numbers.size, np.bool_)
    for group in range(joined):
        own = numbers >> group * bits & (1 << bits) - 1
        unknown |= own >= known
        lanes[:, group * of : (group + 1) * of] = np.where(patterns[np.minimum(own, known - 1)] != 0, 255, 0)
    lanes[unknown] = 0
    return MaskTable(joined * of, joined * bits, lanes.view(np.uint64))


@kernel
def decode_masked_records(words, first_bit, d, mask_lanes, index_bits, mask_bits, codebook, masks, records):
    """Unpack records, look codewords and masks up, and zero the lanes that are dropped.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bit : of the first record
    d, mask_lanes : lanes of a record, and of a group that one number masks
    index_bits, mask_bits : of the index, and of each of the d / mask_lanes numbers that follow it
    codebook : uint64 (codewords, ceil(d / 8)), `codeword_words`; masks : uint64 (2^mask_bits, 2), the words of a `MaskTable`
    records : uint64 (records, ceil(d / 8)), written: eight int8 lanes per word; lanes past d are undefined

    Returns
    -------
    Indices past the codebook and unknown numbers; such records or groups decode as zeros.

    Raises
    ------
    ValueError
        The stream ends before the records, or the shapes do not fit together.
    """
    parts = (d + 7) // 8
    if mask_lanes < 1 or mask_lanes > 16 or d % mask_lanes != 0 or masks.shape[0] != 1 << mask_bits or masks.shape[1] != 2:
        raise ValueError("the shapes of masks and records do not fit together")
    if records.shape[1] != parts or codebook.shape[0] == 0 or codebook.shape[1] != parts:
        raise ValueError("the shapes of codebook and records do not fit together")
    groups = d // mask_lanes
    step = index_bits + groups * mask_bits
    if first_bit < 0 or first_bit + records.shape[0] * step > 64 * (words.size - 1):
        raise ValueError("the stream ends before the records")
    index_step, number_step = np.uint64(index_bits), np.uint64(mask_bits)
    index_mask, number_mask = (_1 << index_step) - _1, (_1 << number_step) - _1
    codewords = np.uint64(codebook.shape[0])
    group_bits = np.uint64(8 * mask_lanes)
    narrow = step <= 64  # a record is read at once
    position = np.uint64(first_bit)
    record_step = np.uint64(step)
    past = 0
    if narrow and groups == 1 and parts == 1:  # the usual case: no group crosses a word
        for record in range(records.shape[0]):
            bits = fetch_bits(words, position)
            position += record_step
            index = bits & index_mask
            mask = masks[bits >> index_step & number_mask, 0]
            known = index < codewords
            past += not known
            past += mask == _0
            records[record, 0] = codebook[index if known else _0, 0] & mask if known else _0
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
            low, high = masks[number, 0], masks[number, 1]
            past += (low | high) == _0
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
