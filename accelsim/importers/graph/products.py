"""Matrix products and convolutions as layers: weights are Wt[K,N], factors and sums beside them folded in.

A product with constants is a linear layer, a product of two activations one of attention. Integer products are taken as the real
numbers that their scales make of them; what rounding between them does is the machine's business, not the trace's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Array, Constant, Deferred, Padded, Plain, Vector
from accelsim.importers.graph.windows import Convolution


def matmul(call: Call) -> Value:
    """MatMul: a linear layer, or a product of two activations."""
    first, second = call.value(0), call.value(1)
    if isinstance(first, Constant) and not isinstance(second, Constant):
        view, factor = call.with_factor(1)
        return multiplied(call, first, 1.0, view, factor)
    if isinstance(second, Constant):
        view, factor = call.with_factor(0)
        return multiplied(call, view, factor, second, 1.0)
    return product(call, *call.with_factor(0), *call.with_factor(1))


def multiplied(call: Call, a: View | Constant, factor_a: float, b: View | Constant, factor_b: float) -> Value:
    """A product of matrices, either of which may be constant: C X is the transpose of X' C'."""
    if isinstance(a, View) and isinstance(b, View):
        return product(call, a, factor_a, b, factor_b)
    if isinstance(a, View) and isinstance(b, Constant) and b.array.ndim == 1 and len(a.shape) > 1:  # a column, which the result drops
        column = _times_constant(call, a, factor_a * factor_b, replace(b, array=b.array[:, None]))
        return Plain(call.made(column).reshape(a.shape[:-1]))
    if isinstance(a, View) and isinstance(b, Constant):
        return _times_constant(call, a, factor_a * factor_b, b)
    if isinstance(b, View) and isinstance(a, Constant):
        turned = _times_constant(call, b.transpose(-2, -1), factor_a * factor_b, replace(a, array=np.swapaxes(a.array, -2, -1)))
        return Plain(call.made(turned).transpose(-2, -1))
    call.refuse("a product of two constants")


def _times_constant(call: Call, view: View, factor: float, constant: Constant) -> Deferred | Plain:
    """A linear layer; with a matrix per head a convolution of 1 x 1 with a group for each."""
    weights = constant.array
    heads = math.prod(weights.shape[:-2])
    if heads > 1 and weights.ndim >= len(view.shape) and math.prod(view.shape[:-2]) == 1:
        return _for_each_matrix(call, view, factor, constant)
    if weights.ndim < 2 or len(view.shape) < 2 or _broadcast(view.shape[:-2], weights.shape[:-2]) is None:
        call.refuse(f"an activation {view.shape} times weights {weights.shape}; allowed: (K, N), or matrices that broadcast to its own")
    if heads != 1 and weights.shape[:-2] != view.shape[:-2]:
        return _times_broadcast(call, view, factor, constant)
    rows, reduction, outputs = view.shape[-2], *weights.shape[-2:]
    if heads == 1:
        return linear(call, view, factor, replace(constant, array=weights.reshape(reduction, outputs)))
    image = call.builder.reshaped(call.node.path(), view, (heads, rows, reduction)).permute((0, 2, 1))
    image = call.builder.reshaped(call.node.path(), image, (1, heads * reduction, rows, 1))
    matrix = weights.reshape(heads, reduction, outputs).transpose(0, 2, 1).reshape(heads * outputs, reduction, 1, 1)
    given = Convolution(heads * outputs, (1, 1), (1, 1), (0, 0), (1, 1), heads)
    result = convolve(call, image, factor, replace(constant, array=matrix), given)
    shape = (*view.shape[:-1], outputs)

    def make(pending: Deferred) -> View:
        return result.make(pending).reshape((heads, outputs, rows)).permute((0, 2, 1)).reshape(shape)

    return replace(result, shape=shape, axis=len(shape) - 1, make=make, per_channel=False)


def _times_broadcast(call: Call, view: View, factor: float, constant: Constant) -> Plain:
    """Matrices that broadcast with constant ones: those of one constant are rows of one, and constants for one are columns of one."""
    *lead, reduction, outputs = constant.array.shape
    rank, rows = max(len(lead), len(view.shape) - 2), view.shape[-2]
    ours, theirs = ((1,) * (rank - len(sizes)) + tuple(sizes) for sizes in (view.shape[:-2], lead))
    alike = [place for place in range(rank) if ours[place] == theirs[place]]
    many, others = ([place for place in range(rank) if one[place] > two[place]] for one, two in ((ours, theirs), (theirs, ours)))
    matrices = tuple(ours[place] for place in alike)
    turned = view.reshape((*ours, rows, reduction)).permute([*alike, *others, *many, rank, rank + 1])
    stacked = call.builder.reshaped(call.node.path(), turned, (*matrices, math.prod(ours[place] for place in many) * rows, reduction))
    side_by_side = constant.array.reshape((*theirs, reduction, outputs)).transpose([*alike, *many, rank, *others, rank + 1])
    weights = replace(constant, array=side_by_side.reshape(*matrices, reduction, -1))
    made = _times_constant(call, stacked, factor, weights)
    result = call.made(made)
    apart = (*matrices, *(ours[place] for place in many), rows, *(theirs[place] for place in others), outputs)
    order = [*alike, *many, rank, *others, rank + 1]
    return Plain(call.builder.reshaped(call.node.path(), result, apart).permute([order.index(place) for place in range(rank + 2)]))


def _for_each_matrix(call: Call, view: View, factor: float, constant: Constant) -> Deferred:
    """One matrix times several constant ones: a linear layer of all their columns."""
    *lead, reduction, outputs = constant.array.shape
    rows, heads = view.shape[-2], math.prod(lead)
    side_by_side = constant.array.reshape(heads, reduction, outputs).transpose(1, 0, 2).reshape(reduction, heads * outputs)
    result = linear(call, view.reshape((rows, view.shape[-1])), factor, replace(constant, array=side_by_side))
    shape = (*lead, rows, outputs)

    def make(pending: Deferred) -> View:
        return result.make(pending).reshape((rows, heads, outputs)).permute((1, 0, 2)).reshape(shape)

    return replace(result, shape=shape, axis=len(shape) - 1, make=make, per_channel=False, columns=None)


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
        part = None if stop - first == outputs else (first, stop)
        call.recorder.keep_folded(pending.folded, 0 if shift is None else outputs)
        call.recorder.keep_weight(result, lambda: _scaled(weights.array[:, first:stop], factor, scale), weights.sources, part)
        if shift is not None:
            call.recorder.keep_constant(result, "bias", np.broadcast_to(shift, (stop - first,)), pending.sources, part)
        return result

    shape = (*view.shape[:-1], outputs)
    return Deferred(shape, len(shape) - 1, lambda pending: make_columns(pending, 0, outputs), columns=make_columns)


def product(call: Call, a: View, factor_a: float, b: View, factor_b: float) -> Deferred:
    """A product of two activations, which takes one factor."""
    if len(a.shape) < 2 or len(b.shape) < 2:
        call.refuse(f"activations of shapes {a.shape} and {b.shape} are not matrices")
    lead = _broadcast(a.shape[:-2], b.shape[:-2])
    if lead is None or a.shape[-1] != b.shape[-2]:
        call.refuse(f"activations of shapes {a.shape} and {b.shape} cannot be multiplied")
    a, b = (view if view.shape[:-2] == lead else view.expand((*lead, *view.shape[-2:])) for view in (a, b))

    def make(pending: Deferred) -> View:
        name = call.node.path("matmul")
        per_head = pending.scale is not None and pending.scale.ndim > 0
        view = call.builder.matmul(name, _scaled_heads(call, a, pending) if per_head else a, b)
        if per_head:
            return view if factor_a * factor_b == 1.0 else call.builder.scale(view, factor_a * factor_b)
        whole = factor_a * factor_b * (1.0 if pending.scale is None else float(pending.scale))
        return view if whole == 1.0 else call.builder.scale(view, whole)

    shape = (*a.shape[:-1], b.shape[-1])
    heads = len(shape) - 3 if len(shape) > 2 and shape[-3] > 1 else None
    return Deferred(shape, len(shape) - 1, make, per_channel=False, heads=heads)


def _broadcast(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...] | None:
    """The shape to which two broadcast; None if they do not."""
    try:
        return tuple(np.broadcast_shapes(tuple(first), tuple(second)))
    except ValueError:
        return None


def _scaled_heads(call: Call, view: View, pending: Deferred) -> View:
    """The first operand with a factor per head, as the product itself takes one factor for all."""
    scaled = call.channels(view, len(view.shape) - 3)
    return replace(scaled, scale=pending.scale, folded=pending.folded).view()


def convolve(call: Call, source: View | Padded, factor: float, weights: Constant, given: Convolution) -> Deferred:
    """A convolution with weights (K, C / groups, FY, FX), which are multiplied by a factor; zeros around its input are its padding.

    `given` has the windows; its outputs and taps are those of the weights.
    """
    view, conv = (source.view, given.padded(source.before, source.after)) if isinstance(source, Padded) else (source, given)
    filters = weights.array
    if filters.ndim != 4 or len(view.shape) != 4:
        call.refuse(f"an activation of shape {view.shape} and weights of shape {filters.shape}; allowed: two dimensions of space")
    groups = conv.groups
    outputs, per_group = filters.shape[:2]
    if groups < 1 or view.shape[1] != per_group * groups or outputs % groups:
        call.refuse(f"an activation of shape {view.shape}, weights of shape {filters.shape} and {groups} groups do not fit together")

    def make(pending: Deferred) -> View:
        name = call.layer_name((*pending.labels, weights.label))
        result = call.builder.conv2d(name, view, conv, pending.shift is not None)
        call.recorder.keep_folded(pending.folded, 0 if pending.shift is None else outputs)
        call.recorder.keep_weight(result, lambda: _scaled(filters.reshape(outputs, -1).T, factor, pending.scale), weights.sources)
        if pending.shift is not None:
            call.recorder.keep_constant(result, "bias", np.broadcast_to(pending.shift, (outputs,)), pending.sources)
        return result

    return Deferred((view.shape[0], outputs, *conv.positions(view.shape[2:])), 1, make)


def convolve_line(call: Call, view: View, factor: float, weights: Constant, given: Convolution) -> Deferred:
    """A convolution along one dimension, with weights (K, C / groups, FX): over an image of one line."""
    if weights.array.ndim != 3 or len(view.shape) != 3:
        call.refuse(f"an activation of shape {view.shape} and weights of shape {weights.array.shape}; allowed: one dimension of space")
    line = call.builder.reshaped(call.node.path(), view, (view.shape[0], view.shape[1], 1, view.shape[2]))
    result = convolve(call, line, factor, replace(weights, array=weights.array[:, :, None]), given)
    shape = (result.shape[0], result.shape[1], result.shape[3])
    return replace(result, shape=shape, make=lambda pending: result.make(pending).reshape(shape))


def normalize_channels(call: Call, before: Value, trained: Sequence[Constant], epsilon: float) -> Deferred:
    """A batch norm at inference: a factor and a term per channel, folded into the layer before it, or a layer of its own.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta, in float64; what is folded is rounded to float32 once. `trained` has gamma,
    beta, mean and variance.
    """
    if not isinstance(before, Deferred) or not before.per_channel or before.axis != 1:
        before = call.channels(call.made(before), 1)
    channels = before.shape[1]
    if any(constant.array.shape != (channels,) for constant in trained):
        call.refuse(f"its constants do not have the {channels} elements of the channels")
    gamma, beta, mean, variance = (constant.array.astype(np.float64) for constant in trained)
    spread = variance + epsilon
    if not (spread > 0).all():
        call.refuse(f"variance plus epsilon is {spread.min()} in a channel; allowed: above 0")
    factor = gamma / np.sqrt(spread)
    return before.scaled(factor).shifted(beta - mean * factor, *trained)


def channel_vector(call: Call, result: Deferred, constant: Constant, flat: bool = False) -> Vector:
    """A bias as one value per channel; `flat`: given as such, whatever the channels' dimension."""
    channels = result.shape[result.axis]
    vector = constant.array.reshape(-1).astype(np.float64) if flat and constant.array.shape == (channels,) else result.vector(constant)
    if vector is None or (flat and constant.array.shape != (channels,)):
        call.refuse(f"a bias of shape {constant.array.shape} for {channels} channels")
    return vector


def _columns(values: Vector | None, first: int, stop: int) -> Vector | None:
    return values[first:stop] if values is not None and values.ndim else values


def _scaled(weights: Array, factor: float, scale: Vector | None) -> Array:
    """Weights (K, N) times a factor, and a factor per column."""
    if factor == 1.0 and scale is None:
        return weights
    return np.asarray(weights.astype(np.float64) * (factor * (1.0 if scale is None else scale)))
