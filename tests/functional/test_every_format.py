"""Every format of the registry on edge-64x64: bit-exact, and as many bits over the bus as its file holds plus what is named as added.

One product of 96 outputs, a stripe and half of one, so that columns are padded; values are random within each format's definition.
"""

from __future__ import annotations

import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.errors import CompileError
from accelsim.formats.catalog import format_examples, format_kinds, parse_format
from accelsim.functional import check_functional
from accelsim.result import TRAINED_OPERANDS
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.packed_products import packed_product

M, N = 2, 96
OFFSET = 32  # bits per K-tile, where the codes of an entropy-coded tile begin
TEXTS = format_examples()


def product(text: str) -> Trace:
    return packed_product(text, M, max(128, parse_format(text).k_step), N)


def chip(trace: Trace) -> Accelerator:
    return load_accelerator("edge-64x64", codebook_overrides(load_accelerator("edge-64x64"), trace))


def fits(text: str) -> bool:
    """Whether an 8-bit array multiplies its integers."""
    return parse_format(text).decode_path().lane_bits <= 8


def test_examples_cover_every_kind_and_only_wide_weights_do_not_fit() -> None:
    assert {parse_format(text).kind for text in TEXTS} == set(format_kinds())
    assert {parse_format(text).kind for text in TEXTS if fits(text)} == set(format_kinds()) - {"float32"}


@pytest.mark.parametrize("text", TEXTS)
def test_a_format_is_bit_exact_or_refused_for_its_width(text: str) -> None:
    trace = product(text)
    if not fits(text):
        with pytest.raises(CompileError, match="do not fit the 8-bit array"):
            check_functional(chip(trace), trace)
        return
    (layer,) = check_functional(chip(trace), trace).layers
    assert layer.ok
    assert layer.message.startswith("bit-exact")


@pytest.mark.parametrize("text", [text for text in TEXTS if fits(text)])
def test_simulated_bytes_are_those_of_the_file_and_the_padding_that_is_named(text: str) -> None:
    """The file's tensors: all but what the chip folds into multipliers of 32 bits and biases of 32 bits, or holds in ROM.

    Beside them come `padding` (columns, tiles, words), an offset per tile of codes, and whole bursts.
    """
    trace = product(text)
    (layer,) = trace.weighted_layers()
    table = layer.weight.format.streams(layer.weight.k, N)
    stored = sum(record.bits for name, record in layer.weight.streams.items() if table[name].place not in ("requantization", "chip"))
    result = simulate(chip(trace), trace)
    read = {key.operand: bits for key, bits in result.traffic.items() if not key.write and key.operand != "activations_in"}
    coded = "code_lengths" in table or "rice_parameter" in table
    tiles = 2 * layer.weight.k // 64
    if layer.weight.format.decode_path().scale_levels:  # tiles end with groups
        tiles = max(tiles, 2 * layer.weight.k // layer.weight.format.decode_path().scale_levels[0][0])
    useful = sum(bits for operand, bits in read.items() if operand in TRAINED_OPERANDS)
    assert useful == stored + N * (32 + 32) + (OFFSET * tiles if coded else 0)
    assert set(read) <= {*TRAINED_OPERANDS, "padding", "burst_rounding"}
    stream = useful + read["padding"]
    assert stream % 8 == 0
    assert result.bus_bytes == (sum(read.values()) + 8 * M * (layer.weight.k + N)) // 8
