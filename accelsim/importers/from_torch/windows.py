"""ATen operations on windows of an image: convolutions, pools, padding, averages, and the batch norms that fold into convolutions.

Padding of its own (an uneven one, as TensorFlow's) is taken into the convolution that reads it; for any other reader it is a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.elementwise import group_norm as normalize_groups
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.products import channel_vector, convolve, convolve_line, convolve_transposed, normalize_channels
from accelsim.importers.graph.reduce_dims import reduce_dims
from accelsim.importers.graph.reductions import norm_over
from accelsim.importers.graph.values import Constant, Deferred, Padded, Plain
from accelsim.importers.graph.views import padded
from accelsim.importers.graph.windows import Convolution, Pair, Pool
from accelsim.ops.lrn import LrnLayer


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


def conv_transpose2d(call: TorchCall) -> Plain:
    """A transposed convolution."""
    return _transposed(call, call.get(5, "output_padding", [0]), call.get(6, "groups", 1), call.get(7, "dilation", [1]))


def _transposed(call: TorchCall, extra: Any, groups: int, dilations: Any) -> Plain:
    if _pair(dilations) != (1, 1) or len(call.shape(0)) != 4:
        call.refuse(f"a transposed convolution of {call.shape(0)} with dilation {dilations}; allowed: an image, without")
    strides, padding = _pair(call.get(3, "stride", [1])), _pair(call.get(4, "padding", [0]))
    bias = call.optional_constant(2)
    return Plain(convolve_transposed(call, call.view(0), call.constant(1), bias, strides, padding, _pair(extra), groups))


def group_norm(call: TorchCall) -> Value:
    """A group norm."""
    return normalize_groups(call, call.get(1, "num_groups"), call.optional_constant(2), call.optional_constant(3))


def instance_norm(call: TorchCall) -> Value:
    """An instance norm by the moments of its input."""
    if not call.get(5, "use_input_stats"):
        call.refuse("an instance norm with stored moments is not supported")
    return normalize_groups(call, call.shape(0)[1], call.optional_constant(1), call.optional_constant(2))


def upsample_bilinear(call: TorchCall) -> Value:
    """A bilinear interpolation."""
    size = call.output[2:]
    if size == call.shape(0)[2:]:
        return call.value(0)
    corners: Literal["edges", "centres"] = "centres" if call.get(2, "align_corners") else "edges"
    return Plain(call.builder.resize(call.node.path("resize"), call.view(0), (size[0], size[1]), corners))


def convolution(call: TorchCall) -> Deferred | Plain:
    """The same as decomposed programs have it."""
    if call.get(6, "transposed"):
        return _transposed(call, call.get(7, "output_padding"), call.get(8, "groups"), call.get(5, "dilation"))
    return _convolution(call, call.get(5, "dilation"), call.get(8, "groups"))


def _convolution(call: TorchCall, dilations: Any, groups: int) -> Deferred:
    weights, bias, source = call.constant(1), call.optional_constant(2), call.value(0)
    if weights.array.ndim not in (3, 4):
        call.refuse(f"weights of shape {weights.array.shape}; allowed: one or two dimensions of space")
    if weights.array.ndim == 3:
        result = _line(call, weights, dilations, groups)
        return result if bias is None else result.shifted(channel_vector(call, result, bias, flat=True), bias)
    taps, dilation = (weights.array.shape[2], weights.array.shape[3]), _pair(dilations)
    before, after = _padding(call.get(4, "padding", [0]), taps, dilation)
    conv = Convolution(weights.array.shape[0], taps, _pair(call.get(3, "stride", [1])), before, dilation, groups, after)
    read, factor = (source, 1.0) if isinstance(source, Padded) else call.with_factor(0)
    result = convolve(call, read, factor, weights, conv)
    return result if bias is None else result.shifted(channel_vector(call, result, bias, flat=True), bias)


def _line(call: TorchCall, weights: Constant, dilations: Any, groups: int) -> Deferred:
    taps, dilation = (1, weights.array.shape[2]), (1, _pair(dilations)[1])
    given = call.get(4, "padding", [0])
    before, after = _padding(given if isinstance(given, str) else [0, _pair(given)[1]], taps, dilation)
    strides = (1, _pair(call.get(3, "stride", [1]))[1])
    view, factor = call.with_factor(0)
    return convolve_line(call, view, factor, weights, Convolution(weights.array.shape[0], taps, strides, before, dilation, groups, after))


def pad(call: TorchCall) -> Padded | Value:
    """One value around an activation: zeros around an image are left to the convolution that reads it; none at all is nothing."""
    sizes: list[int] = call.get(1, "pad")
    plain = call.node.target == "aten.constant_pad_nd.default"
    mode, value = ("constant", call.get(2, "value", 0)) if plain else (call.get(2, "mode", "constant"), call.get(3, "value"))
    if not any(sizes):
        return call.value(0)
    view = call.view(0)
    if mode != "constant" or min(sizes) < 0:
        call.refuse(f"a pad by {sizes} of mode {mode!r} is not supported; allowed: one value around an activation")
    around = {len(view.shape) - 1 - place: (sizes[2 * place], sizes[2 * place + 1]) for place in range(len(sizes) // 2)}
    return padded(call, view, around, float(value or 0))


def max_pool2d(call: TorchCall) -> tuple[Plain]:
    """The largest element of each window; the places of these elements are not supported."""
    if _pair(call.get(4, "dilation", [1])) != (1, 1):
        call.refuse("a pool with dilation is not supported")
    return (_pool(call, "max_pool2d", bool(call.get(5, "ceil_mode", False)), False),)


def avg_pool2d(call: TorchCall) -> Plain:
    """The average of each window."""
    if call.get(6, "divisor_override") is not None:
        call.refuse("an average pool with divisor_override is not supported")
    return _pool(call, "avg_pool2d", bool(call.get(4, "ceil_mode", False)), bool(call.get(5, "count_include_pad", True)))


def adaptive_avg_pool2d(call: TorchCall) -> Plain:
    """Averages of windows that cover the image: equal ones in one pool, others line by line and joined."""
    image, places = _image_of(call), _pair(call.get(1, "output_size"))
    if any(size % count for size, count in zip(image, places, strict=True)):
        return Plain(_unequal(call, places))
    taps = (image[0] // places[0], image[1] // places[1])
    return Plain(call.builder.pool(call.node.path("pool"), call.view(0), Pool("avg_pool2d", taps, taps)))


def _unequal(call: TorchCall, places: Pair) -> View:
    """Averages of the lines from floor(i H / n) to ceil((i + 1) H / n), then of columns alike (PyTorch's adaptive pool)."""
    view, name = call.view(0), call.node.path("pool")
    for dim, count in zip((2, 3), places, strict=True):
        size = view.shape[dim]
        parts = [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        means = [reduce_dims(call.builder, name, call.builder.narrowed(name, view, dim, part), (dim,), "avg_pool2d") for part in parts]
        view = call.builder.join(name, means, dim)
    return view


def adaptive_avg_pool1d(call: TorchCall) -> Plain:
    """Averages of equal windows along the last dimension."""
    (batch, channels, length), places = call.shape(0), _pair(call.get(1, "output_size"))[1]
    if length % places:
        call.refuse(f"{places} averages of {length} positions have unequal windows; allowed: its divisors")
    taps = (1, length // places)
    line = call.builder.reshaped(call.node.path("pool"), call.view(0), (batch, channels, 1, length))
    return Plain(call.builder.pool(call.node.path("pool"), line, Pool("avg_pool2d", taps, taps)).reshape(call.output))


def reduction(function: Callable[[Call, Sequence[int], bool], Value], dims_at: int = 1) -> Callable[[TorchCall], Value]:
    """A mean, a sum or a maximum over some dimensions, or over all; dims and keepdim are arguments `dims_at` and the next."""

    def compute(call: TorchCall) -> Value:
        given = call.get(dims_at, "dim")
        every = given is None or given == []
        dims = range(len(call.shape(0))) if every else [given] if isinstance(given, int) else given
        return function(call, list(dims), bool(call.get(dims_at + 1, "keepdim", False)))

    return compute


def vector_norm(call: TorchCall) -> Value:
    """The Euclidean norm."""
    if call.get(1, "ord", 2) != 2:
        call.refuse(f"a norm of order {call.get(1, 'ord')} is not supported; allowed: 2")
    return reduction(norm_over, 2)(call)


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


def _pool(call: TorchCall, op: Any, ceil: bool, count: bool) -> Plain:
    """A pool; rounding sizes up lets the last window reach past the padding, by extra padding at the end."""
    image, taps = _image_of(call), _pair(call.get(1, "kernel_size"))
    strides, before = _pair(call.get(2, "stride") or list(taps)), _pair(call.get(3, "padding", [0]))
    after = before
    if ceil and before == (0, 0):  # a window larger than the image reads the image
        taps = (min(taps[0], image[0]), min(taps[1], image[1]))
    if ceil:
        top = _places(image[0], taps[0], strides[0], before[0])
        left = _places(image[1], taps[1], strides[1], before[1])
        after = (top, left)
        if count and before != (0, 0) and (after[0] > before[0] or after[1] > before[1]):
            call.refuse("an average that counts its padding in windows past it is not supported")
    pool = Pool(op, taps, strides, before, after, count and before != (0, 0))
    return Plain(call.builder.pool(call.node.path("pool"), call.view(0), pool))


def _places(size: int, taps: int, stride: int, before: int) -> int:
    """Padding at the end of an axis so that its last window starts inside the image or the padding before it, as PyTorch has it."""
    count = -(-(size + 2 * before - taps) // stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    return max(0, (count - 1) * stride + taps - size - before)


def _image_of(call: TorchCall) -> Pair:
    shape = call.shape(0)
    if len(shape) != 4:
        call.refuse(f"{call.node.fx.target} of {shape}; allowed: an image (1, channels, height, width)")
    return shape[2], shape[3]


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
