"""Input stationary: a tile of R x C activations is stationary, K down the rows and M across the columns, while N weight columns pass.

It is weight stationary for the transposed product, Y^T = Wt^T A^T, so it shares that timing; activations are loaded as weights are
there. M-tiles are outside and K-tiles inside, so that one stripe of sums is accumulated at a time.
"""

from __future__ import annotations

from accelsim.dataflows.dataflow import Dataflow, Fold, SpatialMap, SystolicArray
from accelsim.dataflows.preloaded import PreloadedTiming
from accelsim.dataflows.scale_sim import preloaded_fold_cycles

KIND = "input_stationary"


class InputStationary(Dataflow):
    """Weights stream past, again for each M-tile: they are decoded on their way, R per step (`hw.mappings.input_stationary`)."""

    kind = KIND
    short_name = "is"
    stationary = "inputs"
    spatial = SpatialMap(rows="K", cols="M", time="N")
    outer = "M"
    runs = True
    physical = PreloadedTiming()

    def scale_sim_fold_cycles(self, array: SystolicArray, fold: Fold) -> int:
        """2R + C + N - 2."""
        return preloaded_fold_cycles(array, fold)


SPEC = InputStationary
