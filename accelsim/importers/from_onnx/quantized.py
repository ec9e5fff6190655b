"""ONNX's quantized operations, and onnxruntime's, as the real numbers they stand for.

A tensor of integers is its real value over its scale plus its zero point: scales meet in the weights' factor, and cancel beside
activations as zero points do. Rounding is left to the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.matrix import filtered
from accelsim.importers.from_onnx.scales import centred, dequantized, quantized, real, scale_of, zero_point
from accelsim.importers.from_onnx.shapes import along_axis
from accelsim.importers.from_onnx.views import concat
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.elementwise import multiply
from accelsim.importers.graph.products import channel_vector, linear, product
from accelsim.importers.graph.repeated import elementwise
from accelsim.importers.graph.values import Constant, Deferred, Plain


def quantize(call: OnnxCall) -> Value:
    """QuantizeLinear of an activation, with one scale."""
    return quantized(call, call.view(0), 1, 2)


def dequantize(call: OnnxCall) -> Value:
    """DequantizeLinear of an activation, or of sums of products."""
    zero = zero_point(call, 2)
    if zero:
        call.values[0] = call.expression(0).apply(lambda x: x - zero, call.node)
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
    weights, scale, bias = centred(call, 1, 3), call.constant(2), call.optional_constant(4)
    if weights.array.ndim != 2 or scale.array.size not in (1, weights.array.shape[1]):
        call.refuse(f"weights of shape {weights.array.shape} with {scale.array.size} scales; allowed: (K, N), one scale or one per column")
    factors = scale.array.astype(np.float64).reshape(-1)
    result = linear(call, *call.with_factor(0), replace(weights, array=elementwise(np.multiply, weights.array, factors)))
    return result if bias is None else result.shifted(channel_vector(call, result, bias), bias)


def qlinear_conv(call: OnnxCall) -> Value:
    """QLinearConv: a convolution between scales."""
    weights = centred(call, 3, 5, outputs_first=True)
    scale = scale_of(call, 1)
    view, factor = real(call, 0, scale, 2)
    per_output = call.constant(4).array.astype(np.float64).reshape(-1)
    if per_output.size not in (1, weights.array.shape[0]):
        call.refuse(f"{per_output.size} scales for weights of shape {weights.array.shape}; allowed: one, or one per output channel")
    factors = per_output.reshape(-1, *[1] * (weights.array.ndim - 1))
    result = filtered(call, view, factor, replace(weights, array=elementwise(np.multiply, weights.array, factors)))
    bias = call.optional_constant(8)
    if bias is not None:
        result = result.shifted(bias.array.astype(np.float64) * scale * per_output, bias)
    return quantized(call, result.view(), 6, 7)


def qlinear_matmul(call: OnnxCall) -> Value:
    """QLinearMatMul: a linear layer or a product of activations between scales."""
    view, factor = real(call, 0, scale_of(call, 1), 2)
    second = centred(call, 3, 5) if isinstance(call.value(3), Constant) else call.value(3)
    if isinstance(second, Constant):
        scales = call.constant(4).array.astype(np.float64).reshape(-1)
        if second.array.ndim != 2 or scales.size not in (1, second.array.shape[1]):
            call.refuse(f"weights of shape {second.array.shape} with {scales.size} scales; allowed: (K, N), one scale or one per column")
        result = linear(call, view, factor, replace(second, array=elementwise(np.multiply, second.array, scales)))
    else:
        result = product(call, view, factor, *real(call, 3, scale_of(call, 4), 5))
    return quantized(call, result.view(), 6, 7)


def integer_product(call: OnnxCall) -> Deferred:
    """MatMulInteger and ConvInteger: sums of products of integers, whose scales follow."""
    view, factor = real(call, 0, 1.0, 2)
    if call.node.op == "ConvInteger":
        return filtered(call, view, factor, centred(call, 1, 3, outputs_first=True))
    second = centred(call, 1, 3) if isinstance(call.value(1), Constant) else call.value(1)
    if not isinstance(second, Constant):
        return product(call, view, factor, *real(call, 1, 1.0, 3))
    if second.array.ndim != 2:
        call.refuse(f"weights of shape {second.array.shape}; allowed: (K, N)")
    return linear(call, view, factor, second)


def between_scales(compute: Callable[[OnnxCall], Value], operands: int = 1) -> Callable[[OnnxCall], Value]:
    """An operation of com.microsoft on real values: each operand is followed by its scale and zero point, all by those of the result."""

    def computed(call: OnnxCall) -> Value:
        if call.node.integer("channels_last", 0):
            call.refuse("channels_last=1 is not supported; allowed: 0")
        given, result = call.values, 3 * operands
        call.values = [dequantized(call, 3 * place) for place in range(operands)]
        made = call.made(compute(call))
        call.values = [*[None] * result, *given[result:]]
        return quantized(call, made, result, result + 1)

    return computed


def qlinear_concat(call: OnnxCall) -> Value:
    """com.microsoft.QLinearConcat: the scale and the zero point of the result lead, its parts with theirs follow."""
    given = call.values
    if len(given) < 5 or len(given) % 3 != 2:
        call.refuse(f"has {len(given)} inputs; allowed: a scale, a zero point, and three for each part")
    call.values = [dequantized(call, place) for place in range(2, len(given), 3)]
    made = call.made(concat(call))
    call.values = [*given[:2], None]
    return quantized(call, made, 0, 1)


def qlinear_gemm(call: OnnxCall) -> Value:
    """com.microsoft.QGemm: a linear layer between scales; without an output scale its result is real."""
    if call.node.integer("transA", 0):
        call.refuse("transA=1 turns an activation; allowed: 0")
    turned, scale = bool(call.node.integer("transB", 0)), scale_of(call, 1) * call.node.number("alpha", 1.0)
    weights = centred(call, 3, 5, outputs_first=turned)
    matrix = weights.array.T if turned else weights.array
    per_output = call.constant(4).array.astype(np.float64).reshape(-1)
    if matrix.ndim != 2 or per_output.size not in (1, matrix.shape[1]):
        call.refuse(f"weights of shape {weights.array.shape} with {per_output.size} scales; allowed: (K, N), one scale or one per column")
    result = linear(call, *real(call, 0, scale, 2), replace(weights, array=elementwise(np.multiply, matrix, per_output)))
    bias = call.optional_constant(6)
    if bias is not None:
        result = result.shifted(channel_vector(call, result, bias) * scale * per_output, bias)
    return result if call.optional(7) is None else quantized(call, result.view(), 7, 8)
