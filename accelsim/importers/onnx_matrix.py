"""ONNX's matrix products and convolutions as layers: weights are turned to Wt[K,N], factors and sums beside them folded in.

A product with constants is a linear layer, a product of two activations one of attention. Integer products are taken as the real
numbers that their scales make of them; what rounding between them does is the machine's business, not the trace's.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from accelsim.importers.graph_builder import Convolution
from accelsim.importers.layout import View
from accelsim.importers.onnx_call import Call
from accelsim.importers.onnx_tensors import Array
from accelsim.importers.onnx_values import Constant, Deferred, Vector
from accelsim.importers.onnx_windows import paddings, pair


def matmul(call: Call) -> Deferred:
    """MatMul: a linear layer, or a product of two activations."""
    first, second = call.value(0), call.value(1)
    if isinstance(first, Constant):
        call.refuse(f"input 0 is {first!r}; allowed: an activation first, times a constant or an activation")
    if not isinstance(second, Constant):
        return product(call, *call.with_factor(0), *call.with_factor(1))
    weights = second.array
    if weights.ndim < 2 or math.prod(weights.shape[:-2]) != 1:
        call.refuse(f"weights of shape {weights.shape}; allowed: (K, N)")
    return linear(call, *call.with_factor(0), replace(second, array=weights.reshape(weights.shape[-2:])))


def gemm(call: Call) -> Deferred:
    """Gemm: alpha A B + beta C with A an activation and B, C constants."""
    weights = call.constant(1)
    if call.node.integer("transA", 0):
        call.refuse("transA=1 turns an activation; allowed: 0")
    if weights.array.ndim != 2:
        call.refuse(f"weights of shape {weights.array.shape}; allowed: two dimensions")
    matrix = weights.array.T if call.node.integer("transB", 0) else weights.array
    view, factor = call.with_factor(0)
    result = linear(call, view, factor * call.node.number("alpha", 1.0), replace(weights, array=matrix))
    bias = call.optional_constant(2)
    if bias is None:
        return result
    term = channel_vector(call, result, bias)
    return result.shifted(term * call.node.number("beta", 1.0), bias)


def linear(call: Call, view: View, factor: float, weights: Constant) -> Deferred:
    """A linear layer over the last dimension, whose weights (K, N) are multiplied by a factor."""
    reduction, outputs = weights.array.shape
    if not view.shape or view.shape[-1] != reduction:
        call.refuse(f"an activation of shape {view.shape} and weights of {reduction} x {outputs} cannot be multiplied")

    def make_columns(pending: Deferred, first: int, stop: int) -> View:
        scale, shift = (_columns(values, first, stop) for values in (pending.scale, pending.shift))
        name = call.layer_name((*pending.labels, weights.label))
        if stop - first < outputs:
            name = f"{name}[{first}:{stop}]"
        result = call.builder.linear(name, view, stop - first, shift is not None)
        call.recorder.used.update(pending.sources)
        part = (0, 0) if stop - first == outputs else (first, stop)
        call.recorder.keep_weight(result, _scaled(weights.array[:, first:stop], factor, scale), weights.sources, part)
        if shift is not None:
            call.recorder.keep_constant(result, "bias", np.broadcast_to(shift, (stop - first,)), pending.sources)
        return result

    shape = (*view.shape[:-1], outputs)
    return Deferred(shape, len(shape) - 1, lambda pending: make_columns(pending, 0, outputs), columns=make_columns)


def product(call: Call, a: View, factor_a: float, b: View, factor_b: float) -> Deferred:
    """A product of two activations, which takes one factor."""
    if len(a.shape) < 2 or len(b.shape) < 2:
        call.refuse(f"activations of shapes {a.shape} and {b.shape} are not matrices")

    def make(pending: Deferred) -> View:
        view = call.builder.matmul(call.node.path("matmul"), a, b)
        whole = factor_a * factor_b * (1.0 if pending.scale is None else float(pending.scale))
        return view if whole == 1.0 else call.builder.scale(call.node.path("mul"), view, whole)

    shape = (*a.shape[:-1], b.shape[-1])
    return Deferred(shape, len(shape) - 1, make, per_channel=False)


def convolution(call: Call) -> Deferred:
    """Conv: a 2-D convolution."""
    view, factor = call.with_factor(0)
    weights = call.constant(1)
    result = convolve(call, view, factor, weights)
    bias = call.optional_constant(2)
    return result if bias is None else result.shifted(channel_vector(call, result, bias, flat=True), bias)


def convolve(call: Call, view: View, factor: float, weights: Constant) -> Deferred:
    """A convolution with weights (K, C / groups, FY, FX), which are multiplied by a factor."""
    filters = weights.array
    if filters.ndim != 4 or len(view.shape) != 4:
        call.refuse(f"an activation of shape {view.shape} and weights of shape {filters.shape}; allowed: two dimensions of space")
    groups = call.node.integer("group", 1)
    outputs, per_group, *taps = filters.shape
    if groups < 1 or view.shape[1] != per_group * groups or outputs % groups:
        call.refuse(f"an activation of shape {view.shape}, weights of shape {filters.shape} and {groups} groups do not fit together")
    if (call.node.ints("kernel_shape") or taps) != taps:
        call.refuse(f"kernel_shape {call.node.ints('kernel_shape')} is not that of weights of shape {filters.shape}")
    strides, dilation = pair(call, "strides"), pair(call, "dilations")
    before, after = paddings(call, view.shape[2:], (taps[0], taps[1]), strides, dilation)
    conv = Convolution(outputs, (taps[0], taps[1]), strides, before, dilation, groups, after)
    oy, ox = ((size + before[i] + after[i] - dilation[i] * (taps[i] - 1) - 1) // strides[i] + 1 for i, size in enumerate(view.shape[2:]))

    def make(pending: Deferred) -> View:
        name = call.layer_name((*pending.labels, weights.label))
        result = call.builder.conv2d(name, view, conv, pending.shift is not None)
        call.recorder.used.update(pending.sources)
        call.recorder.keep_weight(result, _scaled(filters.reshape(outputs, -1).T, factor, pending.scale), weights.sources)
        if pending.shift is not None:
            call.recorder.keep_constant(result, "bias", np.broadcast_to(pending.shift, (outputs,)), pending.sources)
        return result

    return Deferred((view.shape[0], outputs, oy, ox), 1, make)


def batch_normalization(call: Call) -> Deferred:
    """BatchNormalization: a factor and a sum a channel, folded into the layer before it."""
    before = call.value(0)
    if not isinstance(before, Deferred) or not before.per_channel or before.axis != 1:
        call.refuse("allowed: after a convolution or a linear layer that nothing else reads, over its output channels")
    if call.node.integer("training_mode", 0) or call.node.integer("is_test", 1) == 0:
        call.refuse("is in training mode; export the model for inference")
    trained = [call.constant(position) for position in range(1, 5)]
    channels = before.shape[1]
    if any(constant.array.shape != (channels,) for constant in trained):
        call.refuse(f"its constants do not have the {channels} elements of the channels")
    gamma, beta, mean, variance = (constant.array.astype(np.float64) for constant in trained)
    spread = variance + call.node.number("epsilon", 1e-5)
    if not (spread > 0).all():
        call.refuse(f"variance plus epsilon is {spread.min()} in a channel; allowed: above 0")
    factor = gamma / np.sqrt(spread)
    return before.scaled(factor).shifted(beta - mean * factor, *trained)


def channel_vector(call: Call, result: Deferred, constant: Constant, flat: bool = False) -> Vector:
    """A bias as one value a channel; `flat`: given as such, whatever the channels' dimension."""
    channels = result.shape[result.axis]
    vector = constant.array.reshape(-1).astype(np.float64) if flat and constant.array.shape == (channels,) else result.vector(constant)
    if vector is None or (flat and constant.array.shape != (channels,)):
        call.refuse(f"a bias of shape {constant.array.shape} for {channels} channels")
    return vector


def _columns(values: Vector | None, first: int, stop: int) -> Vector | None:
    return values[first:stop] if values is not None and values.ndim else values


def _scaled(weights: Array, factor: float, scale: Vector | None) -> Array:
    """Weights (K, N) times a factor, and a factor a column."""
    if factor == 1.0 and scale is None:
        return weights
    return np.asarray(weights.astype(np.float64) * (factor * (1.0 if scale is None else scale)))
