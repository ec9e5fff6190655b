"""The convention of SCALE-Sim: folds one after the other, each on an array that is empty again.

It is offered to be compared with, not as physics: no fold is loaded or skewed in under another one, sums of an output stationary
array cost nothing to read out, a trimmed fold takes as long as a full one, and the total is the number of the last cycle, counted from 0.
"""

from __future__ import annotations

from accelsim.dataflows.dataflow import Dataflow, Fold, FoldTiming, SystolicArray


class SerialFolds(FoldTiming):
    """Folds of a dataflow, back to back."""

    def __init__(self, dataflow: Dataflow) -> None:
        self._cycles = dataflow.scale_sim_fold_cycles

    def first_start(self, array: SystolicArray, fold: Fold) -> int:
        """At once: loading belongs to the fold."""
        return 0

    def next_start(self, array: SystolicArray, start: int, fold: Fold, following: Fold) -> int:
        """When the fold before is over."""
        return start + self._cycles(array, fold)

    def total(self, array: SystolicArray, start: int, fold: Fold) -> int:
        """The number of the last cycle."""
        return start + self._cycles(array, fold) - 1


def preloaded_fold_cycles(array: SystolicArray, fold: Fold) -> int:
    """Load the stationary operand row by row, then stream `steps` skewed rows past it: R + (steps + R + C - 2)."""
    return array.rows * fold.tiles + skewed_cycles(array, fold)


def skewed_cycles(array: SystolicArray, fold: Fold) -> int:
    """`steps` cycles, delayed by a cycle for each row and each column that lies between PE(0,0) and the far corner."""
    return fold.cycles + array.rows + array.cols - 2
