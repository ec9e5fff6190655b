"""A float interpreter of a trace: each op from its definition in NumPy, so that a graph can be compared with the model it came from."""

from __future__ import annotations

import math

import numpy as np

from accelsim.ops.embed import EmbedLayer
from accelsim.ops.layernorm import LayerNormLayer
from accelsim.ops.pool import PoolLayer
from accelsim.trace.layers import ConvLayer, GemmLayer, MatmulLayer
from accelsim.trace.trace import Trace

_erf = np.vectorize(math.erf)
_FUNCTIONS = {
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "hardswish": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "tanh": np.tanh,
}


def run_float(trace: Trace, inputs: dict[str, np.ndarray], layernorm_epsilon: float) -> dict[str, np.ndarray]:
    """Every activation by name, as (groups, rows, width) arrays."""
    values = {name: array.astype(np.float64) for name, array in inputs.items()}
    for layer in trace.layers:
        args = [values[name] for name in layer.inputs]
        constant = {name: trace.constant(layer.name, name).astype(np.float64) for name in layer.constants}
        values[layer.name] = layer_value(trace, layer, args, constant, layernorm_epsilon)
        assert values[layer.name].shape == layer.output.dims
    return values


def layer_value(trace: Trace | None, layer: object, args: list[np.ndarray], constant: dict[str, np.ndarray], epsilon: float) -> np.ndarray:
    """The output of one layer; the trace holds the weights of products."""
    x = args[0]
    if isinstance(layer, GemmLayer):
        rows = x[0] if layer.input_row is None else x[0][layer.input_row : layer.input_row + 1]
        return (rows @ trace.weights(layer.name).astype(np.float64) + constant.get("bias", 0.0))[None]
    if isinstance(layer, ConvLayer):
        return _convolution(layer, x, trace.weights(layer.name).astype(np.float64), constant.get("bias", 0.0))
    if isinstance(layer, MatmulLayer):
        a, b = heads(args[0], layer.a.split, layer.heads * layer.shared), heads(args[1], layer.b.split, layer.heads)
        b = np.stack([b[head // layer.shared] for head in range(len(a))])  # consecutive heads of a share one of b
        product = layer.scale * (a @ (b.transpose(0, 2, 1) if layer.transposed_b else b))
        return product if layer.merge == "groups" else np.concatenate(list(product), axis=1)[None]
    if isinstance(layer, LayerNormLayer):
        mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + epsilon) * constant["gamma"] + constant["beta"]
    if layer.op == "rmsnorm":
        parts = np.split(x, layer.heads, axis=-1)
        return np.concatenate([part / np.sqrt((part**2).mean(axis=-1, keepdims=True) + epsilon) * constant["gamma"] for part in parts], -1)
    if layer.op == "groupnorm":
        return _group_norm(layer, x[0], epsilon) * constant["gamma"] + constant["beta"]
    if isinstance(layer, EmbedLayer):
        width = layer.output.width
        rows = np.concatenate([constant["prepended"].reshape(-1, width), x[0]]) if layer.prepended_rows else x[0]
        rows = np.concatenate([rows, constant["appended"].reshape(-1, width)]) if layer.appended_rows else rows
        return (rows + (constant["positions"].reshape(-1, width) if layer.positions else 0.0))[None]
    if layer.op in ("route", "experts", "combine"):
        return _of_experts(trace, layer, args)
    if layer.op == "softmax":
        if layer.bias_groups:  # matrix g is that of group g modulo their number
            matrices = constant["bias"].reshape(layer.bias_groups, *x.shape[1:])
            x = x + np.stack([matrices[group % layer.bias_groups] for group in range(len(x))])
        if layer.mask == "causal":
            behind = np.arange(x.shape[-2])[:, None] - np.arange(x.shape[-1])
            x = np.where((behind >= 0) & (behind < (layer.reach or x.shape[-1])), x, -np.inf)
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    if isinstance(layer, PoolLayer):
        return _pool(layer, x)
    if layer.op in ("relu", "clip"):
        low, high = (0.0, None) if layer.op == "relu" else (layer.minimum, layer.maximum)
        return np.clip(x, low, high)
    if layer.op == "gelu" and layer.approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    if layer.op in _FUNCTIONS:
        return _FUNCTIONS[layer.op](x)
    if layer.op == "add":
        return x + args[1]
    return layer.evaluate(args, constant)  # an operation that was added since has its own definition, held to examples by hand


def heads(value: np.ndarray, split: str, heads: int) -> np.ndarray:
    """An operand of a product of activations, head by head: (heads, rows, width)."""
    return value if split == "groups" else np.stack(np.split(value[0], heads, axis=1))


def _group_norm(layer: object, x: np.ndarray, epsilon: float) -> np.ndarray:
    """Group by group: its channels at all positions less their mean, over their deviation."""
    parts = np.split(x, layer.channel_groups, axis=1)
    return np.concatenate([(part - part.mean()) / np.sqrt(part.var() + epsilon) for part in parts], axis=1)[None]


def _pool(layer: PoolLayer, x: np.ndarray) -> np.ndarray:
    """Window by window: the largest or the mean of the positions that lie inside the image."""
    (height, width), channels = layer.image, x.shape[-1]
    image = x[0].reshape(height, width, channels)
    bottom, right = layer.padding_end or layer.padding
    out = []
    for y0 in range(-layer.padding[0], height + bottom - layer.taps[0] + 1, layer.strides[0]):
        for x0 in range(-layer.padding[1], width + right - layer.taps[1] + 1, layer.strides[1]):
            inside = image[max(y0, 0) : y0 + layer.taps[0], max(x0, 0) : x0 + layer.taps[1]].reshape(-1, channels)
            taps = layer.taps[0] * layer.taps[1] if layer.count_padding else len(inside)
            out.append(inside.max(axis=0) if layer.op == "max_pool2d" else inside.sum(axis=0) / taps)
    return np.array(out)[None]


def _convolution(layer: ConvLayer, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | float) -> np.ndarray:
    """Position by position: gather the taps of each group, C slowest and FX fastest, and multiply."""
    height, width = layer.image
    planes = x if layer.input_layout == "planar" else x[0].T.reshape(layer.input_channels, height, width)
    (top, left), (bottom, right), b = layer.padding, layer.padding_end or layer.padding, layer.bounds
    planes = np.pad(planes, ((0, 0), (top, bottom), (left, right)))
    out = np.zeros((b.OY * b.OX, b.G * b.K))
    for oy in range(b.OY):
        for ox in range(b.OX):
            ys = oy * layer.strides[0] + layer.dilation[0] * np.arange(b.FY)
            xs = ox * layer.strides[1] + layer.dilation[1] * np.arange(b.FX)
            for g in range(b.G):
                taps = planes[g * b.C : (g + 1) * b.C][:, ys][:, :, xs].reshape(-1)
                out[oy * b.OX + ox, g * b.K : (g + 1) * b.K] = taps @ weights[:, g * b.K : (g + 1) * b.K]
    return (out + bias)[None]


def _of_experts(trace: Trace | None, layer: object, args: list[np.ndarray]) -> np.ndarray:
    """Token by token: its experts are those with the largest weights, taken in ascending order."""
    weights = args[-1][0]
    tokens = [sorted(sorted(range(row.size), key=lambda expert, row=row: (-row[expert], expert))[: layer.top_k]) for row in weights]
    result = np.zeros(layer.output.dims[1:])
    if layer.op == "route":
        every = args[0][0]  # the weights; the last operand chooses
        for row, experts in enumerate(tokens):
            total = sum(every[row, experts]) if layer.normalized else 1
            result[row, experts] = every[row, experts] * layer.factor / total
        return result[None]
    rows = args[0][0]
    for token, experts in enumerate(tokens):
        for slot, expert in enumerate(experts):
            place = token * layer.top_k + slot
            if layer.op == "combine":
                result[token] += weights[token, expert] * rows[place]
            else:
                matrix = trace.weights(layer.name).astype(np.float64)[:, expert * layer.n : (expert + 1) * layer.n]
                result[place] = rows[token if layer.per_token else place] @ matrix
    return result[None]
