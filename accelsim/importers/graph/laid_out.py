"""The layers of a graph so far, how each tensor lies in memory, and where a reader must have a copy in another order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from accelsim.errors import ImportModelError
from accelsim.importers.graph.copies import Order, Source, loops_of, loops_through
from accelsim.importers.graph.layout import View, axis_dim, whole
from accelsim.importers.graph.readings import Extent, Split, covers, heads_of, image_layout, is_rows
from accelsim.ops.move import Loops, MoveLayer, addresses
from accelsim.trace.interface import Interface, ModelOutput
from accelsim.trace.layers import (
    Layer,
    LayerBase,
    MatmulLayer,
    TensorShape,
)
from accelsim.trace.manifest import ModelInput

L = TypeVar("L", bound=LayerBase)


class LaidOutLayers:
    """Layers in topological order, and the layouts of their results."""

    def __init__(self, activation_bits: Literal[8, 16, 32] = 8, residual_bits: Literal[8, 16, 32] = 8) -> None:
        self.inputs: list[ModelInput] = []
        self._layers: dict[str, Layer] = {}
        self._extents: dict[str, Extent] = {}
        self._splits: dict[str, Split] = {}  # how the heads of a produced tensor lie, once a reader has said so
        self._copies: dict[tuple[View, Order], View] = {}
        self._joins: dict[tuple[tuple[View, ...], int], View] = {}
        self._merged: set[str] = set()  # tensors of one group that a reader needs as one tensor
        self._caches: dict[str, tuple[str, int]] = {}  # keys or values of all tokens -> the layer of the last ones, and how many all are
        self._caches_read: dict[str, View] = {}  # the model's input -> keys or values of all tokens
        self._zeros: dict[str, int] = {}  # integers that stand for 0, of activations that the model quantizes
        self._given: dict[str, tuple[int, ...]] = {}  # shapes of the inputs in the model
        self._bits = activation_bits
        self._residual_bits = residual_bits

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers so far."""
        return tuple(self._layers.values())

    def unique(self, name: str) -> str:
        """`name`, or name_1, name_2, ... if it is taken."""
        taken = self._extents
        return name if name not in taken else next(f"{name}_{i}" for i in range(1, len(taken) + 2) if f"{name}_{i}" not in taken)

    def image(self, name: str, channels: int, height: int, width: int) -> View:
        """A model input of channel planes, logical shape (1, C, H, W)."""
        return self._model_input(name, Extent(channels, height, width)).reshape((1, channels, height, width))

    def tokens(self, name: str, rows: int, width: int) -> View:
        """A model input of rows, logical shape (1, rows, width)."""
        return self._model_input(name, Extent(1, rows, width))

    def cached(self, name: str, past: View, new: View) -> View | None:
        """Keys or values (1, heads, tokens, width): of a cache among the model's inputs, and `new` ones behind them.

        Only products of attention can read them, from the cache in DRAM, so it is no input of the trace. None if `past` is no cache: it is
        an input that nothing else reads, and the new rows are computed.
        """
        if past.producer in self._caches_read:
            return self._caches_read[past.producer]
        inputs = {item.name: item for item in self.inputs}
        known = inputs.get(past.producer)
        read = new.producer in inputs or any(past.producer in layer.inputs for layer in self.layers)  # an image, joined with one made of it
        if known is None or read or len(past.shape) != 4 or past.shape[0] != 1 or not self._lies(past, Order.by_head(4)):
            return None
        _, heads, rows, width = new.shape
        rest = self._matrix(name, self.reshaped(name, new.permute((0, 2, 1, 3)), (1, rows, heads * width)), all_rows=True)
        self.inputs.remove(known)
        made, tokens = self.unique(f"{name}.cache"), past.shape[2] + rows
        self._caches[made], self._extents[made] = (rest.producer, tokens), Extent(1, tokens, heads * width)
        view = self._whole(made).reshape((1, tokens, heads, width)).permute((0, 2, 1, 3))
        self._caches_read[past.producer] = view
        return view

    def output(self, name: str, view: View) -> View:
        """A model's output as one layer holds exactly its elements: a part of a tensor is copied."""
        covered = covers(self._extents[view.producer], view)
        return view if covered else self.arranged(name, view, Order.natural(len(view.shape)))

    def widen(self, producer: str, bits: Literal[16, 32]) -> None:
        """Keep an activation in at least so many bits."""
        self.inputs = [item.with_fields(shape=_widened(item.shape, bits)) if item.name == producer else item for item in self.inputs]
        if producer in self._layers:
            layer = self._layers[producer]
            self._replace(layer, output=_widened(layer.output, bits))

    def quantize(self, producer: str, zero: int) -> int:
        """Note the integer that stands for 0 in an activation, in two's complement; the one noted first."""
        return self._zeros.setdefault(producer, zero)

    def _keep_zero(self, read: str) -> None:
        """Give an activation of 8 bits that a product of two reads its zero point, and what it is a copy of as well."""
        zero = self._zeros.get(read)
        while zero is not None:
            self.inputs = [item.with_fields(shape=_with_zero(item.shape, zero)) if item.name == read else item for item in self.inputs]
            layer = self._layers.get(read)
            if layer is None:
                return
            self._replace(layer, output=_with_zero(layer.output, zero))
            if not layer.rearranges:
                return
            read = layer.inputs[0]

    def given(self, view: View) -> View:
        """An input of the model, noted in the shape that the model gives it."""
        self._given[view.producer] = view.shape
        return view

    def interface(self, outputs: Mapping[str, View]) -> Interface:
        """The model's inputs and outputs, once all layers are made; caches, which a step appends to in DRAM, are none."""
        shapes = {item.name: item.shape for item in self.inputs} | {layer.name: layer.output for layer in self.layers}
        held = {name: view for name, view in outputs.items() if view.producer not in self._caches}
        return Interface(
            inputs={item.name: self._given[item.name] for item in self.inputs if item.name in self._given},
            outputs=tuple(self._model_output(name, view, shapes[view.producer]) for name, view in held.items()),
        )

    def _model_output(self, name: str, view: View, stored: TensorShape) -> ModelOutput:
        extent = self._extents[view.producer]
        source = Source.of(extent, "groups" if stored.groups == extent.groups else "columns")
        return ModelOutput(name=name, layer=view.producer, shape=view.shape, nest=loops_of(source, view, Order.row(len(view.shape)))[1])

    def reshaped(self, name: str, view: View, shape: Sequence[int]) -> View:
        """The same elements in row-major order under a new shape, copied where the old dimensions cannot say it."""
        if math.prod(shape) == math.prod(view.shape) and not view.can_become(shape):
            view = self._lying(name, view, Order.matrix(len(view.shape)))
            if not view.can_become(shape):
                view = self.arranged(name, view.reshape((math.prod(shape),)), Order.matrix(1), width=shape[-1])
        return view.reshape(shape)

    def arranged(self, name: str, view: View, order: Order, width: int = 0) -> View:
        """A copy of a view in an order; the same copy where it was made before. `width`: of its rows, where one dimension makes several."""
        if (view, order) in self._copies and not width:
            return self._copies[view, order]
        source = self._source(name, view)
        start, loops = loops_of(source, view, order)
        result = order.extent(view.shape)
        if width:
            result, loops = Extent(1, result.columns // width, width), ((result.columns // width, width), (width, 1))
        made = self._moved(name, view, source, result, start, loops)
        copy = made.reshape(view.shape) if width else order.view(made, view.shape)
        self._copies[view, order] = copy
        return copy

    def picked(self, name: str, view: View, places: npt.NDArray[np.int64]) -> View | None:
        """The elements at these places of a view, counted row-major, in the shape of `places`; None if no loops walk through them."""
        source = self._source(name, view)
        start, loops = loops_of(source, view, Order.matrix(len(view.shape)))
        walk = loops_through(addresses(start, loops)[places])
        if walk is None:
            return None
        width = places.shape[-1] if places.ndim else 1
        return self._moved(name, view, source, Extent(1, places.size // width, width), *walk).reshape(places.shape)

    def _source(self, name: str, view: View) -> Source:
        """The tensor of a view as a copy finds it."""
        extent = self._extents[view.producer]
        if extent.groups > 1 and view.producer not in self._splits and self._head_product(view.producer) is not None:
            self._decide(name, view.producer, "columns")
        if extent.groups > 1 and self._held_by_head(view.producer) and not self._put_side_by_side(view.producer):
            raise ImportModelError(
                f"{name}: expects a merged tensor {view.shape}, but {view.producer!r} is stored per head; "
                "allowed: parts and other orders of a product of activations itself, ahead of other operations on its heads"
            )
        return Source.of(extent, self._splits.get(view.producer, "groups"))

    def _moved(self, name: str, view: View, source: Source, result: Extent, start: int, loops: Loops) -> View:
        layer = self._make(
            MoveLayer, name=f"{name}.move", inputs=(view.producer,), output=self._shape(result.groups, result.rows, result.columns),
            source=source.dims, start=start, nest=loops,
        )  # fmt: skip
        made = self._add(layer, result)
        if view.producer in self._zeros:
            self._zeros[made.producer] = self._zeros[view.producer]
        return made

    def _head_product(self, producer: str) -> MatmulLayer | None:
        """The layer of a tensor, if it is a product of two activations: only its groups may lie either way."""
        layer = self._layers.get(producer)
        return None if layer is None else layer.head_product

    def _held_by_head(self, producer: str) -> bool:
        """True if a tensor of several groups is stored as one tensor for each: a product of activations, or what was computed from it."""
        layer = self._layers.get(producer)
        if layer is None or layer.output.groups == 1 or layer.rearranges:
            return False
        return layer.head_product is not None or layer.by_group or any(self._held_by_head(name) for name in layer.inputs)

    def _put_side_by_side(self, producer: str) -> bool:
        """Store the heads of a tensor as columns of one, and so those of the products that it is a function of, element by element.

        False if one of these, or a reader of one, works on heads apart.
        """
        found: set[str] = set()
        waiting = [producer]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            layer = self._layers.get(name)
            if layer is None or self._extents[name] != self._extents[producer]:
                return False
            readers = [other for other in self._layers.values() if name in other.inputs]
            function = layer.vector is not None and layer.vector.walk == "elements" and not (layer.constant_sizes or layer.rearranges)
            if any(other.head_product is not None for other in readers) or not (layer.head_product or function):
                return False
            waiting.extend([*(other.name for other in readers), *(() if layer.head_product is not None else layer.inputs)])
        for name in [name for name in self._layers if name in found]:
            layer, extent = self._layers[name], self._extents[name]
            self._splits[name] = "columns"
            changes = {"merge": "columns"} if layer.head_product is not None else {}
            self._replace(layer, output=layer.output.with_fields(groups=1, width=extent.groups * extent.columns), **changes)
        return True

    def _lies(self, view: View, order: Order) -> bool:
        """True if a view is a whole tensor in this order."""
        extent = order.extent(view.shape)
        if self._extents[view.producer] != extent or view.row is not None or any(view.start):
            return False
        return view == order.view(self._whole(view.producer), view.shape)

    def _runs(self, view: View, order: Order) -> int:
        """Runs of consecutive elements that a copy of a view in an order reads; 0 if it lies so."""
        if self._lies(view, order):
            return 0
        _, loops = loops_of(Source.of(self._extents[view.producer], self._splits.get(view.producer, "groups")), view, order)
        size, stride = loops[-1]
        return math.prod(view.shape) // (size if stride == 1 else 1)

    def _lying(self, name: str, view: View, order: Order) -> View:
        return view if self._lies(view, order) else self.arranged(name, view, order)

    def _whole(self, producer: str) -> View:
        extent = self._extents[producer]
        return whole(producer, (("group", extent.groups), ("row", extent.rows), ("column", extent.columns)))

    def _matrix(self, name: str, view: View, all_rows: bool = False) -> View:
        """The view, or a copy: whole rows of one matrix (or, unless `all_rows`, one whole row), heads side by side."""
        if (
            not is_rows(self._extents[view.producer], view)
            or (all_rows and view.row is not None)
            or not self._may(view.producer, "columns")
        ):
            view = self.arranged(name, view, Order.matrix(len(view.shape)))
        self._decide(name, view.producer, "columns")
        return view

    def _operand(self, name: str, view: View, may_transpose: bool = False) -> tuple[View, Split, bool]:
        """A (heads, x, y) view or a copy of it, the layout of its heads, and whether it is transposed."""
        found = heads_of(self._extents[view.producer], view, may_transpose)
        if found is None or not self._may(view.producer, found[0]):
            turned = may_transpose and view.dims[1][-1:] == axis_dim("column", view.shape[1])[-1:]
            view = self.arranged(name, view, Order((0,), (2,), (1,)) if turned else Order((0,), (1,), (2,)))
            return view, "groups", turned
        split, transposed = found
        self._decide(name, view.producer, split)
        return view, split, transposed

    def _image(self, name: str, view: View) -> tuple[View, Literal["planar", "interleaved"]]:
        """The view or a copy of it, and its layout."""
        extent = self._extents[view.producer]
        layout = image_layout(extent, view)
        rows = view.permute((0, 2, 3, 1))
        lies_in_rows = rows.can_become((math.prod(rows.shape[:-1]), rows.shape[-1])) and is_rows(extent, rows)
        if layout is None and lies_in_rows and self._may(view.producer, "columns"):
            self._decide(name, view.producer, "columns")  # channels are the heads of a product, side by side
            layout = "interleaved"
        self._merge(view.producer)
        if layout is None:
            return self.arranged(name, view, Order.natural(4)), "interleaved"
        return view, layout

    def _may(self, producer: str, split: Split) -> bool:
        """True if the groups of a tensor may lie so: those of a product either way, until a reader has said which."""
        if self._extents[producer].groups == 1:
            return True
        by_itself = "groups" if self._head_product(producer) is None else split
        return self._splits.get(producer, by_itself) == split

    def _decide(self, name: str, producer: str, split: Split) -> None:
        """Require this layout of the heads of `producer`; a tensor has one layout."""
        extent, layer = self._extents[producer], self._head_product(producer)
        if not self._may(producer, split):
            stored = self._splits.get(producer, "groups")
            raise ImportModelError(f"{name}: reads the {extent.groups} groups of {producer!r} as {split}, but they are stored as {stored}")
        if extent.groups > 1:
            self._splits[producer] = split
        elif split == "columns":
            self._merge(producer)
        if split == "columns" and layer is not None and layer.merge != "columns":
            self._replace(layer, merge="columns", output=layer.output.with_fields(groups=1, width=extent.groups * extent.columns))

    def _merge(self, producer: str) -> None:
        """Store a tensor of one group as one: otherwise a product of a single head, and what is computed from it, is kept by head."""
        waiting = [producer]
        while waiting:
            name = waiting.pop()
            layer = self._layers.get(name)
            if layer is None or name in self._merged or self._extents[name].groups > 1:
                continue
            self._merged.add(name)
            if layer.head_product is not None:
                self._replace(layer, merge="columns")
            elif layer.vector is not None:
                waiting.extend(layer.inputs)

    def _shape(self, groups: int, rows: int, width: int, bits: Literal[8, 16, 32] | None = None) -> TensorShape:
        return TensorShape(groups=groups, rows=rows, width=width, bits=bits or self._bits)

    def _make(self, kind: type[L], **fields: Any) -> L:
        """A layer under a free name."""
        cache = next((name for name in fields["inputs"] if name in self._caches or name in self._caches_read), None)
        if cache is not None:
            raise ImportModelError(f"{fields['name']}: reads the cache of keys or values {cache!r}; allowed: products of attention")
        return kind(**{**fields, "name": self.unique(fields["name"])})

    def _model_input(self, name: str, extent: Extent) -> View:
        shape = self._shape(extent.groups, extent.rows, extent.columns)
        self.inputs.append(ModelInput(name=name, shape=shape))
        self._extents[name] = extent
        return whole(name, (("group", extent.groups), ("row", extent.rows), ("column", extent.columns)))

    def _add(self, layer: Any, extent: Extent) -> View:
        self._layers[layer.name] = layer
        self._extents[layer.name] = extent
        return whole(layer.name, (("group", extent.groups), ("row", extent.rows), ("column", extent.columns)))

    def _replace(self, layer: Layer, **changes: object) -> None:
        """The layer with some fields changed, validated again, in its old place."""
        self._layers[layer.name] = layer.with_fields(**changes)


def _widened(shape: TensorShape, bits: Literal[16, 32]) -> TensorShape:
    return shape if shape.bits >= bits else shape.with_fields(bits=bits, zero_point=0)


def _with_zero(shape: TensorShape, zero: int) -> TensorShape:
    return shape.with_fields(zero_point=zero) if shape.bits == 8 else shape
