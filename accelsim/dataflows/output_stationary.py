"""Output stationary: a tile of R x C sums is stationary, M down the rows and N across the columns, while K steps of both operands pass.

Activations enter from the left and weights from the top, each skewed by a cycle a row or column; a sum is complete in place after K
steps. Assumption: sums leave downwards, one per cycle and column, when the column's last sum is complete; a tag on the top sum stops
the shift row by row behind it, so that a row is free for the next fold R cycles after its sum came.
"""

from __future__ import annotations

from accelsim.dataflows.dataflow import Dataflow, Fold, FoldTiming, SpatialMap, SystolicArray
from accelsim.dataflows.scale_sim import skewed_cycles

KIND = "output_stationary"


class AccumulateInPlace(FoldTiming):
    """Folds that follow each other as closely as the drain of the sums allows.

    PE(r,c) multiplies step k in cycle start + 1 + k + r + c. Its sum is held from the edge that ends its last product until the
    drain has passed its row, R cycles later, whatever r and c. A trimmed fold drains all R rows: its sums lie at the top.
    """

    def first_start(self, array: SystolicArray, fold: Fold) -> int:
        """At once: both operands stream from their buffers."""
        return 0

    def next_start(self, array: SystolicArray, start: int, fold: Fold, following: Fold) -> int:
        """With drain registers: when the steps are through, and so that the next sums come no sooner than the drain has passed.

        Without: the sum itself drains, and a PE's first product of the next fold may replace it on the edge on which it leaves.
        """
        if array.double_buffered:
            return start + fold.steps + max(0, array.rows - following.steps)
        return start + fold.steps + array.rows - 1

    def total(self, array: SystolicArray, start: int, fold: Fold) -> int:
        """Until the top sum of the last column has left: the last step, R + C cycles of skew and registers, and R - 1 more rows."""
        return start + fold.steps + 2 * array.rows + array.cols - 1


class OutputStationary(Dataflow):
    """Weights stream past, again for each M-tile: they are decoded on their way, C per step (`hw.mappings.output_stationary`)."""

    kind = KIND
    short_name = "os"
    stationary = "outputs"
    spatial = SpatialMap(rows="M", cols="N", time="K")
    outer = "N"
    runs = True
    physical = AccumulateInPlace()

    def scale_sim_fold_cycles(self, array: SystolicArray, fold: Fold) -> int:
        """K + R + C - 2: the sums are not read out."""
        return skewed_cycles(array, fold)


SPEC = OutputStationary
