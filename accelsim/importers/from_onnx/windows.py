"""Windows over an image in ONNX: strides, dilations and padding in their many spellings, and pools."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.shapes import axes_of, whole_numbers
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.values import Padded, Plain
from accelsim.importers.graph.windows import Pair, Pool


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
    """Pad: zeros around an image, left to the convolution that reads it; none at all is nothing."""
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
    (top, bottom), (left, right) = by_axis.get(2, (0, 0)), by_axis.get(3, (0, 0))
    elsewhere = any(any(by_axis.get(axis, ())) for axis in (0, 1))
    if not inside or elsewhere or rank != 4 or mode != "constant" or value != 0 or min(top, bottom, left, right) < 0:
        call.refuse(f"pads {pads} of axes {axes} of {view.shape}, mode {mode!r}, value {value:g}; allowed: zeros around an image")
    return Padded(view, (top, left), (bottom, right))


def pool(call: OnnxCall) -> Plain:
    """MaxPool and AveragePool."""
    view = call.view(0)
    shape = call.node.ints("kernel_shape") or []
    if len(shape) != 2 or len(view.shape) != 4:
        call.refuse(f"kernel_shape {shape} over {view.shape}; allowed: two dimensions of space")
    if pair(call, "dilations") != (1, 1) or call.node.integer("storage_order", 0):
        call.refuse("dilations or a storage order other than row by row are not supported")
    if len([name for name in call.node.outputs if name]) > 1:
        call.refuse("its indices are an output; allowed: its values alone")
    taps, strides = (shape[0], shape[1]), pair(call, "strides")
    before, after = paddings(call, view.shape[2:], taps, strides)
    if call.node.integer("ceil_mode", 0):
        over = [(size + before[i] + after[i] - taps[i]) % strides[i] for i, size in enumerate(view.shape[2:])]
        if any(over):
            call.refuse("ceil_mode=1 adds windows that do not fit; allowed: windows that do")
    maximum = call.node.op == "MaxPool"
    counts = not maximum and bool(call.node.integer("count_include_pad", 0)) and any((*before, *after))
    what = Pool("max_pool2d" if maximum else "avg_pool2d", taps, strides, before, after, counts)
    return Plain(call.builder.pool(call.node.path("max_pool" if maximum else "avg_pool"), view, what))


def global_average(call: OnnxCall) -> Plain:
    """GlobalAveragePool: (1, C, H, W) to (1, C, 1, 1)."""
    return _average(call, call.view(0).shape[2:], keep=True)


def reduce_mean(call: OnnxCall) -> Plain:
    """ReduceMean over an image's positions, or over a sequence's rows."""
    shape = call.shape(0)
    rank, keep = len(shape), bool(call.node.integer("keepdims", 1))
    axes = axes_of(call.node, call.arrays())
    reduced = None if axes is None else sorted(axis % rank for axis in axes)
    if rank == 4 and reduced == [2, 3]:
        return _average(call, shape[2:], keep)
    if rank != 3 or reduced != [1]:
        call.refuse(f"a mean over axes {axes} of {shape}; allowed: over the positions of an image, the rows of a sequence, or each row")
    result = call.builder.average_rows(call.node.path("mean"), call.view(0))
    return Plain(result.reshape((shape[0], 1, shape[2])) if keep else result)


def _average(call: OnnxCall, image: Sequence[int], keep: bool) -> Plain:
    view = call.view(0)
    if len(view.shape) != 4:
        call.refuse(f"an activation of shape {view.shape}; allowed: (1, C, H, W)")
    height, width = image
    result = call.builder.pool(call.node.path("avg_pool"), view, Pool("avg_pool2d", (height, width), (height, width)))
    return Plain(result if keep else result.reshape(view.shape[:2]))
