"""A float interpreter of a trace: each op from its definition in NumPy, so that a graph can be compared with the model it came from."""

from __future__ import annotations

import math

import numpy as np

from accelsim.trace.layers import ConvLayer, EmbedLayer, GemmLayer, LayerNormLayer, MatmulLayer
from accelsim.trace.trace import Trace

_erf = np.vectorize(math.erf)


def run_float(trace: Trace, inputs: dict[str, np.ndarray], layernorm_epsilon: float) -> dict[str, np.ndarray]:
    """Every activation by name, as (groups, rows, width) arrays."""
    values = {name: array.astype(np.float64) for name, array in inputs.items()}
    for layer in trace.layers:
        args = [values[name] for name in layer.inputs]
        constant = {name: trace.constant(layer.name, name).astype(np.float64) for name in layer.constants}
        values[layer.name] = _layer(trace, layer, args, constant, layernorm_epsilon)
        assert values[layer.name].shape == layer.output.dims
    return values


def _layer(trace: Trace, layer: object, args: list[np.ndarray], constant: dict[str, np.ndarray], epsilon: float) -> np.ndarray:
    x = args[0]
    if isinstance(layer, GemmLayer):
        rows = x[0] if layer.input_row is None else x[0][layer.input_row : layer.input_row + 1]
        return (rows @ trace.weights(layer.name).astype(np.float64) + constant.get("bias", 0.0))[None]
    if isinstance(layer, ConvLayer):
        return _convolution(layer, x, trace.weights(layer.name).astype(np.float64), constant.get("bias", 0.0))
    if isinstance(layer, MatmulLayer):
        a, b = (_heads(value, operand.split, layer.heads) for value, operand in zip(args, (layer.a, layer.b), strict=True))
        product = layer.scale * (a @ (b.transpose(0, 2, 1) if layer.transposed_b else b))
        return product if layer.merge == "groups" else np.concatenate(list(product), axis=1)[None]
    if isinstance(layer, LayerNormLayer):
        mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + epsilon) * constant["gamma"] + constant["beta"]
    if isinstance(layer, EmbedLayer):
        width = layer.output.width
        rows = np.concatenate([constant["prepended"].reshape(-1, width), x[0]]) if layer.prepended_rows else x[0]
        return (rows + (constant["positions"].reshape(-1, width) if layer.positions else 0.0))[None]
    if layer.op == "softmax":
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    if layer.op == "gelu":
        return 0.5 * x * (1 + _erf(x / math.sqrt(2)))
    assert layer.op == "add"
    return x + args[1]


def _heads(value: np.ndarray, split: str, heads: int) -> np.ndarray:
    return value if split == "groups" else np.stack(np.split(value[0], heads, axis=1))


def _convolution(layer: ConvLayer, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | float) -> np.ndarray:
    """Position by position: gather the taps of each group, C slowest and FX fastest, and multiply."""
    height, width = layer.image
    planes = x if layer.input_layout == "planar" else x[0].T.reshape(layer.input_channels, height, width)
    (pad_y, pad_x), b = layer.padding, layer.bounds
    planes = np.pad(planes, ((0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    out = np.zeros((b.OY * b.OX, b.G * b.K))
    for oy in range(b.OY):
        for ox in range(b.OX):
            ys = oy * layer.strides[0] + layer.dilation[0] * np.arange(b.FY)
            xs = ox * layer.strides[1] + layer.dilation[1] * np.arange(b.FX)
            for g in range(b.G):
                taps = planes[g * b.C : (g + 1) * b.C][:, ys][:, :, xs].reshape(-1)
                out[oy * b.OX + ox, g * b.K : (g + 1) * b.K] = taps @ weights[:, g * b.K : (g + 1) * b.K]
    return (out + bias)[None]
