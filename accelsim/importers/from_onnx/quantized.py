"""ONNX's quantized operations as the real numbers they stand for.

The machine is symmetric: an activation's zero point must be 0 (a weight's is taken off it). A tensor of integers is its real value over
its scale, so scales meet in the weights' factor and cancel beside activations; rounding is left to the machine. Unsigned integers
without a zero point hold nothing below 0: quantizing to them is a relu, unless nothing below 0 can come (a model's input is taken to be
as it was quantized).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.matrix import filtered
from accelsim.importers.from_onnx.shapes import along_axis
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.elementwise import multiply
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.products import channel_vector, linear, product
from accelsim.importers.graph.values import Array, Constant, Deferred, Plain

_NONNEGATIVE = {"relu", "softmax", "sigmoid"}
_POOLS = {"max_pool2d", "avg_pool2d"}


def quantize(call: OnnxCall) -> Value:
    """QuantizeLinear of an activation, with one scale."""
    _zero_point(call, 2)
    scale = _scale(call, 1)
    return _quantized(call, call.view(0), scale, _unsigned(call, 2))


def dequantize(call: OnnxCall) -> Value:
    """DequantizeLinear of an activation, or of sums of products."""
    _zero_point(call, 2)
    scale = call.constant(1)
    if scale.array.size != 1:
        scale = replace(scale, array=along_axis(call.node, scale.array, call.shape(0)))
    call.values[1] = replace(scale, array=scale.array.astype(np.float64))
    return multiply(call)


def dynamic(call: OnnxCall) -> tuple[Value, ...]:
    """DynamicQuantizeLinear, whose scale and zero point cancel (accelsim.importers.from_onnx.dynamic has checked it): taken as 1 and 0."""
    call.recorder.note("activations that were quantized with a scale and a zero point of each inference are taken as symmetric")
    return Plain(call.view(0)), Constant(np.array(1, dtype=np.float32)), Constant(np.array(0, dtype=np.uint8))


def dynamic_product(call: OnnxCall) -> Deferred:
    """com.microsoft.DynamicQuantizeMatMul: an activation that is quantized inside, times integers with a scale, plus a bias."""
    weights, scale, bias = _centred(call, 1, 3), call.constant(2), call.optional_constant(4)
    if weights.array.ndim != 2 or scale.array.size not in (1, weights.array.shape[1]):
        call.refuse(f"weights of shape {weights.array.shape} with {scale.array.size} scales; allowed: (K, N), one scale or one per column")
    real = replace(weights, array=weights.array * scale.array.astype(np.float64).reshape(-1))
    result = linear(call, *call.with_factor(0), real)
    return result if bias is None else result.shifted(channel_vector(call, result, bias), bias)


def qlinear_conv(call: OnnxCall) -> Value:
    """QLinearConv: a convolution between scales."""
    for position in (2, 7):
        _zero_point(call, position)
    weights = _centred(call, 3, 5, outputs_first=True)
    scale = _scale(call, 1)
    view, factor = _real(call, 0, scale)
    per_output = call.constant(4).array.astype(np.float64).reshape(-1)
    if per_output.size not in (1, weights.array.shape[0]):
        call.refuse(f"{per_output.size} scales for weights of shape {weights.array.shape}; allowed: one, or one per output channel")
    real = weights.array * per_output.reshape(-1, *[1] * (weights.array.ndim - 1))
    result = filtered(call, view, factor, replace(weights, array=real))
    bias = call.optional_constant(8)
    if bias is not None:
        result = result.shifted(bias.array.astype(np.float64) * scale * per_output, bias)
    return _quantized(call, result.view(), _scale(call, 6), _unsigned(call, 7))


def qlinear_matmul(call: OnnxCall) -> Value:
    """QLinearMatMul: a linear layer or a product of activations between scales."""
    for position in (2, 7):
        _zero_point(call, position)
    view, factor = _real(call, 0, _scale(call, 1))
    second = _centred(call, 3, 5) if isinstance(call.value(3), Constant) else call.value(3)
    if isinstance(second, Constant):
        scales = call.constant(4).array.astype(np.float64).reshape(-1)
        if second.array.ndim != 2 or scales.size not in (1, second.array.shape[1]):
            call.refuse(f"weights of shape {second.array.shape} with {scales.size} scales; allowed: (K, N), one scale or one per column")
        result = linear(call, view, factor, replace(second, array=second.array * scales))
    else:
        _zero_point(call, 5)
        result = product(call, view, factor, *_real(call, 3, _scale(call, 4)))
    return _quantized(call, result.view(), _scale(call, 6), _unsigned(call, 7))


def integer_product(call: OnnxCall) -> Deferred:
    """MatMulInteger and ConvInteger: sums of products of integers, whose scales follow."""
    _zero_point(call, 2)
    view, factor = call.with_factor(0)
    if call.node.op == "ConvInteger":
        return filtered(call, view, factor, _centred(call, 1, 3, outputs_first=True))
    second = _centred(call, 1, 3) if isinstance(call.value(1), Constant) else call.value(1)
    if not isinstance(second, Constant):
        _zero_point(call, 3)
        return product(call, view, factor, *call.with_factor(1))
    if second.array.ndim != 2:
        call.refuse(f"weights of shape {second.array.shape}; allowed: (K, N)")
    return linear(call, view, factor, second)


def _quantized(call: OnnxCall, view: View, scale: float, unsigned: bool) -> Expression:
    if unsigned and not _is_nonnegative(call.builder, view.producer):
        view = call.builder.clip(call.node.path("relu"), view, 0.0, None)
    return Expression.of(view, call.node).apply(lambda x: x / scale, call.node)


def _is_nonnegative(builder: GraphBuilder, producer: str) -> bool:
    layers = {layer.name: layer for layer in builder.layers}
    while producer in layers and layers[producer].op in _POOLS:
        producer = layers[producer].inputs[0]
    if producer not in layers:
        return True
    minimum = getattr(layers[producer], "minimum", None)
    return layers[producer].op in _NONNEGATIVE or (minimum is not None and minimum >= 0)


def _real(call: OnnxCall, position: int, scale: float) -> tuple[View, float]:
    """The activation behind integers, and the factor that is left of its scales."""
    view, factor = call.with_factor(position)
    whole = factor * scale
    return view, 1.0 if abs(whole - 1) < 1e-9 else whole


def _scale(call: OnnxCall, position: int) -> float:
    scale = call.scalar(position)
    if not (np.isfinite(scale) and scale > 0):
        call.refuse(f"input {position}, a scale, is {scale}; allowed: above 0")
    return scale


def _centred(call: OnnxCall, position: int, zero_point: int, outputs_first: bool = False) -> Constant:
    """Weights minus their zero point (one, or one per output channel): a trace holds real values."""
    weights, zero = call.constant(position), call.optional_constant(zero_point)
    if zero is None or not zero.array.any():
        return weights
    outputs = weights.array.shape[0 if outputs_first else -1] if weights.array.ndim else 0
    if zero.array.size not in (1, outputs):
        call.refuse(f"{zero.array.size} zero points for weights of shape {weights.array.shape}; allowed: one, or one per output channel")
    shape = (-1, *[1] * (weights.array.ndim - 1)) if outputs_first else (-1,)
    return replace(weights, array=weights.array.astype(np.int32) - zero.array.astype(np.int32).reshape(shape))


def _zero_point(call: OnnxCall, position: int) -> None:
    given = call.optional_constant(position)
    if given is not None and np.any(given.array):
        worst: Array = given.array.reshape(-1)[np.flatnonzero(given.array.reshape(-1))[0]]
        call.refuse(f"input {position}, a zero point, is {worst}; allowed: 0 (the machine is symmetric)")


def _unsigned(call: OnnxCall, position: int) -> bool:
    given = call.optional_constant(position)
    if given is not None:
        return given.array.dtype.kind == "u"
    return call.node.integer("output_dtype", TensorProto.UINT8) in (TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT4, 0)
