"""The operand that stays in the PEs while a product runs: weights, sums or activations, as told by `array.dataflow` or ranked by cycles.

The image of a layer's weights has one order where weights or sums stay, and another where activations do. So `cheapest` first decides for a
layer, by the rows of one inference, whether activations stay, and then between weights and sums product by product; products of two
activations have no image. Where cores are told to share rows, the rows are those of the core with most of them. An estimate is the
mapping's own, or the time in which the weights' memory brings the image as often as it is read, if that is more; on a tie weights stay.
Sums of groups with scales of their own would have to be scaled between groups: such formats, and convolutions with block-diagonal tiles or
feeds per column, stay weight stationary; input stationary, all convolutions in groups do.

Disputable assumptions: accumulators take whole N-tiles of outputs where activations stay, as many as they have rows for; bank conflicts,
other traffic of the memory, what begins and ends a layer, and a batch are not part of the choice. Where an estimate of the whole network
shares the layers among cores, or stripes are told, a layer that is shared over rows is ranked by all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from accelsim.compiler.core_splits import even_parts
from accelsim.compiler.image import image_bits
from accelsim.compiler.merged_groups import image_tiles
from accelsim.compiler.plan import Op, TensorId
from accelsim.compiler.product_cost import product_cycles
from accelsim.compiler.product_split import split_product
from accelsim.compiler.target import Target
from accelsim.compiler.weight_traffic import header_traffic
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.input_stationary import InputStationary
from accelsim.hw.mappings.mapping import TILES
from accelsim.hw.mappings.output_stationary import OutputStationary
from accelsim.trace.layers import WeightedLayer


def hold_of_layer(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> CoreGeometry:
    """The core as all runs of a layer see it; with `cheapest` weight stationary where sums may still stay for some of its products."""
    if not _can_hold(geometry):
        return geometry
    if target.array.dataflow != "cheapest":
        return geometry if target.array.holds_inputs and layer.tile_groups > 1 else hold_as_told(target, geometry)
    if not _may_hold_inputs(target, geometry, layer):
        return geometry
    op = Op(0, layer, (), -1, 0, (), TensorId(layer.name), _rows_of_a_core(target, layer), layer.k, layer.n)
    found = _cheapest(target, op, (geometry, _with_outputs(target, geometry), _with_inputs(target, geometry)))
    return found if found.mapping.turned else geometry


def hold_as_told(target: Target, geometry: CoreGeometry) -> CoreGeometry:
    """The core with what `array.dataflow` names in the PEs, if it names sums or activations and they can stay there."""
    if not _can_hold(geometry):
        return geometry
    if target.array.dataflow == "output_stationary":
        return _with_outputs(target, geometry)
    return _with_inputs(target, geometry) if target.array.dataflow == "input_stationary" else geometry


def hold_of_product(target: Target, op: Op, geometry: CoreGeometry) -> CoreGeometry:
    """The core as the runs of a product see it; with `array.dataflow: cheapest` in the dataflow with fewest estimated cycles."""
    if target.array.dataflow != "cheapest" or op.row_bytes > 1 or not _can_hold(geometry):
        return geometry
    candidates = [geometry, _with_outputs(target, geometry)]
    if op.layer.weighted is None and not op.layer.from_cache and target.array.may_hold_inputs:
        candidates.append(_with_inputs(target, geometry))  # nothing else reads its operands in an order of the weights
    return _cheapest(target, op, candidates)


def _can_hold(geometry: CoreGeometry) -> bool:
    """Whether something else than weights may stay in the PEs for a layer."""
    return geometry.mapping == TILES and not geometry.ahead and not geometry.block


def _with_outputs(target: Target, geometry: CoreGeometry) -> CoreGeometry:
    return replace(geometry, mapping=OutputStationary(), max_m=target.array.rows)


def _with_inputs(target: Target, geometry: CoreGeometry) -> CoreGeometry:
    return replace(geometry, mapping=InputStationary(), file=target.array.max_m // target.array.cols)


def _rows_of_a_core(target: Target, layer: WeightedLayer) -> int:
    """Rows of a layer's result in one inference that the core with most of them has: whole lines of an image, where rows are shared."""
    line = layer.window.positions if layer.window is not None else 1
    if not target.splits_layers or target.control.core_split != "rows" or not layer.by_rows:
        return layer.m
    return even_parts(layer.m // line, target.cores)[0][1] * line


def _may_hold_inputs(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> bool:
    """Whether `cheapest` may choose for a layer that activations stay: rows of 8 bits, and no header that needs column tiles."""
    if not target.array.may_hold_inputs or target.wide_rows or layer.tile_groups > 1:
        return False
    return _header_bytes(target, layer, image_tiles(geometry, layer)) + target.dma.transfer <= target.weight_buffer.capacity


def _cheapest(target: Target, op: Op, candidates: Iterable[CoreGeometry]) -> CoreGeometry:
    """The candidate with fewest estimated cycles, the memory's included; of equal ones by those of the array alone, then the first."""

    def cost(geometry: CoreGeometry) -> tuple[Fraction, int]:
        array = product_cycles(target, op, geometry)
        assert array is not None  # tiles of one weight per PE, and what may stay in their place, have estimates
        return max(Fraction(array), _loading_cycles(target, op, geometry)), array

    return min(candidates, key=cost)


def _loading_cycles(target: Target, op: Op, geometry: CoreGeometry) -> Fraction:
    """Cycles in which the memory brings the weights as often as M-chunks read them; 0 where none come from a memory, or all are pinned."""
    layer = op.layer.weighted
    if layer is None or target.weight_buffer.residency == "pinned":
        return Fraction(0)
    split = split_product(replace(op, m=op.whole_rows, row_tile=None, column_tile=None), geometry)
    header = _header_bytes(target, layer, image_tiles(geometry, layer))
    held = not split.per_stripe or header + split.stream_bytes <= target.weight_buffer.capacity
    once = image_bits(geometry, layer, split.packing).total // 8
    return target.transfer_cycles(target.placement.weights, header + once * (1 if held else split.chunks))


def _header_bytes(target: Target, layer: WeightedLayer, tiles: int) -> int:
    return sum(header_traffic(layer.weight, target.vector_unit, target.codebook.store == "rom", tiles).values()) // 8
