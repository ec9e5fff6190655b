"""ONNX's fused attention operations, as their definitions have them: softmax(Q K^T * scale) V for each head.

Masks are causal or hide nothing; others, caches and grouped heads are refused: a trace has none of them.
"""

from __future__ import annotations

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.graph.attention import attention_of_heads
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.products import channel_vector, linear
from accelsim.importers.graph.values import Constant, Deferred, Fused, Plain

_MICROSOFT_ONLY = {"past_present_share_buffer": 0, "do_rotary": 0}


def attention(call: OnnxCall) -> tuple[Value, ...]:
    """Attention of opset 23: Q, K, V as (1, rows, heads x width), or as (1, heads, rows, width)."""
    _only_first_output(call)
    if any(call.optional(position) is not None for position in range(4, 7)):
        call.refuse("a cache of keys and values, or a limit of their length, is not supported")
    if call.node.number("softcap", 0.0):
        call.refuse("softcap is not supported; allowed: 0")
    views = [call.view(position) for position in range(3)]
    if len(views[0].shape) == 4:
        return (Plain(_heads(call, views, 3, "is_causal")),)
    heads, others = call.node.integer("q_num_heads", 0), call.node.integer("kv_num_heads", 0)
    if heads != others:
        call.refuse(f"{heads} heads of queries and {others} of keys and values; allowed: as many")
    return (_by_columns(call, views, heads, 3, "is_causal"),)


def multi_head_attention(call: OnnxCall) -> tuple[Value, ...]:
    """com.microsoft.MultiHeadAttention of Q, K, V as (1, rows, heads x width), with a bias per channel of each."""
    _only_first_output(call)
    _plain_attributes(call)
    bias = call.optional_constant(3)
    if any(call.optional(position) is not None for position in (4, *range(6, len(call.values)))):
        call.refuse("a padding mask or a cache of keys and values is not supported")
    views, first = [], 0
    for position in range(3):
        value = call.value(position)
        width = call.shape(position)[-1]
        if bias is not None:
            if not isinstance(value, Deferred) or bias.array.ndim != 1:
                call.refuse("a bias of anything but linear layers that nothing else reads is not supported")
            value = value.shifted(channel_vector(call, value, Constant(bias.array[first : first + width])), bias)
        views.append(call.made(value, position))
        first += width
    return (_by_columns(call, views, call.node.integer("num_heads", 0), 5, "unidirectional"),)


def packed_attention(call: OnnxCall) -> tuple[Value, ...]:
    """com.microsoft.Attention: the linear layers of Q, K and V share one matrix and become three layers."""
    _only_first_output(call)
    _plain_attributes(call)
    if call.node.ints("qkv_hidden_sizes") is not None or call.node.integer("rotary_embedding_dim", 0):
        call.refuse("qkv_hidden_sizes and rotary embeddings are not supported")
    if any(call.optional(position) is not None for position in (3, 4, *range(6, len(call.values)))):
        call.refuse("a mask index or a cache of keys and values is not supported")
    weights, bias = call.constant(1), call.optional_constant(2)
    view, factor = call.with_factor(0)
    if weights.array.ndim != 2 or weights.array.shape[1] % 3:
        call.refuse(f"weights of shape {weights.array.shape}; allowed: (K, 3 N)")
    fused = linear(call, view, factor, weights)
    if bias is not None:
        fused = fused.shifted(channel_vector(call, fused, bias), bias)
    width = fused.shape[-1] // 3
    parts = Fused.of(fused)
    last = len(fused.shape) - 1
    views = [parts.part(last, index * width, (index + 1) * width) for index in range(3)]
    return (_by_columns(call, views, call.node.integer("num_heads", 0), 5, "unidirectional"),)


def _by_columns(call: OnnxCall, views: list[View], heads: int, mask: int, flag: str) -> Value:
    """Heads are merged in the columns of Q, K, V and the result."""
    shapes = [view.shape for view in views]
    if heads < 1 or any(len(shape) != 3 or shape[0] != 1 or shape[-1] % heads for shape in shapes):
        call.refuse(f"activations of shapes {shapes} and {heads} heads do not fit together; allowed: (1, rows, heads x width)")
    apart = [view.reshape((1, view.shape[1], heads, view.shape[2] // heads)).transpose(1, 2) for view in views]
    context = _heads(call, apart, mask, flag)
    return Plain(context.transpose(1, 2).reshape((1, shapes[0][1], shapes[2][2])))


def _heads(call: OnnxCall, views: list[View], mask: int, flag: str) -> View:
    """Attention whose mask is at an input, or causal by an attribute."""
    q, k, v = views
    given = call.optional_constant(mask)
    causal = bool(call.node.integer(flag, 0))
    if causal and q.shape[-2] != k.shape[-2]:
        call.refuse(f"causal attention of {q.shape[-2]} queries over {k.shape[-2]} keys is not supported; allowed: as many")
    return attention_of_heads(call, q, k, v, call.node.number("scale", 0.0) or q.shape[-1] ** -0.5, causal, given)


def _only_first_output(call: OnnxCall) -> None:
    if any(call.node.outputs[1:]):
        call.refuse("only its first output is supported")


def _plain_attributes(call: OnnxCall) -> None:
    for name, allowed in _MICROSOFT_ONLY.items():
        if call.node.integer(name, allowed) != allowed:
            call.refuse(f"{name} is {call.node.integer(name, allowed)}; allowed: {allowed}")
