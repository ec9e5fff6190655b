"""From the layer graph to operations in program order: array, vector unit, fusion.

An element-wise layer that alone reads a product is fused into its requantization. The heads of an attention, or their row bands, become
operations of their own, in an order that `heads` chooses. Batch repeats layers without weights and lengthens those with weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from accelsim.compiler.head_regions import band_ranges
from accelsim.compiler.heads import HeadOrder, head_steps
from accelsim.compiler.plan import Attention, Op, Plan, Role, RowTile, Tensor, TensorId
from accelsim.errors import CompileError
from accelsim.ops.cache_layout import CacheLayout
from accelsim.trace.layers import Layer, MacLayer, MatmulLayer, WeightedLayer
from accelsim.trace.trace import Trace

MOST_FUSED_OPERANDS = 1  # activations besides the product that a requantization reads


Bands = Mapping[str, int]  # first product of an attention -> about how many row bands its heads are computed in
WHOLE_HEADS: Bands = MappingProxyType({})


def plan(trace: Trace, batch: int, order: HeadOrder, bands: Bands = WHOLE_HEADS) -> Plan:
    """The operations of one inference of `batch` images with the heads, or their row bands, in `order`.

    Raises
    ------
    CompileError
        A layer that no unit of the machine computes.
    """
    builder = _Builder(trace, batch, order, bands)
    builder.run()
    return Plan(tuple(builder.ops), builder.tensors, str(order), batch, attentions=tuple(builder.attentions))


class _Part(NamedTuple):
    """A head, or a row band of one: the tensors of its attention are numbered by `number`, all others by head."""

    head: int
    number: int
    row_tile: RowTile | None = None


_ALL_HEADS = _Part(-1, -1)


class _Builder:
    def __init__(self, trace: Trace, batch: int, order: HeadOrder, bands: Bands) -> None:
        self.trace = trace
        self.batch = batch
        self.order = order
        self.bands = bands
        self.attentions: list[Attention] = []
        self.readers: dict[str, list[Layer]] = {}
        for layer in trace.layers:
            for name in layer.inputs:
                self.readers.setdefault(name, []).append(layer)
        self.ops: list[Op] = []
        self.tensors: dict[TensorId, Tensor] = {}
        self.stored: dict[str, int] = {}  # tensors of its own that each layer has by head
        self.alias: dict[str, str] = {}  # layer -> the layer whose tensor holds its output after fusion
        self.done: set[str] = set()
        self.gathered = _gathered(trace)
        self.deferred = self._deferred() if order.late_values else {}

    def run(self) -> None:
        for source in self.trace.manifest.inputs:
            shape = source.shape
            rows = shape.groups * shape.rows * self.batch
            self._tensor(TensorId(source.name), rows, shape.width, shape.bits, shape.width).is_input = True
            self.done.add(source.name)
        for layer in self.trace.layers:
            if layer.name in self.done or layer.name in self.deferred:
                continue
            attention = self._attention(layer)
            if attention is not None:
                self.attentions.append(attention)
            if attention is not None and (attention.bands > 1 or attention.by_head):
                self._heads(attention)
            elif layer.head_product is not None:
                for head in range(self.batch * layer.head_product.heads):
                    self._head_product(layer.head_product, _Part(head, head))
            elif layer.product is not None:
                self._product(layer.product)
            elif (layer.by_group and layer.output.groups > 1) or self._reads_heads(layer):
                parts = self._parts_of(layer)
                for head in range(self.batch * parts):
                    self._row_op(layer, _Part(head, head), parts)
            else:
                self._row_op(layer, _ALL_HEADS, 1)
        for name in self.trace.manifest.outputs:
            for tensor in self._parts(name):
                tensor.is_output = True
        for product in self.trace.products():
            if product.head_product is not None and product.cache is not None:
                self._append(product.head_product, product.cache)

    def _append(self, product: MatmulLayer, cache: CacheLayout) -> None:
        """Note the cache that a product's second operand is appended to; values with scales meet them as factors of the first operand."""
        for tensor in self._parts(product.inputs[1]):
            tensor.cache, tensor.extra_passes = cache, cache.append_passes
        for tensor in self._parts(product.inputs[0]) if cache.scaled and product.from_cache and not product.transposed_b else ():
            tensor.extra_passes = 1

    # -- tensors

    def _tensor(self, key: TensorId, rows: int, width: int, bits: int, columns: int) -> Tensor:
        if key not in self.tensors:
            self.tensors[key] = Tensor(key, rows, width, bits, columns)
            self.stored[key.name] = self.stored.get(key.name, 0) + (key.part >= 0)
        return self.tensors[key]

    def _parts(self, name: str) -> list[Tensor]:
        name = self.alias.get(name, name)
        return [tensor for key, tensor in self.tensors.items() if key.name == name]

    def _read(self, name: str, head: int) -> TensorId:
        """The tensor that a reader of layer `name` finds: per head where heads are separate, else the whole."""
        name = self.alias.get(name, name)
        key = TensorId(name, head)
        return key if key in self.tensors else TensorId(name)

    def _read_part(self, name: str, part: _Part) -> TensorId:
        """As `_read`; of the attention itself its own part."""
        if part.row_tile is None:
            return self._read(name, part.head)
        own = self.attentions[-1].parts
        return TensorId(name, part.number) if name in own else self._read(name, part.head)

    def _reads_heads(self, layer: Layer) -> bool:
        """True if an input is stored per head: the product that made it is not part of an attention."""
        return any(TensorId(self.alias.get(name, name), 0) in self.tensors for name in layer.inputs)

    def _parts_of(self, layer: Layer) -> int:
        """Parts of an image that a layer works on by themselves: as many as its input is stored in, else its groups."""
        stored = max(self.stored.get(self.alias.get(name, name), 0) for name in layer.inputs) // self.batch
        return stored if stored and layer.output.groups % stored == 0 else layer.output.groups

    # -- operations

    def _attention(self, layer: Layer) -> Attention | None:
        """The attention that begins with `layer`, if its values are available or can be computed."""
        found = self._attention_chain(layer)
        return found if found is not None and found.context.inputs[1] in self.done | self.deferred.keys() else None

    def _attention_chain(self, layer: Layer) -> Attention | None:
        """The attention that begins with `layer`: row functions of one operand without other readers, and a product of their result."""
        scores = layer.head_product
        if scores is None or scores.merge != "groups":
            return None
        functions: list[Layer] = []
        while True:
            readers = self.readers.get(functions[-1].name if functions else scores.name, [])
            if len(readers) != 1:
                return None
            after = readers[0]
            if after.head_product is not None:
                break
            in_step = after.in_step and after.window is None and after.output.dims == scores.output.dims
            if len(after.inputs) != 1 or not in_step or not (after.by_group or after.by_rows):
                return None
            functions.append(after)
        context = after.head_product
        if not functions or context.inputs[0] != functions[-1].name or context.heads != scores.heads:
            return None
        if context.a.split != "groups" or context.merge != "columns":
            return None
        bands = len(band_ranges(scores, self.bands.get(scores.name, 1)))
        return Attention(scores, tuple(functions), context, bands, self.order.at_once)

    def _deferred(self) -> dict[str, WeightedLayer]:
        """Layers that only the context product reads (the values): they run while the vector unit is on the first softmax."""
        out: dict[str, WeightedLayer] = {}
        layers = {layer.name: layer for layer in self.trace.layers}
        for layer in self.trace.layers:
            attention = self._attention_chain(layer)
            if attention is None or not attention.by_head:
                continue
            layer_of_values = layers.get(attention.context.inputs[1])
            values = layer_of_values.weighted if layer_of_values is not None else None
            if values is None or values.window is not None or values.inputs[0] not in layers:
                continue
            if len(self.readers[values.name]) == 1:
                out[values.name] = values
        return out

    def _heads(self, attention: Attention) -> None:
        scores, context = attention.scores, attention.context
        ranges = band_ranges(scores, attention.bands)
        for step, number in head_steps(self.order, self.batch * scores.heads * len(ranges)):
            head, band = divmod(number, len(ranges))
            part = _Part(head, number, RowTile(band, len(ranges), *ranges[band], scores.m) if len(ranges) > 1 else None)
            if step == "context" and context.inputs[1] in self.deferred:
                self._product(self.deferred.pop(context.inputs[1]))
            if step == "scores":
                self._head_product(scores, part)
                for function in attention.functions:
                    self._row_op(function, part, scores.heads)
            else:
                self._head_product(context, part)

    def _product(self, layer: MacLayer) -> None:
        """A product with weights, of all images, and the layers that are fused into it."""
        if layer.weights is None:
            raise CompileError(
                f"layer {layer.name!r}: the array computes no product {layer.op!r} without weights; allowed: 'matmul', head by head"
            )
        fused = self._fusable(layer)
        reads: list[tuple[TensorId, Role]] = [(self._read(layer.inputs[0], -1), "rows")]
        reads += [(self._read(name, -1), "operand") for item in fused for name in item.inputs if self._is_residual(name, layer, fused)]
        last = fused[-1] if fused else layer
        for item in (layer, *fused):
            self.alias[item.name] = last.name
            self.done.add(item.name)
        rows, width = self._dims(last, -1, False, 1)
        mkn = layer.m * self._images(layer), layer.k, layer.n * layer.bounds.G
        self._add(layer, fused, _ALL_HEADS, 0, reads, TensorId(last.name), (rows, width, last.output.bits, width), mkn)

    def _head_product(self, layer: MatmulLayer, part: _Part) -> None:
        """A head of a product of two activations, or a row band of it."""
        head = part.head
        reads: list[tuple[TensorId, Role]] = [(self._read_part(layer.inputs[0], part), "rows")]
        if not layer.from_cache:
            reads.append((self._read(layer.inputs[1], head), "weights"))
        merged = layer.merge == "columns"
        self.alias[layer.name] = layer.name
        self.done.add(layer.name)
        rows, width = self._dims(layer, head, merged, layer.shared)
        m = layer.m if part.row_tile is None else part.row_tile.rows
        shape = rows if merged or part.row_tile is None else m, width, layer.output.bits, layer.n * layer.shared if merged else width
        key = TensorId(layer.name) if merged else TensorId(layer.name, part.number)
        self._add(layer, (), part, head // layer.heads, reads, key, shape, (m, layer.k, layer.n))

    def _row_op(self, layer: Layer, part: _Part, parts: int) -> None:
        if layer.vector is None:
            raise CompileError(f"layer {layer.name!r}: the vector unit has no function for op {layer.op!r}")
        reads: list[tuple[TensorId, Role]] = [(self._read_part(name, part), "operand") for name in layer.inputs]
        self.done.add(layer.name)
        rows, width = self._dims(layer, part.head, False, layer.output.groups // parts)
        rows = rows if part.row_tile is None else part.row_tile.rows
        self._add(layer, (), part, 0, reads, TensorId(layer.name, part.number), (rows, width, layer.output.bits, width), (0, 0, 0))

    def _images(self, layer: Layer) -> int:
        """Images of the batch whose rows a layer has apart: all, or 1 where it has the rows of all of them together."""
        return 1 if layer.name in self.gathered else self.batch

    def _dims(self, layer: Layer, head: int, merged: bool, groups: int) -> tuple[int, int]:
        """(rows, width) of a layer's result: of `groups` of its matrices where heads are separate."""
        shape = layer.output
        if head >= 0 and not merged:
            return shape.rows * groups, shape.width
        return shape.groups * shape.rows * self._images(layer), shape.width

    def _add(
        self,
        layer: Layer,
        fused: tuple[Layer, ...],
        part: _Part,
        image: int,
        reads: Sequence[tuple[TensorId, Role]],
        writes: TensorId,
        shape: tuple[int, int, int, int],
        mkn: tuple[int, int, int],
    ) -> None:
        index = len(self.ops)
        self._tensor(writes, *shape).producers.append(index)
        for key, _ in reads:
            if key not in self.tensors:
                raise CompileError(
                    f"layer {layer.name!r}: expects a merged tensor, but {key.name!r} is stored per head; allowed: merge 'columns'"
                )
            self.tensors[key].readers.append(index)
        rows, loaded = (next((self.tensors[key].bits for key, role in reads if role == own), 8) for own in ("rows", "weights"))
        op = Op(index, layer, fused, part.head, image, tuple(reads), writes, *mkn, part.row_tile, row_bits=rows, loaded_bits=loaded)
        self.ops.append(op)

    # -- fusion

    def _fusable(self, layer: Layer) -> tuple[Layer, ...]:
        """Element-wise layers after `layer`, each the only reader of the one before, whose other operand is available already."""
        chain: list[Layer] = []
        operands = 0
        current = layer
        outputs = set(self.trace.manifest.outputs)
        while current.name not in outputs:
            readers = self.readers.get(current.name, [])
            if len(readers) != 1:
                break
            after = readers[0]
            others = [name for name in after.inputs if name != current.name]
            in_place = after.output.dims == current.output.dims  # and not broadcast over another operand
            if not (after.fusable and in_place) or len(others) != len(after.inputs) - 1 or not self.done.issuperset(others):
                break
            operands += len(others)
            if operands > MOST_FUSED_OPERANDS:
                break
            chain.append(after)
            current = after
        return tuple(chain)

    def _is_residual(self, name: str, layer: Layer, fused: tuple[Layer, ...]) -> bool:
        return name != layer.name and all(name != item.name for item in fused)


def _gathered(trace: Trace) -> frozenset[str]:
    """Layers that have the rows of all images together: those that gather rows for an expert, and what follows up to their sum."""
    found: set[str] = set()
    for layer in trace.layers:
        if layer.gathers or (layer.inputs[0] in found and not layer.combines):
            found.add(layer.name)
    return frozenset(found)
