"""Formats as files store them, on edge-64x64: decoded out of the image and summed bit for bit, near the definition, flips named."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.target import target_of
from accelsim.errors import CompileError
from accelsim.formats.catalog import format_examples, parse_format
from accelsim.formats.gguf_blocks import LAYOUTS
from accelsim.functional import check_functional, multiply_layer
from accelsim.functional.groups import UnitDecoder, scaled_sums
from accelsim.trace.payload import MemoryPayload
from accelsim.trace.trace import Trace
from tests import naive_group_formats as naive
from tests.packed_products import LAYER, packed_product

TYPES = sorted(LAYOUTS)
STORED = sorted(
    {text for text in format_examples() if parse_format(text).decode_path().beyond_core and parse_format(text).decode_path().lane_bits <= 8}
    | {
        "palette:bits=3,d=8,tables=3,axis=1",
        "palette:bits=1,d=4,tables=24",
        "block_palette:bits=4,rows=128,cols=64",
        "block_palette:bits=3,rows=96,cols=192",
        "block_palette:bits=2,rows=24,cols=32,d=2,axis=1",
        "huffman-block_palette:bits=2,rows=64,cols=16,d=2",
        "aqlm:books=2,bits=5,d=4,element_bits=5",
        "aqlm:books=1,bits=6,element_bits=6",
        "vptq:bits=5,residual_bits=9,d=16",
        "vptq:bits=5,residual_bits=9,d=16,axis=1",
        "int_group:bits=3,group=24,zero=1",
        "int_group:bits=7,group=96,minimum=1",
        "int_group:bits=8,group=24,minimum=1",
        "huffman-int_group:bits=8,group=64,zero=1",
    }
)  # what the core of the RTL has no kernel for
ERROR = re.compile(r"bit-exact; float32 sums within (\S+) of float64")


def chip(trace: Trace, *overrides: str) -> Accelerator:
    base = load_accelerator("edge-64x64", list(overrides))
    return load_accelerator("edge-64x64", [*overrides, *codebook_overrides(base, trace)])


def found_sums(text: str, m: int, k: int, n: int, *overrides: str) -> tuple[np.ndarray, np.ndarray, Trace]:
    """(activations, sums) of a product on edge-64x64, and its trace; the check has passed."""
    trace = packed_product(text, m, k, n)
    machine = chip(trace, *overrides)
    rows = np.random.default_rng(3).integers(-128, 128, (1, m, k), np.int8)
    layer = trace.products()[0]
    check, (sums,) = multiply_layer(
        target_of(machine, [trace]), machine.array.psum_bits, trace, layer, lambda *shape: rows.reshape(1, *shape)
    )
    assert check.ok, check.message
    return rows[0], sums, trace


@pytest.mark.parametrize("text", STORED)
def test_each_format_is_bit_exact_on_edge_64x64(text: str) -> None:
    """96 outputs: a whole stripe and half of one; 512 inputs are 2 blocks and 8 K-tiles or more."""
    trace = packed_product(text, 3, 512, 96)
    (layer,) = check_functional(chip(trace), trace).layers
    error = ERROR.fullmatch(layer.message)
    if parse_format(text).decode_path().scale_levels:
        assert error, layer.message
        assert float(error[1]) < 1e-6
    else:
        assert layer.message == "bit-exact"


@pytest.mark.parametrize("name", TYPES)
def test_sums_of_blocks_are_those_of_the_packages_weights(name: str) -> None:
    """The gguf package's float32 weights, multiplied in float64: they differ by the rounding of each weight and of each float32 sum."""
    rows, sums, trace = found_sums(f"gguf:type={name}", 3, 512, 40)
    blocks = trace.arrays(LAYER)["blocks"].reshape(40, -1)
    weights = quants.dequantize(blocks, GGMLQuantizationType[name]).astype(np.float64).T
    exact = rows.astype(np.float64) @ weights
    magnitude = np.abs(rows.astype(np.float64)) @ np.abs(weights)
    steps = 2 * 512 // LAYOUTS[name].weights * LAYOUTS[name].fields["scales"].count + 2
    assert (np.abs(sums - exact) <= steps * 2.0**-24 * magnitude).all()


@pytest.mark.parametrize(
    "text",
    [
        "palette:bits=2,d=2,tables=4",
        "aqlm:books=3,bits=4,d=4,element_bits=6",
        "vptq:bits=4,residual_bits=2,d=8",
        "vptq:bits=4,residual_bits=2,d=8,axis=1",
    ],
)
def test_sums_of_looked_up_weights_are_those_of_the_definition(text: str) -> None:
    rows, sums, trace = found_sums(text, 2, 16, 24)
    arrays = {**trace.arrays(LAYER), "scales": np.ones(24)}
    if text.startswith("palette"):
        weights = [[int(naive.palette_weight(arrays, 2, 2, 0, 6, row, column)) for column in range(24)] for row in range(16)]
    elif text.startswith("vptq"):
        weights = [[int(naive.vptq_weight(arrays, 4, 8, int("axis=1" in text), row, column)) for column in range(24)] for row in range(16)]
    else:
        weights = [[int(naive.aqlm_weight(arrays, 3, 4, 4, row, column)) for column in range(24)] for row in range(16)]
    assert sums.tolist() == [
        [sum(int(a) * line[column] for a, line in zip(row, weights, strict=True)) for column in range(24)] for row in rows
    ]


@pytest.mark.parametrize("overrides", [("array.scale_taps=2",), ("array.scale_taps=4",), ("array.scale_at=weight", "array.weight_bits=16")])
@pytest.mark.parametrize("name", ["Q4_K", "Q6_K", "IQ2_XXS", "IQ1_M", "IQ3_XXS"])
def test_sums_do_not_depend_on_where_scales_are_applied(name: str, overrides: tuple[str, ...]) -> None:
    plain, scaled = found_sums(f"gguf:type={name}", 3, 512, 40), found_sums(f"gguf:type={name}", 3, 512, 40, *overrides)
    np.testing.assert_array_equal(plain[1], scaled[1])


@pytest.mark.parametrize("group", [32, 96, 1024])
@pytest.mark.parametrize("offset", ["zero", "minimum"])
def test_sums_of_unsigned_bytes_are_those_of_the_definition(offset: str, group: int) -> None:
    """w = scale (u - zero), or scale u + minimum: group sums are exact integers; then float32, multiply and add, each rounded."""
    rows, sums, trace = found_sums(f"int_group:bits=8,group={group},{offset}=1", 3, 1024, 40)
    arrays = trace.arrays(LAYER)
    stored, scales = arrays["weights"].astype(np.int64), arrays["scales"].astype(np.float32)
    assert stored.min() < 3
    assert stored.max() > 252
    total = np.zeros((3, 40), np.float32)
    for number, first in enumerate(range(0, 1024, group)):
        own, inputs = stored[first : first + group], rows[:, first : first + group].astype(np.int64)
        if offset == "zero":
            own = own - arrays["zeros"][number].astype(np.int64)
        total += (inputs @ own).astype(np.float32) * scales[number]
        if offset == "minimum":
            total += inputs.sum(axis=1, keepdims=True).astype(np.float32) * arrays["minima"][number].astype(np.float32)
    np.testing.assert_array_equal(sums, total)


def test_a_minimum_is_added_behind_its_blocks_scale_and_each_step_is_rounded() -> None:
    """One input of 1 per block of two: block 0 gives 2^24 and then 1, which is lost; block 1 gives 3 x 1 and then 1, of which 2^24 keeps 4.

    Were the minimum added first, 1 + 2^24 + ... would give the same; 2^24 + 1 is a tie and rounds to even, 2^24 + 3 to 2^24 + 4.
    """
    path = parse_format("int_group:bits=4,group=8,minimum=1").decode_path()
    rows, panel = np.zeros((1, 16), np.float32), np.ones((16, 1), np.float32)
    rows[0, 0] = rows[0, 8] = 1
    factors = {"scales": np.array([[2.0**24], [3.0]]), "minima": np.array([[1.0], [1.0]])}
    assert scaled_sums(path, [rows], panel, factors).tolist() == [[2.0**24 + 4]]  # the last 1 is a tie again, to even


@cache
def product(text: str) -> Trace:
    return packed_product(text, 2, 512, 96)


def flipped(trace: Trace, stream: str, bit: int) -> Trace:
    name = f"{LAYER}.{stream}"
    tensors = {record.tensor: trace.stream(LAYER, key).copy() for key, record in trace.weighted_layers()[0].weight.streams.items()}
    tensors[name][bit // 8] ^= np.uint8(1 << bit % 8)
    return replace(trace, payload=MemoryPayload(tensors))


@pytest.mark.parametrize(
    ("text", "stream", "bit", "where"),
    [
        # Q8_0: blocks of 34 bytes; weight 5 of block 3 of output 70 is row 101: of K-tiles of 32 rows the fourth.
        ("gguf:type=Q8_0", "blocks", 8 * (34 * (16 * 70 + 3) + 2 + 5), "read first in tile (nt=1, kt=3)"),
        # Its scale travels ahead of the same tile.
        ("gguf:type=Q8_0", "blocks", 8 * 34 * (16 * 70 + 3), "read first in tile (nt=1, kt=3)"),
        # Q6_K: the highest two bits of weights 128 + 33 of block 1 are bits 2 and 3 of byte 128 + 32 + 1; K-tiles of 16 rows: row 417.
        ("gguf:type=Q6_K", "blocks", 8 * (210 * (2 * 3 + 1) + 161) + 2, "read first in tile (nt=0, kt=26)"),
        # TQ1_0: byte 33 begins the second run: 32 bytes of 5 digits are 160 weights, so it holds weight 161 first; K-tiles of 64 rows.
        ("gguf:type=TQ1_0", "blocks", 8 * 33, "read first in tile (nt=0, kt=2)"),
        # Index (row 100, output 64) of the second of two tables, 48 outputs each: in stripe 1.
        ("palette:bits=4,tables=2", "indices", 4 * (96 * 100 + 64), "in tile (nt=1, kt=1)"),
        # Entry 17 is of the second table, whose outputs begin at 48.
        ("palette:bits=4,tables=2", "codebook", 8 * 17, "read first in tile (nt=0, kt=0)"),
        # Vector 20 of 8 inputs, output 65, second book: rows 160 to 167.
        ("aqlm:books=2,bits=8", "indices", 8 * (2 * (96 * 20 + 65) + 1) + 7, "in tile (nt=1, kt=2)"),
        ("aqlm:books=2,bits=8", "codebook", 40, "every tile depends on it"),
        # Vector 20 of 8 inputs, output 65: rows 160 to 167.
        ("vptq:bits=8,residual_bits=4,axis=1", "residuals", 4 * (96 * 20 + 65) + 3, "in tile (nt=1, kt=2)"),
        # Input 160, vector 9 of 8 outputs: 72 to 79; twelve vectors per input.
        ("vptq:bits=8,residual_bits=4", "residuals", 4 * (12 * 160 + 9) + 3, "in tile (nt=1, kt=2)"),
        # Scales of group 3 of 128 inputs, output 90: row 384.
        ("int_group:bits=4,group=128,zero=1", "scales", 16 * (96 * 3 + 90), "read first in tile (nt=1, kt=6)"),
    ],
)
def test_a_flipped_bit_is_named_by_layer_stream_and_tile(text: str, stream: str, bit: int, where: str) -> None:
    trace = flipped(product(text), stream, bit)
    (layer,) = check_functional(chip(trace), trace).layers
    assert layer.message == f"layer {LAYER!r}, stream {stream!r}: bit {bit} is flipped{';' if 'every' in where else ','} {where}"


@pytest.mark.parametrize(
    "text", ["gguf:type=IQ2_XXS", "gguf:type=TQ1_0", "gguf:type=Q4_K", "palette:bits=4,tables=2", "aqlm:books=2,bits=8",
             "vptq:bits=8,residual_bits=4", "vptq:bits=8,residual_bits=4,axis=1", "quip_e8p"],
)  # fmt: skip
def test_every_useful_bit_of_a_tile_matters(text: str) -> None:
    """A flipped bit of the image of one stripe changes a weight, or a factor and so a sum; pops of scales end in padding."""
    trace = packed_product(text, 4, 256, 64)
    machine = chip(trace)
    geometry = weight_geometry(target_of(machine, [trace]), trace.weighted_layers()[0])
    decoder = UnitDecoder.of(geometry, trace.weighted_layers()[0])
    assert decoder is not None
    ahead = geometry.scale_pops(256, 0) * geometry.pop_bits
    for bit in (ahead, ahead + decoder.unit.bits - 1, ahead + 7 * decoder.unit.bits, *([0, 15] if ahead else [])):

        def tamper(name: str, image, bit: int = bit):  # type: ignore[no-untyped-def]
            data = image.data.copy()
            data[bit // 8] ^= np.uint8(1 << bit % 8)
            return replace(image, data=data)

        assert not check_functional(machine, trace, tamper=tamper).ok, bit


def test_tiles_that_cut_what_shares_bits_are_refused_with_the_reason() -> None:
    trace = packed_product("gguf:type=TQ1_0", 2, 256, 24)
    with pytest.raises(CompileError, match=r"8 weights along the reduction share bits, but K-tiles of 4 rows cut them; .*array\.rows"):
        check_functional(load_accelerator("edge-64x64", ["array.rows=4", "codebook.codeword_length=4"]), trace)


def test_floats_in_the_decoder_are_refused_with_the_reason() -> None:
    trace = product("gguf:type=Q8_0")
    with pytest.raises(CompileError, match=r"its scales are not integers, so array\.scale_at = 'weight' .* needs PEs for floats"):
        check_functional(chip(trace, "array.scale_at=weight"), trace)


def test_accumulators_that_do_not_hold_float32_are_refused() -> None:
    trace = product("gguf:type=Q8_0")
    with pytest.raises(CompileError, match=r"array\.psum_bits = 24 does not hold; allowed: at least 32 bits"):
        check_functional(chip(trace, "array.psum_bits=24"), trace)


def test_scales_that_take_sums_out_of_float32_are_named() -> None:
    """The largest exponent of e8m0 is 2^127: a product of two activations and levels is beyond float32."""
    blocks = np.full((8, 2, 17), 0x55, np.uint8)
    blocks[:, :, 0] = 254
    trace = packed_product("gguf:type=MXFP4", 4, 64, 8, blocks=blocks)
    (layer,) = check_functional(chip(trace), trace).layers
    assert not layer.ok
    assert "leaves the range of float32, in which scaled groups are summed; allowed: smaller scales" in layer.message
