"""How far float32 may be from exact arithmetic, whatever the order of summation: bounds that follow from the operands' magnitudes.

A sum of n products is off by no more than gamma_n |a||b|, gamma_n = n u / (1 - n u), u = 2^-24 (Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., eq. 3.5). For a network, one bound per activation is carried from layer to layer.
"""

from __future__ import annotations

import numpy as np

from accelsim.ops.embed import EmbedLayer
from accelsim.ops.layernorm import LayerNormLayer
from accelsim.ops.pool import PoolLayer
from accelsim.trace.layers import MatmulLayer, WeightedLayer
from accelsim.trace.trace import Trace
from tests.naive_graph import heads

UNIT = 2.0**-24
STEEPEST = 1.5  # derivative of an activation function: 1.5 for hardswish, 1.13 for GELU


def gamma(n: int) -> float:
    """Relative error of n roundings in a row, and of two more for operands that were rounded to float32."""
    return (n + 2) * UNIT / (1 - (n + 2) * UNIT)


def of_network(trace: Trace, values: dict[str, np.ndarray]) -> dict[str, float]:
    """Bound for the elements of each activation of a trace in float32, whose exact activations are `values`."""
    bounds = {source.name: UNIT * _largest(values[source.name]) for source in trace.manifest.inputs}
    for layer in trace.layers:
        args, before = [values[name] for name in layer.inputs], [bounds[name] for name in layer.inputs]
        bounds[layer.name] = _of_layer(trace, layer, args, before, _largest(values[layer.name]))
    return bounds


def _largest(value: np.ndarray) -> float:
    return float(np.abs(value).max(initial=0.0))


def _of_layer(trace: Trace, layer: object, args: list[np.ndarray], before: list[float], result: float) -> float:
    largest = _largest(args[0])
    if isinstance(layer, WeightedLayer):
        gain = float(np.abs(trace.weights(layer.name)).sum(axis=0).max())
        bias = _largest(trace.constant(layer.name, "bias")) if layer.bias else 0.0
        return gain * before[0] + gamma(layer.k + 1) * (gain * largest + bias)
    if isinstance(layer, MatmulLayer):
        a, b = (np.abs(heads(value, operand.split, layer.heads)) for value, operand in zip(args, (layer.a, layer.b), strict=True))
        b = b.transpose(0, 2, 1) if layer.transposed_b else b
        of_a, of_b = float(b.sum(axis=1).max()), float(a.sum(axis=2).max())  # gains: sums over the reduction
        return abs(layer.scale) * (before[0] * of_a + before[1] * of_b + gamma(layer.k + 1) * float((a @ b).max()))
    if isinstance(layer, LayerNormLayer):
        gamma_max, width = _largest(trace.constant(layer.name, "gamma")), args[0].shape[-1]
        moved = before[0] + gamma(width) * largest  # of a deviation from the mean, and of the standard deviation
        return gamma_max * (2 + width**0.5) * moved / float(args[0].std(axis=-1).min()) + gamma(4) * result
    if isinstance(layer, PoolLayer):
        return before[0] + gamma(layer.taps[0] * layer.taps[1]) * largest
    if isinstance(layer, EmbedLayer) or layer.op == "add":  # type: ignore[attr-defined]
        return sum(before) + gamma(1) * (result + sum(_largest(value) for value in args))
    if layer.op == "softmax":  # type: ignore[attr-defined]
        # p (1 - p) is the slope by an own logit, and as much by all others together: 1/4 at most, each
        return (before[0] + gamma(1) * largest) / 2 + gamma(args[0].shape[-1] + 8)
    return STEEPEST * (before[0] + gamma(8) * max(largest, 1.0))
