"""Group integers, palettes and additive codebooks: weights by definition, parts, timing, encoders and hostile input."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.encoder import encode
from accelsim.compression.recipe import make_recipe
from accelsim.errors import CompileError, FormatError
from accelsim.formats.catalog import format_examples, parse_format
from accelsim.formats.parts import Lookup, Offset, Raw, Scale
from accelsim.functional import check_computable
from accelsim.hw.decode_mac_core import CoreGeometry, run_stand_alone
from accelsim.simulation import simulate
from tests import naive_group_formats as naive
from tests.contract.test_weight_traffic import machine, product, read_bits
from tests.random_weights import random_arrays

K, N = 40, 24


def both(text: str, k: int = K, n: int = N) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Random arrays of a format after packing, and its weights."""
    spec = parse_format(text)
    arrays = spec.unpack(spec.pack(random_arrays(spec, k, n, np.random.default_rng(7)), k, n), k, n)
    return arrays, spec.reconstruct(arrays, k, n)


def check(found: np.ndarray, expected: list[list[Fraction]]) -> None:
    assert [[Fraction(float(value)) for value in row] for row in found] == expected


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group", [32, 16, 128])
@pytest.mark.parametrize("offset", ["zero=0", "zero=1", "minimum=1"])
def test_group_integers_are_those_of_the_definition(bits: int, group: int, offset: str) -> None:
    """40 inputs: a last group of 8 inputs, a last group of 8, and one group that is never full."""
    arrays, weights = both(f"int_group:bits={bits},group={group},{offset}")
    assert arrays["scales"].shape == (-(-K // group), N)
    check(weights, [[naive.int_group_weight(arrays, group, row, column) for column in range(N)] for row in range(K)])


@pytest.mark.parametrize(("bits", "d", "tables", "axis"), [(4, 1, 1, 0), (2, 1, 8, 0), (3, 2, 4, 0), (1, 4, 3, 1), (8, 2, 24, 1)])
def test_palette_weights_are_those_of_the_definition(bits: int, d: int, tables: int, axis: int) -> None:
    arrays, weights = both(f"palette:bits={bits},d={d},tables={tables},axis={axis}")
    share = N // tables
    check(weights, [[naive.palette_weight(arrays, bits, d, axis, share, row, column) for column in range(N)] for row in range(K)])


@pytest.mark.parametrize(("books", "bits", "d", "element"), [(1, 4, 8, 8), (2, 8, 8, 7), (4, 3, 4, 6), (8, 2, 2, 8)])
def test_additive_weights_are_those_of_the_definition(books: int, bits: int, d: int, element: int) -> None:
    arrays, weights = both(f"aqlm:books={books},bits={bits},d={d},element_bits={element}")
    check(weights, [[naive.aqlm_weight(arrays, books, bits, d, row, column) for column in range(N)] for row in range(K)])


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("bits", "residual_bits", "d", "element"), [(8, 4, 8, 7), (4, 6, 4, 6), (3, 1, 2, 8), (6, 0, 8, 8)])
def test_weights_of_a_residual_codebook_are_those_of_the_definition(bits: int, residual_bits: int, d: int, element: int, axis: int) -> None:
    arrays, weights = both(f"vptq:bits={bits},residual_bits={residual_bits},d={d},element_bits={element},axis={axis}")
    assert ("residuals" in arrays) == (residual_bits > 0)
    check(weights, [[naive.vptq_weight(arrays, bits, d, axis, row, column) for column in range(N)] for row in range(K)])


def test_a_residual_codebook_takes_a_port_its_bits_and_its_share_of_the_load() -> None:
    """8 + 4 bits per vector of 8; 272 codewords of 8 x 7 bits; each store is rounded to a power of two."""
    spec = parse_format("vptq:bits=8,residual_bits=4")
    path = spec.decode_path()
    assert path.lookup == Lookup(256, 8, element_bits=7, residual=16)
    assert (path.record_bits(8), path.entries, path.lane_bits, path.lookup.lookups) == (12, 272, 8, 2)
    assert parse_format("vptq:bits=16").bits_per_weight(4096, 4096).paper == 3.0
    found = simulate(machine(spec), product(spec))
    assert read_bits(found)["codebook"] == 272 * 8 * 7
    with pytest.raises(CompileError, match=r"2 lookups per vector exceed codebook\.ports = 1 .*allowed: at least 2 ports"):
        simulate(machine(spec, codebook={"ports": 1, "codeword_length": 8, "codewords": 512}), product(spec))
    chip = load_accelerator("edge-64x64")
    assert "codebook.codewords=272" in codebook_overrides(chip, product(spec))
    assert f"codebook.codewords={65536 + 256}" in codebook_overrides(chip, product(parse_format("vptq:bits=16")))


@pytest.mark.parametrize(("ports", "cycles"), [(4, 42), (2, 58)])
def test_a_residual_takes_the_cycles_of_a_second_book(ports: int, cycles: int) -> None:
    """8x8, K = 16, N = 8, M = 1, vectors of 4, as for two books of one size: half of the ports look residuals up."""
    core = CoreGeometry(8, 8, 4, 16, ports // 2, 1024, True, False, 0, 16, residual=4)
    assert (core.record_bits, core.codebook_words) == (4 + 2, 16 + 4)
    assert run_stand_alone(core, 1, 16, 8).cycles == cycles


def test_bits_per_weight_count_scales_zeros_and_tables() -> None:
    """int4 of 128: 4 + 16/128, and 4 more bits per zero point; 16 entries of a byte and a float32 scale per 128 x 64 weights."""
    assert parse_format("int_group:bits=4,group=128").bits_per_weight(128, 64).total == 4.125
    assert parse_format("int_group:bits=4,group=128,zero=1").bits_per_weight(128, 64).total == 4.125 + 4 / 128
    assert parse_format("int_group:bits=4,group=64,minimum=1").bits_per_weight(128, 64).total == 4.5
    assert parse_format("palette:bits=4").bits_per_weight(128, 64).total == 4 + (16 * 8 + 32) / (128 * 64)
    assert parse_format("aqlm:books=2,bits=8").bits_per_weight(512, 64).paper == 2.0


def test_parts_say_what_decodes_a_weight() -> None:
    assert parse_format("int_group:bits=4,group=32").decode_path().parts == (Raw(4), Scale(32, 16))
    zero = parse_format("int_group:bits=2,group=64,zero=1").decode_path()
    assert zero.parts[1:] == (Offset("zero point", 64, 2, "zeros"), Scale(64, 16))
    assert zero.lane_bits == 3  # -3..3
    minimum = parse_format("int_group:bits=4,group=64,minimum=1").decode_path()
    assert minimum.parts[1:] == (Scale(64, 16), Offset("minimum", 64, 16, "minima", "float"))
    assert minimum.lane_bits == 5  # 0..15
    assert parse_format("aqlm:books=2,bits=8").decode_path().lookup == Lookup(256, 8, books=2, element_bits=7)
    assert parse_format("palette:bits=4,tables=8").decode_path().entries == 128


@pytest.mark.parametrize(("ports", "books", "cycles"), [(2, 1, 42), (4, 2, 42), (2, 2, 58)])
def test_two_lookups_per_vector_take_twice_the_ports_or_twice_the_cycles(ports: int, books: int, cycles: int) -> None:
    """8x8, K = 16, N = 8, M = 1, vectors of 4: eight weights per cycle on two ports; two lookups need four, or half the rate."""
    core = CoreGeometry(8, 8, 4, 16, ports // books, 1024, True, False, 0, 16, books=books, tables=books)
    assert run_stand_alone(core, 1, 16, 8).cycles == cycles


def test_an_additive_format_loads_every_codebook_and_needs_a_port_per_lookup() -> None:
    spec = parse_format("aqlm:books=2,bits=4,d=4")
    assert read_bits(simulate(machine(spec), product(spec)))["codebook"] == 2 * 16 * 4 * 7
    with pytest.raises(CompileError, match=r"2 lookups per vector exceed codebook\.ports = 1 .*allowed: at least 2 ports"):
        simulate(machine(spec, codebook={"ports": 1, "codeword_length": 4, "codewords": 32}), product(spec))
    with pytest.raises(CompileError, match=r"k = 16 codewords in 2 codebooks exceed codebook\.codewords = 16"):
        simulate(machine(spec, codebook={"ports": 2, "codeword_length": 4, "codewords": 16}), product(spec))


@pytest.mark.parametrize("text", format_examples())
def test_the_functional_check_computes_every_format(text: str) -> None:
    check_computable(product(parse_format(text)))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zero", [0, 1])
def test_rounding_to_nearest_errs_by_half_a_step_at_most(bits: int, zero: int) -> None:
    """A step is the scale of the group; rounding the scale to binary16 moves the ends by 2^-11 of the largest level."""
    spec = parse_format(f"int_group:bits={bits},group=16,zero={zero}")
    weights = np.random.default_rng(3).standard_normal((40, 8)).astype(np.float32)
    arrays = encode(spec, weights, np.random.default_rng(0))
    error = np.abs(spec.reconstruct(arrays, 40, 8) - weights)
    steps = np.repeat(arrays["scales"].astype(np.float64), 16, axis=0)[:40]
    slack = 2.0**-11 * (1 << bits) * (1 if zero else 0.5)
    assert (error <= steps * (0.5 + zero * 0.5 + slack)).all()


def test_a_group_of_a_tensor_far_from_zero_is_counted_from_its_minimum() -> None:
    """Sixteen steps of 1/4 from 100 to 103.75 are exact; the last group holds three inputs of eight."""
    spec = parse_format("int_group:bits=4,group=8,minimum=1")
    weights = (100 + np.random.default_rng(4).integers(0, 16, (11, 6)) / 4).astype(np.float32)
    weights[0], weights[1], weights[8], weights[9] = 100, 103.75, 100, 103.75
    np.testing.assert_array_equal(spec.reconstruct(encode(spec, weights, np.random.default_rng(0)), 11, 6), weights)


def test_beside_a_minimum_a_scale_may_be_negative() -> None:
    """mlx counts down from the largest weight where that is the largest magnitude."""
    spec = parse_format("int_group:bits=4,group=16,minimum=1")
    arrays = random_arrays(spec, 16, 2, np.random.default_rng(2))
    arrays["scales"] = -arrays["scales"]
    stored = spec.unpack(spec.pack(arrays, 16, 2), 16, 2)
    assert (spec.reconstruct(stored, 16, 2) <= arrays["minima"]).all()
    arrays["minima"][0, 1] = np.nan
    with pytest.raises(FormatError, match="'minima': holds NaN or an infinity"):
        spec.pack(arrays, 16, 2)


def test_a_palette_of_as_many_entries_as_values_is_exact_up_to_its_bytes() -> None:
    """Sixteen values that are multiples of 1/127 of the largest one: k-means finds them, and int8 holds them."""
    rng = np.random.default_rng(5)
    values = rng.choice(np.arange(-127, 128), 16, replace=False).astype(np.float32)
    values[0] = 127
    weights = values[rng.integers(0, 16, (32, 24))]
    weights[0, :16] = values
    spec = parse_format("palette:bits=4")
    np.testing.assert_allclose(spec.reconstruct(encode(spec, weights, rng), 32, 24), weights, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("text", ["int_group:bits=4,group=32", "palette:bits=4", "aqlm:books=2,bits=4,d=4"])
def test_a_scale_that_is_not_positive_and_finite_is_refused(text: str, value: float) -> None:
    spec = parse_format(text)
    arrays = random_arrays(spec, K, N, np.random.default_rng(1))
    arrays["scales"].reshape(-1)[0] = value
    with pytest.raises(FormatError, match="'scales': holds a scale that is not a positive finite number"):
        spec.pack(arrays, K, N)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("palette:bits=4,tables=5", "tables=5 of d=1 do not part N=24 into equal shares of whole entries; allowed: a divisor of 24"),
        ("palette:bits=4,d=4,tables=4", "allowed: a divisor of 24 whose share is a multiple of d"),
        ("aqlm:books=2,bits=8,d=16", r"d=16 does not divide K=40 \(axis=1\)"),
        ("int_group:bits=9,group=32", "'bits' has value 9"),
        ("int_group:bits=4,group=4", "'group' has value 4"),
        ("int_group:bits=4,group=32,zero=2", "'zero' has value 2"),
        ("int_group:bits=4,group=32,zero=1,minimum=1", "zero=1 and minimum=1 exclude each other"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        parse_format(text).streams(K, N)


def test_weights_too_large_for_binary16_scales_are_refused() -> None:
    with pytest.raises(FormatError, match="a group needs a scale of 142857; allowed: at most 65504"):
        encode(parse_format("int_group:bits=4,group=128"), np.full((8, 8), 1e6, np.float32), np.random.default_rng(0))


def test_a_group_format_goes_to_the_layers_of_numbered_blocks() -> None:
    recipe = make_recipe("int_group:bits=4,group=32")
    assert recipe.format_of("vit.layers.0.fc1").kind == "int_group"
    assert recipe.format_of("classifier").kind == "uniform"
