"""Hadamard transforms against the matrix by its definition, their inverse, the cycles of a run, and sizes without a matrix."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from accelsim.errors import TraceError
from accelsim.ops.hadamard import HadamardLayer
from accelsim.ops.hadamard_matrices import matrix_of_order, odd_part
from accelsim.ops.shapes import TensorShape
from accelsim.simulation import simulate
from tests.contract.test_operations import trace_of
from tests.tiny_machines import tiny_accelerator


def layer(width: int, *, rows: int = 1, signs_first: bool = True) -> HadamardLayer:
    return HadamardLayer(name="it", inputs=("x0",), output=TensorShape(rows=rows, width=width), signs_first=signs_first)


def sylvester(n: int) -> np.ndarray:
    """(-1)^(common bits of row and column)."""
    return np.array([[(-1) ** (row & column).bit_count() for column in range(n)] for row in range(n)], np.float64)


@pytest.mark.parametrize(
    ("width", "m"), [(1, 1), (8, 1), (64, 1), (12, 12), (96, 12), (20, 20), (88, 44), (48, 12), (28, 28), (72, 36), (344, 172)]
)
def test_a_row_is_multiplied_by_the_matrix_of_the_definition(width: int, m: int) -> None:
    """The Kronecker product of the odd part's matrix and Sylvester's, whose rows are orthogonal."""
    assert odd_part(width) == m
    matrix = np.kron(matrix_of_order(m).T, sylvester(width // m))
    np.testing.assert_array_equal(matrix @ matrix.T, width * np.eye(width))
    rng = np.random.default_rng(1)
    signs, x = rng.choice([-1.0, 1.0], width), rng.normal(size=(1, 3, width))
    found = layer(width, rows=3).evaluate([x], {"signs": signs})
    np.testing.assert_allclose(found[0], (x[0] * signs) @ matrix.T / width**0.5, atol=1e-12)
    back = layer(width, rows=3, signs_first=False).evaluate([found], {"signs": signs})
    np.testing.assert_allclose(back, x, atol=1e-12)


@pytest.mark.parametrize(
    ("width", "passes"),
    [
        (
            2048,
            6 + 2,
        ),  # 11 stages; on lanes they are counted one by one (below)
        (4096, 6 + 2),
        (768, 3 + 12 + 2),  # 12 x 64: six stages, 12 products per element
        (1, 0 + 2),
    ],
)
def test_passes_are_those_counted_by_hand(width: int, passes: int) -> None:
    assert layer(width).passes({"hadamard": 1}.__getitem__, False) == passes
    assert layer(width).passes({"hadamard": 2}.__getitem__, False) - passes == -(-((width // (odd_part(width) or 1)).bit_length() - 1) // 2)


@pytest.mark.parametrize(
    ("width", "cycles"),
    [
        (2048, 11 * 16 + 2 * 32),  # 11 stages of 1,024 butterflies are 176 cycles; two passes requantize
        (128, 7 + 2 * 2),
        (64, 6 + 2),  # a stage waits for the one before: half of the lanes are idle
        (768, 6 * 6 + (12 + 2) * 12),  # 12 x 64: six stages, 12 products per element
        (1, 2),
    ],
)
def test_a_run_takes_the_stages_on_its_lanes_for_each_row(width: int, cycles: int) -> None:
    it = layer(width, rows=5)
    found = simulate(tiny_accelerator(vector_unit={"lanes": 64}), trace_of(it, (it.output,)))
    assert next(item for item in found.layers if item.name == "it").vector_cycles == 5 * cycles


@pytest.mark.parametrize(
    ("order", "row", "text"),
    [
        (12, 1, "++-+---+++-+"),
        (12, 11, "+-+---+++-++"),
        (20, 1, "++-++----+-+-++++--+"),
        (28, 1, "+++-++----++-++-+-++----++-+"),
        (28, 14, "-+++++++++++++--------------"),
        (36, 2, "+++++-+---++---+-+++-++-+---++---+-+"),
        (
            172, 45,
            "+---+------++++-+-++--+--+--++-+-++++------"
            "--+---++--++++-+-+++-++--++-+++-+-++++--++-"
            "+---+++----+-++-++--++++++++--++-++-+----++"
            "+++++-+-++--+-+-++++-+----+-++++-+-+--++-+-",
        ),
        (
            172, 87,
            "----+-+--++-+-+----+-++++-+----+-+-++--+-+-"
            "+++---++++-+--+--++--------++--+--+-++++---"
            "-+---++--++++-+-+++-++--++-+++-+-++++--++--"
            "---+------++++-+-++--+--+--++-+-++++------+",
        ),
        (
            172, 171,
            "-+++----+-++-++--++++++++--++-++-+----+++--"
            "--+-+--++-+-+----+-++++-+----+-+-++--+-+---"
            "+-++++++----+-+--++-++-++--+-+----++++++-++"
            "---++--++++-+-+++-++--++-+++-+-++++--++---+",
        ),
    ],
)  # fmt: skip
def test_rows_are_those_of_the_published_tables(order: int, row: int, text: str) -> None:
    """N. J. A. Sloane's library: had.12, had.20, had.28.pal2, had.36.pal2, had.172.will: what QuIP# multiplies by behind a product."""
    assert "".join("+" if value > 0 else "-" for value in matrix_of_order(order)[row]) == text


def test_an_ideal_unit_takes_no_time() -> None:
    it = layer(128, rows=5)
    found = simulate(tiny_accelerator(vector_unit={"lanes": 0}), trace_of(it, (it.output,)))
    assert next(item for item in found.layers if item.name == "it").vector_cycles == 0


def test_sizes_without_a_matrix_are_refused() -> None:
    for width in (6, 7, 52, 14):  # 52 = 4 x 13: 51 is no prime, and 25 only a prime's power
        with pytest.raises((TraceError, ValidationError), match=f"no Hadamard matrix of its {width} elements"):
            layer(width)
    with pytest.raises(TraceError, match="order 16"):
        matrix_of_order(16)
