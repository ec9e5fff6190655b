"""E8P of QuIP#: its grid constructed again from the lattice, its weights by definition, its sums on the chip, its bits and decoder."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.encoder import encode
from accelsim.compression.open_trace import open_trace
from accelsim.compression.recipe import make_recipe
from accelsim.cost.decoder_parts import decoder_parts
from accelsim.cost.technology import load_technology
from accelsim.errors import FormatError
from accelsim.formats.block_decoding import grid_of
from accelsim.formats.catalog import parse_format
from accelsim.formats.parts import Lookup, ParityShift
from accelsim.functional import check_functional
from accelsim.presets import find_trace
from accelsim.trace.trace import load_trace
from tests.functional.test_stored_formats import found_sums
from tests.packed_products import LAYER
from tests.random_weights import random_arrays

# The 29 points of squared norm 12 of appendix C.1 of arXiv 2402.04396, in halves.
PADDING = (
    "31113333 13113333 11313333 11133333 33313311 33313131 33311331 33313113 33311313 33311133 "
    "33133311 33133131 33131331 33133113 33131313 33131133 31333311 31333131 31331331 31333113 "
    "31331313 13331133 13333311 13333131 13331331 13333113 13331313 11331333 33113331"
)


def decoded(index: int, signs: int) -> list[Fraction]:
    """The eight weights of a code: the definition, in fractions."""
    base = [Fraction(int(quarters), 4) for quarters in grid_of("e8p")[index]]
    flips = [signs >> place & 1 for place in range(8)]
    odd = sum(flips) % 2
    flips[0] ^= odd
    return [(-value if flip else value) + (Fraction(-1, 4) if odd else Fraction(1, 4)) for value, flip in zip(base, flips, strict=True)]


def test_the_grid_is_that_of_the_lattice() -> None:
    """Points of D8 + 1/2: half-integers whose sum is even. Their magnitudes within sqrt(10) are 227 vectors, whatever the signs."""
    points = np.array(list(product(range(-5, 6, 2), repeat=8)), np.int64)  # halves; 7/2 squared is 12.25 already
    inside = points[(points.sum(axis=1) % 4 == 0) & ((points**2).sum(axis=1) <= 40)]
    magnitudes = np.unique(np.abs(inside), axis=0)
    assert magnitudes.shape == (227, 8)
    padding = np.array([[int(digit) for digit in text] for text in PADDING.split()])
    assert padding.shape == (29, 8)
    assert set((padding**2).sum(axis=1)) == {48}
    grid = grid_of("e8p").astype(np.int64)
    np.testing.assert_array_equal(np.abs(grid), 2 * np.concatenate([magnitudes, padding]))
    assert (grid[:, :7] > 0).all()
    assert (grid.sum(axis=1) % 8 == 0).all()  # quarters: an even sum


def test_the_codes_are_distinct_points_of_e8_moved_by_a_quarter() -> None:
    """E8: all integers or all half-integers, with an even sum."""
    spec = parse_format("quip_e8p")
    codes = np.arange(65536)
    arrays = {"indices": (codes >> 8)[None, :], "signs": (codes & 255)[None, :]}
    quarters = spec.dequantize(arrays, 8, 65536).astype(np.int64).T
    assert np.unique(quarters, axis=0).shape[0] == 65536
    moved = quarters - 1
    assert np.isin(moved % 4, (0, 2)).all()
    assert (moved % 4 == moved[:, :1] % 4).all()
    assert (moved.sum(axis=1) % 8 == 0).all()
    assert (quarters.min(), quarters.max()) == (-11, 11)


def test_weights_are_those_of_the_definition() -> None:
    spec = parse_format("quip_e8p")
    arrays = spec.unpack(spec.pack(random_arrays(spec, 40, 24, np.random.default_rng(7)), 40, 24), 40, 24)
    scale = Fraction(float(arrays["scales"][0]))
    found = spec.reconstruct(arrays, 40, 24)
    for vector, column in product(range(5), range(24)):
        expected = decoded(int(arrays["indices"][vector, column]), int(arrays["signs"][vector, column]))
        assert [Fraction(float(value)) for value in found[8 * vector : 8 * vector + 8, column]] == [scale * value for value in expected]


def test_sums_on_the_chip_are_those_of_the_definition() -> None:
    rows, sums, trace = found_sums("quip_e8p", 2, 72, 24)  # a K-tile of 64 rows and one of 8
    arrays = trace.arrays(LAYER)
    weights = np.zeros((72, 24), np.int64)
    for vector, column in product(range(9), range(24)):
        point = decoded(int(arrays["indices"][vector, column]), int(arrays["signs"][vector, column]))
        weights[8 * vector : 8 * vector + 8, column] = [int(4 * value) for value in point]
    np.testing.assert_array_equal(sums, rows.astype(np.int64) @ weights)


def test_a_record_has_two_bits_per_weight_and_the_grid_is_in_rom() -> None:
    spec = parse_format("quip_e8p")
    path = spec.decode_path()
    assert (path.record_bits(8), path.lookup, path.parity_shift) == (16, Lookup(256, 8, element_bits=5, scope="shared"), ParityShift(8))
    assert spec.bits_per_weight(256, 64).paper == 2
    assert spec.bits_per_weight(256, 64).total == 2 + 32 / (256 * 64)
    (shift,) = decoder_parts(path, load_accelerator("edge-64x64"), load_technology("nangate45"))
    assert (shift.name, shift.gates.nominal if shift.gates else 0) == ("parity shifts", pytest.approx(4 * 8 * 2))  # 4 ports, 8 XOR of 2 GE
    with pytest.raises(FormatError, match=r"vectors of 8 weights do not fill K=12; allowed: a multiple of 8"):
        spec.streams(12, 8)


def test_each_vector_becomes_the_nearest_of_all_points() -> None:
    """Against all 65,536 points, by the definition."""
    spec = parse_format("quip_e8p")
    weights = np.random.default_rng(5).standard_normal((16, 6)).astype(np.float32)
    codes = np.arange(65536)
    points = spec.dequantize({"indices": (codes >> 8)[None, :], "signs": (codes & 255)[None, :]}, 8, 65536).T / 4
    arrays = encode(spec, weights, np.random.default_rng(0))
    error = np.square(spec.reconstruct(arrays, 16, 6) - weights)
    scale = float(arrays["scales"][0])
    assert scale == pytest.approx(float(np.sqrt(np.square(weights.astype(np.float64)).mean())))
    for vector, column in product(range(2), range(6)):
        own = slice(8 * vector, 8 * vector + 8)
        least = np.square(scale * points - weights[own, column]).sum(axis=1).min()
        assert error[own, column].sum() == pytest.approx(least, rel=1e-5)


def test_a_network_is_encoded_and_computed_bit_for_bit() -> None:
    """The grid is the chip's, so no codebook is drawn, and none is stored."""
    trace = open_trace("tiny_vit_float@quip_e8p")
    chip = load_accelerator("edge-64x64")
    report = check_functional(load_accelerator("edge-64x64", codebook_overrides(chip, trace)), trace)
    assert report.ok, [layer.message for layer in report.layers if not layer.ok]
    packed, _ = compress_trace(load_trace(find_trace("tiny_vit_float")), make_recipe("quip_e8p"))
    assert {name for layer in packed.weighted_layers() for name in layer.weight.streams} == {"indices", "signs", "scales", "weights"}
    assert packed.manifest.metrics["relative_mse"] < 0.1
