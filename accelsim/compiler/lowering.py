"""From planned operations to the arrays of the compute kernel, one inference after the other."""

from __future__ import annotations

from accelsim.compiler.frame import Frame, LayerBuild, Lowering, Network
from accelsim.compiler.moves import load_tensor, stays_of, store_results
from accelsim.compiler.placement import Residency
from accelsim.compiler.products import lower_product
from accelsim.compiler.row_functions import lower_row_function


def lower_frame(low: Lowering, network: Network, index: int) -> None:
    """Append inference number `index`, one of `network`, to the program."""
    frame = Frame(low, network)
    plan = network.plan
    for op in plan.ops:
        for layer in (op.layer, *op.fused):
            if layer.name not in frame.layer_index:
                frame.layer_index[layer.name] = len(low.layers)
                low.layers.append(LayerBuild(layer, index, network.trace.name))
    starts: dict[int, list[Residency]] = {}
    for stay in frame.allocation.residencies:
        if stay.loaded:
            starts.setdefault(stay.first, []).append(stay)
    for op in plan.ops:
        for stay in starts.get(op.index, ()):
            load_tensor(frame, stay, op)
        if op.on_array:
            lower_product(frame, op)
        else:
            lower_row_function(frame, op)
        store_results(frame, op)
    low.stays += stays_of(frame)
