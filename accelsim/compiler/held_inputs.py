"""Input stationary runs: activations that stay in the PEs while weights pass, for all products that can be.

Sums of groups with scales of their own would have to be scaled between groups: such formats, and convolutions in groups, stay weight
stationary. Disputable assumption: the accumulators take whole N-tiles of outputs, as many as they have rows for.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.compiler.held_outputs import can_hold
from accelsim.compiler.target import Target
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.input_stationary import InputStationary


def hold_inputs(target: Target, geometry: CoreGeometry) -> CoreGeometry:
    """The core as the runs of a layer see it, input stationary where `array.dataflow` says so and the layer can be."""
    if target.array.dataflow != "input_stationary" or not can_hold(geometry):
        return geometry
    return replace(geometry, mapping=InputStationary(), file=target.array.max_m // target.array.cols)
