"""Operations that move no data: another shape, another order, a part. The reader of a view may have to copy it (accelsim.ops.move)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.rotations import Turned, joined
from accelsim.importers.graph.values import Array, Constant, Deferred, Fused, Masked, Padded, Plain


def moved(call: Call, move: Callable[[View], View]) -> Value:
    """The operand under another view; a factor and a term stay beside it, and a layer of several parts stays unmade."""
    value = _parted(call)
    if isinstance(value, Fused):
        return replace(value, place=move(value.place))
    view, factor, term = call.with_line(0)
    result = move(view)
    return Plain(result) if (factor, term) == (1.0, 0.0) else Expression.of(result, call.node).apply(lambda x: x * factor + term, call.node)


def reshaped(call: Call, shape: Sequence[int]) -> Value:
    """The same elements in the same order, of scores with their bias as well."""
    value = call.value(0)
    if isinstance(value, Masked):
        bias = value.bias and replace(value.bias, array=np.broadcast_to(value.bias.array, value.shape).reshape(shape))
        return replace(value, view=value.view.reshape(shape), bias=bias)
    return moved(call, lambda view: call.builder.reshaped(call.node.path(), view, shape))


def index_of(call: Call, axis: int, index: int) -> View:
    """One index of a dimension, which is gone: a row, or a part of a layer that makes several in one."""
    value = _parted(call)
    if isinstance(value, Fused) and value.counts_channels(axis):
        part = value.part(axis, index, index + 1)
        return part.reshape(tuple(size for place, size in enumerate(part.shape) if place != axis))
    view = call.view(0)
    if view.is_row(axis):
        return view.select(axis, index)
    part = call.builder.narrowed(call.node.path("slice"), view, axis, range(index, index + 1))
    return part.reshape(tuple(size for place, size in enumerate(part.shape) if place != axis))


def neighbours(call: Call, axis: int, taken: range) -> View:
    """Some indices of a dimension: a part of a layer that makes several in one, or a view that its reader may have to copy."""
    value = _parted(call)
    if isinstance(value, Fused) and value.counts_channels(axis) and taken.step == 1:
        return value.part(axis, taken.start, taken.stop)
    shape, view = call.shape(0), call.view(0)
    if len(taken) == 1 and view.is_row(axis):
        return view.select(axis, taken.start).reshape((*shape[:axis], 1, *shape[axis + 1 :]))
    return call.builder.narrowed(call.node.path("slice"), view, axis, taken)


def parts(call: Call, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    """A dimension split into parts of these sizes."""
    if len(sizes) == 1:
        return (call.value(0),)
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return tuple(Plain(neighbours(call, axis, range(start, start + size))) for start, size in zip(starts, sizes, strict=True))


def concatenate(call: Call, values: Sequence[Value], axis: int) -> Value:
    """Activations and trained tensors (class tokens, queries) one after the other along a dimension; empty tensors are nothing."""
    parts = [value for value in values if not isinstance(value, Constant) or value.array.size]
    moving = [place for place, value in enumerate(parts) if not isinstance(value, Constant)]
    if not moving:
        call.refuse("a concatenation without an activation is not supported")
    if len(parts) == 1:
        return parts[0]
    if len(moving) == len(parts):

        def join() -> View:
            made = [call.made(value, position) for position, value in enumerate(parts)]
            cache = _cached(call, made, axis)
            return cache if cache is not None else call.builder.join(call.node.path("concat"), made, axis)

        return _rearranged(call, parts, axis, join) or Plain(join())
    views, before = [], 0
    for place in moving:  # with the trained tensors before it, and the last with those after it
        stop = place if place != moving[-1] else len(parts)
        after = [value for value in parts[place + 1 : stop] if isinstance(value, Constant)]
        trained = [value for value in parts[before:place] if isinstance(value, Constant)]
        views.append(surrounded(call, call.made(parts[place], place), axis, trained, after))
        before = place + 1
    return Plain(views[0] if len(views) == 1 else call.builder.join(call.node.path("concat"), views, axis))


def _cached(call: Call, parts: Sequence[View], axis: int) -> View | None:
    """A cache of keys or values among the model's inputs, with new rows behind it; None where it is none."""
    if len(parts) != 2 or len(parts[0].shape) != 4 or axis % 4 != 2:
        return None
    view = call.builder.cached(call.node.path("concat"), *parts)
    if view is not None:
        tokens = parts[0].shape[2]
        call.recorder.note(f"caches of keys and values of {tokens:,} tokens, inputs of the model, lie in DRAM, with 8 bits per element")
    return view


def surrounded(call: Call, view: View, axis: int, before: Sequence[Constant], after: Sequence[Constant]) -> View:
    """Trained tensors before and after an activation along a dimension, which becomes its slowest."""
    rank, shape, dim = len(view.shape), view.shape, axis % len(view.shape)
    for value in (*before, *after):
        if [*value.array.shape[:dim], *value.array.shape[dim + 1 :]] != [*shape[:dim], *shape[dim + 1 :]]:
            call.refuse(f"a concatenation of an activation {shape} and {value!r} along dimension {dim}")
    if not before and not after:
        return view
    order = [dim, *(place for place in range(rank) if place != dim)]
    width = math.prod(shape[place] for place in order[1:]) if dim == rank - 1 else shape[-1]
    rows = call.builder.reshaped(call.node.path(), view.permute(order), (1, math.prod(shape) // width, width))
    flat = [np.concatenate([value.array.transpose(order).reshape(-1) for value in part] or [np.empty(0)]) for part in (before, after)]
    result = call.builder.surround(call.node.path(), rows, flat[0].size // width, flat[1].size // width)
    for name, part, values in (("prepended", before, flat[0]), ("appended", after, flat[1])):
        if part:
            call.recorder.keep_constant(result, name, values, tuple(source for value in part for source in value.sources))
    size = math.prod(result.shape) * shape[dim] // math.prod(shape)
    turned = result.reshape([size, *(shape[place] for place in order[1:])])
    return turned.permute([order.index(place) for place in range(rank)])


def gathered(call: Call, indices: Array, axis: int) -> Plain:
    """Elements of the first operand by known indices along a dimension, where nested loops walk through them: a diagonal of each row."""
    view = call.view(0)
    dim = axis % len(view.shape)
    cut = tuple(slice(None) if place == dim else slice(size) for place, size in enumerate(indices.shape))
    places = np.take_along_axis(np.arange(math.prod(view.shape)).reshape(view.shape)[cut], indices, dim)
    picked = call.builder.picked(call.node.path("gather"), view, places)
    if picked is None:
        call.refuse(f"a gather of {view.shape} by indices {indices.shape} that are not evenly apart; allowed: those of nested loops")
    return Plain(picked)


def padded(call: Call, view: View, around: Mapping[int, tuple[int, int]], value: float) -> Padded | Plain:
    """One value before and after the indices of some dimensions: zeros around an image are left to the convolution that reads it."""
    places = sorted(place for place, sizes in around.items() if any(sizes))
    name = call.node.path("pad")
    if places and len(view.shape) == 4 and view.shape[0] == 1 and set(places) <= {2, 3}:
        (top, bottom), (left, right) = around.get(2, (0, 0)), around.get(3, (0, 0))
        if value == 0:
            return Padded(view, (top, left), (bottom, right))
        return Plain(call.builder.pad(name, view, (top, left), (bottom, right), value))
    while places:  # two at a time are the lines and the positions of an image
        here, places = places[:2], places[2:]
        order = [*(place for place in range(len(view.shape)) if place not in here), *here]
        kept = [view.shape[place] for place in order[: -len(here)]]
        alone = len(here) == 1
        size = [*(view.shape[place] for place in here), *([1] if alone else [])]
        sides = [*(around[place] for place in here), *([(0, 0)] if alone else [])]
        image = call.builder.reshaped(name, view.permute(order), (1, math.prod(kept), *size))
        made = call.builder.pad(name, image, (sides[0][0], sides[1][0]), (sides[0][1], sides[1][1]), value)
        view = made.reshape([*kept, *made.shape[2 : 2 + len(here)]]).permute([order.index(place) for place in range(len(order))])
    return Plain(view)


def _rearranged(call: Call, values: Sequence[Value], axis: int, join: Callable[[], View]) -> Turned | None:
    """Parts of the last dimension of one activation of heads, one of them negative or turned; None if it is another join."""
    shapes = [() if isinstance(value, Constant) else value.shape for value in values]
    started = any(isinstance(value, Turned) or (isinstance(value, Expression) and value.factor() == -1.0) for value in values)
    if not started or len(shapes[0]) != 4 or axis % 4 != 3:
        return None
    parts = [call.turned(value, join) for value in values]
    return joined([part for part in parts if part is not None], join) if all(parts) else None


def _parted(call: Call) -> Value:
    """The operand, ready to be cut along its channels if its layer is not made."""
    value = call.value(0)
    return Fused.of(value) if isinstance(value, Deferred) and value.columns is not None else value
