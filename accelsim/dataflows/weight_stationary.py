"""Weight stationary: a tile of R x C weights is stationary, K down the rows and N across the columns, while M activation rows pass.

The order of the folds is the core's: N-tiles outside, K-tiles inside, so that one stripe of sums is accumulated at a time.
"""

from __future__ import annotations

from accelsim.dataflows.dataflow import Dataflow, Fold, SpatialMap, SystolicArray
from accelsim.dataflows.preloaded import PreloadedTiming
from accelsim.dataflows.scale_sim import preloaded_fold_cycles

KIND = "weight_stationary"


class WeightStationary(Dataflow):
    """Weights pass the decoder once, on their way into the array: every format of at most 8 bits fits."""

    kind = KIND
    short_name = "ws"
    stationary = "weights"
    spatial = SpatialMap(rows="K", cols="N", time="M")
    outer = "N"
    runs = True
    physical = PreloadedTiming()

    def scale_sim_fold_cycles(self, array: SystolicArray, fold: Fold) -> int:
        """2R + C + M - 2."""
        return preloaded_fold_cycles(array, fold)


SPEC = WeightStationary
