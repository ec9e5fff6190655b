"""Enhanced weight stationary: a PE keeps a file of weights, and an activation row that is read once meets all of them.

As in MVQ (ASPLOS 2025, arXiv 2412.10261), whose files hold 16 weights. Assumptions, because no text at hand gives the order: the
file holds neighbouring N-tiles, one weight of each; an activation is held at a PE for as many cycles as there are tiles and meets one
weight per cycle; K-tiles are the inner loop, so that one stripe of sums for all tiles of the file is accumulated at a time.
"""

from __future__ import annotations

from accelsim.dataflows.dataflow import Dataflow, Fold, SpatialMap, SystolicArray
from accelsim.dataflows.preloaded import PreloadedTiming
from accelsim.dataflows.scale_sim import preloaded_fold_cycles

KIND = "enhanced_weight_stationary"


class EnhancedWeightStationary(Dataflow):
    """Weights pass the decoder once, on their way into the files: every format of at most 8 bits fits.

    A double-buffered array has two files per PE, which change roles behind the swap wave; in a single one a weight may be overwritten
    when the last activation row has met it. Accumulators hold M sums for each tile of the file.
    """

    kind = KIND
    stationary = "weights"
    spatial = SpatialMap(rows="K", cols="N", time="M")
    outer = "N"
    runs = True
    physical = PreloadedTiming()

    def tiles_a_fold(self, array: SystolicArray) -> int:
        """As many as the file has places."""
        return array.weight_file

    def scale_sim_fold_cycles(self, array: SystolicArray, fold: Fold) -> int:
        """By analogy (SCALE-Sim has no such dataflow): R for each tile to load, then M for each, and R + C - 2 of skew."""
        return preloaded_fold_cycles(array, fold)


SPEC = EnhancedWeightStationary
