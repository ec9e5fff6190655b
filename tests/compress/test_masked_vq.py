"""Masked vector quantization: masks as numbers, weights as a plain reading gives them, the encoder against its definition."""

from __future__ import annotations

from itertools import combinations
from math import comb
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.compression.encoder import encode, reconstruct
from accelsim.compression.kmeans import kmeans
from accelsim.compression.masked_vq import largest
from accelsim.errors import FormatError
from accelsim.formats.bits import pack_bits
from accelsim.formats.catalog import parse_format
from accelsim.formats.masks import mask_patterns, pattern_bits, pattern_numbers
from accelsim.functional import check_functional
from accelsim.kernels.decode import codeword_words, stream_words
from accelsim.kernels.decode_masked import decode_masked_records, mask_table
from accelsim.kernels.stripe import decode_stripes
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace
from tests import naive_formats as naive

TRACES = Path(__file__).parents[2] / "traces"
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def gaussian(k: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((k, n)).astype(np.float32)


# -- masks


@pytest.mark.parametrize(("keep", "of"), [(1, 2), (2, 4), (3, 8), (4, 16), (15, 16)])
def test_a_pattern_number_is_that_of_the_combinatorial_number_system(keep: int, of: int) -> None:
    patterns = mask_patterns(keep, of)
    assert patterns.shape == (comb(of, keep), of)
    for lanes in combinations(range(of), keep):
        number = sum(comb(lane, place + 1) for place, lane in enumerate(lanes))
        assert np.flatnonzero(patterns[number]).tolist() == list(lanes)
    np.testing.assert_array_equal(pattern_numbers(patterns.astype(bool), keep), np.arange(comb(of, keep)))


def test_bits_are_those_of_the_paper() -> None:
    assert pattern_bits(4, 16) == 11  # C(16,4) = 1820
    assert pattern_bits(1, 2) == 1
    # MVQ's k=512 d=16 4:16: 9/16 + 11/16 = 1.25; 2:4 with k=1024 d=8: 10/8 + 3/4 = 2.
    assert parse_format("masked_vq:k=512,d=16,keep=4,of=16").bits_per_weight(192, 192).paper == 1.25
    assert parse_format("masked_vq:k=1024,d=8,keep=2,of=4").bits_per_weight(192, 192).paper == 2.0
    assert parse_format("masked_vq:k=512,d=16,keep=4,of=16").bits_per_weight(192, 192).total == pytest.approx(
        1.25 + (512 * 16 * 8 + 32) / 192**2
    )
    path = parse_format("masked_vq:k=512,d=16,keep=4,of=8").decode_path()
    assert (path.mask_bits, path.record_bits(16)) == (2 * 7, 9 + 14)  # C(8,4) = 70


# -- the format


@settings(max_examples=30, deadline=None)
@given(
    axis=st.integers(0, 1), codewords=st.integers(1, 20), shape=st.sampled_from([(2, 1, 2), (4, 1, 2), (8, 3, 4), (8, 3, 8)]),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_weights_are_codeword_lanes_that_the_mask_keeps(axis: int, codewords: int, shape: tuple[int, int, int], seed: int) -> None:
    d, keep, of = shape
    spec = parse_format(f"masked_vq:k={codewords},d={d},keep={keep},of={of},axis={axis}")
    rng = np.random.default_rng(seed)
    table = spec.streams(8, 16)
    arrays = {
        "indices": rng.integers(0, codewords, table["indices"].shape),
        "masks": rng.integers(0, comb(of, keep), table["masks"].shape),
        "codebook": rng.integers(-128, 128, (codewords, d)),
        "scales": np.ones(1, np.float32),
    }
    weights = spec.dequantize(spec.unpack(spec.pack(arrays, 8, 16), 8, 16), 8, 16)
    by_number = sorted(combinations(range(of), keep), key=lambda lanes: sum(1 << lane for lane in lanes))
    lists = (arrays["indices"].tolist(), arrays["codebook"].tolist())
    for row in range(8):
        for column in range(16):
            place = column if axis == 0 else row
            number = arrays["masks"][row, column // of] if axis == 0 else arrays["masks"][row // of, column]
            kept = place % of in by_number[number]
            assert weights[row, column] == (naive.codeword_weight(*lists, axis, row, column) if kept else 0)
    assert weights.dtype == np.int8


def test_what_does_not_fit_is_one_clear_message() -> None:
    for text, message in (
        ("k=4,d=8,keep=4,of=4", "keep=4 of=4 masks nothing; allowed: keep from 1 to 3"),
        ("k=4,d=8,keep=2,of=3", "of=3 does not divide d=8"),
        ("k=4,d=8,keep=0,of=4", "'keep' has value 0"),
        ("k=4,d=32,keep=8,of=32", "'of' has value 32"),
        ("k=4,d=8,keep=2", "'of' is missing"),
    ):
        with pytest.raises(FormatError, match=message):
            parse_format(f"masked_vq:{text}")
    spec = parse_format("masked_vq:k=4,d=4,keep=2,of=4")
    packed = spec.pack(encode(spec, gaussian(8, 8), np.random.default_rng(0)), 8, 8)
    with pytest.raises(FormatError, match=r"'masks': 7 is no pattern; allowed: 0\.\.5"):
        spec.unpack({**packed, "masks": pack_bits(np.full((8, 2), 7), 3)}, 8, 8)
    with pytest.raises(FormatError, match="k=17 codewords for 16 subvectors"):
        encode(parse_format("masked_vq:k=17,d=8,keep=2,of=4"), gaussian(8, 16), np.random.default_rng(0))


# -- the encoder


@pytest.mark.parametrize("axis", [0, 1])
def test_the_largest_weights_stay_and_take_the_codeword_that_is_nearest_on_them(axis: int) -> None:
    weights = gaussian(16, 24)
    spec = parse_format(f"masked_vq:k=6,d=8,keep=2,of=4,axis={axis}")
    arrays = encode(spec, weights, np.random.default_rng(0))
    integers = weights.astype(np.float64) / float(arrays["scales"][0])
    rows, found, indices = integers, reconstruct(spec, arrays, 16, 24), arrays["indices"]
    if axis == 1:
        rows, found, indices = rows.T, found.T, indices.T
    for row in range(rows.shape[0]):
        for place in range(rows.shape[1] // 8):
            lanes = rows[row, 8 * place : 8 * place + 8]
            kept = [lane for first in (0, 4) for lane in sorted(range(first, first + 4), key=lambda lane: -abs(lanes[lane]))[:2]]
            dropped = [lane for lane in range(8) if lane not in kept]
            assert not found[row, [8 * place + lane for lane in dropped]].any()
            distances = ((arrays["codebook"].astype(np.float64)[:, kept] - lanes[kept]) ** 2).sum(axis=1)
            assert distances[indices[row, place]] == pytest.approx(distances.min(), rel=1e-5)


def test_a_lane_that_is_dropped_neither_costs_nor_pulls() -> None:
    # Kept lanes are (1, 2) in every point; the dropped ones hold 100. One codeword: the means of what is kept.
    points = np.array([[1, 100], [3, 100], [100, 2], [100, 6]], np.float32)
    masks = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool)
    found = kmeans(points, 1, np.random.default_rng(0), masks)
    np.testing.assert_allclose(found.codebook, [[2, 4]])
    assert found.error == 1 + 1 + 4 + 4
    # Nobody keeps the second lane: it stays the 0 of the start.
    alone = kmeans(points[:2], 1, np.random.default_rng(0), masks[:2])
    np.testing.assert_allclose(alone.codebook, [[2, 0]])


def test_masked_clusters_are_at_least_as_good_on_what_stays_as_plain_ones() -> None:
    points = gaussian(2000, 8)
    masks = largest(points, 2, 4)
    pruned = np.where(masks, points, 0)
    found = kmeans(points, 16, np.random.default_rng(0), masks)
    fewer = kmeans(points, 1, np.random.default_rng(0), masks)
    assert found.error < fewer.error <= (pruned**2).sum() * 1.0001
    assert np.isin(np.arange(16), found.nearest).all()


# -- the kernel

# d, N and M: groups that are joined in a word, that cross words, and that fill two
SHAPES = (
    *((2, 1, 2), (8, 3, 4), (16, 2, 4), (12, 1, 2), (8, 3, 8), (72, 4, 8)),
    *((12, 2, 3), (15, 1, 5), (21, 3, 7), (33, 4, 11), (28, 5, 14), (16, 4, 16)),
)


@settings(max_examples=30, deadline=None)
@given(
    codewords=st.integers(1, 9),
    shape=st.sampled_from(SHAPES),
    first=st.integers(0, 70),
    data=st.data(),
)
def test_records_decode_as_one_big_integer_reads(codewords: int, shape: tuple[int, int, int], first: int, data: st.DataObject) -> None:
    d, keep, of = shape
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    codebook, patterns = rng.integers(-128, 128, (codewords, d), np.int8), mask_patterns(keep, of)
    index_bits, number_bits = max(1, (codewords - 1).bit_length()), pattern_bits(keep, of)
    whole, position, expected = 0, first, []
    for _ in range(7):
        index = int(rng.integers(codewords))
        whole |= index << position
        position += index_bits
        lanes = []
        for group in range(d // of):
            number = int(rng.integers(comb(of, keep)))
            whole |= number << position
            position += number_bits
            lanes += [int(codebook[index, group * of + e]) if patterns[number, e] else 0 for e in range(of)]
        expected.append(lanes)
    words = stream_words(np.frombuffer(whole.to_bytes(-(-position // 8), "little"), np.uint8))
    records = np.ones((7, -(-d // 8)), np.uint64)
    masks, book = mask_table(patterns, d), codeword_words(codebook)
    assert decode_masked_records(words, first, d, masks.lanes, index_bits, masks.bits, book, masks.words, records) == 0
    assert records.view(np.int8)[:, :d].tolist() == expected


def test_groups_that_fit_in_a_word_are_masked_by_their_joint_number() -> None:
    # 2:4 has 6 patterns of 3 bits: two groups are 8 lanes and 6 bits, and 6 x 6 of the 64 numbers are known.
    table = mask_table(mask_patterns(2, 4), 8)
    assert (table.lanes, table.bits, table.words.shape) == (8, 6, (64, 2))
    assert np.count_nonzero(table.words[:, 0]) == 36
    # Pattern 0 keeps lanes 0 and 1, pattern 5 lanes 2 and 3: number 0 + 8 * 5.
    assert table.words[40].view(np.uint8).tolist() == [255, 255, 0, 0, 0, 0, 255, 255] + [0] * 8
    sizes = {
        (d, of): mask_table(mask_patterns(1, of), d).lanes
        for d, of in ((8, 2), (12, 2), (4, 2), (10, 2), (12, 4), (6, 3), (15, 3), (16, 16))
    }
    assert sizes == {(8, 2): 8, (12, 2): 6, (4, 2): 4, (10, 2): 2, (12, 4): 4, (6, 3): 6, (15, 3): 3, (16, 16): 16}


def test_what_lies_past_codebook_or_patterns_decodes_as_zeros_and_is_counted() -> None:
    codebook = codeword_words(np.full((3, 4), 5, np.int8))  # 2 bits of index
    masks = mask_table(mask_patterns(2, 4), 4)  # 3 bits for 6 patterns
    records = np.ones((2, 1), np.uint64)
    words = stream_words(np.array([0b000_11 | (0b00 << 5) | (0b1 << 7), 0b11], np.uint8))  # index 3, number 0; index 0, number 7
    assert decode_masked_records(words, 0, 4, 4, 2, 3, codebook, masks.words, records) == 2
    assert not records.any()
    with pytest.raises(ValueError, match="ends before"):
        decode_masked_records(words, 60, 4, 4, 2, 3, codebook, masks.words, records)
    with pytest.raises(ValueError, match="codebook and records do not fit together"):
        decode_masked_records(words, 0, 4, 4, 2, 3, codebook, masks.words, np.ones((2, 2), np.uint64))
    for lanes, bits in ((3, 3), (4, 4)):
        with pytest.raises(ValueError, match="masks and records do not fit together"):
            decode_masked_records(words, 0, 4, lanes, 2, bits, codebook, masks.words, records)
    with pytest.raises(ValueError, match="does not divide"):
        decode_stripes(words, np.zeros((1, 1), np.int64), 4, 4, 0, 2, False, 0, codebook, *masks, np.ones((4, 6), np.float32))


def test_an_unknown_number_among_several_groups_of_wide_records_is_counted() -> None:
    # d = 16 in two blocks of two 2:4 groups; an index bit, then numbers 5, 0, 7 (unknown) and 1: the second block is zeros.
    whole = 0 | 5 << 1 | 0 << 4 | 7 << 7 | 1 << 10
    masks, records = mask_table(mask_patterns(2, 4), 16), np.ones((1, 2), np.uint64)
    book = codeword_words(np.arange(1, 17, dtype=np.int8).reshape(1, 16))
    words = stream_words(np.frombuffer(whole.to_bytes(2, "little"), np.uint8))
    assert decode_masked_records(words, 0, 16, masks.lanes, 1, masks.bits, book, masks.words, records) == 1
    assert records.view(np.int8).tolist() == [[0, 0, 3, 4, 5, 6, 0, 0] + [0] * 8]


# -- chips


@compiled
@pytest.mark.parametrize("preset", ["edge-32x32", "mcu-16x16"])
def test_the_papers_codewords_of_16_run_on_a_chip_that_has_them(preset: str) -> None:
    packed = compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("masked_vq:k=32,d=16,keep=4,of=16"))[0]
    chip = load_accelerator(preset, ["codebook.codeword_length=16"])
    assert check_functional(chip, packed).ok
    result = simulate(chip, packed)
    bits = {
        name: sum(item.bits for layer in result.layers for item in layer.traffic if item.operand == name) for name in ("indices", "masks")
    }
    weights = sum(layer.weight.count for layer in packed.weighted_layers() if layer.weight.format.kind == "masked_vq")
    assert bits == {"indices": weights // 16 * 5, "masks": weights // 16 * 11}
