"""Operands of more than 8 bits on an array of 8-bit multipliers: rows enter byte by byte, loaded operands are rounded.

Disputable assumption: the multipliers are signed, so a byte below the highest one enters less 128, which is a zero point of -128: beside
weights it goes into the bias, beside another activation its sums of columns are not charged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.ops.grid import Grid

PASS_BITS = 8


def passes_of_rows(rows: npt.NDArray[Any], grid: Grid) -> Iterator[tuple[npt.NDArray[np.int8], int, int]]:
    """(integers of a pass, their zero point, the weight of one of their steps in steps of the rows), the highest byte first.

    Rows are the sum over all passes of (integers - zero point) x weight, plus the zero point of rows of one pass.
    """
    if grid.bits == PASS_BITS:
        yield rows.astype(np.int8), grid.zero, 1
        return
    for shift in range(grid.bits - PASS_BITS, -1, -PASS_BITS):
        byte = rows >> shift
        if shift < grid.bits - PASS_BITS:
            yield ((byte & 255) - 128).astype(np.int8), -128, 1 << shift
        else:
            yield byte.astype(np.int8), 0, 1 << shift


def loaded(operand: npt.NDArray[Any], grid: Grid) -> tuple[npt.NDArray[np.int8], Grid]:
    """An activation that is loaded as weights, and its grid: rounded to 8 bits if it has more."""
    if grid.bits == PASS_BITS:
        return operand.astype(np.int8), grid
    shift = grid.bits - PASS_BITS
    coarse = Grid(grid.scale * (1 << shift), PASS_BITS)
    half = 1 << shift - 1
    return np.clip((operand.astype(np.int64) + half) >> shift, *coarse.range).astype(np.int8), coarse
