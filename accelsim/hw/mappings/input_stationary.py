"""Input stationary: R x C activations stay in the PEs, rows of A side by side, while decoded weights pass (see the kernel of that name).

A run is an M-tile of at most C rows and a fold of as many N-tiles as the accumulators have rows for: its sums are those of C rows by the
fold's outputs. The image holds the tiles of a fold K-tile after K-tile, as many bytes in another order.

Disputable assumption: results leave channel by channel, so each of them is written by an access of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.hw.mappings.mapping import Int64, Mapping, Product, ProductRuns, RankedChip
from accelsim.hw.row_accesses import row_accesses
from accelsim.hw.sram import ActivationBufferSpec
from accelsim.ops.mac_layers import MacLayer

if TYPE_CHECKING:
    from accelsim.hw.decode_mac_core import CoreGeometry


@dataclass(frozen=True)
class InputStationary(Mapping):
    """A step is an output channel, whose R weights of a K-tile enter together; `file` of the geometry is the N-tiles of a fold."""

    @property
    def takes_passes(self) -> bool:
        return False

    @property
    def turned(self) -> bool:
        return True

    def name(self, geometry: CoreGeometry) -> str:
        """With the weights that are decoded for a step."""
        return f"input stationary, {geometry.cycle_weights} weights decoded a cycle"

    def run_rows(self, geometry: CoreGeometry, stripes: int) -> int:
        """A row per column of PEs."""
        del stripes
        return geometry.cols

    def fields(self, geometry: CoreGeometry, k: int) -> dict[str, int]:
        """A fold is no file of weights."""
        return {**super().fields(geometry, k), "file": 1}

    def run_fields(self, split: ProductRuns) -> dict[str, int | Int64]:
        """The M-tile in place of the N-tiles, which pass; its units follow those of the M-tiles before in the same fold."""
        group, first, tile = split.nt0 // split.stripes, split.nt0 % split.stripes, split.first_rows // split.chunk_rows
        before = (group * split.columns + first * split.stripe_columns) * split.chunks
        return {
            "nt0": group * split.chunks + tile,
            "nt_count": 1,
            "turned": split.nt_counts,
            "unit0": before + tile * split.run_columns,
        }

    def steps(self, split: ProductRuns) -> Int64:
        """One for each output and K-tile."""
        return split.run_columns * split.kt_count

    def array_cycles(self, layer: MacLayer, split: ProductRuns, rows_per_cycle: int) -> int:
        """A step per cycle."""
        del layer
        return int((-(-split.run_columns // rows_per_cycle)).sum()) * split.kt_count

    def estimated_cycles(self, chip: RankedChip, product: Product, geometry: CoreGeometry) -> int:
        """Estimated cycles of all folds, for each M-tile: of a K-tile the outputs, the decoding, or the load of rows behind the wave.

        The drain overlaps the K-tile that completes the sums, and the next run if the accumulators have two banks and the drain leaves
        that run's rows a port of the buffer; the last drain is seen.
        """
        chunks = -(-product.rows // geometry.cols)
        rows = -(-product.rows // chunks)
        cycles = seen = 0
        for tiles, count in Counter(geometry.folds(-(-product.n // geometry.cols))).items():
            periods, drain, alone = self._run(chip, product, geometry, rows, tiles)
            seen = max(0, drain - periods[-1])
            cycles += count * (sum(periods) + seen if alone else max(sum(periods), drain))
            seen = 0 if alone else seen
        return chunks * cycles + seen

    def _run(self, chip: RankedChip, product: Product, geometry: CoreGeometry, rows: int, tiles: int) -> tuple[list[int], int, bool]:
        """Of a run of so many rows and N-tiles: (cycles of each K-tile, cycles of the drain, whether no other run overlaps it)."""
        buffer, vector, array = chip.activation_buffer, chip.vector_unit, chip.array
        outputs = min(tiles * geometry.cols, product.n)
        reads = -(-rows * row_accesses(buffer, product.layer, geometry.rows) // buffer.port_accesses)
        wave = geometry.rows + geometry.cols - 1 + max(0, reads - rows)
        least = max(-(-outputs // array.rows_per_cycle), reads, -(-wave // geometry.shadow_sets))
        groups = [tiles * geometry.tile_groups(product.k, kt) for kt in range(geometry.tile_count(product.k))]
        periods = [max(least, pops, geometry.width_cycles(pops)) for pops in groups]
        lanes = vector.row_cycles(rows, vector.passes.requantize)
        written = -(-rows // buffer.port_accesses)  # cycles of the ports: an access for each result
        drain = outputs * max(lanes, written) if lanes else 0
        return periods, drain, array.accumulator_banks == 1 or 0 < lanes <= written

    def figures(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns) -> Dictionary[str, int]:
        """Accesses of the activation buffer, and activations that were loaded."""
        rows = split.geometry.rows
        loaded = int(split.run_rows.sum())
        return {"is_reads": loaded * split.kt_count * row_accesses(buffer, layer, rows), "is_loads": loaded * split.k}
