"""Fields of blocks: the compiled loops equal a reader that takes one bit at a time, on random layouts and on those of the formats."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.kernels.block_fields import gather_lanes, gather_values, scale_groups, take_codewords, take_levels, unpack_trits
from accelsim.kernels.decode import stream_words

Loops = list[tuple[int, int]]


def bit(block: npt.NDArray[np.uint8], position: int) -> int:
    return int(block[position // 8]) >> position % 8 & 1


def naive_values(block: npt.NDArray[np.uint8], pieces: list[tuple[int, int, Loops]]) -> list[int]:
    """The values of a field: for every place of the loops in order, the bits of all pieces, lowest first."""
    places = [
        [first + sum(step * at for (_, step), at in zip(loops, ats, strict=True)) for ats in product(*(range(n) for n, _ in loops))]
        for _, first, loops in pieces
    ]
    values = []
    for firsts in zip(*places, strict=True):
        bits = [bit(block, first + offset) for first, (width, _, _) in zip(firsts, pieces, strict=True) for offset in range(width)]
        values.append(sum(value << place for place, value in enumerate(bits)))
    return values


def rows(pieces: list[tuple[int, int, Loops]]) -> npt.NDArray[np.int64]:
    out, place = [], 0
    for width, first, loops in pieces:
        padded = [(1, 0)] * (3 - len(loops)) + loops
        out.append([width, place, first, *(number for loop in padded for number in loop)])
        place += width
    return np.array(out, np.int64)


def blocks_of(count: int, size: int, seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size), dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_values_of_any_pieces_are_read_bit_by_bit(data: st.DataObject, seed: int) -> None:
    shape = data.draw(st.sampled_from([[4], [2, 3], [2, 2, 3], [1]]))
    pieces, end = [], 1
    for width in data.draw(st.sampled_from([[4], [7], [4, 2], [8, 3], [16], [1, 1, 1]])):
        steps = [data.draw(st.integers(0, 40)) for _ in shape[:-1]] + [data.draw(st.integers(0, (64 - width) // max(1, shape[-1] - 1)))]
        first = data.draw(st.integers(0, 30))
        pieces.append((width, first, list(zip(shape, steps, strict=True))))
        end = max(end, first + width + sum(step * (count - 1) for count, step in zip(shape, steps, strict=True)))
    blocks = blocks_of(3, -(-end // 8), seed)
    total = sum(width for width, _, _ in pieces)
    values = np.full((3, int(np.prod(shape))), 99, np.uint8 if total <= 8 else np.uint16)
    gather_values(stream_words(blocks.reshape(-1)), blocks.shape[1], rows(pieces), values)
    assert values.tolist() == [naive_values(block, pieces) for block in blocks]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_eight_lanes_at_once_are_the_same_values(data: st.DataObject, seed: int) -> None:
    """Neighbouring bytes, each of them shifted alike, and bit planes."""
    inner, outer = data.draw(st.sampled_from([8, 16])), data.draw(st.integers(1, 2))
    pieces = []
    for width in data.draw(st.sampled_from([[4], [2, 1], [4, 1], [8], [1]])):
        plane = width == 1 and data.draw(st.booleans())
        first, step = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 20))
        first -= max(0, first % 8 + width - 8)
        step = step if plane else 8 * (step // 8)
        pieces.append((width, first, [(outer, step), (inner, 1 if plane else 8)]))
    blocks = blocks_of(3, 24, seed)
    values = np.full((3, outer * inner), 99, np.uint8)
    gather_lanes(stream_words(blocks.reshape(-1)), 24, rows(pieces), values.view(np.uint64))
    assert values.tolist() == [naive_values(block, pieces) for block in blocks]


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ((4, 0, [(8, 8)]), "does not fit its block"),  # 7 bytes and 4 bits
        ((4, -1, [(8, 4)]), "does not fit its block"),
        ((4, 0, [(7, 4)]), "does not fit its block"),  # seven values into eight
    ],
)
def test_a_piece_that_leaves_its_block_is_refused(piece: tuple[int, int, Loops], words: str) -> None:
    blocks = blocks_of(2, 7, 0)
    with pytest.raises(ValueError, match=words):
        gather_values(stream_words(blocks.reshape(-1)), 7, rows([piece]), np.zeros((2, 8), np.uint8))
    with pytest.raises(ValueError, match=words):
        gather_lanes(stream_words(blocks.reshape(-1)), 7, rows([piece]), np.zeros((2, 1), np.uint64))


def test_a_stride_that_lanes_do_not_have_and_blocks_that_end_early_are_refused() -> None:
    blocks = blocks_of(2, 8, 0)
    with pytest.raises(ValueError, match="neither in bytes nor in a bit plane"):
        gather_lanes(stream_words(blocks.reshape(-1)), 8, rows([(4, 0, [(8, 4)])]), np.zeros((2, 1), np.uint64))
    for read, out in ((gather_lanes, np.zeros((3, 1), np.uint64)), (gather_values, np.zeros((3, 8), np.uint8))):
        with pytest.raises(ValueError, match="do not fit together"):
            read(stream_words(blocks.reshape(-1)), 8, rows([(8, 0, [(8, 8)])]), out)


def test_base_3_digits_come_out_of_the_byte_that_their_fraction_rounds_up_to() -> None:
    """Five digits t of weight 3^4 to 1 make q; the byte is ceil(256 q / 243), as llama.cpp packs it."""
    digits = np.array(list(product(range(3), repeat=5)))
    codes = -(-256 * (digits @ np.array([81, 27, 9, 3, 1])) // 243)
    out = np.empty((243, 5), np.uint8)
    unpack_trits(codes.astype(np.uint8), 1, np.array([[0, 1, 5]], np.int64), out)
    np.testing.assert_array_equal(out, digits)
    with pytest.raises(ValueError, match="do not fit together"):
        unpack_trits(codes.astype(np.uint8), 1, np.array([[0, 1, 4]], np.int64), out)


def test_digits_of_all_bytes_of_a_segment_precede_the_next_digit() -> None:
    """Two bytes of two digits, then one of one: b0 d0, b1 d0, b0 d1, b1 d1, b2 d0; digits 1/3 and 2/9 of 256."""
    code = {(0, 0): 0, (1, 2): -(-256 * (3 + 2) // 9), (2, 1): -(-256 * (6 + 1) // 9)}
    data = np.array([code[1, 2], code[2, 1], code[2, 1]], np.uint8)
    out = np.empty((1, 5), np.uint8)
    unpack_trits(data, 3, np.array([[0, 2, 2], [2, 1, 1]], np.int64), out)
    assert out.tolist() == [[1, 2, 2, 1, 2]]


@settings(max_examples=20, deadline=None)
@given(per_word=st.sampled_from([1, 2]), signed=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_codewords_and_signs_are_those_of_plain_indexing(per_word: int, signed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = 8 // per_word
    grid = rng.integers(-127, 128, (20, d)).astype(np.int8)
    indices, signs = rng.integers(0, 20, 6 * per_word).astype(np.uint16), rng.integers(0, 128, 6).astype(np.uint8)
    table = rng.integers(0, 256, 128).astype(np.uint8)
    lanes = np.zeros((20, 8), np.int8)
    lanes[:, :d] = grid
    out = np.empty(6, np.uint64)
    take_codewords(indices, lanes.view(np.uint64).reshape(-1), per_word, signs if signed else signs[:0], table, out)
    flat = [int(value) for index in indices for value in grid[index]]
    negative = [signed and bool(int(table[signs[place // 8]]) >> place % 8 & 1) for place in range(48)]
    assert out.view(np.int8).tolist() == [-value if minus else value for value, minus in zip(flat, negative, strict=True)]


def test_what_is_past_a_table_is_refused() -> None:
    words, none = np.zeros(4, np.uint64), np.zeros(0, np.uint8)
    with pytest.raises(ValueError, match="an index is past the codewords"):
        take_codewords(np.array([4], np.uint16), words, 1, none, np.zeros(1, np.uint8), np.empty(1, np.uint64))
    with pytest.raises(ValueError, match="a sign field is past its table"):
        take_codewords(np.array([3], np.uint16), words, 1, np.array([1], np.uint8), np.zeros(1, np.uint8), np.empty(1, np.uint64))
    with pytest.raises(ValueError, match="do not fit together"):
        take_codewords(np.array([3], np.uint16), words, 2, none, np.zeros(1, np.uint8), np.empty(1, np.uint64))
    with pytest.raises(ValueError, match="do not fit together"):
        take_levels(np.zeros(3, np.uint8), np.zeros(16, np.int8), np.zeros(3, np.int8))


def test_levels_are_looked_up_and_groups_scaled_with_one_rounding_each() -> None:
    """3 x 0.1 rounds to 0.3 (float32), then 0.3 + 1e8 to 1e8."""
    levels = np.zeros(256, np.int8)
    levels[:3] = (5, -7, 3)
    out = np.empty(4, np.int8)
    take_levels(np.array([2, 0, 1, 1], np.uint8), levels, out)
    assert out.tolist() == [3, 5, -7, -7]
    weights = np.empty((2, 2), np.float32)
    steps, offsets = np.array([0.1, 2.0], np.float32), np.array([1e8, -1.0], np.float32)
    scale_groups(out.reshape(2, 2), steps, offsets, weights)
    assert weights.tolist() == [[float(np.float32(1e8))] * 2, [-15.0, -15.0]]
    scale_groups(out.reshape(2, 2), steps, offsets[:0], weights)
    assert weights[0].tolist() == [float(np.float32(3) * np.float32(0.1)), float(np.float32(5) * np.float32(0.1))]
    with pytest.raises(ValueError, match="do not fit together"):
        scale_groups(out.reshape(2, 2), steps[:1], offsets, weights)
