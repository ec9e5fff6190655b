"""Bit fields of fixed-size blocks: values whose bits lie at regular distances within a block, and lanes looked up by their index.

A field is a sum of pieces, each of a width and up to three nested loops over the block. 64 bits are read at once: eight values from
neighbouring bytes, one bit plane of eight values, or the values of an innermost loop.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernels.decode import SPREAD, fetch_bits, negated
from accelsim.kernels.kernel import kernel

_ONES = np.uint64(0x0101010101010101)
_BYTE = np.uint64(0xFF)
_64 = np.uint64(64)
_8 = np.uint64(8)


@kernel
def gather_lanes(words, block_bytes, pieces, lanes):
    """Read one field of every block, eight values at a time.

    Parameters
    ----------
    words : uint64 (n,), the blocks with a spare word (`stream_words`)
    pieces : int64 (pieces, 9): width, position of the lowest bit in the value (0 in the first piece), first bit in the block, then count
        and stride in bits of each loop, outermost first; the innermost loop has a multiple of 8 values in neighbouring bytes, or of one
        bit each in neighbouring bits
    lanes : uint64 (blocks, values / 8), written: eight values per word, the first in its lowest byte

    Raises
    ------
    ValueError
        The blocks end early, or a piece has another form or leaves its block.
    """
    blocks, count = lanes.shape
    if 8 * blocks * block_bytes > 64 * (words.size - 1) or pieces.shape[1] != 9:
        raise ValueError("the shapes of blocks, pieces and values do not fit together")
    for piece in range(pieces.shape[0]):
        width, place, first = pieces[piece, 0], pieces[piece, 1], pieces[piece, 2]
        outer, outer_step, middle, middle_step = pieces[piece, 3], pieces[piece, 4], pieces[piece, 5], pieces[piece, 6]
        inner, inner_step = pieces[piece, 7], pieces[piece, 8]
        last = first + (outer - 1) * outer_step + (middle - 1) * middle_step + (inner - 1) * inner_step + width
        if outer * middle * inner != 8 * count or inner % 8 != 0 or first < 0 or last > 8 * block_bytes or place + width > 8:
            raise ValueError("a piece does not fit its block")
        planes = inner_step == 1 and width == 1
        if inner_step != 8 and not planes:
            raise ValueError("a piece lies neither in bytes nor in a bit plane")
        mask, up, step = _ONES * np.uint64((1 << width) - 1), np.uint64(place), _8 if planes else _64
        for block in range(blocks):
            at = 0
            for a in range(outer):
                for b in range(middle):
                    position = np.uint64(8 * block * block_bytes + first + a * outer_step + b * middle_step)
                    for c in range(inner // 8):
                        bits = fetch_bits(words, position)
                        if planes:
                            bits = SPREAD[bits & _BYTE]
                        bits = (bits & mask) << up
                        lanes[block, at] = bits if piece == 0 else lanes[block, at] | bits
                        position += step
                        at += 1


@kernel
def gather_values(words, block_bytes, pieces, values):
    """Read one field of every block, value by value.

    Parameters
    ----------
    words, block_bytes, pieces : as `gather_lanes` takes them; the values of an innermost loop lie within 64 bits
    values : uint8 or uint16 (blocks, values), written

    Raises
    ------
    ValueError
        The blocks end early, or a piece leaves its block or the 64 bits that are read at once.
    """
    blocks, count = values.shape
    if 8 * blocks * block_bytes > 64 * (words.size - 1) or pieces.shape[1] != 9:
        raise ValueError("the shapes of blocks, pieces and values do not fit together")
    for piece in range(pieces.shape[0]):
        width, place, first = pieces[piece, 0], pieces[piece, 1], pieces[piece, 2]
        outer, outer_step, middle, middle_step = pieces[piece, 3], pieces[piece, 4], pieces[piece, 5], pieces[piece, 6]
        inner, inner_step = pieces[piece, 7], pieces[piece, 8]
        last = first + (outer - 1) * outer_step + (middle - 1) * middle_step + (inner - 1) * inner_step + width
        if outer * middle * inner != count or first < 0 or last > 8 * block_bytes or (inner - 1) * inner_step + width > 64:
            raise ValueError("a piece does not fit its block")
        mask, up, step = np.uint64((1 << width) - 1), np.uint64(place), np.uint64(inner_step)
        for block in range(blocks):
            at = 0
            for a in range(outer):
                for b in range(middle):
                    bits = fetch_bits(words, np.uint64(8 * block * block_bytes + first + a * outer_step + b * middle_step))
                    for c in range(inner):
                        value = (bits & mask) << up
                        values[block, at] = value if piece == 0 else values[block, at] | value
                        bits >>= step
                        at += 1


@kernel
def take_levels(numbers, levels, out):
    """Write the level of each number.

    Parameters
    ----------
    numbers : uint8 (values,); levels : int8 (256,); out : int8 (values,), written

    Raises
    ------
    ValueError
        The shapes do not fit together.
    """
    if numbers.size != out.size or levels.size != 256:
        raise ValueError("the shapes of numbers and levels do not fit together")
    for position in range(numbers.size):
        out[position] = levels[numbers[position]]


@kernel
def scale_groups(integers, steps, offsets, weights):
    """Write integer * step + offset of each group, the product and the sum rounded one after the other.

    Parameters
    ----------
    integers : int8 (groups, weights of a group); steps, offsets : float32 (groups,); no offsets: (0,)
    weights : float32, written, shaped as `integers`

    Raises
    ------
    ValueError
        The shapes do not fit together.
    """
    groups, count = integers.shape
    if weights.shape != integers.shape or steps.size != groups or (offsets.size != groups and offsets.size != 0):
        raise ValueError("the shapes of integers, steps and weights do not fit together")
    for group in range(groups):
        step, source, target = steps[group], integers[group], weights[group]
        if offsets.size == 0:
            for position in range(count):
                target[position] = np.float32(source[position]) * step
        else:
            offset = offsets[group]
            for position in range(count):
                target[position] = np.float32(source[position]) * step + offset


@kernel
def take_codewords(indices, codewords, per_word, signs, sign_bytes, out):
    """Write eight lanes per word: codewords side by side, those lanes negated that the word's signs name.

    Parameters
    ----------
    indices : uint16 (words * per_word,); codewords : uint64 (entries,), 8 / per_word lanes in the low bytes
    signs : uint8 (words,), sign fields; none: no lane is negated
    sign_bytes : uint8 (fields,), the lanes that each field negates
    out : uint64 (words,), written: lane 0 in the lowest byte

    Raises
    ------
    ValueError
        An index or a field is past its table, or the shapes do not fit together.
    """
    if indices.size != out.size * per_word or (signs.size != out.size and signs.size != 0):
        raise ValueError("the shapes of indices, signs and lanes do not fit together")
    lane_bits = np.uint64(64 // per_word)
    for word in range(out.size):
        lanes = np.uint64(0)
        for part in range(per_word):
            index = indices[word * per_word + part]
            if index >= codewords.size:
                raise ValueError("an index is past the codewords")
            lanes |= codewords[index] << (np.uint64(part) * lane_bits)
        if signs.size > 0:
            field = signs[word]
            if field >= sign_bytes.size:
                raise ValueError("a sign field is past its table")
            lanes = negated(lanes, sign_bytes[field])
        out[word] = lanes


@kernel
def unpack_trits(data, block_bytes, segments, values):
    """Unpack base-3 digits: a byte b holds the fraction b / 256, whose first digits are the values.

    Parameters
    ----------
    data : uint8 (blocks * block_bytes,)
    segments : int64 (segments, 3): first byte, bytes, and digits of each; digit p of all bytes precedes digit p + 1
    values : uint8 (blocks, values of a block), written with 0, 1 or 2

    Raises
    ------
    ValueError
        The shapes do not fit together.
    """
    blocks, count = values.shape
    total = 0
    for segment in range(segments.shape[0]):
        total += segments[segment, 1] * segments[segment, 2]
    if data.size != blocks * block_bytes or total != count:
        raise ValueError("the shapes of data, segments and values do not fit together")
    for block in range(blocks):
        at = 0
        for segment in range(segments.shape[0]):
            first, length = block * block_bytes + segments[segment, 0], segments[segment, 1]
            source = data[first : first + length]
            power = np.uint16(1)
            for digit in range(segments[segment, 2]):
                target = values[block, at : at + length]
                for c in range(length):
                    target[c] = (((np.uint16(source[c]) * power) & np.uint16(255)) * np.uint16(3)) >> np.uint16(8)
                power = np.uint16(power * np.uint16(3))
                at += length
