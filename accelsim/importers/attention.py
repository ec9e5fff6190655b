"""Fused attention, as its definition has it: softmax(Q K^T * scale) V for each head."""

from __future__ import annotations

from accelsim.importers.call import Call
from accelsim.importers.layout import View
from accelsim.importers.products import product


def attention_of_heads(call: Call, q: View, k: View, v: View, scale: float) -> View:
    """The context of Q, K and V, each (1, heads, rows, width)."""
    scores = product(call, q, scale, k.transpose(-2, -1), 1.0).view()
    return product(call, call.builder.softmax(call.node.path("softmax"), scores, -1), 1.0, v, 1.0).view()
