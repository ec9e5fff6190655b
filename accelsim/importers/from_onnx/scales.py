"""Scales and zero points of ONNX's integers: real values from them, and back.

Integers whose least stands for 0 hold nothing below it: quantizing to them is a relu, unless nothing below 0 can come (a model's input is
taken to be as it was quantized).

Activations that the file quantizes to 16 bits are kept in 16.

The zero point of an activation that a product of two activations reads is kept, in two's complement: that of unsigned integers less 128.

Disputable assumption: the machine's other integers are symmetric, as their zero points cost nothing beside weights. An asymmetric tensor
then has up to half the steps that its file gives it; a note says that the file has some.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Constant

_ASYMMETRIC = (
    "activations with a zero point other than 0 keep it where a product of two activations reads them, which pays for it; elsewhere they "
    "are taken as symmetric: beside weights a zero point is part of the bias"
)


def quantized(call: OnnxCall, view: View, scale_at: int, zero_at: int) -> Expression:
    """The integers of an activation, whose scale and zero point are these inputs."""
    scale, zero = scale_of(call, scale_at), zero_point(call, zero_at)
    kind = _kind(call, zero_at)
    if kind.itemsize == 2:
        call.builder.widen(view.producer, 16)
    elif kind.kind not in "iu" or kind.itemsize != 1:
        call.recorder.note(f"activations that the file quantizes to {kind} have the bits of all others here")
    if zero == _least(kind) and not _is_nonnegative(call.builder, view.producer):
        view = call.builder.clip(call.node.path("relu"), view, 0.0, None)
    if kind.kind in "iu" and kind.itemsize == 1:
        _keep(call, view.producer, int(zero) - (128 if kind.kind == "u" else 0))
    return Expression.of(view, call.node).apply(lambda x: x / scale + zero, call.node)


def _keep(call: OnnxCall, producer: str, zero: int) -> None:
    """Let products of two activations know the zero point, in two's complement, of one that is quantized."""
    kept = call.builder.quantize(producer, zero)
    if kept != zero:
        call.recorder.note(f"{producer!r} is quantized with zero points of {kept} and {zero}; the first is kept")


def dequantized(call: OnnxCall, position: int) -> Value:
    """The real value of integers, whose scale and zero point are the next two inputs."""
    scale, zero = scale_of(call, position + 1), zero_point(call, position + 2)
    value = call.value(position)
    if isinstance(value, Constant):
        return replace(value, array=(value.array.astype(np.float64) - zero) * scale)
    return call.expression(position).apply(lambda x: (x - zero) * scale, call.node)


def real(call: OnnxCall, position: int, scale: float, zero_at: int) -> tuple[View, float]:
    """The activation behind integers, and the factor that is left of its scales."""
    zero = zero_point(call, zero_at)
    if zero:
        call.values[position] = call.expression(position).apply(lambda x: x - zero, call.node)
    view, factor = call.with_factor(position)
    whole = factor * scale
    return view, 1.0 if abs(whole - 1) < 1e-9 else whole


def scale_of(call: OnnxCall, position: int) -> float:
    """A scale: one number above 0."""
    scale = call.scalar(position)
    if not (np.isfinite(scale) and scale > 0):
        call.refuse(f"input {position}, a scale, is {scale}; allowed: above 0")
    return scale


def centred(call: OnnxCall, position: int, zero_point: int, outputs_first: bool = False) -> Constant:
    """Weights minus their zero point (one, or one per output channel): a trace holds real values."""
    weights, zero = call.constant(position), call.optional_constant(zero_point)
    if zero is None or not zero.array.any():
        return weights
    outputs = weights.array.shape[0 if outputs_first else -1] if weights.array.ndim else 0
    if zero.array.size not in (1, outputs):
        call.refuse(f"{zero.array.size} zero points for weights of shape {weights.array.shape}; allowed: one, or one per output channel")
    shape = (-1, *[1] * (weights.array.ndim - 1)) if outputs_first else (-1,)
    return replace(weights, array=weights.array.astype(np.int32) - zero.array.astype(np.int32).reshape(shape))


def zero_point(call: OnnxCall, position: int) -> float:
    """The zero point of an activation: one number, 0 where it is left out."""
    given = call.optional_constant(position)
    if given is None or not given.array.any():
        return 0.0
    if given.array.size != 1:
        call.refuse(f"input {position} has {given.array.size} zero points; allowed: one for an activation")
    call.recorder.note(_ASYMMETRIC)
    return float(given.array.reshape(()))


def _kind(call: OnnxCall, position: int) -> np.dtype[Any]:
    """The type of the integers whose zero point is this input."""
    given = call.optional_constant(position)
    if given is not None:
        return given.array.dtype
    return np.dtype(helper.tensor_dtype_to_np_dtype(call.node.integer("output_dtype", 0) or TensorProto.UINT8))


def _least(kind: np.dtype[Any]) -> float:
    """The least integer of a type."""
    return float(np.iinfo(kind).min) if kind.kind in "iu" else -np.inf


def _is_nonnegative(builder: GraphBuilder, producer: str) -> bool:
    """True if nothing below 0 can come from a layer, or from an input of the model, as the operations say."""
    known: dict[str, bool] = {}
    for layer in builder.layers:
        known[layer.name] = layer.nonnegative([known.get(name, True) for name in layer.inputs])
    return known.get(producer, True)
