"""Fused attention, as its definition has it: softmax(Q K^T * scale) V for each head, with a causal mask or none."""

from __future__ import annotations

from accelsim.importers.graph.call import Call
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.masks import kind_of_mask, shown_by_sum
from accelsim.importers.graph.products import product
from accelsim.importers.graph.values import Constant


def attention_of_heads(call: Call, q: View, k: View, v: View, scale: float, causal: bool = False) -> View:
    """The context of Q, K and V, each (1, heads, rows, width)."""
    scores = product(call, q, scale, k.transpose(-2, -1), 1.0).view()
    return product(call, call.builder.softmax(call.node.path("softmax"), scores, -1, causal), 1.0, v, 1.0).view()


def is_causal(call: Call, mask: Constant, q: View, k: View) -> bool:
    """True if a mask of fused attention (truth values, or a summand of the scores) is causal, False if it hides nothing."""
    shown = mask.array if mask.array.dtype.kind == "b" else shown_by_sum(mask.array)
    if shown is None:
        call.refuse(f"a sum of the scores with {mask!r} is not supported; allowed: masks")
    return kind_of_mask(call, shown, (*q.shape[:-1], k.shape[-2])) == "causal"
