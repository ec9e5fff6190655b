"""The vector path: the lanes of the vector unit multiply and accumulate a depthwise layer, with weights that they hold.

A lane computes an output, one tap per cycle: it takes the tap's weight out of its registers and the activation out of the activation
buffer, and requantizes the sum after the last tap. Disputable assumptions: lanes have no windows, so each output reads all of its taps,
those in the padding too; the channels of a position that lie side by side are read together, tap by tap; and what the buffer cannot serve
in a cycle stretches all of them alike.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.hw.mappings.mapping import Int64, Mapping, ProductRuns, Stripes
from accelsim.hw.row_accesses import window_accesses
from accelsim.hw.sram import ActivationBufferSpec
from accelsim.ops.mac_layers import MacLayer

if TYPE_CHECKING:
    from accelsim.hw.decode_mac_core import CoreGeometry


@dataclass(frozen=True)
class VectorPath(Mapping):
    """C channels in a stripe, whose rows are given to the lanes together; sums are registers there, so any number of rows will do."""

    @property
    def takes_passes(self) -> bool:
        return False

    @property
    def own_rows(self) -> bool:
        return True

    @property
    def owns_sums(self) -> bool:
        return True

    @property
    def whole_stripes(self) -> bool:
        return True

    @property
    def packed(self) -> int:
        return 1

    @property
    def part(self) -> str:
        return ""

    @property
    def group_name(self) -> str:
        return "on the vector unit, a channel per lane"

    def stripes(self, groups: int, columns: int, cols: int) -> Stripes:
        """The channels of all groups lie side by side."""
        return Stripes(1, groups * columns, cols)

    def fields(self, geometry: CoreGeometry, k: int) -> dict[str, int]:
        """Weights go to the lanes."""
        return {**super().fields(geometry, k), "vector_path": 1}

    def steps(self, split: ProductRuns) -> Int64:
        """A stripe is given to the lanes in a cycle."""
        return split.nt_counts

    def array_cycles(self, layer: MacLayer, split: ProductRuns, rows_per_cycle: int) -> int:
        """None: no PE multiplies."""
        del layer, split, rows_per_cycle
        return 0

    def lane_passes(self, k: int) -> int:
        """One for each tap."""
        return k

    def lane_accesses(self, buffer: ActivationBufferSpec, layer: MacLayer, columns: int) -> int:
        """Those of all taps of a row of channels."""
        window = layer.channel_window
        assert window is not None  # no other layer goes to the lanes
        return window_accesses(buffer, window, columns, layer.k)

    def figures(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns) -> Dictionary[str, int]:
        """Accesses of the activation buffer that all taps take."""
        full, last = split.stripe_columns, split.columns - (split.stripes - 1) * split.stripe_columns
        every, rest = (self.lane_accesses(buffer, layer, columns) for columns in (full, last))
        ends = split.nt0 + split.nt_counts == split.stripes  # runs with the last stripe
        return {"lane_reads": int((split.run_rows * (split.nt_counts * every + ends * (rest - every))).sum())}
