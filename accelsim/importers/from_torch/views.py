"""ATen operations that move no data: another shape, another order, a part."""

from __future__ import annotations

from dataclasses import replace

from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.values import Indices, Plain
from accelsim.importers.graph.views import index_of, moved, neighbours, parts, prepend


def same_elements(call: TorchCall) -> Value:
    """A call that changes the shape, or nothing: the same elements in the same order."""
    shape, value = call.output, call.value(0)
    if isinstance(value, Indices):
        return replace(value, shape=shape)
    if not call.node.fx.meta["val"].is_floating_point():
        call.refuse(f"a cast to {call.node.fx.meta['val'].dtype} is not supported; allowed: floating-point types")
    return call.value(0) if call.shape(0) == shape else moved(call, lambda view: view.reshape(shape))


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
    if taken.step != 1 or not taken:
        call.refuse(f"a part {taken} of {size}; allowed: neighbours")
    return Plain(neighbours(call, dim % len(shape), taken.start, taken.stop))


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


def cat(call: TorchCall) -> Value:
    """Trained rows before an activation."""
    return prepend(call, call.get(0, "tensors"), call.get(1, "dim", 0))
