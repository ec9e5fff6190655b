"""The choice of output stationary runs: sums that stay in the PEs, for all products or for those that gain.

A fold takes the steps of its reduction, the decoding of its weights, its reads or the drain of the sums before, whichever is longest; its
weights are decoded again for each R rows. Disputable assumptions: memory, bank conflicts and what begins and ends a layer are not part
of the estimate, and on a tie weights stay. Sums of groups with scales of their own would have to be scaled between groups: such
formats, and convolutions with block-diagonal tiles or feeds per column, stay weight stationary.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.compiler.gemv import tile_cycles, whole_rows, width_cycles
from accelsim.compiler.plan import Op
from accelsim.compiler.target import Target
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.mapping import TILES
from accelsim.hw.mappings.output_stationary import OutputStationary
from accelsim.hw.row_accesses import row_accesses


def hold_outputs(target: Target, geometry: CoreGeometry) -> CoreGeometry:
    """The core as the runs of a layer see it, output stationary where `array.dataflow` says so and the layer can be."""
    return _held(target, geometry) if target.array.dataflow == "output_stationary" and can_hold(geometry) else geometry


def choose_dataflow(target: Target, op: Op, geometry: CoreGeometry) -> CoreGeometry:
    """The core as the runs of a product see it; with `array.dataflow: cheapest` in the dataflow with fewer estimated cycles."""
    if target.array.dataflow != "cheapest" or op.row_bytes > 1 or not can_hold(geometry):
        return geometry
    held = _held(target, geometry)
    return held if fold_cycles(target, op, held) < tile_cycles(target, op, geometry) else geometry


def can_hold(geometry: CoreGeometry) -> bool:
    """Whether something else than weights may stay in the PEs for a layer."""
    return geometry.mapping == TILES and not geometry.ahead and not geometry.block


def _held(target: Target, geometry: CoreGeometry) -> CoreGeometry:
    return replace(geometry, mapping=OutputStationary(), max_m=target.array.rows)


def fold_cycles(target: Target, op: Op, geometry: CoreGeometry) -> int:
    """Estimated cycles of all folds: for each N-stripe and R rows."""
    layer, buffer, vector = op.layer.product, target.activation_buffer, target.vector_unit
    assert layer is not None  # the plan puts nothing else on the array
    rows, groups = whole_rows(op), geometry.stripe_groups(op.k)
    chunks = -(-rows // geometry.rows)
    own = -(-rows // chunks)
    steps = -(-op.k // target.array.rows_per_cycle)
    reads = -(-own * row_accesses(buffer, layer, geometry.rows) * op.k // (min(geometry.rows, op.k) * buffer.port_accesses))
    drain = max(geometry.rows, own * vector.row_cycles(geometry.cols, vector.passes.requantize))
    work = max(steps, groups, width_cycles(geometry, groups), reads)
    fold = max(work, drain) if target.array.accumulator_banks > 1 else work + drain
    return op.layer.tile_groups * -(-op.n // op.layer.tile_groups // geometry.cols) * chunks * fold
