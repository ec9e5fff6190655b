"""Tables per block of a matrix: weights by definition, tables ahead of their tiles in time and traffic, encoder, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.target import target_of
from accelsim.compression.encoder import encode
from accelsim.errors import CompileError, FormatError
from accelsim.formats.catalog import parse_format
from accelsim.functional import check_functional
from accelsim.hw.decode_mac_core import CoreGeometry, run_stand_alone
from accelsim.simulation import simulate
from tests import naive_group_formats as naive
from tests.naive_core import simulate_core
from tests.packed_products import packed_product
from tests.random_weights import random_arrays
from tests.tiny_convnets import ConvNet

L2 = ("cores=2", "placement.activations=l2", "l2.capacity=2MiB", "l2.width_bits=64", "l2.burst=64B")


def chip(text: str, *overrides: str, m: int = 2, k: int = 128, n: int = 96) -> tuple[Accelerator, Any]:
    """edge-64x64 with room for the tables of a tile, and a product in the format."""
    trace = packed_product(text, m, k, n)
    fitted = codebook_overrides(load_accelerator("edge-64x64"), trace)
    return load_accelerator("edge-64x64", [*fitted, *overrides]), trace


@pytest.mark.parametrize(
    ("rows", "cols", "d", "axis", "scale"),
    [(8, 8, 1, 0, "tensor"), (16, 24, 2, 0, "channel"), (64, 6, 3, 0, "tensor"), (12, 5, 4, 1, "channel"), (1, 4, 1, 0, "tensor")],
)
def test_weights_are_those_of_the_definition(rows: int, cols: int, d: int, axis: int, scale: str) -> None:
    """40 x 24 weights: blocks that are whole, cut off at the end, larger than the matrix, and of four weights."""
    spec = parse_format(f"block_palette:bits=2,rows={rows},cols={cols},d={d},axis={axis},scale={scale}")
    arrays = spec.unpack(spec.pack(random_arrays(spec, 40, 24, np.random.default_rng(7)), 40, 24), 40, 24)
    found = spec.reconstruct(arrays, 40, 24)
    assert arrays["codebook"].shape == (-(-24 // cols), -(-40 // rows), 4, d)
    for row in range(40):
        for column in range(24):
            assert found[row, column] == naive.block_palette_weight(arrays, rows, cols, d, axis, row, column)


@pytest.mark.parametrize(("sets", "tiles", "cycles"), [(1, 3, 44), (2, 3, 38), (2, 4, 50)])
def test_tables_ahead_of_a_tile_take_the_pops_of_their_bits_behind_no_wave(sets: int, tiles: int, cycles: int) -> None:
    """8x8, eight weights per cycle, one row, two tables of four bytes: 64 bits in pops of 16 are H = 4.

    Tiles are swapped in cycles 14, 29, 44 with one shadow set, and in 14, 26, 38, 50 with two, as with scales of as many bits.
    """
    core = CoreGeometry(8, 8, 1, 4, 8, 1024, True, False, 0, 16, shadow_sets=sets, block=8, table_rows=8, table_bits=64)
    assert core.scale_pops(8 * tiles, tiles - 1) == 4
    found = run_stand_alone(core, 1, 8 * tiles, 8).cycles
    assert found == cycles + 1 + 8 + 8
    twin = simulate_core(8, 8, 1, 4, 8, 1024, 1, 0, 0, 16, 1, 8 * tiles, 8, sets=sets, g=8, SB=64 // 8)
    assert found == twin["cycles"]


@pytest.mark.parametrize(
    ("rows", "block", "pops"),
    [
        (8, 8, [2, 2, 2]),  # a tile each
        (4, 8, [4, 4, 4]),  # two in a tile
        (16, 8, [2, 0, 2]),  # of two tiles: the second finds its table
        (12, 12, [2, 0, 2]),  # tiles end where a block does: 8, 4 and 8 rows
        (3, 6, [4, 4, 4]),  # two of three rows in a tile of six
    ],
)
def test_blocks_end_with_tiles_and_bring_a_table_once(rows: int, block: int, pops: list[int]) -> None:
    """8x8 PEs; a row of blocks has 32 bits of tables, two pops of 16."""
    trace = packed_product(f"block_palette:bits=2,rows={rows},cols=8", 1, 24, 8)
    small = ["array.rows=8", "array.cols=8", "codebook.codeword_length=1", "codebook.codewords=16", "codebook.ports=8"]
    chip = load_accelerator("edge-64x64", small)
    core = weight_geometry(target_of(chip, [trace]), trace.weighted_layers()[0])
    assert (core.block, core.table_rows, core.table_bits, core.pop_bits) == (block, rows, 4 * 8, 16)
    assert [core.scale_pops(24, kt) for kt in range(3)] == pops
    assert check_functional(chip, trace).ok


@pytest.mark.parametrize(("cols", "tables"), [(8, 24), (64, 4), (128, 4)])
def test_a_stripe_brings_the_tables_of_its_columns_each_time(cols: int, tables: int) -> None:
    """128 x 96 weights in tiles of 64: 2 x 12 tables, 2 x 2, or 2 that both stripes bring. Each has 8 entries of a byte."""
    accelerator, trace = chip(f"block_palette:bits=3,rows=64,cols={cols}")
    traffic = {key.operand: bits for key, bits in simulate(accelerator, trace).traffic.items() if not key.write}
    assert traffic["codebook"] == tables * 8 * 8
    stored = trace.weighted_layers()[0].weight.streams["codebook"].bits
    assert stored == (2 if cols == 128 else tables) * 8 * 8


def test_a_chip_holds_the_tables_of_a_tile_and_no_more() -> None:
    """64 x 8 weights share 8 entries: eight tables in a tile of 64 x 64, whatever the matrix."""
    accelerator, trace = chip("block_palette:bits=3,rows=64,cols=8", k=512, n=192)
    assert accelerator.codebook.codewords == 64
    assert check_functional(accelerator, trace).ok
    small, _ = chip("block_palette:bits=3,rows=64,cols=8", "codebook.codewords=32", k=512, n=192)
    with pytest.raises(CompileError, match=r"k = 8 codewords in 8 codebooks exceed codebook\.codewords = 32"):
        simulate(small, trace)


@pytest.mark.parametrize("overrides", [L2, ("array.mapping=gemv", "array.gemv_max_m=4"), ("array.dataflow=output_stationary",)])
def test_cores_share_stripes_and_other_mappings_keep_the_tiles(overrides: tuple[str, ...]) -> None:
    accelerator, trace = chip("block_palette:bits=3,rows=32,cols=16", *overrides, n=160)
    assert check_functional(accelerator, trace).ok
    if overrides is not L2:
        assert simulate(accelerator, trace).cycles == simulate(*chip("block_palette:bits=3,rows=32,cols=16", n=160)).cycles


@pytest.mark.parametrize(
    ("cols", "overrides", "words"),
    [
        (8, ("codebook.store=rom", "codebook.circuit=logic_rom"), r"codebook\.store = 'rom' of 'edge-64x64'; allowed: 'ram'"),
        (24, (), "blocks of 24 outputs and N-tiles of 64 on .* cut each other; allowed: blocks of a divisor or a multiple of 64 outputs"),
        (128, L2, "blocks of 128 outputs would be split over the 2 cores"),
    ],
)
def test_a_chip_that_cannot_bring_tables_in_time_says_so(cols: int, overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(CompileError, match=words):
        simulate(*chip(f"block_palette:bits=3,rows=64,cols={cols}", *overrides))


def test_a_convolution_keeps_the_order_of_its_rows_and_one_in_groups_is_refused() -> None:
    """8 channels of 3 x 3 taps are 72 rows, two blocks of 32 and one of 8."""
    text = "block_palette:bits=2,rows=32,cols=8"
    plain = ConvNet(8, 6, 6).conv(16).conv(16).trace(text, "*", payload=True)
    accelerator, _ = chip(text)
    assert check_functional(accelerator, plain).ok
    with pytest.raises(CompileError, match="do not follow the layer's 2 groups"):
        simulate(accelerator, ConvNet(8, 6, 6).conv(16, groups=2).trace(text, "*"))


def test_entries_that_cross_blocks_are_refused() -> None:
    with pytest.raises(FormatError, match="cols=6 cuts entries of d=4; allowed: multiples of 4"):
        parse_format("block_palette:bits=2,rows=8,cols=6,d=4")
    with pytest.raises(FormatError, match="rows=6 cuts entries of d=4"):
        parse_format("block_palette:bits=2,rows=6,cols=8,d=4,axis=1")
    with pytest.raises(FormatError, match="16 entries for a block of 8 x 4 weights, 8 vectors; allowed: at most one entry per vector"):
        parse_format("block_palette:bits=4,rows=8,cols=4,d=4")


def test_a_table_per_block_of_as_many_values_as_entries_is_exact() -> None:
    """Each block of 4 x 8 draws from four multiples of 1/127 of its own; one of them is the largest of the matrix."""
    rng = np.random.default_rng(5)
    weights = np.zeros((10, 20), np.float32)
    for row in range(0, 10, 4):
        for column in range(0, 20, 8):
            part = weights[row : row + 4, column : column + 8]
            part[:] = rng.choice(rng.choice(np.arange(-126, 127), 4, replace=False), part.shape)
    weights[0, 0] = 127
    weights[:4, :8] = np.where(weights[:4, :8] == weights[1, 1], 127, weights[:4, :8])
    weights[:4, :8] = np.where(rng.random((4, 8)) < 0.5, 127, -3)
    weights[0, 0] = 127
    spec = parse_format("block_palette:bits=2,rows=4,cols=8")
    np.testing.assert_allclose(spec.reconstruct(encode(spec, weights, rng), 10, 20), weights, atol=1e-4)


def test_a_flip_in_a_table_is_named_with_the_first_tile_of_its_block() -> None:
    """Table [1, 1] of 64 x 64 blocks: entry 3 is value (1 * 2 + 1) * 4 + 3 = 15 of eight bits."""
    spec = parse_format("block_palette:bits=2,rows=64,cols=64")
    assert spec.first_weight("codebook", 15 * 8 + 2, 128, 96) == (64, 64)
    assert spec.first_weight("indices", 2 * (96 * 3 + 5), 128, 96) == (3, 5)
