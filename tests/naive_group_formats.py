"""Group, palette and additive formats, weight by weight from their definitions: slow twins on plain lists and Python integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

Arrays = Mapping[str, Any]


def int_group_weight(arrays: Arrays, group: int, row: int, column: int) -> Fraction:
    """scale * (u - zero), or scale * u without zero points; plus the minimum, if there are any."""
    part = row // group
    integer = int(arrays["weights"][row][column])
    if "zeros" in arrays:
        integer -= int(arrays["zeros"][part][column])
    minimum = Fraction(float(arrays["minima"][part][column])) if "minima" in arrays else 0
    return Fraction(float(arrays["scales"][part][column])) * integer + minimum


def palette_weight(arrays: Arrays, bits: int, d: int, axis: int, outputs_per_table: int, row: int, column: int) -> Fraction:
    """Element (row or column) mod d of the entry that the index names in the table of this output."""
    table = column // outputs_per_table
    place = (row, column // d) if axis == 0 else (row // d, column)
    entry = arrays["codebook"][table * 2**bits + int(arrays["indices"][place[0]][place[1]])]
    return Fraction(float(arrays["scales"][table])) * int(entry[(column if axis == 0 else row) % d])


def block_palette_weight(arrays: Arrays, rows: int, cols: int, d: int, axis: int, row: int, column: int) -> Fraction:
    """Element (row or column) mod d of the entry that the index names in the table of the weight's block."""
    place = (row, column // d) if axis == 0 else (row // d, column)
    entry = arrays["codebook"][column // cols][row // rows][int(arrays["indices"][place[0]][place[1]])]
    scales = arrays["scales"]
    return Fraction(float(scales[column] if len(scales) > 1 else scales[0])) * int(entry[(column if axis == 0 else row) % d])


def aqlm_weight(arrays: Arrays, books: int, bits: int, d: int, row: int, column: int) -> Fraction:
    """The sum of element row mod d of one codeword of each book."""
    named: Sequence[Any] = arrays["indices"][row // d][column]
    indices = [int(index) for index in named] if books > 1 else [int(named)]  # type: ignore[call-overload]
    total = sum(int(arrays["codebook"][book * 2**bits + index][row % d]) for book, index in enumerate(indices))
    return Fraction(float(arrays["scales"][column])) * total


def vptq_weight(arrays: Arrays, bits: int, d: int, axis: int, row: int, column: int) -> Fraction:
    """An element of a codeword of the main codebook, plus that of one of the residual's, which lies behind it, if there is one."""
    down, across, element = (row, column // d, column % d) if axis == 0 else (row // d, column, row % d)
    total = int(arrays["codebook"][int(arrays["indices"][down][across])][element])
    if "residuals" in arrays:
        total += int(arrays["codebook"][2**bits + int(arrays["residuals"][down][across])][element])
    return Fraction(float(arrays["scales"][column])) * total
