"""Output stationary: sums stay in the PEs, R rows by C columns of them, while weights and activations pass (see the kernel of that name).

Decoded weights wait in a queue for their step. A line of it is a row of C weights or, where codewords lie along the reduction, D rows;
the queue holds a group and a line, or two lines of several rows, as such a line is free only when its last row has been taken.

Disputable assumptions: each row of PEs has registers for the activations of its next accesses, so that reads are spread evenly over
the steps of a K-tile; a queue of weights is shared by all columns and takes a group of any alignment.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.hw.mappings.mapping import Int64, Mapping, Product, ProductRuns, RankedChip
from accelsim.hw.row_accesses import row_accesses
from accelsim.hw.sram import ActivationBufferSpec
from accelsim.ops.mac_layers import MacLayer

if TYPE_CHECKING:
    from accelsim.hw.decode_mac_core import CoreGeometry


@dataclass(frozen=True)
class OutputStationary(Mapping):
    """A step is a row of C weights that meets an activation of each of the run's rows, of which the geometry's `max_m` are R."""

    @property
    def takes_passes(self) -> bool:
        return False

    @property
    def owns_sums(self) -> bool:
        return True

    @property
    def packed(self) -> int:
        return 2

    def name(self, geometry: CoreGeometry) -> str:
        """With the weights that are decoded for a step."""
        return f"output stationary, {geometry.cycle_weights} weights decoded a cycle"

    def fields(self, geometry: CoreGeometry, k: int) -> dict[str, int]:
        """Weights of a line, and of the queue."""
        return {**super().fields(geometry, k), "os_line": line_weights(geometry), "os_queue": queue_weights(geometry)}

    def steps(self, split: ProductRuns) -> Int64:
        """One for each row of the reduction and stripe."""
        return split.nt_counts * split.k

    def array_cycles(self, layer: MacLayer, split: ProductRuns, rows_per_cycle: int) -> int:
        """A step per cycle."""
        del layer
        return int(split.nt_counts.sum()) * -(-split.k // rows_per_cycle)

    def estimated_cycles(self, chip: RankedChip, product: Product, geometry: CoreGeometry) -> int:
        """Estimated cycles of all folds, for each N-stripe and R rows: steps, decoding, reads, or the drain of the sums before."""
        k, buffer, vector = product.k, chip.activation_buffer, chip.vector_unit
        layer, groups, pops = product.layer, product.layer.tile_groups, geometry.stripe_groups(product.k)
        chunks = -(-product.rows // geometry.rows)
        own = -(-product.rows // chunks)
        steps = -(-k // chip.array.rows_per_cycle)
        reads = -(-own * row_accesses(buffer, layer, geometry.rows) * k // (min(geometry.rows, k) * buffer.port_accesses))
        drain = max(geometry.rows, own * vector.row_cycles(geometry.cols, vector.passes.requantize))
        work = max(steps, pops, geometry.width_cycles(pops), reads)
        fold = max(work, drain) if chip.array.accumulator_banks > 1 else work + drain
        return groups * -(-product.n // groups // geometry.cols) * chunks * fold

    def figures(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns) -> Dictionary[str, int]:
        """Accesses of the activation buffer, and cycles in which the sums of a fold move down by a row: R for each."""
        rows = split.geometry.rows
        tile = min(rows, split.k)
        of_tile = split.run_rows * row_accesses(buffer, layer, rows)  # of R steps
        full, rest = divmod(split.k, tile)
        reads = split.nt_counts * (full * of_tile + -(-rest * of_tile // tile))
        return {"os_reads": int(reads.sum()), "os_shifts": int(np.sum(split.nt_counts)) * rows}


def line_weights(geometry: CoreGeometry) -> int:
    """Weights that leave the queue together."""
    return geometry.cols * (geometry.codeword_length if geometry.axis else 1)


def queue_weights(geometry: CoreGeometry) -> int:
    """Weights that the queue holds."""
    return geometry.cycle_weights + line_weights(geometry) * (2 if geometry.axis else 1)
