"""ATen operations on windows of an image: convolutions, pools, padding, averages, and the batch norms that fold into convolutions.

Padding of its own (an uneven one, as TensorFlow's) is taken only into the convolution that reads it: nothing else knows zeros outside.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from accelsim.errors import ImportModelError
from accelsim.importers.graph_builder import Convolution, Pool
from accelsim.importers.layout import View
from accelsim.importers.torch_values import Arguments, Constant, Padded, Recorder, is_zero, owner_of, path_of, shape_of, where

Pair = tuple[int, int]


def conv2d(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """A convolution, with the padding of its own and that of a pad before it."""
    weight, bias = args.parameter(1, "weight"), args.optional_parameter(2, "bias")
    taps, dilation = (weight.shape[2], weight.shape[3]), _pair(args.get(5, "dilation", [1]))
    strides = _pair(args.get(3, "stride", [1]))
    before, after = _padding(node, args.get(4, "padding", [0]), taps, dilation)
    source = args.get(0, "input")
    if isinstance(source, Padded):
        before, after = _sum(before, source.before), _sum(after, source.after)
    view = source.view if isinstance(source, Padded) else args.view(0, "input")
    conv = Convolution(weight.shape[0], taps, strides, before, dilation, args.get(6, "groups", 1), after)
    result = recorder.builder.conv2d(owner_of(weight), view, conv, bool(bias))
    recorder.keep_weight(result, weight)
    recorder.keep_constant(result, "bias", *bias)
    return result


def pad(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> Padded:
    """Zeros around an image, left to the convolution that reads it."""
    sizes: list[int] = args.get(1, "pad")
    plain = str(node.target) == "aten.constant_pad_nd.default"
    mode, value = ("constant", args.get(2, "value", 0)) if plain else (args.get(2, "mode", "constant"), args.get(3, "value"))
    view = args.view(0, "self")
    if mode != "constant" or not (value is None or is_zero(value)) or len(view.shape) != 4 or len(sizes) > 4 or min(sizes) < 0:
        raise ImportModelError(f"{where(node)}: a pad by {sizes} of mode {mode!r} is not supported; allowed: zeros around an image")
    left, right, top, bottom = (*sizes, 0, 0)[:4]
    return Padded(view, (top, left), (bottom, right))


def max_pool2d(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """The largest element of each window."""
    if _pair(args.get(4, "dilation", [1])) != (1, 1):
        raise ImportModelError(f"{where(node)}: a pool with dilation is not supported")
    return _pool(recorder, node, args, "max_pool2d", bool(args.get(5, "ceil_mode", False)), False)


def avg_pool2d(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """The average of each window."""
    if args.get(6, "divisor_override") is not None:
        raise ImportModelError(f"{where(node)}: an average pool with divisor_override is not supported")
    return _pool(recorder, node, args, "avg_pool2d", bool(args.get(4, "ceil_mode", False)), bool(args.get(5, "count_include_pad", True)))


def adaptive_avg_pool2d(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """Averages of equal windows that cover the image."""
    view = args.view(0, "self")
    image, places = _image_of(node, view), _pair(args.get(1, "output_size"))
    if any(size % count for size, count in zip(image, places, strict=True)):
        raise ImportModelError(f"{where(node)}: {places} averages of an image of {image} have unequal windows; allowed: its divisors")
    taps = (image[0] // places[0], image[1] // places[1])
    return recorder.builder.pool(path_of(node, "pool"), view, Pool("avg_pool2d", taps, taps))


def mean(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """The average over the positions of an image, or over the rows of a matrix."""
    view = args.view(0, "self")
    dims = sorted(dim % len(view.shape) for dim in args.get(1, "dim") or range(len(view.shape)))
    if len(view.shape) == 4 and dims == [2, 3]:
        image = _image_of(node, view)
        return recorder.builder.pool(path_of(node, "mean"), view, Pool("avg_pool2d", image, image)).reshape(shape_of(node))
    if len(view.shape) == 3 and dims == [1]:
        return recorder.builder.average_rows(path_of(node, "mean"), view).reshape(shape_of(node))
    raise ImportModelError(f"{where(node)}: a mean over dimensions {dims} of {view.shape}; allowed: an image's positions, a matrix's rows")


def batch_norm(recorder: Recorder, node: torch.fx.Node, args: Arguments) -> View:
    """A batch norm of inference, folded into what it normalizes."""
    view = args.view(0, "input")
    statistics = (args.get(3, "running_mean"), args.get(4, "running_var"))
    if args.get(5, "training", False) or not all(isinstance(value, Constant) for value in statistics):
        raise ImportModelError(f"{where(node)}: a batch norm without running statistics; export the model after model.eval()")
    gamma, beta = args.parameter(1, "weight"), args.parameter(2, "bias")
    had_bias = recorder.builder.fold_batch_norm(owner_of(gamma), view, args.sole_reader(0))
    recorder.fold_batch_norm(view, had_bias, gamma, beta, (statistics[0], statistics[1]), float(args.get(7, "eps", 1e-5)))
    return view


def _pool(
    recorder: Recorder, node: torch.fx.Node, args: Arguments, op: Literal["max_pool2d", "avg_pool2d"], ceil: bool, count: bool
) -> View:
    """A pool; rounding sizes up lets the last window reach past the padding, by what is then padded at the end."""
    view = args.view(0, "self")
    image, taps = _image_of(node, view), _pair(args.get(1, "kernel_size"))
    strides, before = _pair(args.get(2, "stride") or list(taps)), _pair(args.get(3, "padding", [0]))
    after = before
    if ceil:
        places = shape_of(node)[2:]
        top, left = (max(0, (places[i] - 1) * strides[i] + taps[i] - image[i] - before[i]) for i in (0, 1))
        after = (top, left)
        if count and before != (0, 0) and (after[0] > before[0] or after[1] > before[1]):
            raise ImportModelError(f"{where(node)}: an average that counts its padding in windows past it is not supported")
    return recorder.builder.pool(path_of(node, "pool"), view, Pool(op, taps, strides, before, after, count and before != (0, 0)))


def _image_of(node: torch.fx.Node, view: View) -> Pair:
    if len(view.shape) != 4:
        raise ImportModelError(f"{where(node)}: {node.target} of {view.shape}; allowed: an image (1, channels, height, width)")
    return view.shape[2], view.shape[3]


def _padding(node: torch.fx.Node, given: Any, taps: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Padding (top, left) and (bottom, right): numbers, or 'same' (the odd one at the end) or 'valid'."""
    if isinstance(given, str):
        both = [0, 0] if given == "valid" else [dilation[i] * (taps[i] - 1) for i in (0, 1)]
        before = (both[0] // 2, both[1] // 2)
        return before, (both[0] - before[0], both[1] - before[1])
    even = _pair(given)
    return even, even


def _sum(first: Pair, second: Pair) -> Pair:
    return first[0] + second[0], first[1] + second[1]


def _pair(values: int | list[int] | tuple[int, ...]) -> Pair:
    return (values, values) if isinstance(values, int) else (values[0], values[-1])
