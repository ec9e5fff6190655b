"""ONNX's Gemm, Conv and BatchNormalization, with their attributes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.windows import all_paddings, paddings, pair, sizes
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.products import channel_vector, convolve, convolve_line, linear, multiplied, normalize_channels
from accelsim.importers.graph.values import Constant, Deferred, Padded
from accelsim.importers.graph.volumes import Windows, convolve_images, convolve_volume
from accelsim.importers.graph.windows import Convolution


def gemm(call: OnnxCall) -> Deferred:
    """Gemm: alpha A B + beta C with A an activation and B, C constants."""
    weights = call.constant(1)
    if weights.array.ndim != 2:
        call.refuse(f"weights of shape {weights.array.shape}; allowed: two dimensions")
    matrix = weights.array.T if call.node.integer("transB", 0) else weights.array
    view, factor = call.with_factor(0)
    view = view.transpose(0, 1) if call.node.integer("transA", 0) else view
    result = linear(call, view, factor * call.node.number("alpha", 1.0), replace(weights, array=matrix))
    bias = call.optional_constant(2)
    if bias is None:
        return result
    term = channel_vector(call, result, bias)
    return result.shifted(term * call.node.number("beta", 1.0), bias)


def turned_product(call: OnnxCall) -> Value:
    """FusedMatMul of onnxruntime: alpha A B, either with its last two dimensions exchanged."""
    if call.node.integer("transBatchA", 0) or call.node.integer("transBatchB", 0):
        call.refuse("transBatchA or transBatchB moves the heads; allowed: 0")
    sides: list[tuple[View | Constant, float]] = []
    for place, name in enumerate(("transA", "transB")):
        value, turned = call.value(place), call.node.integer(name, 0)
        if isinstance(value, Constant):
            sides.append((replace(value, array=np.swapaxes(value.array, -2, -1)) if turned else value, 1.0))
        else:
            view, factor = call.with_factor(place)
            sides.append((view.transpose(-2, -1) if turned else view, factor))
    (a, factor_a), (b, factor_b) = sides
    return multiplied(call, a, call.node.number("alpha", 1.0) * factor_a, b, factor_b)


def convolution(call: OnnxCall) -> Deferred:
    """Conv over one, two or three dimensions of space."""
    source = call.value(0)
    if call.constant(1).array.ndim in (3, 5):
        result, bias = (_line if call.constant(1).array.ndim == 3 else _volume)(call), call.optional_constant(2)
        return result if bias is None else result.shifted(channel_vector(call, result, bias, flat=True), bias)
    read, factor = (source, 1.0) if isinstance(source, Padded) else call.with_factor(0)
    result = filtered(call, read, factor, call.constant(1))
    bias = call.optional_constant(2)
    return result if bias is None else result.shifted(channel_vector(call, result, bias, flat=True), bias)


def _line(call: OnnxCall) -> Deferred:
    """A convolution along one dimension."""
    weights = call.constant(1)
    node, taps = call.node, weights.array.shape[2]
    (stride,), (dilation,) = (node.ints(name) or [1] for name in ("strides", "dilations"))
    pads = node.ints("pads") or [0, 0]
    if node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID", "") or len(pads) != 2 or min(*pads, stride - 1, dilation - 1) < 0:
        call.refuse(f"strides, dilations and pads {pads} of a convolution along one dimension; allowed: pads of 0 or more")
    view, factor = call.with_factor(0)
    before, after = (0, pads[0]), (0, pads[1])
    conv = Convolution(weights.array.shape[0], (1, taps), (1, stride), before, (1, dilation), node.integer("group", 1), after)
    return convolve_line(call, view, factor, weights, conv)


def _volume(call: OnnxCall) -> Deferred:
    """A convolution over three dimensions."""
    weights, (view, factor) = call.constant(1), call.with_factor(0)
    taps, strides, dilation = weights.array.shape[2:], sizes(call, "strides", 3), sizes(call, "dilations", 3)
    before, after = all_paddings(call, view.shape[2:], taps, strides, dilation)
    return convolve_volume(call, view, weights, Windows(taps, strides, before, after, dilation), call.node.integer("group", 1), factor)


def filtered(call: OnnxCall, source: View | Padded, factor: float, weights: Constant) -> Deferred:
    """A convolution whose windows are the node's attributes."""
    filters = weights.array
    if filters.ndim != 4 or len(source.shape) != 4:
        call.refuse(f"an activation of shape {source.shape} and weights of shape {filters.shape}; allowed: two dimensions of space")
    outputs, _, *taps = filters.shape
    if (call.node.ints("kernel_shape") or taps) != taps:
        call.refuse(f"kernel_shape {call.node.ints('kernel_shape')} is not that of weights of shape {filters.shape}")
    strides, dilation = pair(call, "strides"), pair(call, "dilations")
    before, after = paddings(call, source.shape[2:], (taps[0], taps[1]), strides, dilation)
    conv = Convolution(outputs, (taps[0], taps[1]), strides, before, dilation, call.node.integer("group", 1), after)
    if source.shape[0] > 1:
        return convolve_images(call, source if isinstance(source, View) else call.made(source), weights, conv, factor)
    return convolve(call, source, factor, weights, conv)


def batch_normalization(call: OnnxCall) -> Deferred:
    """BatchNormalization."""
    if call.node.integer("training_mode", 0) or call.node.integer("is_test", 1) == 0:
        call.refuse("is in training mode; export the model for inference")
    trained = [call.constant(position) for position in range(1, 5)]
    return normalize_channels(call, call.value(0), trained, call.node.number("epsilon", 1e-5))
