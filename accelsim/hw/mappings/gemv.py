"""Few rows: groups meet them as they leave the decoder, in multipliers beside the PEs; sums are registers (see `kernels.gemv_step`)."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.hw.mappings.mapping import Int64, Mapping, Product, ProductRuns, RankedChip, row_steps
from accelsim.hw.sram import ActivationBufferSpec
from accelsim.ops.mac_layers import MacLayer

if TYPE_CHECKING:
    from accelsim.hw.decode_mac_core import CoreGeometry


@dataclass(frozen=True)
class Gemv(Mapping):
    """Group by group: a step is a row that meets a group. `max_m` of the geometry is the rows of sums of a bank."""

    @property
    def takes_passes(self) -> bool:
        return False

    @property
    def owns_sums(self) -> bool:
        return True

    @property
    def packed(self) -> int:
        return 1

    def name(self, geometry: CoreGeometry) -> str:
        """With the weights that meet rows in a cycle."""
        return f"GEMV, {geometry.cycle_weights} weights a cycle"

    def row_elements(self, geometry: CoreGeometry) -> int:
        """Those that a group has weights of."""
        return geometry.group_rows

    def fields(self, geometry: CoreGeometry, k: int) -> dict[str, int]:
        """The groups of a stripe, several that a cycle takes as one."""
        return {**super().fields(geometry, k), "gemv_groups": geometry.stripe_cycles(k)}

    def steps(self, split: ProductRuns) -> Int64:
        """Each group meets each row once."""
        return split.run_rows * split.nt_counts * split.stripe_cycles

    def array_cycles(self, layer: MacLayer, split: ProductRuns, rows_per_cycle: int) -> int:
        """A row per group and cycle."""
        del layer
        return int((split.nt_counts * -(-split.run_rows // rows_per_cycle)).sum()) * split.stripe_cycles

    def estimated_cycles(self, chip: RankedChip, product: Product, geometry: CoreGeometry) -> int:
        """Estimated cycles group by group: each takes its rows, or its bits; or the lanes take the sums of the stripes.

        Of the scales ahead of a tile, a pop for each row but one passes while the group before meets them.
        """
        k, groups, vector = product.k, geometry.stripe_groups(product.k), chip.vector_unit
        steps = row_steps(chip, product.layer, product.rows, geometry.group_rows)
        scales = [geometry.scale_pops(k, kt) for kt in range(geometry.tile_count(k))]
        behind = sum(max(0, pops - (steps - 1)) for pops in scales)
        pops = max(groups * steps + behind, geometry.width_cycles(groups + sum(scales)))
        drain = vector.row_cycles(product.rows * geometry.cols, vector.passes.requantize)
        return -(-product.n // geometry.cols) * max(pops, drain)

    def figures(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns) -> Dictionary[str, int]:
        """The steps of all runs."""
        del buffer, layer
        return {"gemv_steps": int(self.steps(split).sum())}
