"""Windows over an image in ONNX: strides, dilations and padding in their many spellings, and pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.shapes import whole_numbers
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.elementwise import group_norm
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.reduce_dims import reduce_dims
from accelsim.importers.graph.resizes import resized
from accelsim.importers.graph.runs import MODES, cropped, extended
from accelsim.importers.graph.values import Plain
from accelsim.importers.graph.views import moved, padded
from accelsim.importers.graph.volumes import Windows, convolve_transposed, pool_volume
from accelsim.importers.graph.windows import Pair, PoolOp
from accelsim.ops.lrn import LrnLayer


def sizes(call: OnnxCall, name: str, count: int) -> tuple[int, ...]:
    """An attribute with a value for each of `count` axes; ones if it is left out."""
    values = call.node.ints(name) or [1] * count
    if len(values) != count or min(values) < 1:
        call.refuse(f"{name} is {values}; allowed: {count} numbers of 1 or more")
    return tuple(values)


def pair(call: OnnxCall, name: str) -> Pair:
    """An attribute with a value for each axis (y, x); (1, 1) if it is left out."""
    first, second = sizes(call, name, 2)
    return first, second


def all_paddings(
    call: OnnxCall, image: Sequence[int], taps: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and after each axis."""
    auto = call.node.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):  # as many outputs as strides, the odd line at the end or at the start
        wanted = [
            max(0, (-(-size // strides[i]) - 1) * strides[i] + dilation[i] * (taps[i] - 1) + 1 - size) for i, size in enumerate(image)
        ]
        small, large = tuple(size // 2 for size in wanted), tuple(-(-size // 2) for size in wanted)
        return (small, large) if auto == "SAME_UPPER" else (large, small)
    if auto not in ("NOTSET", "VALID", ""):
        call.refuse(f"auto_pad is {auto!r}; allowed: NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    count = len(image)
    pads = (call.node.ints("pads") if auto != "VALID" else None) or [0] * (2 * count)
    if len(pads) != 2 * count or min(pads) < 0:
        call.refuse(f"pads is {pads}; allowed: {2 * count} numbers of 0 or more, those before all axes first")
    return tuple(pads[:count]), tuple(pads[count:])


def paddings(call: OnnxCall, image: Sequence[int], taps: Pair, strides: Pair, dilation: Pair = (1, 1)) -> tuple[Pair, Pair]:
    """Padding (y, x) of top and left, and of bottom and right."""
    (top, left), (bottom, right) = all_paddings(call, image, taps, strides, dilation)
    return (top, left), (bottom, right)


def pad(call: OnnxCall) -> Value:
    """Pad: one value around an activation; zeros around an image are left to the convolution that reads it."""
    rank = len(call.shape(0))
    pads, value = call.node.ints("pads"), call.node.number("value", 0.0)
    if pads is None:
        pads = whole_numbers(call.node, call.constant(1).array)
        value = 0.0 if call.optional(2) is None else call.scalar(2)
    if not any(pads):
        return call.value(0)
    view = call.view(0)
    axes = list(range(rank)) if call.optional(3) is None else whole_numbers(call.node, call.constant(3).array)
    mode = call.node.text("mode", "constant")
    inside = len(pads) == 2 * len(axes) and all(-rank <= axis < rank for axis in axes)
    by_axis = {axis % rank: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)} if inside else {}
    if not inside or mode not in ("constant", *MODES):
        call.refuse(f"pads {pads} of axes {axes} of {view.shape}, mode {mode!r}; allowed: constant, {', '.join(MODES)}")
    view, by_axis = cropped(call, view, by_axis)
    if not any(map(any, by_axis.values())):
        return Plain(view)
    return padded(call, view, by_axis, value) if mode == "constant" else Plain(extended(call, view, by_axis, MODES[mode]))


def pool(call: OnnxCall) -> Value:
    """MaxPool and AveragePool; a maximum of integers, whose line from real values rises, is that of these values."""
    view, slope, term = call.with_line(0)
    if call.node.op != "MaxPool" or slope < 0 or (slope, term) == (1.0, 0.0):
        return Plain(_pooled(call))
    call.values[0] = Plain(view)
    return Expression.of(_pooled(call), call.node).apply(lambda x: slope * x + term, call.node)


def _pooled(call: OnnxCall) -> View:
    view = call.view(0)
    image = view.shape[2:]
    if call.node.integer("storage_order", 0) or len([name for name in call.node.outputs if name]) > 1:
        call.refuse("its indices are an output; allowed: its values alone")
    if len(call.node.ints("kernel_shape") or []) != len(image):
        call.refuse(f"kernel_shape {call.node.ints('kernel_shape')} over {view.shape}; allowed: a size for each dimension of space")
    taps, strides, dilation = (sizes(call, name, len(image)) for name in ("kernel_shape", "strides", "dilations"))
    before, after = all_paddings(call, image, taps, strides, dilation)
    maximum = call.node.op == "MaxPool"
    counts = not maximum and bool(call.node.integer("count_include_pad", 0)) and any((*before, *after))
    if call.node.integer("ceil_mode", 0):
        over = [-(size + before[i] + after[i] - taps[i]) % strides[i] for i, size in enumerate(image)]
        starts = [size + before[i] + after[i] + over[i] - taps[i] for i, size in enumerate(image)]
        inside = [start < image[i] + before[i] for i, start in enumerate(starts)]  # a last window in the padding is left out
        ends = tuple(after[i] + (over[i] if inside[i] else 0) for i in range(len(image)))
        if counts and ends != after:
            call.refuse("an average that counts its padding in windows past it is not supported")
        after = ends
    op: PoolOp = "max_pool2d" if maximum else "avg_pool2d"
    return pool_volume(call, view, op, Windows(taps, strides, before, after, dilation), counts)


def transposed(call: OnnxCall) -> Plain:
    """ConvTranspose."""
    view, weights, bias = call.view(0), call.constant(1), call.optional_constant(2)
    count = len(view.shape) - 2
    strides, dilation = sizes(call, "strides", count), sizes(call, "dilations", count)
    taps, extra = weights.array.shape[2:], tuple(call.node.ints("output_padding") or [0] * count)
    if len(extra) != count:
        call.refuse(f"output_padding is {extra}; allowed: {count} numbers, one per axis")
    before, after = _transposed_paddings(call, view.shape[2:], taps, strides, dilation, extra)
    more = tuple(extra[i] + before[i] - after[i] for i in range(count))
    shape = view.shape
    if count == 1:
        view = call.builder.reshaped(call.node.path(), view, (*shape[:2], 1, shape[2]))
        weights = replace(weights, array=weights.array[:, :, None])
        taps, strides, before, more, dilation = (1, *taps), (1, *strides), (0, *before), (0, *more), (1, *dilation)
    given = Windows(taps, strides, before, before, dilation)
    made = convolve_transposed(call, view, weights, bias, given, more, call.node.integer("group", 1))
    return Plain(made if count > 1 else call.builder.reshaped(call.node.path(), made, (*made.shape[:2], made.shape[3])))


def _transposed_paddings(
    call: OnnxCall, image: Sequence[int], taps: Sequence[int], strides: Sequence[int], dilation: Sequence[int], extra: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding taken off before and after each axis: as stated, or what gives the stated size, or strides as many outputs as inputs."""
    auto, count = call.node.text("auto_pad", "NOTSET"), len(image)
    wanted = (call.node.ints("output_shape") or [])[-count:]
    if auto in ("SAME_UPPER", "SAME_LOWER") and not wanted:
        wanted = [size * stride for size, stride in zip(image, strides, strict=True)]
    if not wanted:
        return all_paddings(call, image, taps, strides, dilation)
    off = [strides[i] * (image[i] - 1) + extra[i] + (taps[i] - 1) * dilation[i] + 1 - wanted[i] for i in range(count)]
    if min(off) < 0:
        call.refuse(f"an output of {wanted} is larger than strides, taps and output_padding give; allowed: at most that")
    small, large = tuple(size // 2 for size in off), tuple(-(-size // 2) for size in off)
    return (small, large) if auto == "SAME_UPPER" else (large, small)


def local_response(call: OnnxCall) -> Plain:
    """LRN."""
    if not call.node.has("size"):
        call.refuse("has no size")
    size, alpha = call.node.integer("size", 1), call.node.number("alpha", 1e-4)
    fields = {"size": size, "alpha": alpha, "beta": call.node.number("beta", 0.75), "bias": call.node.number("bias", 1.0)}
    return Plain(call.builder.channel_operation(LrnLayer, call.node.path("lrn"), call.view(0), 1, **fields))


def instance_normalization(call: OnnxCall) -> Value:
    """InstanceNormalization."""
    return group_norm(call, call.shape(0)[1], call.constant(1), call.constant(2))


def group_normalization(call: OnnxCall) -> Value:
    """GroupNormalization with a factor and a term per channel; before opset 21, per group."""
    groups, trained = call.node.integer("num_groups", 1), [call.constant(place) for place in (1, 2)]
    if call.node.opset < 21:
        trained = [replace(each, array=np.repeat(each.array, call.shape(0)[1] // groups)) for each in trained]
    return group_norm(call, groups, *trained)


def resize(call: OnnxCall) -> Value:
    """Resize and Upsample of a signal, an image or a volume."""
    shape, old = call.shape(0), call.node.op == "Upsample" or call.node.opset < 11
    size, scales = _new_size(call, shape, old)
    mode, place = call.node.text("mode", "nearest"), call.node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = "floor" if old else call.node.text("nearest_mode", "round_prefer_floor")
    if size[:2] != shape[:2]:
        call.refuse(f"resizes {shape} to {size}; allowed: dimensions of space")
    coarse = place == "pytorch_half_pixel" and 1 in size[2:]
    if mode not in _METHODS or place not in _CORNERS or rounding not in _ROUNDINGS or coarse or call.node.integer("antialias", 0):
        call.refuse(
            f"mode {mode!r} by {place!r}, {rounding!r} to {size}; allowed: {', '.join(_METHODS)} by {', '.join(_CORNERS)}, no antialias"
        )
    if mode == "cubic" and (call.node.number("cubic_coeff_a", -0.75) != -0.75 or call.node.integer("exclude_outside", 0)):
        call.refuse("a cubic interpolation with another coefficient than -0.75, or without what is outside, is not supported")
    part = any(scale is not None and int(scale * old) != scale * old for scale, old in zip(scales, shape, strict=True))
    if place == "align_corners" and part:
        call.refuse(f"scales {scales} of {shape} that give part of an element, by align_corners; allowed: whole sizes")
    ratios = [None if scale is None or place == "align_corners" else 1 / scale for scale in scales[2:]]
    return resized(call, size[2:], ratios, corners=_CORNERS[place], method=_METHODS[mode], rounding=_ROUNDINGS[rounding])


def _new_size(call: OnnxCall, shape: tuple[int, ...], old: bool) -> tuple[tuple[int, ...], list[float | None]]:
    """The sizes of all dimensions, and their scales where the node states these."""
    scales, goal = call.optional_constant(1 if old else 2), call.optional_constant(3) if not old else None
    given = [float(scale) for scale in (call.node.attribute("scales") if call.node.opset < 9 and call.node.has("scales") else [])]
    if not given and scales is not None:
        given = [float(scale) for scale in scales.array.reshape(-1)]
    named = call.node.ints("axes")
    axes = list(range(len(shape))) if named is None else [axis % len(shape) for axis in named]
    whole: list[float | None] = [None] * len(shape)
    if goal is not None and goal.array.size == len(axes) and call.node.text("keep_aspect_ratio_policy", "stretch") == "stretch":
        by_axis = dict(zip(axes, whole_numbers(call.node, goal.array), strict=True))
        return tuple(by_axis.get(axis, size) for axis, size in enumerate(shape)), whole
    if len(given) != len(axes):
        call.refuse(f"has neither sizes nor a scale for each of the {len(axes)} dimensions that it resizes")
    for axis, scale in zip(axes, given, strict=True):
        whole[axis] = scale
    return tuple(size if scale is None else int(np.floor(size * scale)) for size, scale in zip(shape, whole, strict=True)), whole


_METHODS = {"nearest": "nearest", "linear": "linear", "cubic": "cubic"}
_CORNERS = {
    "half_pixel": "edges",
    "pytorch_half_pixel": "edges",
    "align_corners": "centres",
    "asymmetric": "starts",
}
_ROUNDINGS = {"floor": "floor", "ceil": "ceil", "round_prefer_floor": "half_down", "round_prefer_ceil": "half_up"}


def depth_to_space(call: OnnxCall) -> Value:
    """DepthToSpace: channels to positions."""
    (batch, channels, height, width), r = call.shape(0), call.node.integer("blocksize", 1)
    depth_first = call.node.text("mode", "DCR") == "DCR"
    inner = (r, r, channels // r**2) if depth_first else (channels // r**2, r, r)
    order = (0, 3, 4, 1, 5, 2) if depth_first else (0, 1, 4, 2, 5, 3)
    result = (batch, channels // r**2, height * r, width * r)
    return moved(call, lambda view: view.reshape((batch, *inner, height, width)).permute(order).reshape(result))


def space_to_depth(call: OnnxCall) -> Value:
    """SpaceToDepth: positions to channels, those of a block first."""
    (batch, channels, height, width), r = call.shape(0), call.node.integer("blocksize", 1)
    apart, result = (batch, channels, height // r, r, width // r, r), (batch, channels * r**2, height // r, width // r)
    return moved(call, lambda view: view.reshape(apart).permute((0, 3, 5, 1, 2, 4)).reshape(result))


def global_pool(call: OnnxCall) -> Plain:
    """GlobalAveragePool and GlobalMaxPool: (1, C, H, W) to (1, C, 1, 1); of a signal as well."""
    view = call.view(0)
    if len(view.shape) < 3:
        call.refuse(f"an activation of shape {view.shape}; allowed: (1, C, H, W) or (1, C, L)")
    op: PoolOp = "max_pool2d" if call.node.op == "GlobalMaxPool" else "avg_pool2d"
    return Plain(reduce_dims(call.builder, call.node.path(op.removesuffix("2d")), view, range(2, len(view.shape)), op))
