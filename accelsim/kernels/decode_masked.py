"""Decode records of an index and N:M masks: codewords with zeros where the masks drop a lane.

A record is the index in its lowest bits, then one pattern number for each group of neighbouring lanes.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernels.decode import fetch_bits, place_records
from accelsim.kernels.kernel import kernel

_1 = np.uint64(1)


@kernel
def decode_masked_records(words, first_bit, index_bits, mask_bits, codebook, patterns, records):
    """Unpack records, look codewords and patterns up, and zero the lanes that are dropped.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bit : of the first record
    index_bits, mask_bits : of the index, and of each of the d / of pattern numbers that follow it
    codebook : int8 (codewords, d); patterns : int8 (patterns, of), 1 where a lane is kept
    records : int8 (records, d), written

    Returns
    -------
    Indices past the codebook and numbers past the patterns; such records or groups decode as zeros.

    Raises
    ------
    ValueError
        The stream ends before the records, or the shapes do not fit together.
    """
    d, of = codebook.shape[1], patterns.shape[1]
    if records.shape[1] != d or d % of != 0:
        raise ValueError("the shapes of codebook, patterns and records do not fit together")
    groups = d // of
    step = index_bits + groups * mask_bits
    if first_bit < 0 or first_bit + records.shape[0] * step > 64 * (words.size - 1):
        raise ValueError("the stream ends before the records")
    index_mask = (_1 << np.uint64(index_bits)) - _1
    number_mask = (_1 << np.uint64(mask_bits)) - _1
    past = 0
    for record in range(records.shape[0]):
        position = first_bit + record * step
        index = np.int64(fetch_bits(words, np.uint64(position)) & index_mask)
        known = index < codebook.shape[0]
        past += not known
        position += index_bits
        for group in range(groups):
            number = np.int64(fetch_bits(words, np.uint64(position + group * mask_bits)) & number_mask)
            valid = number < patterns.shape[0]
            past += not valid
            for lane in range(of):
                place = group * of + lane
                if known and valid and patterns[number, lane]:
                    records[record, place] = codebook[index, place]
                else:
                    records[record, place] = 0
    return past


@kernel
def decode_masked_stripe(words, first_bit, tile_bits, tile_rows, axis, index_bits, mask_bits, codebook, patterns, panel):
    """Decode the K-tiles of one N-stripe, in order, into `panel`, int8 (C, K): column c of the stripe is row c of the panel.

    `tile_bits` lie between the starts of two tiles, which have `tile_rows` rows, the last one fewer. The others, the result and the
    errors are those of `decode_masked_records`.
    """
    cols, k = panel.shape
    d = codebook.shape[1]
    if axis == 0 and cols % d != 0:
        raise ValueError("the codeword length does not divide the columns")
    past = 0
    for kt in range((k + tile_rows - 1) // tile_rows):
        first_row = kt * tile_rows
        rows = min(tile_rows, k - first_row)
        count = rows * cols // d if axis == 0 else (rows + d - 1) // d * cols
        records = np.empty((count, d), np.int8)
        past += decode_masked_records(words, first_bit + kt * tile_bits, index_bits, mask_bits, codebook, patterns, records)
        place_records(records, d, axis, first_row, rows, panel)
    return past
