"""Timing of an array whose stationary operand is loaded before the other two pass: weights, or inputs with the roles turned.

This is the pipeline of the decode-and-MAC core with a load that never starves, so for weights it agrees with the core to the cycle.
Assumption: the array starts a fold when all its tiles are there, not when the first row is. Partial sums leave at the foot of a
column and are accumulated outside, one cycle after the last row's product.
"""

from __future__ import annotations

from accelsim.dataflows.dataflow import Fold, FoldTiming, SystolicArray

LOAD_LATENCY = 2  # cycles from the pop of a row group to the first use of its values: read and sign, then the register
FIRST_WORD = 1  # cycle in which the first group can be popped: its word was pushed in cycle 0


class PreloadedTiming(FoldTiming):
    """Folds that follow each other as closely as their registers allow."""

    def first_start(self, array: SystolicArray, fold: Fold) -> int:
        """When the first tile is loaded, with nothing to hide behind."""
        return FIRST_WORD + fold.tiles * _load_cycles(array, fold) - 1 + LOAD_LATENCY

    def next_start(self, array: SystolicArray, start: int, fold: Fold, following: Fold) -> int:
        """When the array has taken all steps of the fold before, and the next tile is loaded.

        Row group g may be popped once its registers are free in the last column: behind the wave that copies shadow to active
        registers if they are double-buffered, behind the last step otherwise. One group a cycle, the first in the cycle after the start.
        """
        groups = _load_cycles(array, following)
        last_row = min(groups * array.rows_a_load, array.rows) - 1  # the last group fills its rows, also those past a trimmed tile
        busy = 0 if array.double_buffered else (fold.steps - 1) * fold.tiles + 1  # until the first tile was used for the last time
        first_tile = start + max(groups, busy + last_row + array.cols - 2)
        last_pop = first_tile + (following.tiles - 1) * groups  # the registers of later tiles are free by then
        return max(start + fold.cycles, last_pop + LOAD_LATENCY)

    def total(self, array: SystolicArray, start: int, fold: Fold) -> int:
        """Until the last sum of the last column has left: the last step, and R + C cycles of skew and registers."""
        return start + fold.cycles + array.rows + array.cols


def _load_cycles(array: SystolicArray, fold: Fold) -> int:
    """Cycles in which groups of a tile are loaded: its used rows over the rows of a group, rounded up."""
    return -(-fold.rows // array.rows_a_load)
