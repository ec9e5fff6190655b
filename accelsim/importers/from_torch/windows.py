"""ATen operations on windows of an image: convolutions, pools, padding, averages, and the batch norms that fold into convolutions.

Padding of its own (an uneven one, as TensorFlow's) is taken into the convolution that reads it; for any other reader it is a layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.elementwise import group_norm as normalize_groups
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.products import channel_vector, convolve, convolve_line, normalize_channels
from accelsim.importers.graph.reduce_dims import reduce_dims
from accelsim.importers.graph.reductions import absolute_max_over, absolute_sum_over, norm_over, variance_over
from accelsim.importers.graph.resizes import resized
from accelsim.importers.graph.runs import Mode, cropped, extended
from accelsim.importers.graph.values import Constant, Deferred, Padded, Plain
from accelsim.importers.graph.views import padded
from accelsim.importers.graph.volumes import Windows, convolve_images, convolve_transposed, convolve_volume, pool_volume
from accelsim.importers.graph.windows import Convolution, Pair, PoolOp
from accelsim.ops.lrn import LrnLayer


def of_images(compute: Callable[[TorchCall], Any], dims: int) -> Callable[[TorchCall], Any]:
    """A computation over channels and `dims` dimensions of space, which PyTorch also takes without a batch."""

    def computed(call: TorchCall) -> Any:
        shape = call.shape(0)
        if len(shape) != dims + 1:
            return compute(call)
        call.values[0] = Plain(call.view(0).reshape((1, *shape)))
        result = compute(call)
        return tuple(_alone(call, part) for part in result) if isinstance(result, tuple) else _alone(call, result)

    return computed


def _alone(call: TorchCall, value: Value) -> Plain:
    made = call.made(value)
    return Plain(made.reshape(made.shape[1:]))


def conv2d(call: TorchCall) -> Deferred:
    """A convolution, with the padding of its own and that of a pad before it."""
    return _convolution(call, call.get(5, "dilation", [1]), call.get(6, "groups", 1))


def response_norm(call: TorchCall) -> Plain:
    """A local response normalization over an odd number of channels: of an even one, PyTorch has one more before than the definition."""
    size = call.get(1, "size")
    if size % 2 == 0 or len(call.shape(0)) != 4:
        call.refuse(f"a local response normalization of {call.shape(0)} over {size} channels; allowed: an image, an odd number")
    fields = {"size": size, "alpha": call.get(2, "alpha"), "beta": call.get(3, "beta"), "bias": call.get(4, "k")}
    return Plain(call.builder.channel_operation(LrnLayer, call.node.path("lrn"), call.view(0), 1, **fields))


def conv_transpose(call: TorchCall) -> Plain:
    """A transposed convolution."""
    return _transposed(call, call.get(5, "output_padding", [0]), call.get(6, "groups", 1), call.get(7, "dilation", [1]))


def _transposed(call: TorchCall, extra: Any, groups: int, dilations: Any) -> Plain:
    view, weights, bias = call.view(0), call.constant(1), call.optional_constant(2)
    count = len(view.shape) - 2
    strides, padding, more, dilation = (
        _sizes(given, count) for given in (call.get(3, "stride", [1]), call.get(4, "padding", [0]), extra, dilations)
    )
    taps = weights.array.shape[2:]
    if count == 1:
        view = call.builder.reshaped(call.node.path(), view, (*view.shape[:2], 1, view.shape[2]))
        weights = replace(weights, array=weights.array[:, :, None])
        taps, strides, padding, more, dilation = (1, *taps), (1, *strides), (0, *padding), (0, *more), (1, *dilation)
    made = convolve_transposed(call, view, weights, bias, Windows(taps, strides, padding, padding, dilation), more, groups)
    return Plain(call.builder.reshaped(call.node.path(), made, call.output))


def group_norm(call: TorchCall) -> Value:
    """A group norm."""
    return normalize_groups(call, call.get(1, "num_groups"), call.optional_constant(2), call.optional_constant(3))


def instance_norm(call: TorchCall) -> Value:
    """An instance norm by the moments of its input."""
    if not call.get(5, "use_input_stats"):  # it is a batch norm of inference, whose arguments are the same ones
        return _normalized(call, float(call.get(7, "eps", 1e-5)))
    return normalize_groups(call, call.shape(0)[1], call.optional_constant(1), call.optional_constant(2))


def upsample(method: str, rounding: str = "floor") -> Callable[[TorchCall], Value]:
    """A signal, an image or a volume of another size; the scale that a call states counts, not that of the sizes."""

    def compute(call: TorchCall) -> Value:
        size, aligned = call.output[2:], method != "nearest" and bool(call.get(2, "align_corners"))
        scales = _scales(call, 2 if method == "nearest" else 3, len(size))
        corners = "centres" if aligned else "starts" if method == "nearest" and rounding == "floor" else "edges"
        ratios = [None if scale is None or aligned else 1 / scale for scale in scales]
        return resized(call, size, ratios, corners=corners, method=method, rounding=rounding)

    return compute


def smoothed(call: TorchCall) -> Value:
    """An interpolation with antialias=True."""
    call.refuse("an interpolation with antialias=True is not supported; allowed: antialias=False")


def _scales(call: TorchCall, position: int, count: int) -> list[float | None]:
    """Scales of the axes: a list where the call gives one, else an argument of each."""
    first = call.get(position, "scale_factors")
    if isinstance(first, list):
        return first
    names = ("scales_d", "scales_h", "scales_w")[3 - count :] if count > 1 else ("scales",)
    return [call.get(position + place, name) for place, name in enumerate(names)]


def convolution(call: TorchCall) -> Deferred | Plain:
    """The same as decomposed programs have it."""
    if call.get(6, "transposed"):
        return _transposed(call, call.get(7, "output_padding"), call.get(8, "groups"), call.get(5, "dilation"))
    return _convolution(call, call.get(5, "dilation"), call.get(8, "groups"))


def _convolution(call: TorchCall, dilations: Any, groups: int) -> Deferred:
    weights, bias, source = call.constant(1), call.optional_constant(2), call.value(0)
    if weights.array.ndim not in (3, 4, 5):
        call.refuse(f"weights of shape {weights.array.shape}; allowed: one to three dimensions of space")
    if weights.array.ndim != 4:
        result = (_line if weights.array.ndim == 3 else _volume)(call, weights, dilations, groups)
        return result if bias is None else result.shifted(channel_vector(call, result, bias, flat=True), bias)
    taps, dilation = (weights.array.shape[2], weights.array.shape[3]), _pair(dilations)
    before, after = _padding(call.get(4, "padding", [0]), taps, dilation)
    conv = Convolution(weights.array.shape[0], taps, _pair(call.get(3, "stride", [1])), before, dilation, groups, after)
    read, factor = (source, 1.0) if isinstance(source, Padded) else call.with_factor(0)
    if read.shape[0] > 1:
        view = read if isinstance(read, View) else call.made(read)
        result = convolve_images(call, view, weights, conv, factor)
    else:
        result = convolve(call, read, factor, weights, conv)
    return result if bias is None else result.shifted(channel_vector(call, result, bias, flat=True), bias)


def _line(call: TorchCall, weights: Constant, dilations: Any, groups: int) -> Deferred:
    taps, dilation = (1, weights.array.shape[2]), (1, _pair(dilations)[1])
    given = call.get(4, "padding", [0])
    before, after = _padding(given if isinstance(given, str) else [0, _pair(given)[1]], taps, dilation)
    strides = (1, _pair(call.get(3, "stride", [1]))[1])
    view, factor = call.with_factor(0)
    return convolve_line(call, view, factor, weights, Convolution(weights.array.shape[0], taps, strides, before, dilation, groups, after))


def _volume(call: TorchCall, weights: Constant, dilations: Any, groups: int) -> Deferred:
    taps, dilation, padding = weights.array.shape[2:], _sizes(dilations, 3), call.get(4, "padding", [0])
    if isinstance(padding, str):
        both = [0 if padding == "valid" else dilation[axis] * (taps[axis] - 1) for axis in range(3)]
        before, after = tuple(size // 2 for size in both), tuple(size - size // 2 for size in both)
    else:
        before = after = _sizes(padding, 3)
    given = Windows(taps, _sizes(call.get(3, "stride", [1]), 3), before, after, dilation)
    view, factor = call.with_factor(0)
    return convolve_volume(call, view, weights, given, groups, factor)


def pad(call: TorchCall) -> Padded | Value:
    """One value around an activation: zeros around an image are left to the convolution that reads it; none at all is nothing."""
    sizes: list[int] = call.get(1, "pad")
    plain = call.node.target == "aten.constant_pad_nd.default"
    mode, value = ("constant", call.get(2, "value", 0)) if plain else (call.get(2, "mode", "constant"), call.get(3, "value"))
    if not any(sizes):
        return call.value(0)
    view = call.view(0)
    around = {len(view.shape) - 1 - place: (sizes[2 * place], sizes[2 * place + 1]) for place in range(len(sizes) // 2)}
    if mode in _MODES:
        return Plain(extended(call, view, around, _MODES[mode]))
    if mode != "constant":
        call.refuse(f"a pad by {sizes} of mode {mode!r} is not supported; allowed: constant, {', '.join(_MODES)}")
    view, around = cropped(call, view, around)
    return padded(call, view, around, float(value or 0)) if any(map(any, around.values())) else Plain(view)


def max_pool(call: TorchCall) -> tuple[Plain]:
    """The largest element of each window; the places of these elements are not supported."""
    if set(_sizes(call.get(4, "dilation", [1]), 1)) != {1}:
        call.refuse("a pool with dilation is not supported")
    return (Plain(_pool(call, "max_pool2d", bool(call.get(5, "ceil_mode", False)), False)),)


def avg_pool(call: TorchCall) -> Value:
    """The average of each window, or its sum over a divisor."""
    divisor, ceil = call.get(6, "divisor_override"), bool(call.get(4, "ceil_mode", False))
    if divisor is None:
        return Plain(_pool(call, "avg_pool2d", ceil, bool(call.get(5, "count_include_pad", True))))
    taps = math.prod(_sizes(call.get(1, "kernel_size"), len(call.shape(0)) - 2))
    return Expression.of(_pool(call, "avg_pool2d", ceil, True), call.node).apply(lambda x: x * (taps / divisor), call.node)


def adaptive_pool(op: PoolOp) -> Callable[[TorchCall], Plain]:
    """Averages or maxima of windows that cover the image: equal ones in one pool, others line by line and joined."""

    def compute(call: TorchCall) -> Plain:
        image = call.shape(0)[2:]
        given = _sizes(call.get(1, "output_size"), len(image))
        places = tuple(size if count is None else count for count, size in zip(given, image, strict=True))
        if any(size % count for size, count in zip(image, places, strict=True)):
            return Plain(_unequal(call, places, op))
        taps, none = tuple(size // count for size, count in zip(image, places, strict=True)), (0,) * len(image)
        return Plain(pool_volume(call, call.view(0), op, Windows(taps, taps, none, none, (1,) * len(image)), False))

    return compute


def _unequal(call: TorchCall, places: Sequence[int], op: PoolOp) -> View:
    """Averages or maxima of the lines from floor(i H / n) to ceil((i + 1) H / n), then of columns alike (PyTorch's adaptive pool)."""
    view, name = call.view(0), call.node.path("pool")
    for dim, count in enumerate(places, 2):
        size = view.shape[dim]
        parts = [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        found = [reduce_dims(call.builder, name, call.builder.narrowed(name, view, dim, part), (dim,), op) for part in parts]
        view = call.builder.join(name, found, dim)
    return view


def reduction(function: Callable[[Call, Sequence[int], bool], Value], dims_at: int = 1) -> Callable[[TorchCall], Value]:
    """A mean, a sum or a maximum over some dimensions, or over all; dims and keepdim are arguments `dims_at` and the next."""

    def compute(call: TorchCall) -> Value:
        given = call.get(dims_at, "dim")
        every = given is None or given == []
        dims = range(len(call.shape(0))) if every else [given] if isinstance(given, int) else given
        return function(call, list(dims), bool(call.get(dims_at + 1, "keepdim", False)))

    return compute


def norm(name: str, default: float | None = None) -> Callable[[TorchCall], Value]:
    """The Euclidean norm, the sum of magnitudes, or the largest one; the order is argument 1, `name`."""

    def compute(call: TorchCall) -> Value:
        order = call.get(1, name, default)
        if order not in _NORMS:
            call.refuse(f"a norm of order {order} is not supported; allowed: {', '.join(map(str, _NORMS))}")
        return reduction(_NORMS[order], 2)(call)

    return compute


def variance(root: bool) -> Callable[[TorchCall], Value]:
    """A variance over some dimensions, or its root."""

    def compute(call: TorchCall) -> Value:
        correction = call.get(2, "correction", 1)

        def over(inner: Call, dims: Sequence[int], keep: bool) -> Value:
            return variance_over(inner, dims, keep, float(1 if correction is None else correction))

        dims, keep = call.get(1, "dim"), bool(call.get(3, "keepdim", False))
        found = over(call, list(range(len(call.shape(0)))) if not dims else [dims] if isinstance(dims, int) else dims, keep)
        if not root:
            return found
        start = found if isinstance(found, Expression) else Expression.of(call.made(found), call.node)
        return start.apply(np.sqrt, call.node)

    return compute


def batch_norm(call: TorchCall) -> Deferred:
    """A batch norm of inference, folded into the layer that it normalizes."""
    if call.get(5, "training", False) or not all(isinstance(call.optional(position), Constant) for position in (3, 4)):
        call.refuse("a batch norm without running statistics; export the model after model.eval()")
    return _normalized(call, float(call.get(7, "eps", 1e-5)))


def batch_norm_of_inference(call: TorchCall) -> tuple[Deferred]:
    """The same as decomposed programs have it."""
    return (_normalized(call, float(call.get(6, "eps"))),)


def _normalized(call: TorchCall, epsilon: float) -> Deferred:
    mean, variance = call.constant(3), call.constant(4)
    gamma, beta = (
        Constant(plain(mean.array.shape)) if call.optional(position) is None else call.constant(position)
        for position, plain in ((1, np.ones), (2, np.zeros))
    )
    return normalize_channels(call, call.value(0), [gamma, beta, mean, variance], epsilon)


def _pool(call: TorchCall, op: PoolOp, ceil: bool, count: bool) -> View:
    """A pool; rounding sizes up lets the last window reach past the padding, by extra padding at the end."""
    image = call.shape(0)[2:]
    taps = _sizes(call.get(1, "kernel_size"), len(image))
    strides, before = _sizes(call.get(2, "stride") or list(taps), len(image)), _sizes(call.get(3, "padding", [0]), len(image))
    after = before
    if ceil and not any(before):  # a window larger than the image reads the image
        taps = tuple(map(min, taps, image))
    if ceil:
        after = tuple(map(_places, image, taps, strides, before))
        if count and any(before) and any(behind > ahead for behind, ahead in zip(after, before, strict=True)):
            call.refuse("an average that counts its padding in windows past it is not supported")
    given = Windows(taps, strides, before, after, (1,) * len(image))
    return pool_volume(call, call.view(0), op, given, count and any(before))


def _places(size: int, taps: int, stride: int, before: int) -> int:
    """Padding at the end of an axis so that its last window starts inside the image or the padding before it, as PyTorch has it."""
    count = -(-(size + 2 * before - taps) // stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    return max(0, (count - 1) * stride + taps - size - before)


def _padding(given: Any, taps: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Padding (top, left) and (bottom, right): numbers, or 'same' (the odd one at the end) or 'valid'."""
    if isinstance(given, str):
        both = [0, 0] if given == "valid" else [dilation[i] * (taps[i] - 1) for i in (0, 1)]
        before = (both[0] // 2, both[1] // 2)
        return before, (both[0] - before[0], both[1] - before[1])
    even = _pair(given)
    return even, even


def _pair(values: int | list[int] | tuple[int, ...]) -> Pair:
    return (values, values) if isinstance(values, int) else (values[0], values[-1])


def _sizes(values: Any, count: int) -> tuple[int, ...]:
    """A number for each of `count` axes; one that is given alone holds for all."""
    given = (values,) if isinstance(values, int) else tuple(values)
    return given * count if len(given) == 1 else given


_MODES: dict[str, Mode] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
_NORMS: dict[float, Callable[[Call, Sequence[int], bool], Value]] = {
    1: absolute_sum_over,
    2: norm_over,
    float("inf"): absolute_max_over,
}
