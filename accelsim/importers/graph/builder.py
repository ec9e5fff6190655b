"""Layers of a trace, built from operations on views: the part of importing that knows no framework.

A view must lie in memory as the layer vocabulary can say it: whole rows, heads as columns or as matrices. Anything else is an
ImportModelError, because a silent copy would be traffic that the simulator does not charge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from accelsim.errors import ImportModelError
from accelsim.formats.float32 import Float32Format
from accelsim.importers.graph.layout import View, axis_dim, whole
from accelsim.importers.graph.readings import Extent, Split, flattened_image, heads_of, image_layout, is_rows
from accelsim.importers.graph.windows import Convolution, Pool
from accelsim.ops.add import AddLayer
from accelsim.ops.clip import ClipLayer
from accelsim.ops.embed import EmbedLayer
from accelsim.ops.pool import PoolLayer
from accelsim.ops.softmax import SoftmaxLayer
from accelsim.trace.layers import (
    ConvLayer,
    GemmLayer,
    Layer,
    LayerBase,
    LoopBounds,
    MatmulLayer,
    Operand,
    TensorShape,
    VectorLayer,
    WeightRecord,
)  # fmt: skip
from accelsim.trace.manifest import ModelInput

L = TypeVar("L", bound=LayerBase)


class GraphBuilder:
    """Collects layers in topological order; each method adds one and returns the view of its output."""

    def __init__(self, activation_bits: Literal[8, 16, 32] = 8, residual_bits: Literal[8, 16, 32] = 8) -> None:
        self.inputs: list[ModelInput] = []
        self._layers: dict[str, Layer] = {}
        self._extents: dict[str, Extent] = {}
        self._splits: dict[str, Split] = {}  # how the heads of a produced tensor lie, once a reader has said so
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

    def linear(self, name: str, view: View, outputs: int, bias: bool) -> View:
        """A linear layer over the last dimension; over a flattened image it is a convolution of one window, the image."""
        is_input = any(item.name == view.producer for item in self.inputs)
        image = flattened_image(self._extents[view.producer], view, is_input)
        if image is not None:
            _, _, height, width = image.shape
            whole_image = Convolution(outputs, (height, width), (1, 1), (0, 0), (1, 1), 1)
            return self.conv2d(name, image, whole_image, bias).reshape((*view.shape[:-1], outputs))
        reduction, positions = view.shape[-1], math.prod(view.shape[:-1])
        self._require_matrix(name, view)
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
        layer = self._make(
            ConvLayer, name=name, op="depthwise_conv2d" if depthwise else "conv2d", inputs=(view.producer,), bounds=per_group, bias=bias,
            output=self._shape(1, oy * ox, conv.outputs), weight=WeightRecord(format=Float32Format(), k=per_group.k, n=conv.outputs),
            strides=conv.strides, padding=conv.padding, padding_end=None if far == conv.padding else far, dilation=conv.dilation,
            image=(height, width),
            input_layout=self._image_layout(name, view),
        )  # fmt: skip
        written = self._add(layer, Extent(1, oy * ox, conv.outputs))
        return written.reshape((1, oy, ox, conv.outputs)).permute((0, 3, 1, 2))

    def matmul(self, name: str, a: View, b: View) -> View:
        """(..., H, m, k) x (..., H, k, n), the leading dimensions equal."""
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        heads = math.prod(a.shape[:-2])
        if a.shape[:-2] != b.shape[:-2] or b.shape[-2] != k:
            raise ImportModelError(
                f"{name}: operands of shapes {a.shape} and {b.shape} cannot be multiplied (broadcasting is not supported)"
            )
        split_a, _ = self._operand(name, a.reshape((heads, m, k)))
        split_b, transposed = self._operand(name, b.reshape((heads, k, n)), may_transpose=True)
        layer = self._make(
            MatmulLayer, name=name, inputs=(a.producer, b.producer), bounds=LoopBounds(K=n, C=k, OX=m, G=heads), a=Operand(split=split_a),
            b=Operand(split=split_b), transposed_b=transposed, merge="groups", output=self._shape(heads, m, n),
        )  # fmt: skip
        return self._add(layer, Extent(heads, m, n)).reshape((*a.shape[:-1], n))

    def scale(self, name: str, view: View, factor: float) -> View:
        """A factor on a matmul's whole output, folded into it."""
        layer = self._layers.get(view.producer)
        if not isinstance(layer, MatmulLayer):
            raise ImportModelError(f"{name}: a multiplication by {factor} of anything but an attention product is not supported")
        self._replace(layer, scale=layer.scale * factor)
        return view

    def softmax(self, name: str, view: View, dim: int, causal: bool = False) -> View:
        """Softmax over the last dimension, which must be the whole columns; `causal`: of each row up to its own column."""
        extent = self._extents[view.producer]
        if dim % len(view.dims) != len(view.dims) - 1 or view.dims[-1] != axis_dim("column", extent.columns):
            raise ImportModelError(f"{name}: softmax over dimension {dim} of {view.shape} is not over whole rows")
        return self._elementwise(SoftmaxLayer, name, self._bits, view, mask="causal" if causal else None)

    def pool(self, name: str, view: View, pool: Pool) -> View:
        """A pool over the windows of an image; logical input (1, C, H, W), logical output (1, C, OY, OX)."""
        if len(view.shape) != 4 or view.shape[0] != 1 or self._image_layout(name, view) != "interleaved":
            raise ImportModelError(f"{name}: a pool of {view.producer!r} {view.shape}; allowed: an activation of shape (1, C, H, W)")
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

    def average_rows(self, name: str, view: View) -> View:
        """The average over all rows of a matrix (tokens, or positions of an image): logical output (1, width)."""
        self._require_matrix(name, view, all_rows=True)
        rows, width = math.prod(view.shape[:-1]), view.shape[-1]
        layer = self._make(
            PoolLayer, name=name, op="avg_pool2d", inputs=(view.producer,), output=self._shape(1, 1, width), image=(rows, 1),
            taps=(rows, 1), strides=(rows, 1),
        )  # fmt: skip
        return self._add(layer, Extent(1, 1, width)).reshape((1, width))

    def clip(self, name: str, view: View, minimum: float | None, maximum: float | None) -> View:
        """Each element held between two bounds; from 0 up it is a relu."""
        bounds = {} if (minimum, maximum) == (0.0, None) else {"op": "clip", "minimum": minimum, "maximum": maximum}
        return self.element_operation(ClipLayer, name, view, **bounds)

    def add(self, name: str, first: View, second: View) -> View:
        """The sum of two activations of one shape and layout."""
        if first.dims != second.dims or self._extents[first.producer] != self._extents[second.producer]:
            raise ImportModelError(
                f"{name}: the sum of {first.producer!r} {first.shape} and {second.producer!r} {second.shape} needs one layout"
            )
        return self._elementwise(AddLayer, name, self._residual_bits, first, second)

    def element_operation(self, kind: type[VectorLayer], name: str, view: View, **fields: Any) -> View:
        """An operation of one activation, element by element."""
        return self._elementwise(kind, name, self._bits, view, **fields)

    def row_operation(self, kind: type[VectorLayer], name: str, view: View, normalized: Sequence[int], **fields: Any) -> View:
        """An operation over the last dimension, row by row, such as a normalization."""
        if tuple(normalized) != view.shape[-1:]:
            raise ImportModelError(f"{name}: normalization over {tuple(normalized)} of {view.shape}; allowed: over the last dimension")
        self._require_matrix(name, view, all_rows=True)
        rows, width = math.prod(view.shape[:-1]), view.shape[-1]
        layer = self._make(kind, name=name, inputs=(view.producer,), output=self._shape(1, rows, width), **fields)
        return self._add(layer, Extent(1, rows, width)).reshape(view.shape)

    def prepend_rows(self, name: str, view: View, rows: int) -> View:
        """`rows` trained rows before the view's rows; logical shape (1, r, width) -> (1, rows + r, width)."""
        return self._embed(name, view, rows, positions=False)

    def add_positions(self, name: str, view: View, sole_reader: bool) -> View:
        """A trained matrix added to all rows: joined with the layer that prepends rows, if nothing else reads that one."""
        layer = self._layers.get(view.producer)
        self._require_matrix(name, view, all_rows=True)
        if isinstance(layer, EmbedLayer) and not layer.positions and sole_reader:
            self._replace(layer, positions=True)
            return view
        return self._embed(name, view, 0, positions=True)

    def _embed(self, name: str, view: View, prepended: int, positions: bool) -> View:
        self._require_matrix(name, view, all_rows=True)
        rows, width = prepended + math.prod(view.shape[:-1]), view.shape[-1]
        layer = self._make(
            EmbedLayer, name=name, inputs=(view.producer,), output=self._shape(1, rows, width, self._residual_bits),
            prepended_rows=prepended, positions=positions,
        )  # fmt: skip
        return self._add(layer, Extent(1, rows, width))

    def _elementwise(self, kind: type[Any], name: str, bits: Literal[8, 16, 32], *views: View, **fields: Any) -> View:
        """A vector layer that writes each element where it read it; separate heads stay separate."""
        extent = self._extents[views[0].producer]
        for view in views:
            if math.prod(view.shape) != extent.groups * extent.rows * extent.columns:
                raise ImportModelError(f"{name}: reads only a part of {view.producer!r}")
            self._decide(name, view.producer, "groups")
        inputs = tuple(view.producer for view in views)
        output = self._shape(extent.groups, extent.rows, extent.columns, bits)
        layer = self._make(kind, name=name, inputs=inputs, output=output, **fields)
        self._add(layer, extent)
        self._decide(name, layer.name, "groups")
        return View(layer.name, views[0].dims)

    def _require_matrix(self, name: str, view: View, all_rows: bool = False) -> None:
        """Check that the view is whole rows of one matrix (or, unless `all_rows`, one whole row); heads must lie as columns."""
        if not is_rows(self._extents[view.producer], view) or (all_rows and view.row is not None):
            raise ImportModelError(f"{name}: reads {view.producer!r} as {view.shape}, which is not whole rows in memory")
        self._decide(name, view.producer, "columns")

    def _operand(self, name: str, view: View, may_transpose: bool = False) -> tuple[Split, bool]:
        """Layout of the heads of a (heads, x, y) view, and whether it is transposed."""
        found = heads_of(self._extents[view.producer], view, may_transpose)
        if found is None:
            raise ImportModelError(
                f"{name}: reads {view.producer!r} as {view.shape}, which is neither heads as columns nor heads as matrices"
            )
        split, transposed = found
        return (self._splits.setdefault(view.producer, split) if split == "groups" else split), transposed

    def _image_layout(self, name: str, view: View) -> Literal["planar", "interleaved"]:
        layout = image_layout(self._extents[view.producer], view)
        if layout is None:
            raise ImportModelError(f"{name}: reads {view.producer!r} as {view.shape}, which is neither planes nor rows of channels")
        return layout

    def _decide(self, name: str, producer: str, split: Split) -> None:
        """Require this layout of the heads of `producer`; a tensor has one layout."""
        extent, layer = self._extents[producer], self._layers.get(producer)
        if extent.groups > 1 and self._splits.setdefault(producer, split) != split:
            raise ImportModelError(f"{name}: reads the heads of {producer!r} as {split}, but another layer as {self._splits[producer]}")
        if split == "groups":
            return
        if isinstance(layer, MatmulLayer) and layer.merge != "columns":
            self._replace(layer, merge="columns", output=self._shape(1, extent.rows, extent.groups * extent.columns, layer.output.bits))
        elif extent.groups > 1 and not isinstance(layer, MatmulLayer):
            raise ImportModelError(f"{name}: reads the {extent.groups} groups of {producer!r} as columns of one matrix")

    def _shape(self, groups: int, rows: int, width: int, bits: Literal[8, 16, 32] | None = None) -> TensorShape:
        return TensorShape(groups=groups, rows=rows, width=width, bits=bits or self._bits)

    def _make(self, kind: type[L], **fields: Any) -> L:
        """A layer under a free name."""
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
