"""Every type of GGUF block, weight by weight against the gguf package, on random blocks with sane scales."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from gguf.constants import GGML_QUANT_SIZES

import accelsim.formats
from accelsim.errors import FormatError
from accelsim.formats import block_decoding
from accelsim.formats.catalog import parse_format
from accelsim.formats.gguf import GgufFormat
from accelsim.formats.gguf_blocks import LAYOUTS
from accelsim.formats.parts import Lookup, Signs
from tests.random_weights import random_blocks

FLOATS = {"F16", "BF16"}  # plain floats, which the package's table holds too
TYPES = sorted(LAYOUTS)


def packaged(name: str) -> GGMLQuantizationType:
    return GGMLQuantizationType[name]


def test_every_type_that_the_package_dequantizes_has_a_layout_of_its_size() -> None:
    known = {item.name for item in quants._type_traits} - FLOATS
    assert known == set(LAYOUTS)
    assert set(re.findall(r'"(\w+)"', str(GgufFormat.model_fields["type"].annotation).replace("'", '"'))) == known
    for name, layout in LAYOUTS.items():
        assert (layout.weights, layout.bytes) == GGML_QUANT_SIZES[packaged(name)], name


@pytest.mark.parametrize("name", TYPES)
def test_the_fields_of_a_layout_hold_every_bit_of_a_block_once(name: str) -> None:
    layout = LAYOUTS[name]
    bits: list[int] = []
    for field in layout.fields.values():
        for piece in field.pieces:
            places = np.array([piece.first])
            for count, stride in piece.loops:
                places = (places[:, None] + np.arange(count) * stride).reshape(-1)
            bits += [int(place) + bit for place in places for bit in range(piece.width)]
    assert sorted(bits) == list(range(8 * layout.bytes))


@pytest.mark.parametrize("name", TYPES)
def test_weights_equal_those_of_the_package_bit_for_bit(name: str) -> None:
    """1000 blocks: 10 outputs of 100 blocks each."""
    layout, k = LAYOUTS[name], 100 * LAYOUTS[name].weights
    spec = parse_format(f"gguf:type={name}")
    blocks = random_blocks(layout, 10, 100, np.random.default_rng(1))
    arrays = spec.unpack(spec.pack({"blocks": blocks}, k, 10), k, 10)
    expected = quants.dequantize(blocks.reshape(10, -1), packaged(name))
    found = spec.reconstruct(arrays, k, 10)
    assert found.shape == (k, 10)
    np.testing.assert_array_equal(found.T.astype(np.float32), expected)
    np.testing.assert_array_equal(found, found.astype(np.float32))


@pytest.mark.parametrize("name", TYPES)
def test_integers_times_their_scales_are_the_weights_in_exact_arithmetic(name: str) -> None:
    """In float64, where every product is exact, the integers and the factors give the weight before it is rounded to float32."""
    layout = LAYOUTS[name]
    blocks = random_blocks(layout, 1, 64, np.random.default_rng(2)).reshape(64, -1)
    factors = block_decoding.read_scales(blocks, layout)
    integers = block_decoding.read_integers(blocks, layout).astype(np.float64)
    steps = factors.scales.astype(np.float64) * factors.sub_scales
    exact = integers * steps.repeat(layout.weights // steps.shape[1], 1)
    if factors.minima.size:
        offsets = factors.minima.astype(np.float64) * factors.sub_minima
        exact = exact + offsets.repeat(layout.weights // offsets.shape[1], 1)
    np.testing.assert_array_equal(exact.astype(np.float32), block_decoding.weights_of(integers.astype(np.int8), factors))


@pytest.mark.parametrize("name", TYPES)
def test_the_fields_that_a_chip_loads_have_the_bits_of_the_file(name: str) -> None:
    layout = LAYOUTS[name]
    spec, k, n = parse_format(f"gguf:type={name}"), 2 * layout.weights, 3
    table = {key: stream for key, stream in spec.chip_streams(k, n).items() if stream.place != "chip"}
    assert sum(stream.total_bits for stream in table.values()) == 8 * 2 * n * layout.bytes == spec.bit_count(k, n).stored
    blocks = random_blocks(layout, n, 2, np.random.default_rng(3))
    arrays = spec.chip_arrays({"blocks": blocks}, k, n)
    for key, stream in table.items():
        assert arrays[key].shape == stream.shape, key
        width = 8 * arrays[key].dtype.itemsize
        assert arrays[key].dtype.kind in "uif"
        assert stream.number == "float" or int(arrays[key].max()) < 1 << min(stream.bits, width)
    spec.placed("record", k, n)


@pytest.mark.parametrize(
    ("name", "bits"), [("IQ2_XXS", 2.0625), ("Q4_K", 4.5), ("Q6_K", 6.5625), ("TQ1_0", 1.6875), ("MXFP4", 4.25), ("IQ1_S", 1.5625)]
)
def test_bits_per_weight_are_those_that_llama_cpp_prints(name: str, bits: float) -> None:
    assert parse_format(f"gguf:type={name}").bits_per_weight(512, 8).total == bits


def test_iq2_xxs_is_a_lookup_of_magnitudes_and_seven_signs_with_parity() -> None:
    """8 bits of 256 codewords and 7 signs per 8 weights; a chip pads nothing, so a record has 15 bits."""
    path = parse_format("gguf:type=IQ2_XXS").decode_path()
    assert path.lookup == Lookup(256, 8, scope="shared")
    assert path.signs == Signs(8)
    assert (path.record_bits(8), path.axis, parse_format("gguf:type=IQ2_XXS").codebook_scope) == (15, 1, "shared")


def test_grids_and_signs_equal_the_tables_of_the_package() -> None:
    for name, layout in LAYOUTS.items():
        if layout.grid:
            traits = quants._type_traits[packaged(name)]
            traits.init_grid()
            np.testing.assert_array_equal(block_decoding.grid_of(layout.grid), traits.grid.reshape(traits.grid_shape))
    ksigns = np.frombuffer(quants.IQ2_XXS.ksigns, np.uint8)
    np.testing.assert_array_equal(block_decoding._sign_bytes(True), ksigns)


def test_grids_stand_beside_their_provenance_and_licence() -> None:
    folder = Path(accelsim.formats.__file__).parent / "grids"
    files = {path.stem for path in folder.glob("*.txt")}
    assert files == {layout.grid for layout in LAYOUTS.values() if layout.grid} | {"e8p"}
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}.txt`" in text for name in files)
    assert "MIT License" in (folder / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in TYPES if LAYOUTS[name].scale_code == "float"])
@pytest.mark.parametrize("bits", [0x7E00, 0x7C00, 0xFC00])
def test_a_scale_that_is_nan_or_infinite_is_refused_with_its_block(name: str, bits: int) -> None:
    layout = LAYOUTS[name]
    blocks = random_blocks(layout, 3, 2, np.random.default_rng(4), scale_code={(1, 1): bits})
    spec = parse_format(f"gguf:type={name}")
    with pytest.raises(FormatError, match=rf"block 1 of output 1 \({name}\) has a scale that is NaN or infinite"):
        spec.pack({"blocks": blocks}, 2 * layout.weights, 3)


def test_a_scale_of_zero_or_below_is_what_files_hold() -> None:
    for bits in (0x0000, 0xBC00):  # 0 and -1
        blocks = random_blocks(LAYOUTS["Q4_0"], 1, 1, np.random.default_rng(5), scale_code={(0, 0): bits})
        spec = parse_format("gguf:type=Q4_0")
        found = spec.reconstruct(spec.unpack(spec.pack({"blocks": blocks}, 32, 1), 32, 1), 32, 1)
        np.testing.assert_array_equal(found.T.astype(np.float32), quants.dequantize(blocks.reshape(1, -1), packaged("Q4_0")))


def test_a_row_that_is_no_whole_number_of_blocks_is_refused() -> None:
    with pytest.raises(FormatError, match=r"blocks of 256 weights \(Q4_K\) do not fill K=192; allowed: a multiple of 256"):
        parse_format("gguf:type=Q4_K").streams(192, 8)
    with pytest.raises(FormatError, match=r"'type' has value 'Q4_X'"):
        parse_format("gguf:type=Q4_X")


def test_examples_name_every_type_once() -> None:
    texts = sorted(accelsim.formats.gguf.EXAMPLES)
    assert all(first != second for first, second in pairwise(texts))
    assert {text.partition("=")[2] for text in texts} == set(LAYOUTS)
