"""ATen operations that move no data: another shape, another order, a part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.from_torch.experts import select_matrices
from accelsim.importers.from_torch.node import TorchNode
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.choices import cast_to_truth, truncated
from accelsim.importers.graph.expert_values import Chosen, Weighted
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.rotations import Turned, interleaved
from accelsim.importers.graph.runs import at_indices
from accelsim.importers.graph.values import Constant, Indices, Masked, Plain
from accelsim.importers.graph.views import concatenate, gathered, index_of, moved, neighbours, padded, parts, reshaped
from accelsim.importers.graph.volumes import windows_of

_BROADCASTING = {"aten.add.Tensor", "aten.sub.Tensor", "aten.mul.Tensor", "aten.div.Tensor"}


def same_elements(call: TorchCall) -> Value:
    """A call that changes the shape, or nothing: the same elements in the same order."""
    shape, value = call.output, call.value(0)
    if isinstance(value, Indices | Chosen | Weighted):
        return replace(value, shape=shape)
    before, after = (node.meta["val"].dtype for node in (call.node.fx.args[0], call.node.fx))
    if after is torch.bool and before is not torch.bool:
        call.values = [cast_to_truth(call)]
    elif before.is_floating_point and not after.is_floating_point:
        call.values = [truncated(call)]
    return call.value(0) if call.shape(0) == shape else reshaped(call, shape)


def expand(call: TorchCall) -> Value:
    """Dimensions of one element repeated."""
    shape, value = call.output, call.value(0)
    if isinstance(value, Expression) and all(_takes_shape_from_another(reader, call.node, shape) for reader in call.node.readers):
        return value  # one number of each row, beside the row's elements
    if isinstance(value, Masked) and value.shape != shape:
        bias = value.bias and replace(value.bias, array=np.broadcast_to(value.bias.array, shape))
        return replace(value, view=value.view.expand(shape), bias=bias)
    return value if call.shape(0) == shape else moved(call, lambda view: view.expand(shape))


def _takes_shape_from_another(reader: Any, node: TorchNode, shape: tuple[int, ...]) -> bool:
    """True if a call broadcasts, and another of its operands has the shape to which this one is expanded."""
    others = [other.meta.get("val") for other in reader.all_input_nodes if other is not node.fx]
    return str(reader.target) in _BROADCASTING and any(getattr(other, "shape", None) == shape for other in others)


def dropout(call: TorchCall) -> Value:
    """Nothing, in inference."""
    if call.get(2, "train", False):
        call.refuse("dropout in training mode; export the model after model.eval()")
    return call.value(0)


def transpose(call: TorchCall) -> Value:
    """Two dimensions exchanged."""
    first, second = call.get(1, "dim0"), call.get(2, "dim1")
    return moved(call, lambda view: view.transpose(first, second))


def turn(call: TorchCall) -> Value:
    """The two dimensions of a matrix exchanged."""
    return moved(call, lambda view: view.transpose(0, 1)) if len(call.shape(0)) == 2 else call.value(0)


def turn_matrices(call: TorchCall) -> Value:
    """The last two dimensions exchanged."""
    return moved(call, lambda view: view.transpose(-2, -1))


def permute(call: TorchCall) -> Value:
    """Dimensions in another order."""
    order = call.get(1, "dims")
    return moved(call, lambda view: view.permute(order))


def select(call: TorchCall) -> Value:
    """One index of a dimension."""
    shape, dim = call.shape(0), call.get(1, "dim")
    return Plain(index_of(call, dim % len(shape), call.get(2, "index") % shape[dim]))


def slice_(call: TorchCall) -> Value:
    """Neighbours along a dimension."""
    shape, dim = call.shape(0), call.get(1, "dim", 0)
    size = shape[dim]
    taken = range(size)[slice(call.get(2, "start"), call.get(3, "end"), call.get(4, "step", 1))]
    if taken == range(size):
        return call.value(0)
    if not taken:
        return Constant(np.zeros(call.output, np.float32))
    return Plain(neighbours(call, dim % len(shape), taken))


def split(call: TorchCall) -> tuple[Value, ...]:
    """Parts of a size, or of given sizes, or a number of parts."""
    name = call.node.target
    dim = call.get(2, "dim", 0)
    size = call.shape(0)[dim]
    given = call.get(1, "chunks" if name.startswith("aten.chunk") else "split_size")
    if isinstance(given, list):
        sizes = given
    else:
        step = -(-size // given) if name.startswith("aten.chunk") else given
        sizes = [min(step, size - start) for start in range(0, size, step)]
    return parts(call, dim % len(call.shape(0)), sizes)


def unbind(call: TorchCall) -> tuple[Value, ...]:
    """Every index of a dimension."""
    shape, dim = call.shape(0), call.get(1, "dim", 0)
    return tuple(Plain(index_of(call, dim % len(shape), index)) for index in range(shape[dim]))


def pixel_shuffle(call: TorchCall) -> Value:
    """Channels to positions: (..., C r r, H, W) to (..., C, H r, W r)."""
    (*lead, channels, height, width), r = call.shape(0), call.get(1, "upscale_factor")
    apart, result = (*lead, channels // r**2, r, r, height, width), (*lead, channels // r**2, height * r, width * r)
    order = (*range(len(lead)), *(len(lead) + place for place in (0, 3, 1, 4, 2)))
    return moved(call, lambda view: view.reshape(apart).permute(order).reshape(result))


def pixel_unshuffle(call: TorchCall) -> Value:
    """Positions to channels: (..., C, H r, W r) to (..., C r r, H, W)."""
    (*lead, channels, height, width), r = call.shape(0), call.get(1, "downscale_factor")
    apart, result = (*lead, channels, height // r, r, width // r, r), (*lead, channels * r**2, height // r, width // r)
    order = (*range(len(lead)), *(len(lead) + place for place in (0, 2, 4, 1, 3)))
    return moved(call, lambda view: view.reshape(apart).permute(order).reshape(result))


def unfold(call: TorchCall) -> Value:
    """Windows of an image, which may overlap, each as a column: (C, H, W) to (C FY FX, windows)."""
    taps, dilation, padding, stride = (_two(call.get(1 + place, "")) for place in range(4))
    name, around = call.node.path("unfold"), {2: (padding[0],) * 2, 3: (padding[1],) * 2}
    view = call.made(padded(call, call.view(0), around, 0.0))
    columns = windows_of(call, name, view, 3, taps[1], stride[1], dilation[1])
    apart = windows_of(call, name, columns, 2, taps[0], stride[0], dilation[0])
    return Plain(call.builder.reshaped(name, apart.permute((0, 1, 2, 4, 3, 5)), call.output))


def windows(call: TorchCall) -> Value:
    """Windows of a dimension, which may overlap; their elements are a new last dimension."""
    dim = call.get(1, "dimension") % len(call.shape(0))
    apart = windows_of(call, call.node.path("unfold"), call.view(0), dim, call.get(2, "size"), call.get(3, "step"), 1)
    return Plain(apart.permute([*(place for place in range(len(apart.dims)) if place != dim), dim]))


def _two(values: int | list[int]) -> tuple[int, int]:
    return (values, values) if isinstance(values, int) else (values[0], values[-1])


def index(call: TorchCall) -> Value:
    """Elements of an activation by known indices of some dimensions; or matrices of experts by their numbers."""
    if isinstance(call.value(0), Constant):
        return select_matrices(call)
    places = call.get(1, "indices")
    wrong = next((place for place in places if place is not None and not isinstance(place, Constant)), None)
    if wrong is not None:
        call.refuse(f"reads an activation at {wrong!r}; allowed: known indices")
    cut = tuple(slice(None) if place is None else place.array for place in places)
    return Plain(at_indices(call, call.node.path("index"), call.view(0), cut))


def index_select(call: TorchCall) -> Value:
    """The same of one dimension."""
    dim = call.get(1, "dim") % len(call.shape(0))
    return Plain(at_indices(call, call.node.path("index"), call.view(0), (*(slice(None),) * dim, call.constant(2).array)))


def diagonal(call: TorchCall) -> Value:
    """A diagonal of two dimensions, which becomes the last."""
    view = call.view(0)
    place = np.arange(math.prod(view.shape)).reshape(view.shape)
    chosen = place.diagonal(call.get(1, "offset", 0), call.get(2, "dim1", 0), call.get(3, "dim2", 1))
    found = call.builder.picked(call.node.path("diagonal"), view, chosen)
    assert found is not None  # a diagonal's elements lie evenly apart
    return Plain(found)


def move_dims(call: TorchCall) -> Value:
    """Some dimensions put elsewhere."""
    rank = len(call.shape(0))
    numbered = np.empty(tuple(range(1, rank + 1)))  # each dimension by a size of its own
    order = [size - 1 for size in np.moveaxis(numbered, call.get(1, "source"), call.get(2, "destination")).shape]
    return moved(call, lambda view: view.permute(order))


def copied(call: TorchCall) -> Value:
    """The second operand, in the shape of the first."""
    call.values[0] = call.value(1)
    shape = call.output
    return call.value(0) if call.shape(0) == shape else moved(call, lambda view: view.expand(shape))


def put(call: TorchCall) -> Value:
    """The first operand with the second in the place of some of its indices."""
    dim = call.get(2, "dim", 0) % len(call.output)
    size = call.output[dim]
    if call.node.target == "aten.select_scatter.default":
        index = call.get(3, "index") % size
        places = range(index, index + 1)
    else:
        places = range(size)[slice(call.get(3, "start"), call.get(4, "end"), call.get(5, "step", 1))]
    if places.step != 1:
        call.refuse(f"puts elements at every {places.step}-th index; allowed: at neighbours")
    inner = (*call.output[:dim], len(places), *call.output[dim + 1 :])
    parts = [_part(call, 0, dim, range(places.start)), _whole(call, 1, inner), _part(call, 0, dim, range(places.stop, size))]
    return concatenate(call, [part for part in parts if part is not None], dim)


def _part(call: TorchCall, position: int, dim: int, kept: range) -> Value | None:
    """Some indices of an operand; None for none of them."""
    value = call.value(position)
    if not kept:
        return None
    if isinstance(value, Constant):
        return replace(value, array=value.array.take(list(kept), dim))
    return Plain(call.builder.narrowed(call.node.path("slice"), call.view(position), dim, kept))


def _whole(call: TorchCall, position: int, shape: tuple[int, ...]) -> Value:
    value = call.value(position)
    if isinstance(value, Constant):
        return replace(value, array=np.broadcast_to(value.array, shape))
    return Plain(call.builder.reshaped(call.node.path(), call.view(position), shape))


def gather(call: TorchCall) -> Value:
    """Elements by known indices along a dimension."""
    return gathered(call, call.constant(2).array, call.get(1, "dim"))


def fold(call: TorchCall) -> Value:
    """The image of such windows: (C FY FX, windows) to (C, H, W)."""
    (_, channels, height, width), (fy, fx) = call.output, _apart(call, 2, call.output[2:])
    apart = (1, channels, fy, fx, height // fy, width // fx)
    return moved(call, lambda view: view.reshape(apart).permute((0, 1, 4, 2, 5, 3)).reshape(call.output))


def _apart(call: TorchCall, first: int, image: tuple[int, ...]) -> tuple[int, int]:
    """(FY, FX) of windows that meet and do not overlap; arguments from `first` on are taps, dilation, padding and stride."""
    taps, dilation, padding, stride = (call.get(first + place, "") for place in range(4))
    if list(taps) != list(stride) or any(padding) or set(dilation) != {1} or any(size % tap for size, tap in zip(image, taps, strict=True)):
        call.refuse(f"windows of {taps} by strides {stride} with padding {padding}; allowed: windows that meet and fill {image}")
    return taps[0], taps[1]


def channel_shuffle(call: TorchCall) -> Value:
    """Channels of groups side by side in turn."""
    (images, channels, *image), groups = call.shape(0), call.get(1, "groups")
    apart = (images, groups, channels // groups, *image)
    return moved(call, lambda view: view.reshape(apart).transpose(1, 2).reshape(call.output))


def flip(call: TorchCall) -> Value:
    """Indices of some dimensions in reverse."""
    view = call.view(0)
    for dim in call.get(1, "dims"):
        place = dim % len(view.shape)
        view = call.builder.narrowed(call.node.path("flip"), view, place, range(view.shape[place] - 1, -1, -1))
    return Plain(view)


def roll(call: TorchCall) -> Value:
    """Indices of some dimensions moved on, the last of them to the front; of the flattened activation where none is named."""
    view, shifts, dims = call.view(0), call.get(1, "shifts"), call.get(2, "dims", [])
    if not dims:
        view, dims = call.builder.reshaped(call.node.path("roll"), view, (math.prod(view.shape),)), [0]
    for shift, dim in zip(shifts, dims, strict=True):
        size = view.shape[dim]
        first = -shift % size
        if first:
            name = call.node.path("roll")
            halves = [call.builder.narrowed(name, view, dim % len(view.shape), part) for part in (range(first, size), range(first))]
            view = call.builder.join(name, halves, dim)
    return Plain(call.builder.reshaped(call.node.path("roll"), view, call.output))


def repeat(call: TorchCall) -> Value:
    """Dimensions repeated as a whole, new ones put before."""
    times = call.get(1, "repeats")

    def tiled(view: View) -> View:
        view = view.expand((*(1,) * (len(times) - len(view.shape)), *view.shape))
        for place, count in enumerate(times):
            view = view.repeat(place, count) if count > 1 else view
        return view

    return moved(call, tiled)


def stack(call: TorchCall) -> Value:
    """Activations one after the other along a new dimension; two that its reader interleaves in each head may be a step of a rotation."""
    values, dim = call.get(0, "tensors"), call.get(1, "dim", 0) % len(call.output)
    apart = (*call.output[:dim], 1, *call.output[dim + 1 :])

    def widened(value: Value) -> Value:
        return replace(value, array=value.array.reshape(apart)) if isinstance(value, Constant) else Plain(call.made(value).reshape(apart))

    merged = (*call.output[:-2], math.prod(call.output[-2:]))
    started = any(isinstance(value, Turned) or (isinstance(value, Expression) and value.factor() == -1.0) for value in values)
    if started and dim == len(call.output) - 1 and all(TorchNode(reader).shape == merged for reader in call.node.readers):

        def otherwise() -> View:
            return call.builder.reshaped(call.node.path(), call.made(concatenate(call, [widened(value) for value in values], dim)), merged)

        parts = [call.turned(value, otherwise) for value in values]
        turned = interleaved([part for part in parts if part is not None], otherwise) if all(parts) else None
        return turned or Plain(otherwise())
    return concatenate(call, [widened(value) for value in values], dim)


def cat(call: TorchCall) -> Value:
    """A concatenation."""
    return concatenate(call, call.get(0, "tensors"), call.get(1, "dim", 0))
