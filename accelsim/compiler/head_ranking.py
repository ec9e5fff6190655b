"""The head orders of a network, the one with the least estimated cost first."""

from __future__ import annotations

from collections import Counter

from accelsim.compiler.heads import HEAD_ORDERS, HeadOrder, estimate_cycles
from accelsim.compiler.target import Target
from accelsim.trace.trace import Trace


def ranked_head_orders(target: Target, trace: Trace) -> list[HeadOrder]:
    """All orders, or any one of them where no layer has heads."""
    ranked = sorted(HEAD_ORDERS, key=lambda order: _attention_estimate(target, trace, order))
    return ranked[:1] if all(layer.head_product is None for layer in trace.layers) else ranked


def _attention_estimate(target: Target, trace: Trace, order: HeadOrder) -> int:
    """Estimated cycles of all attentions in an order: per head a product, the operation that reads its scores, and a product."""
    array, vector = target.array, target.vector_unit
    per_head = {layer.inputs[0]: layer.vector for layer in trace.layers if layer.vector is not None and layer.by_group}
    found = [layer.head_product for layer in trace.layers if layer.head_product is not None and layer.name in per_head]
    shapes = Counter(
        (scores.m, scores.k, scores.n, scores.heads, per_head[scores.name].passes(vector.passes.of, fused=False))
        for scores in found
        if scores.merge == "groups"
    )
    total = 0
    for (m, k, n, heads, passes), count in shapes.items():
        tiles = -(-n // array.cols) * -(-k // array.rows)
        drain = m * vector.row_cycles(n, vector.passes.requantize)
        softmax = m * vector.row_cycles(n, passes)
        product = max(m * tiles, drain)
        width = heads * k  # of the projection that computes the values
        values = m * -(-width // array.cols) * -(-width // array.rows)
        total += count * estimate_cycles(order, heads, product, softmax, product, values)
    return total
