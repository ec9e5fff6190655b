"""Layers of a trace, built from operations on views: the part of importing that knows no framework.

A view that lies in memory as the layer vocabulary can say it (whole rows, heads as columns or as matrices, an image) is free. Any other is
copied by a move, which is a layer, so its traffic and its time are charged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from accelsim.errors import ImportModelError
from accelsim.formats.float32 import Float32Format
from accelsim.importers.graph import readings
from accelsim.importers.graph.copies import Order
from accelsim.importers.graph.expert_layers import ExpertLayers
from accelsim.importers.graph.layout import View, axis_dim
from accelsim.importers.graph.readings import Extent, covers, is_rows
from accelsim.importers.graph.windows import Convolution, Pool
from accelsim.ops.argmax import ArgMaxLayer
from accelsim.ops.clip import ClipLayer
from accelsim.ops.concat import ConcatLayer
from accelsim.ops.embed import EmbedLayer
from accelsim.ops.factors import FactorsLayer
from accelsim.ops.gather import GatherLayer
from accelsim.ops.pad import PadLayer
from accelsim.ops.pair import PairLayer
from accelsim.ops.pool import PoolLayer
from accelsim.ops.resize import ResizeLayer
from accelsim.ops.rotary import RotaryLayer
from accelsim.ops.softmax import SoftmaxLayer
from accelsim.trace.layers import (
    ConvLayer,
    GemmLayer,
    LayerBase,
    LoopBounds,
    MatmulLayer,
    Operand,
    VectorLayer,
    WeightRecord,
)

L = TypeVar("L", bound=LayerBase)


class GraphBuilder(ExpertLayers):
    """Collects layers in topological order; each method adds one and returns the view of its output."""

    def linear(self, name: str, view: View, outputs: int, bias: bool) -> View:
        """A linear layer over the last dimension; over a flattened image it is a convolution of one window, the image."""
        is_input = any(item.name == view.producer for item in self.inputs)
        image = readings.flattened_image(self._extents[view.producer], view, is_input)
        if image is not None:
            _, _, height, width = image.shape
            whole_image = Convolution(outputs, (height, width), (1, 1), (0, 0), (1, 1), 1)
            return self.conv2d(name, image, whole_image, bias).reshape((*view.shape[:-1], outputs))
        reduction, positions = view.shape[-1], math.prod(view.shape[:-1])
        view = self._matrix(name, view)
        bounds = LoopBounds(K=outputs, C=reduction, OX=positions)
        layer = self._make(
            GemmLayer, name=name, inputs=(view.producer,), output=self._shape(1, positions, outputs), bounds=bounds, bias=bias,
            weight=WeightRecord(format=Float32Format(), k=bounds.k, n=outputs), input_row=view.row,
        )  # fmt: skip
        return self._add(layer, Extent(1, positions, outputs)).reshape((*view.shape[:-1], outputs))

    def conv2d(self, name: str, view: View, conv: Convolution, bias: bool) -> View:
        """A convolution; logical input (1, C, H, W), logical output (1, K, OY, OX), written as rows of K channels."""
        batch, channels, height, width = view.shape
        far, (oy, ox) = conv.far, conv.positions((height, width))
        if batch != 1 or channels % conv.groups or conv.outputs % conv.groups or min(oy, ox) < 1:
            raise ImportModelError(f"{name}: input {view.shape} does not fit {conv}")
        per_group = LoopBounds(
            K=conv.outputs // conv.groups, C=channels // conv.groups, OY=oy, OX=ox, FY=conv.taps[0], FX=conv.taps[1], G=conv.groups
        )
        depthwise = per_group.G > 1 and per_group.C == 1 and per_group.K == 1
        view, layout = self._image(name, view)
        layer = self._make(
            ConvLayer, name=name, op="depthwise_conv2d" if depthwise else "conv2d", inputs=(view.producer,), bounds=per_group, bias=bias,
            output=self._shape(1, oy * ox, conv.outputs), weight=WeightRecord(format=Float32Format(), k=per_group.k, n=conv.outputs),
            strides=conv.strides, padding=conv.padding, padding_end=None if far == conv.padding else far, dilation=conv.dilation,
            image=(height, width),
            input_layout=layout,
        )  # fmt: skip
        written = self._add(layer, Extent(1, oy * ox, conv.outputs))
        return written.reshape((1, oy, ox, conv.outputs)).permute((0, 3, 1, 2))

    def matmul(self, name: str, a: View, b: View) -> View:
        """(..., H, m, k) x (..., H, k, n); heads of b that are repeated, or broadcast, for several of a are read once."""
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        if len(a.shape) == len(b.shape) and all(size in (1, heads) for size, heads in zip(b.shape[:-2], a.shape[:-2], strict=True)):
            b = b.expand((*a.shape[:-2], *b.shape[-2:]))
        heads, shape = math.prod(a.shape[:-2]), (*a.shape[:-1], n)
        if a.shape[:-2] != b.shape[:-2] or b.shape[-2] != k:
            raise ImportModelError(
                f"{name}: operands of shapes {a.shape} and {b.shape} cannot be multiplied (broadcasting is not supported)"
            )
        a, split_a, _ = self._operand(name, self.reshaped(name, a, (heads, m, k)))
        b, shared = readings.without_repeats(self.reshaped(name, b, (heads, k, n)))
        b, split_b, transposed = self._operand(name, b, may_transpose=True)
        bounds = LoopBounds(K=n, C=k, OX=shared * m, G=heads // shared)
        for view in (a, b):
            self._keep_zero(view.producer)
        second, tokens = self._caches.get(b.producer, (b.producer, None))
        layer = self._make(
            MatmulLayer, name=name, inputs=(a.producer, second), cache_rows=tokens, bounds=bounds, a=Operand(split=split_a),
            b=Operand(split=split_b), transposed_b=transposed, merge="groups", output=self._shape(heads, m, n), shared=shared,
        )  # fmt: skip
        return self._add(layer, Extent(heads, m, n)).reshape(shape)

    def takes_factor(self, view: View) -> bool:
        """Whether a view is all of a product of two activations that no layer reads yet."""
        if self._head_product(view.producer) is None or not covers(self._extents[view.producer], view):
            return False
        return not any(view.producer in layer.inputs for layer in self.layers)

    def scale(self, view: View, factor: float) -> View:
        """A factor on a product of two activations, folded into it."""
        layer = self._head_product(view.producer)
        assert layer is not None  # see `takes_factor`
        self._replace(layer, scale=layer.scale * factor)
        return view

    def softmax(self, name: str, view: View, dim: int, causal: bool = False, reach: int = 0, bias_groups: int = 0) -> View:
        """Softmax over a dimension.

        `causal`: of each row up to its own column, and of `reach` columns unless that is 0; `bias_groups`: matrices added first.
        """
        rank = len(view.dims)
        if dim % rank != rank - 1:
            turned = self.softmax(name, view.transpose(dim, -1), -1, causal, reach)
            return turned.transpose(dim, -1)
        extent = self._extents[view.producer]
        in_rows = view.dims[-1] == axis_dim("column", extent.columns) and covers(extent, view)
        if not in_rows or not self._may(view.producer, "groups"):
            order = Order.by_head(rank) if causal or bias_groups else Order.matrix(rank)
            view = self.arranged(name, view, order)
        return self._elementwise(
            SoftmaxLayer, name, self._bits, view, mask="causal" if causal else None, reach=reach, bias_groups=bias_groups
        )

    def pool(self, name: str, view: View, pool: Pool) -> View:
        """A pool over the windows of an image; logical input (1, C, H, W), logical output (1, C, OY, OX)."""
        if len(view.shape) != 4 or view.shape[0] != 1:
            raise ImportModelError(f"{name}: a pool of {view.producer!r} {view.shape}; allowed: an activation of shape (1, C, H, W)")
        view, layout = self._image(name, view)
        if layout == "planar":
            view = self.arranged(name, view, Order.natural(4))
        _, channels, height, width = view.shape
        far, (oy, ox) = pool.far, pool.positions((height, width))
        if min(oy, ox) < 1:
            raise ImportModelError(f"{name}: input {view.shape} does not fit {pool}")
        layer = self._make(
            PoolLayer, name=name, op=pool.op, inputs=(view.producer,), output=self._shape(1, oy * ox, channels), image=(height, width),
            taps=pool.taps, strides=pool.strides, padding=pool.padding, padding_end=None if far == pool.padding else far,
            count_padding=pool.count_padding,
        )  # fmt: skip
        written = self._add(layer, Extent(1, oy * ox, channels))
        return written.reshape((1, oy, ox, channels)).permute((0, 3, 1, 2))

    def resize(self, name: str, view: View, size: tuple[int, int], **fields: Any) -> View:
        """An image of another size; logical input (1, C, H, W), logical output (1, C, *size)."""
        height, width = view.shape[2:]
        return self._image_operation(ResizeLayer, name, view, size, image=(height, width), size=size, **fields)

    def pad(self, name: str, view: View, before: tuple[int, int], after: tuple[int, int], value: float = 0.0) -> View:
        """Positions of a value around an image; logical input (1, C, H, W)."""
        height, width = view.shape[2:]
        size = (before[0] + height + after[0], before[1] + width + after[1])
        return self._image_operation(
            PadLayer, name, view, size, image=(height, width), padding=before, padding_end=after, value=value
        )  # fmt: skip

    def _image_operation(self, kind: type[VectorLayer], name: str, view: View, result: tuple[int, int], **fields: Any) -> View:
        channels = view.shape[1]
        view = self._lying(name, view, Order.natural(4))
        layer = self._make(kind, name=name, inputs=(view.producer,), output=self._shape(1, result[0] * result[1], channels), **fields)
        written = self._add(layer, Extent(1, result[0] * result[1], channels))
        return written.reshape((1, *result, channels)).permute((0, 3, 1, 2))

    def clip(self, name: str, view: View, minimum: float | None, maximum: float | None) -> View:
        """Each element held between two bounds; from 0 up it is a relu."""
        bounds = {} if (minimum, maximum) == (0.0, None) else {"op": "clip", "minimum": minimum, "maximum": maximum}
        return self.element_operation(ClipLayer, name, view, **bounds)

    def pair(self, kind: type[PairLayer], name: str, first: View, second: View) -> View:
        """An operation of two activations, element by element; shapes are broadcast."""
        bits = self._residual_bits if kind.residual else self._bits
        if first.dims == second.dims and self._extents[first.producer] == self._extents[second.producer]:
            return self._elementwise(kind, name, bits, first, second)
        shape = tuple(np.broadcast_shapes(first.shape, second.shape))
        first = first.expand(shape)
        second = second.expand((1,) * (len(shape) - len(second.shape)) + second.shape)
        by_head = Order.by_head(len(shape))
        if self._held_by_head(first.producer) and self._may(first.producer, "groups") and self._lies(first, by_head):
            return self._elementwise(kind, name, bits, first, self._lying(name, second.expand(shape), by_head))
        order = Order.natural(len(shape))
        if self._lies(first, Order.matrix(len(shape))):
            order = Order.matrix(len(shape))
        across = {second.shape[place] == shape[place] for place in order.rows if shape[place] > 1}
        along = {second.shape[place] == shape[place] for place in order.columns if shape[place] > 1}
        if len(across) > 1 or len(along) > 1:  # neither a row for all rows nor a column for all columns
            second = second.expand(shape)
        first, second = (self._lying(name, view, order) for view in (first, second))
        extent = order.extent(shape)
        layer = self._make(
            kind, name=name, inputs=(first.producer, second.producer), output=self._shape(1, extent.rows, extent.columns, bits)
        )  # fmt: skip
        return order.view(self._add(layer, extent), shape)

    def join(self, name: str, views: Sequence[View], dim: int) -> View:
        """Activations one after the other along a dimension, two at a time; a join of the first few that exists is taken."""
        parts, dim = list(views), dim % len(views[0].shape)
        while len(parts) > 1:
            known = next((count for count in range(len(parts), 1, -1) if (tuple(parts[:count]), dim) in self._joins), 0)
            if known:
                parts[:known] = [self._joins[tuple(parts[:known]), dim]]
                continue
            place = min(range(len(parts) - 1), key=lambda at: parts[at].shape[dim] + parts[at + 1].shape[dim])
            parts[place : place + 2] = [self._join(name, parts[place], parts[place + 1], dim)]
        self._joins[tuple(views), dim] = parts[0]
        return parts[0]

    def _join(self, name: str, first: View, second: View, dim: int) -> View:
        shape = tuple(size + second.shape[place] if place == dim else size for place, size in enumerate(first.shape))
        order = self._order_of_copies((first, second))
        first, second = (self._lying(name, view, order) for view in (first, second))
        inner = math.prod(shape[place] for place in order.all[order.all.index(dim) + 1 :])
        extent = order.extent(shape)
        layer = self._make(
            ConcatLayer, name=name, inputs=(first.producer, second.producer), output=self._shape(1, extent.rows, extent.columns),
            turns=(first.shape[dim] * inner, second.shape[dim] * inner),
        )  # fmt: skip
        return order.view(self._add(layer, extent), shape)

    def _order_of_copies(self, views: Sequence[View]) -> Order:
        """As images lie; or as matrices, where one of the views lies so, or where copies of them read longer runs."""
        natural, matrix = (order(len(views[0].shape)) for order in (Order.natural, Order.matrix))
        if any(self._lies(view, matrix) for view in views):
            return matrix
        return min((natural, matrix), key=lambda order: sum(self._runs(view, order) for view in views))

    def narrowed(self, name: str, view: View, dim: int, taken: range) -> View:
        """Some indices of a dimension."""
        part = view.narrow(dim, taken)
        return self.arranged(name, view, self._order_of_copies((view,))).narrow(dim, taken) or view if part is None else part

    def element_operation(self, kind: type[VectorLayer], name: str, view: View, **fields: Any) -> View:
        """An operation of one activation, element by element."""
        return self._elementwise(kind, name, self._bits, view, **fields)

    def channel_operation(self, kind: type[VectorLayer], name: str, view: View, axis: int, **fields: Any) -> View:
        """An operation of one activation with a trained constant per index of a dimension."""
        extent = self._extents[view.producer]
        if extent.groups > 1 or view.dims[axis] != axis_dim("column", extent.columns) or not covers(extent, view):
            others = tuple(place for place in range(len(view.shape)) if place != axis)
            view = self.arranged(name, view, Order((), others, (axis,)))
        return self._elementwise(kind, name, self._bits, view, **fields)

    def factors(self, name: str, view: View, factors: npt.NDArray[Any]) -> tuple[View, npt.NDArray[Any]]:
        """A factor for each element, and the factors in the order of the layer; those of `factors` broadcast to the view's shape."""
        rank, shape = len(view.shape), view.shape
        orders = (Order.by_head(rank), Order.natural(rank))
        order = next((order for order in orders if self._lies(view, order)), orders[0])
        if not self._lies(view, order) or not self._may(view.producer, "groups"):
            view = self.arranged(name, view, order)
        each = (1,) * (rank - factors.ndim) + factors.shape
        shared = all(each[place] == 1 for place in order.groups)
        wanted = tuple(1 if shared and place in order.groups else size for place, size in enumerate(shape))
        kept = np.broadcast_to(factors, wanted).transpose(order.all)
        matrices = math.prod(wanted[place] for place in order.groups)
        return self._elementwise(FactorsLayer, name, self._bits, view, matrices=matrices), kept

    def row_operation(self, kind: type[VectorLayer], name: str, view: View, normalized: Sequence[int], **fields: Any) -> View:
        """An operation over the last dimension, row by row, such as a normalization."""
        if tuple(normalized) != view.shape[-1:]:
            raise ImportModelError(f"{name}: normalization over {tuple(normalized)} of {view.shape}; allowed: over the last dimension")
        shape = view.shape
        heads = readings.heads_in_rows(self._extents[view.producer], view) if "heads" in kind.model_fields else 1
        if heads > 1:
            view, fields = view.reshape((*shape[:-2], heads * shape[-1])), {**fields, "heads": heads}
        view = self._matrix(name, view, all_rows=True)
        rows, width = math.prod(view.shape[:-1]), view.shape[-1]
        layer = self._make(kind, name=name, inputs=(view.producer,), output=self._shape(1, rows, width), **fields)
        return self._add(layer, Extent(1, rows, width)).reshape(shape)

    def gather(self, name: str, view: View, taken: int) -> View:
        """`taken` elements of each row by their numbers; logical shape (..., width) -> (..., taken)."""
        view = self._matrix(name, view, all_rows=True)
        rows, width = math.prod(view.shape[:-1]), view.shape[-1]
        layer = self._make(GatherLayer, name=name, inputs=(view.producer,), output=self._shape(1, rows, taken), source=width)
        return self._add(layer, Extent(1, rows, taken)).reshape((*view.shape[:-1], taken))

    def places(self, name: str, view: View, dim: int) -> View:
        """The place of the largest element along a dimension, which has one element afterwards."""
        order = [*(place for place in range(len(view.shape)) if place != dim % len(view.shape)), dim % len(view.shape)]
        turned = self._matrix(name, view.permute(order), all_rows=True)
        rows, width = math.prod(turned.shape[:-1]), turned.shape[-1]
        layer = self._make(ArgMaxLayer, name=name, inputs=(turned.producer,), output=self._shape(1, rows, 1), source=width)
        found = self._add(layer, Extent(1, rows, 1)).reshape((*turned.shape[:-1], 1))
        return found.permute([order.index(place) for place in range(len(order))])

    def rotary(self, name: str, view: View, **fields: Any) -> View:
        """A rotation of the elements of each head by position; logical shape (1, rows, heads, width)."""
        _, rows, heads, width = shape = view.shape
        view = self._matrix(name, self.reshaped(name, view, (1, rows, heads * width)), all_rows=True)
        output = self._shape(1, rows, heads * width)
        layer = self._make(RotaryLayer, name=name, inputs=(view.producer,), output=output, head_width=width, **fields)
        return self._add(layer, Extent(1, rows, heads * width)).reshape(shape)

    def surround(self, name: str, view: View, before: int, after: int) -> View:
        """Trained rows before and after the view's; logical shape (1, r, width) -> (1, before + r + after, width)."""
        return self._embed(name, view, before, after, positions=False)

    def add_positions(self, name: str, view: View, sole_reader: bool) -> View:
        """A trained matrix added to all rows: joined with the layer that prepends rows, if nothing else reads that one."""
        view = self._matrix(name, view, all_rows=True)
        layer = self._layers.get(view.producer)
        joined = layer.with_positions if layer is not None and sole_reader else None
        if joined is not None and view.shape[-2:] == joined.output.dims[1:]:
            self._layers[joined.name] = joined
            return view
        return self._embed(name, view, 0, 0, positions=True).reshape(view.shape)

    def _embed(self, name: str, view: View, before: int, after: int, positions: bool) -> View:
        view = self._matrix(name, view, all_rows=True)
        rows, width = before + math.prod(view.shape[:-1]) + after, view.shape[-1]
        layer = self._make(
            EmbedLayer, name=name, inputs=(view.producer,), output=self._shape(1, rows, width, self._residual_bits),
            prepended_rows=before, appended_rows=after, positions=positions,
        )  # fmt: skip
        return self._add(layer, Extent(1, rows, width))

    def _elementwise(self, kind: type[Any], name: str, bits: Literal[8, 16, 32], *views: View, **fields: Any) -> View:
        """A vector layer that writes each element where it read it; separate heads stay separate."""
        if not all(covers(self._extents[view.producer], view) for view in views):
            views = tuple(self.arranged(name, view, Order.natural(len(view.shape))) for view in views)
        extent = self._extents[views[0].producer]
        heads_aside = kind.walk == "elements" and self._head_product(views[0].producer) is not None
        merged = heads_aside and is_rows(extent, views[0])
        split = self._splits.get(views[0].producer, "columns" if merged else "groups")
        for view in views:
            self._decide(name, view.producer, split)
        groups, columns = (1, extent.groups * extent.columns) if split == "columns" else (extent.groups, extent.columns)
        inputs = tuple(view.producer for view in views)
        layer = self._make(kind, name=name, inputs=inputs, output=self._shape(groups, extent.rows, columns, bits), **fields)
        self._add(layer, extent)
        self._splits.update({layer.name: split} if extent.groups > 1 else {})
        return View(layer.name, views[0].dims)
