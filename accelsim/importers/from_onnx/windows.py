"""Windows over an image in ONNX: strides, dilations and padding in their many spellings, and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.from_onnx.shapes import whole_numbers
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.elementwise import group_norm
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.products import convolve_transposed
from accelsim.importers.graph.reduce_dims import PoolOp, reduce_dims
from accelsim.importers.graph.values import Plain
from accelsim.importers.graph.views import moved, padded
from accelsim.importers.graph.windows import Pair, Pool
from accelsim.ops.lrn import LrnLayer


def pair(call: OnnxCall, name: str) -> Pair:
    """An attribute with a value for each axis (y, x); (1, 1) if it is left out."""
    values = call.node.ints(name) or [1, 1]
    if len(values) != 2 or min(values) < 1:
        call.refuse(f"{name} is {values}; allowed: two numbers of 1 or more")
    return values[0], values[1]


def paddings(call: OnnxCall, image: Sequence[int], taps: Pair, strides: Pair, dilation: Pair = (1, 1)) -> tuple[Pair, Pair]:
    """Padding (y, x) of top and left, and of bottom and right."""
    auto = call.node.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):  # as many outputs as strides, the odd line at the end or at the start
        wanted = [
            max(0, (-(-size // strides[i]) - 1) * strides[i] + dilation[i] * (taps[i] - 1) + 1 - size) for i, size in enumerate(image)
        ]
        small, large = ((wanted[0] // 2, wanted[1] // 2), (-(-wanted[0] // 2), -(-wanted[1] // 2)))
        return (small, large) if auto == "SAME_UPPER" else (large, small)
    if auto not in ("NOTSET", "VALID", ""):
        call.refuse(f"auto_pad is {auto!r}; allowed: NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    pads = (call.node.ints("pads") if auto != "VALID" else None) or [0, 0, 0, 0]
    if len(pads) != 4 or min(pads) < 0:
        call.refuse(f"pads is {pads}; allowed: four numbers of 0 or more (top, left, bottom, right)")
    return (pads[0], pads[1]), (pads[2], pads[3])


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
    if not inside or mode != "constant" or min(pads) < 0:
        call.refuse(f"pads {pads} of axes {axes} of {view.shape}, mode {mode!r}; allowed: one value around an activation")
    return padded(call, view, by_axis, value)


def pool(call: OnnxCall) -> Value:
    """MaxPool and AveragePool; a maximum of integers, whose line from real values rises, is that of these values."""
    view, slope, term = call.with_line(0)
    if call.node.op != "MaxPool" or slope < 0 or (slope, term) == (1.0, 0.0):
        return Plain(_pooled(call))
    call.values[0] = Plain(view)
    return Expression.of(_pooled(call), call.node).apply(lambda x: slope * x + term, call.node)


def _pooled(call: OnnxCall) -> View:
    view = call.view(0)
    if len(view.shape) == 3:
        flat = OnnxCall(_of_an_image(call.node), [Plain(view.reshape((*view.shape[:2], 1, view.shape[2])))], call.recorder, lambda _: False)
        made = _pooled(flat)
        return made.reshape((*made.shape[:2], made.shape[3]))
    shape = call.node.ints("kernel_shape") or []
    if len(shape) != 2 or len(view.shape) != 4:
        call.refuse(f"kernel_shape {shape} over {view.shape}; allowed: two dimensions of space")
    if pair(call, "dilations") != (1, 1) or call.node.integer("storage_order", 0):
        call.refuse("dilations or a storage order other than row by row are not supported")
    if len([name for name in call.node.outputs if name]) > 1:
        call.refuse("its indices are an output; allowed: its values alone")
    taps, strides = (shape[0], shape[1]), pair(call, "strides")
    before, after = paddings(call, view.shape[2:], taps, strides)
    maximum = call.node.op == "MaxPool"
    counts = not maximum and bool(call.node.integer("count_include_pad", 0)) and any((*before, *after))
    if call.node.integer("ceil_mode", 0):
        over = [-(size + before[i] + after[i] - taps[i]) % strides[i] for i, size in enumerate(view.shape[2:])]
        starts = [size + before[i] + after[i] + over[i] - taps[i] for i, size in enumerate(view.shape[2:])]
        inside = [start < view.shape[2 + i] + before[i] for i, start in enumerate(starts)]  # a last window in the padding is left out
        ends = [after[i] + (over[i] if inside[i] else 0) for i in (0, 1)]
        if counts and tuple(ends) != after:
            call.refuse("an average that counts its padding in windows past it is not supported")
        after = (ends[0], ends[1])
    what = Pool("max_pool2d" if maximum else "avg_pool2d", taps, strides, before, after, counts)
    return call.builder.pool(call.node.path("max_pool" if maximum else "avg_pool"), view, what)


def _of_an_image(node: OnnxNode) -> OnnxNode:
    """A window over a signal as one over an image of one line."""
    proto = type(node.proto)()
    proto.CopyFrom(node.proto)
    ahead = {"kernel_shape": [1], "strides": [1], "dilations": [1], "pads": [0]}
    for attribute in proto.attribute:
        if attribute.name in ahead and attribute.ints:
            given = list(attribute.ints)
            half = len(given) // 2 if attribute.name == "pads" else len(given)
            sides = [given[:half], given[half:]] if attribute.name == "pads" else [given]
            del attribute.ints[:]
            attribute.ints.extend(size for side in sides for size in (*ahead[attribute.name], *side))
    return OnnxNode(proto, node.opset, node.folder)


def transposed(call: OnnxCall) -> Plain:
    """ConvTranspose."""
    if pair(call, "dilations") != (1, 1) or call.node.ints("output_shape") or len(call.shape(0)) != 4:
        call.refuse("a transposed convolution with dilations or an output_shape, or not of an image, is not supported")
    weights = call.constant(1)
    strides, extra = pair(call, "strides"), call.node.ints("output_padding") or [0, 0]
    before, after = paddings(call, call.shape(0)[2:], (1, 1), strides)
    if call.node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID", "") or len(extra) != 2:
        call.refuse("auto_pad of a transposed convolution is not supported; allowed: pads")
    more = (extra[0] + before[0] - after[0], extra[1] + before[1] - after[1])
    bias, groups = call.optional_constant(2), call.node.integer("group", 1)
    return Plain(convolve_transposed(call, call.view(0), weights, bias, strides, before, more, groups))


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
    """GroupNormalization with a factor and a term per channel (opset 21)."""
    return group_norm(call, call.node.integer("num_groups", 1), call.constant(1), call.constant(2))


def resize(call: OnnxCall) -> Value:
    """Resize and Upsample of an image: to the nearest by whole factors, or bilinear."""
    shape, old = call.shape(0), call.node.op == "Upsample" or call.node.opset < 11
    scales, sizes = call.optional_constant(1 if old else 2), call.optional_constant(3) if not old else None
    if len(shape) != 4:
        call.refuse(f"resizes {shape}; allowed: an image (1, C, H, W)")
    given = call.node.attribute("scales") if call.node.opset < 9 and call.node.has("scales") else []
    if len(given) == 4:
        size = tuple(int(np.floor(old_size * scale)) for old_size, scale in zip(shape, given, strict=True))
    elif sizes is not None and sizes.array.size:
        size = tuple(whole_numbers(call.node, sizes.array))
    elif scales is not None and scales.array.size == 4:
        size = tuple(int(np.floor(old_size * float(scale))) for old_size, scale in zip(shape, scales.array, strict=True))
    else:
        call.refuse("has neither sizes nor a scale for each of four dimensions")
    mode, place = call.node.text("mode", "nearest"), call.node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    if len(size) != 4 or size[:2] != shape[:2]:
        call.refuse(f"resizes {shape} to {size}; allowed: height and width")
    times = (size[2] // shape[2], size[3] // shape[3])
    if mode == "nearest" and size[2:] == (times[0] * shape[2], times[1] * shape[3]) and place in ("asymmetric", "half_pixel"):
        return moved(call, lambda view: view.repeat(2, times[0], each=True).repeat(3, times[1], each=True))
    corners: dict[str, Literal["edges", "centres"]] = {"half_pixel": "edges", "pytorch_half_pixel": "edges", "align_corners": "centres"}
    if mode != "linear" or place not in corners:
        call.refuse(f"mode {mode!r} by {place!r} to {size}; allowed: nearest by whole factors, linear by {sorted(corners)}")
    return Plain(call.builder.resize(call.node.path("resize"), call.view(0), (size[2], size[3]), corners[place]))


def depth_to_space(call: OnnxCall) -> Value:
    """DepthToSpace: channels to positions."""
    (batch, channels, height, width), r = call.shape(0), call.node.integer("blocksize", 1)
    depth_first = call.node.text("mode", "DCR") == "DCR"
    inner = (r, r, channels // r**2) if depth_first else (channels // r**2, r, r)
    order = (0, 3, 4, 1, 5, 2) if depth_first else (0, 1, 4, 2, 5, 3)
    result = (batch, channels // r**2, height * r, width * r)
    return moved(call, lambda view: view.reshape((batch, *inner, height, width)).permute(order).reshape(result))


def global_pool(call: OnnxCall) -> Plain:
    """GlobalAveragePool and GlobalMaxPool: (1, C, H, W) to (1, C, 1, 1); of a signal as well."""
    view = call.view(0)
    if len(view.shape) not in (3, 4):
        call.refuse(f"an activation of shape {view.shape}; allowed: (1, C, H, W) or (1, C, L)")
    op: PoolOp = "max_pool2d" if call.node.op == "GlobalMaxPool" else "avg_pool2d"
    return Plain(reduce_dims(call.builder, call.node.path(op.removesuffix("2d")), view, range(2, len(view.shape)), op))
