"""A plan: the operations of one inference in program order, and the tensors between them.

Disputable assumption: a tensor is rows of elements of one width; its layout by head or by plane depends on the reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, TypeVar

from accelsim.ops.cache_layout import CacheLayout
from accelsim.ops.operation import LineWindow
from accelsim.trace.layers import Layer, MatmulLayer, VectorLayer

MOST_OPERATIONS = 1 << 18  # of a plan; each takes some kilobytes

Role = Literal["rows", "weights", "operand"]
_Record = TypeVar("_Record", "Op", "Tensor")


class TensorId(NamedTuple):
    """An activation: the layer (after fusion: the last of the fused ones) and the head, or row band of one, it belongs to, -1 for all.

    `at` is for an activation that lies in DRAM: the operation whose rows of it are in the buffer; -1: all rows.
    """

    name: str
    part: int = -1
    at: int = -1


class Region(NamedTuple):
    """A rectangle of a tensor; of an image that arrives plane by plane, `rows` lines of each plane."""

    first_row: int
    rows: int
    first_column: int
    columns: int


@dataclass
class Tensor:
    """One activation in the order of the program.

    Attributes
    ----------
    rows, width : of all images of the batch together; bits : of an element
    producers : operations that write it, in program order; empty for a model input
    readers : operations that read it, in program order
    columns_of_producer : columns that each producer writes (the heads of an attention), width if there is one
    cache : of keys or values, in DRAM, to which its rows are appended; None: there is none
    extra_passes : of the vector unit over its rows, for the scales of a cache
    whole : the activation in DRAM of which these are rows, from `first_row` on; None: this is all of it
    first_column : of `whole`, the first of the columns that these are; they are `width` of them
    block_columns : in DRAM all rows of so many columns, those of a head, lie before those of the next; 0: row after row
    planes : planes of an image of which these are the same rows each, counted from `first_row` of a plane; 1: rows of the whole
    sources : rows of `whole`, each written to DRAM by one operation, among which are these
    passes : other cores may write what is read of `whole`, or read what is written
    partial : what one operation has accumulated of a result when it ends, for the next one to go on with
    """

    id: TensorId
    rows: int
    width: int
    bits: int
    columns_of_producer: int
    producers: list[int] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    is_input: bool = False
    is_output: bool = False
    cache: CacheLayout | None = None
    extra_passes: int = 0
    whole: Tensor | None = None
    first_row: int = 0
    first_column: int = 0
    block_columns: int = 0
    planes: int = 1
    sources: tuple[TensorId, ...] = ()
    passes: bool = False
    partial: bool = False

    @property
    def bytes(self) -> int:
        return self.rows * self.width * self.bits // 8

    @property
    def region(self) -> Region:
        """The part of `whole`, or of each of its planes, that this is; all of it where there is none."""
        return Region(self.first_row, self.rows // self.planes, self.first_column, self.width)

    @property
    def comes_by_blocks(self) -> bool:
        """True if no row of this part is complete before the last block of columns comes."""
        return self.whole is not None and 0 < self.block_columns < self.width


@dataclass(frozen=True)
class RowTile:
    """Rows of a layer's result that one operation computes: row tile `index` of `count`, `rows` from `first_row` on, of `all_rows`."""

    index: int
    count: int
    first_row: int
    rows: int
    all_rows: int

    @property
    def likeness(self) -> RowTile:
        """One for all row tiles of as many rows that are neither the first nor the last: a product's are alike but for their operands."""
        last = self.count - 1
        return RowTile(self.index if self.index in (0, last) else 1, self.count, 0, self.rows, self.all_rows)


@dataclass(frozen=True)
class ColumnTile:
    """Columns of a layer's result that one operation computes: tile `index` of `count`, `columns` of `all_columns` from `first` on.

    On one of several cores these are columns of the core's own; `before` them lie so many of other cores.
    """

    index: int
    count: int
    first: int
    columns: int
    all_columns: int
    before: int = 0

    @property
    def first_of_all(self) -> int:
        """The first of these columns, among those of all cores."""
        return self.before + self.first


@dataclass(frozen=True)
class Part:
    """One of the operations that together read an operand whose rows do not fit: `layer` is what it computes, `note` names them all."""

    layer: VectorLayer
    note: str


@dataclass(frozen=True)
class Op:
    """One operation: a product on the array with what is fused into it, or a row function of the vector unit.

    Attributes
    ----------
    layer : the layer that its cycles belong to; fused : element-wise layers that its requantization computes as well
    head : index over the batch's images and heads, -1 for a layer as a whole; image : of the batch
    reads : (tensor, role); writes : tensor
    m, k, n : of the product (m: rows of all images together for a layer as a whole)
    row_tile, column_tile : the rows (of a head its row band) and columns that it computes; None: all of them
    part : its share of the layer, where the layer accumulates what it reads; None: the layer
    row_bits, loaded_bits : of an element of a product's rows, and of the activations that are loaded as its weights
    """

    index: int
    layer: Layer
    fused: tuple[Layer, ...]
    head: int
    image: int
    reads: tuple[tuple[TensorId, Role], ...]
    writes: TensorId
    m: int = 0
    k: int = 0
    n: int = 0
    row_tile: RowTile | None = None
    column_tile: ColumnTile | None = None
    part: Part | None = None
    row_bits: int = 8
    loaded_bits: int = 8

    @property
    def row_bytes(self) -> int:
        """Bytes of an element of its rows."""
        return -(-self.row_bits // 8)

    @property
    def on_array(self) -> bool:
        return self.m > 0

    @property
    def whole_rows(self) -> int:
        """Rows of the whole product, which a row tile is part of."""
        return self.m if self.row_tile is None else self.row_tile.all_rows

    def window_of(self, role: Role) -> LineWindow | None:
        """The window in which it reads an activation: a fused residual sum reads rows, whatever the product before it does."""
        return self.layer.window if role == ("rows" if self.on_array else "operand") else None


@dataclass(frozen=True)
class Attention:
    """The layers of an attention whose heads, or row bands of them, run one after the other from the scores to the context.

    Attributes
    ----------
    scores : the first product; functions : row functions of its result, each the only reader of the one before
    bands : row bands of each head; at_once : heads or bands whose scores are needed at once, 0 for all
    """

    scores: MatmulLayer
    functions: tuple[Layer, ...]
    context: MatmulLayer
    bands: int
    at_once: int

    @property
    def by_head(self) -> bool:
        """True if whole heads run one after the other: where a softmax alone lies between the products. Row bands always do."""
        return len(self.functions) == 1 and self.functions[0].by_group

    @property
    def parts(self) -> frozenset[str]:
        """Names of the tensors that are stored by head, or row band, and live from one layer of it to the next."""
        return frozenset((self.scores.name, *(layer.name for layer in self.functions)))


@dataclass(frozen=True)
class Plan:
    """Operations in program order and the tensors between them.

    Attributes
    ----------
    in_dram : tensors of which only parts are in the buffer
    attentions : in program order; those of several row bands among them
    """

    ops: tuple[Op, ...]
    tensors: dict[TensorId, Tensor]
    head_order: str
    batch: int
    in_dram: tuple[TensorId, ...] = ()
    attentions: tuple[Attention, ...] = ()

    @cached_property
    def attention_of(self) -> dict[str, Attention]:
        """Layer -> the attention that it belongs to."""
        return {layer.name: each for each in self.attentions for layer in (each.scores, *each.functions, each.context)}

    @cached_property
    def _first_heads(self) -> dict[str, list[Op]]:
        found: dict[str, list[Op]] = {}
        for op in self.ops:
            if op.head == 0 and op.layer.name in self.attention_of:
                found.setdefault(self.attention_of[op.layer.name].scores.name, []).append(op)
        return found

    def first_heads(self, attention: Attention) -> list[Op]:
        """Operations of the first head of an attention; the others need as much."""
        return self._first_heads[attention.scores.name]

    def is_part(self, key: TensorId) -> bool:
        """True for scores or shares of a head, or of a row band of one: they never leave the buffer."""
        attention = self.attention_of.get(key.name)
        return attention is not None and key.name in attention.parts

    def in_row_tiles(self, tensor: Tensor) -> bool:
        """True if the row tiles of a layer write this tensor one after the other."""
        return bool(tensor.producers) and self.ops[tensor.producers[0]].row_tile is not None and len(tensor.producers) > 1

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer once, in the order in which the first operation of each begins."""
        return tuple({layer.name: layer for op in self.ops for layer in (op.layer, *op.fused)}.values())


def changed(record: _Record, **fields: object) -> _Record:
    """As `dataclasses.replace`, of operations and tensors, which check nothing: a plan in row tiles has tens of thousands of them."""
    copy: _Record = object.__new__(type(record))
    vars(copy).update(vars(record), **fields)
    return copy


def region_of(whole: Tensor, at: TensorId, region: Region, planes: int, *, passes: bool = False) -> Tensor:
    """A part of a tensor, which comes from the memory or goes there; with `passes` from or to other cores."""
    return changed(
        whole, id=at, rows=planes * region.rows, width=region.columns, first_row=region.first_row, first_column=region.first_column,
        planes=planes, whole=whole, producers=[], readers=[], sources=(), passes=passes,
        columns_of_producer=min(whole.columns_of_producer, region.columns),
    )  # fmt: skip
