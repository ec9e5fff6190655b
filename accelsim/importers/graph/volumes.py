"""Convolutions and pools over any number of dimensions, as those over the two of an image.

A convolution over a volume reads its windows along the depth as channels: a move writes each plane as often as windows cover it. Lines of
all planes are interleaved, so that a dilation by their number keeps planes apart: the multiply-accumulates are those of the definition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from accelsim.importers.graph.call import Call
from accelsim.importers.graph.copies import Order
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.products import convolve
from accelsim.importers.graph.values import Constant, Deferred
from accelsim.importers.graph.views import padded
from accelsim.importers.graph.windows import Convolution, Pool, PoolOp

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Windows over some dimensions of space, each field with a number for each of them."""

    taps: Sizes
    strides: Sizes
    before: Sizes
    after: Sizes
    dilation: Sizes


def convolve_volume(call: Call, view: View, weights: Constant, given: Windows, groups: int, factor: float = 1.0) -> Deferred:
    """A convolution over three dimensions, with weights (K, C / groups, FZ, FY, FX), which are multiplied by a factor."""
    filters = weights.array
    if len(view.shape) != 5 or filters.ndim != 5:
        call.refuse(f"an activation of shape {view.shape} and weights of shape {filters.shape}; allowed: three dimensions of space")
    outputs, name = filters.shape[0], call.node.path("planes")
    lines_too = given.strides[1] > 1  # their windows are channels as well
    apart = [2, 3] if lines_too else [2]
    around = {dim: (given.before[dim - 2], given.after[dim - 2]) for dim in apart}
    if any(map(any, around.values())):
        view = call.made(padded(call, view, around, 0.0))
    for place, dim in enumerate(apart):
        at = dim + place  # each splits a dimension in two, taps and windows
        view = windows_of(call, name, view, at, given.taps[dim - 2], given.strides[dim - 2], given.dilation[dim - 2])
    if lines_too:  # (1, C, FZ, OZ, FY, OY, W)
        view = view.permute((0, 1, 2, 4, 5, 3, 6))
        channels, lines, planes = math.prod(view.shape[1:4]), view.shape[4], view.shape[5]
        flat = filters.reshape(outputs, -1, 1, filters.shape[4])
        conv = Convolution(outputs, (1, given.taps[2]), (1, given.strides[2]), (0, given.before[2]), (1, given.dilation[2]), groups,
                           (0, given.after[2]))  # fmt: skip
    else:  # (1, C, FZ, OZ, H, W)
        view = view.permute((0, 1, 2, 4, 3, 5))
        channels, lines, planes = math.prod(view.shape[1:3]), view.shape[3], view.shape[4]
        flat = filters.reshape(outputs, -1, *filters.shape[3:])
        conv = Convolution(
            outputs, (given.taps[1], given.taps[2]), (1, given.strides[2]), (given.before[1] * planes, given.before[2]),
            (given.dilation[1] * planes, given.dilation[2]), groups, (given.after[1] * planes, given.after[2]),
        )  # fmt: skip
    image = call.builder.reshaped(name, view, (1, channels, lines * planes, view.shape[-1]))
    result = convolve(call, image, factor, replace(weights, array=flat), conv)
    height, width = result.shape[2] // planes, result.shape[3]

    def make(pending: Deferred) -> View:
        return result.make(pending).reshape((1, outputs, height, planes, width)).permute((0, 1, 3, 2, 4))

    return replace(result, shape=(1, outputs, planes, height, width), make=make)


def convolve_images(call: Call, view: View, weights: Constant, conv: Convolution, factor: float = 1.0) -> Deferred:
    """A convolution of several images of one inference (a video's frames), with weights (K, C / groups, FY, FX): planes of a volume."""
    count, channels, height, width = view.shape
    volume = call.builder.reshaped(call.node.path(), view.permute((1, 0, 2, 3)), (1, channels, count, height, width))
    given = Windows((1, *conv.taps), (1, *conv.strides), (0, *conv.padding), (0, *conv.far), (1, *conv.dilation))
    result = convolve_volume(call, volume, replace(weights, array=weights.array[:, :, None]), given, conv.groups, factor)
    _, outputs, _, lines, columns = result.shape

    def make(pending: Deferred) -> View:
        return result.make(pending).reshape((outputs, count, lines, columns)).permute((1, 0, 2, 3))

    return replace(result, shape=(count, outputs, lines, columns), make=make)


def windows_of(call: Call, name: str, view: View, position: int, taps: int, stride: int, dilation: int) -> View:
    """A dimension as taps and windows, of a copy if its indices do not lie in one line."""
    apart = view.windows(position, taps, stride, dilation)
    if apart is None:
        apart = call.builder.arranged(name, view, Order.natural(len(view.shape))).windows(position, taps, stride, dilation)
    if apart is None:
        call.refuse(f"windows of {taps} by {stride} along dimension {position} of {view.shape} do not fit")
    return apart


def convolve_transposed(
    call: Call, view: View, weights: Constant, bias: Constant | None, given: Windows, extra: Sizes, groups: int
) -> View:
    """A transposed convolution with weights (C, K / groups, taps): a convolution for all phases of a stride, then a shuffle.

    Output s q + p of an axis is the sum over t of input q - t times tap p + s t: a convolution of ceil(F / s) taps for each phase p. Taps
    that the weights lack (of a stride that does not divide them, or between those of a dilation) are zeros, which are multiplied too; a
    note says how many. `given.before` is what is cut off in front of each axis, `extra` what is more behind it than that.
    """
    filters, (_, channels, *space) = weights.array, view.shape
    axes = range(len(space))
    if filters.ndim != len(view.shape) or filters.shape[0] != channels or groups < 1 or channels % groups or len(space) not in (2, 3):
        call.refuse(
            f"weights of shape {filters.shape} and {groups} groups for an activation {view.shape}; allowed: (channels, outputs per group, "
            "taps), of one to three dimensions of space"
        )
    each, strides = filters.shape[1], given.strides
    outputs = each * groups
    taps = [given.dilation[axis] * (filters.shape[2 + axis] - 1) + 1 for axis in axes]
    counts = [-(-taps[axis] // strides[axis]) for axis in axes]
    size = [(space[axis] - 1) * strides[axis] - 2 * given.before[axis] + taps[axis] + extra[axis] for axis in axes]
    reach = [space[axis] + counts[axis] - 1 for axis in axes]
    whole = [reach[axis] * strides[axis] for axis in axes]
    if any(given.before[axis] + size[axis] > whole[axis] or size[axis] < 1 for axis in axes):
        call.refuse(f"an output of {tuple(size)} from {tuple(space)} by strides {strides}; its end has no input")
    full = np.zeros((channels, each, *(counts[axis] * strides[axis] for axis in axes)), filters.dtype)
    full[(slice(None), slice(None), *(slice(0, taps[axis], given.dilation[axis]) for axis in axes))] = filters
    phases = full.reshape(groups, channels // groups, each, *(size for axis in axes for size in (counts[axis], strides[axis])))
    tap_axes, phase_axes = [3 + 2 * axis for axis in axes], [4 + 2 * axis for axis in axes]
    phases = np.flip(phases, tuple(tap_axes))  # the last tap meets the first input
    matrix = phases.transpose(0, 2, *phase_axes, 1, *tap_axes).reshape(outputs * math.prod(strides), channels // groups, *counts)
    border = tuple(count - 1 for count in counts)
    spread = replace(weights, array=matrix)
    if len(space) == 2:
        conv = Convolution(matrix.shape[0], (counts[0], counts[1]), (1, 1), (border[0], border[1]), (1, 1), groups)
        result = convolve(call, view, 1.0, spread, conv)
    else:
        ones = (1,) * len(space)
        result = convolve_volume(call, view, spread, Windows(tuple(counts), ones, border, border, ones), groups)
    if bias is not None:
        result = result.shifted(np.repeat(bias.array.reshape(-1).astype(np.float64), math.prod(strides)), bias)
    made = result.view()
    needed = math.prod(space) * channels * each * math.prod(filters.shape[2:])
    done = math.prod(reach) * math.prod(counts) * (channels // groups) * outputs * math.prod(strides)
    if done > needed:
        call.recorder.note(
            f"transposed convolution {made.producer!r}: {done:,} multiply-accumulates for {needed:,}, with zeros and a border"
        )
    name = call.node.path("crop")
    apart = made.reshape((1, outputs, *strides, *reach))
    apart = apart.permute((0, 1, *(place for axis in axes for place in (2 + len(space) + axis, 2 + axis))))
    apart = call.builder.reshaped(name, apart, (1, outputs, *whole))
    for axis in axes:
        apart = call.builder.narrowed(name, apart, axis + 2, range(given.before[axis], given.before[axis] + size[axis]))
    return apart


def pool_volume(call: Call, view: View, op: PoolOp, given: Windows, count_padding: bool) -> View:
    """A pool over one, two or three dimensions; over three, of each plane and then across planes, which for both kinds is the same."""
    name, (batch, channels, *space) = call.node.path("pool"), view.shape
    if len(space) not in (1, 2, 3) or any(step != 1 for step in given.dilation):
        call.refuse(f"a pool of {view.shape} with dilation {given.dilation}; allowed: one to three dimensions of space, without")
    if len(space) == 1:
        flat = call.builder.reshaped(name, view, (batch, channels, 1, space[0]))
        line = Windows((1, *given.taps), (1, *given.strides), (0, *given.before), (0, *given.after), (1, 1))
        made = pool_volume(call, flat, op, line, count_padding)
        return made.reshape((batch, channels, made.shape[3]))
    pools = [
        Pool(op, (taps[0], taps[1]), (strides[0], strides[1]), (before[0], before[1]), (after[0], after[1]), count_padding)
        for taps, strides, before, after in (
            (given.taps[-2:], given.strides[-2:], given.before[-2:], given.after[-2:]),
            ((given.taps[0], 1), (given.strides[0], 1), (given.before[0], 0), (given.after[0], 0)),
        )
    ]
    if len(space) == 2:
        return call.builder.pool(name, view, pools[0])
    depth, height, width = space
    if (given.taps[1:], given.strides[1:]) != ((1, 1), (1, 1)):
        planes = call.builder.reshaped(name, view, (1, channels * depth, height, width))
        planes = call.builder.pool(name, planes, pools[0])
        height, width = planes.shape[2:]
        view = planes.reshape((1, channels, depth, height, width))
    if (given.taps[0], given.strides[0]) == (1, 1):
        return view
    columns = call.builder.pool(name, call.builder.reshaped(name, view, (1, channels, depth, height * width)), pools[1])
    return columns.reshape((1, channels, columns.shape[2], height, width))
