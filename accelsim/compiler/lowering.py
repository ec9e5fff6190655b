"""From planned operations to the arrays of the compute kernel, one inference after the other."""

from __future__ import annotations

from collections.abc import Callable

from accelsim.compiler.inference import Inference, LayerBuild, Lowering, PlacedNetwork
from accelsim.compiler.live_slots import LiveRange
from accelsim.compiler.memory_layout import InferenceMemory
from accelsim.compiler.moves import load_tensor, slots_of, store_results
from accelsim.compiler.products import lower_product
from accelsim.compiler.program_size import check_tasks
from accelsim.compiler.row_functions import lower_row_function

_APART = 256  # operations from one report to the next


def lower_inference(low: Lowering, network: PlacedNetwork, index: int, memory: InferenceMemory, report: Callable[[int], None]) -> None:
    """Append inference number `index`, one of `network`, to the program; `report` is told now and then how many operations are done."""
    inference = Inference(low, network, memory)
    plan = network.plan
    for layer in network.layers:
        inference.layer_index[layer.name] = len(low.layers)
        parts = network.parts.get(layer.name)
        low.layers.append(LayerBuild(layer, index, network.trace.name, notes=[parts] if parts else []))
    starts: dict[int, list[LiveRange]] = {}
    for live_range in inference.allocation.residencies:
        if live_range.loaded:
            starts.setdefault(live_range.first, []).append(live_range)
    for op in plan.ops:
        if op.index % _APART == 0:
            report(op.index)
        for live_range in starts.get(op.index, ()):
            load_tensor(inference, live_range, op)
        if op.on_array:
            lower_product(inference, op)
        else:
            lower_row_function(inference, op)
        store_results(inference, op)
        check_tasks(f"layer {op.layer.name!r}", len(low.tasks))
    low.slots += slots_of(inference)
