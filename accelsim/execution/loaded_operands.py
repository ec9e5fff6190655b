"""Activations that the array loads as weights: 8 bits each, the highest of those that have more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.ops.grid import Grid

WEIGHT_BITS = 8


def loaded(operand: npt.NDArray[Any], grid: Grid) -> tuple[npt.NDArray[np.int8], Grid]:
    """An activation that is loaded as weights, and its grid: rounded to 8 bits if it has more."""
    if grid.bits == WEIGHT_BITS:
        return operand.astype(np.int8), grid
    shift = grid.bits - WEIGHT_BITS
    coarse = Grid(grid.scale * (1 << shift), WEIGHT_BITS)
    half = 1 << shift - 1
    return np.clip((operand.astype(np.int64) + half) >> shift, *coarse.range).astype(np.int8), coarse
