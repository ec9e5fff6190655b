"""Fused attention, as its definition has it: softmax(Q K^T * scale) V for each head, with a mask, a bias or none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.masks import biased, masked, shown_by_sum, softmax
from accelsim.importers.graph.products import multiplied
from accelsim.importers.graph.values import Constant, Plain
from accelsim.ops.add import AddLayer

Operand = View | Constant


def attention_of_heads(
    call: Call, q: Operand, k: Operand, v: Operand, scale: float, causal: bool = False, mask: Operand | None = None
) -> View:
    """The context of Q, K and V, each (1, heads, rows, width); a mask has truth values, or is added to the scores."""
    turned = k.transpose(-2, -1) if isinstance(k, View) else replace(k, array=np.swapaxes(k.array, -2, -1))
    products = call.made(multiplied(call, q, scale, turned, 1.0))
    scores: Value = Plain(products)
    if causal:
        scores = masked(call, scores, np.tri(products.shape[-2], dtype=bool))
    if isinstance(mask, View):
        if causal:
            call.refuse("a causal attention whose scores are added to an activation is not supported")
        scores = Plain(call.builder.pair(AddLayer, call.node.path("add"), products, mask))
    elif mask is not None:
        shown = mask.array if mask.array.dtype.kind == "b" else shown_by_sum(mask.array)
        scores = biased(call, scores, mask) if shown is None else masked(call, scores, shown)
    return call.made(multiplied(call, softmax(call, scores, -1), 1.0, v, 1.0))
