"""Rows of 16 and 32 bits in the functional check: drawn over their width, taken in byte by byte, summed exactly."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import functional_twin as twin
from accelsim.accelerator import load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compiler.target import target_of
from accelsim.functional import check_functional, multiply_layer
from accelsim.functional.row_passes import byte_passes, summed_passes
from tests.packed_products import LAYER, packed_product


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
def test_passes_of_extremes_add_up_to_sums_of_python_integers(kind: type[np.signedinteger]) -> None:
    """1,100 products of the least weight: a pass of bytes of 255 leaves what float32 holds after 514."""
    limits = np.iinfo(kind)
    rows = np.array([[limits.min] * 1100, [limits.max] * 1100, [-1] * 1100, [255 if limits.max > 255 else 127] * 1100], kind)
    weights = np.full((1100, 2), -128, np.int8)
    weights[::3, 1] = 127
    sums = summed_passes(byte_passes(rows), weights.astype(np.float32))
    expected = [[sum(int(a) * int(b) for a, b in zip(row, column, strict=True)) for column in weights.T] for row in rows]
    assert sums.tolist() == expected
    assert twin.product(rows, weights).tolist() == expected


def test_bytes_of_a_row_are_its_twos_complement() -> None:
    """-2 is 0xFFFE: -1 above 254; 0x1234 is 18 above 52."""
    assert [part.tolist() for part in byte_passes(np.array([-2, 0x1234], np.int16))] == [[254, 52], [-1, 18]]


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize(
    "text",
    [
        "uniform:bits=8",
        "ssvq:k=16,d=8",
        "aqlm:books=2,bits=4",
        "int_group:bits=4,group=32,minimum=1",
        "int_group:bits=8,group=32,zero=1",
        "gguf:type=Q4_K",
    ],
)
def test_wide_rows_are_bit_exact(text: str, bits: int) -> None:
    trace = packed_product(text, 3, 512, 96, row_bits=bits)
    chip = load_accelerator("edge-64x64", [*codebook_overrides(load_accelerator("edge-64x64"), trace), "array.psum_bits=64"])
    (layer,) = check_functional(chip, trace).layers
    assert layer.message.startswith("bit-exact")


def test_activations_are_drawn_over_the_width_of_the_rows() -> None:
    """3 x 512 of 16 bits: sums of int8 activations stay below 128 x 128 x 512 = 2^23, where 22 bits end at 2^21."""
    trace = packed_product("uniform:bits=8", 3, 512, 96, row_bits=16)
    chip = load_accelerator("edge-64x64", ["array.psum_bits=22"])
    (layer,) = check_functional(chip, trace).layers
    assert "overflows 22 bits" in layer.message


def test_rows_that_are_given_keep_their_width() -> None:
    trace = packed_product("uniform:bits=8", 2, 96, 70, row_bits=16)
    rows = np.random.default_rng(3).integers(-(1 << 15), 1 << 15, (1, 2, 96), np.int16)
    chip = load_accelerator("edge-64x64", ["array.psum_bits=40"])
    check, (sums,) = multiply_layer(target_of(chip, [trace]), 40, trace, trace.products()[0], lambda *shape: rows.reshape(1, *shape))
    assert check.ok
    weights = trace.arrays(LAYER)["weights"]
    assert sums.tolist() == [[sum(int(a) * int(w) for a, w in zip(row, weights[:, n], strict=True)) for n in range(70)] for row in rows[0]]
