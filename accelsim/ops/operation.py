"""The base of every operation: its record (name, inputs, output, trained constants), and the properties that the rest queries.

Planner, row tiles, lowering, importers and functional check query these properties, never the class.
Disputable assumption: a layer writes one activation and reads whole activations; batch is 1, a machine that batches repeats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, StringConstraints, model_validator

from accelsim.errors import TraceError
from accelsim.formats.weight_format import WeightFormat
from accelsim.ops.grid import Grid
from accelsim.ops.shapes import LoopBounds, ManifestRecord, TensorShape
from accelsim.ops.weight_record import StreamRecord, WeightRecord
from accelsim.quantities import unit

if TYPE_CHECKING:
    from accelsim.ops.cache_layout import CacheLayout
    from accelsim.ops.channel_window import ChannelWindow
    from accelsim.ops.experts import ExpertsLayer
    from accelsim.ops.mac_layers import ConvLayer, MacLayer, MatmulLayer, WeightedLayer
    from accelsim.ops.route import RouteLayer

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Step = Annotated[int, Field(ge=1, le=1 << 16), unit("elements")]
Pad = Annotated[int, Field(ge=0, le=1 << 16), unit("elements")]
ConstantBits = Annotated[Literal[8, 16, 32], Field(description="width of the layer's trained constants as read from memory")]
Floats = npt.NDArray[np.float64]  # (groups, rows, width)
Integers = npt.NDArray[np.int64]  # (rows, width), or (groups, rows, width)
_TABLE_BITS = 16  # of an operand, up to which a function of one element is computed once per value and looked up


@dataclass(frozen=True)
class LineWindow:
    """The window of input lines from which a line of an image is computed.

    Attributes
    ----------
    height, width : lines of the input image, and positions per line
    lines, positions : the same of the result; a signal of one line is taken as lines of one position
    span : input lines that a window covers; taps : positions that it reads of a line
    stride : lines from one window to the next; padding : lines above the image
    """

    height: int
    width: int
    lines: int
    positions: int
    span: int
    taps: int
    stride: int
    padding: int

    @classmethod
    def of_image(
        cls, image: tuple[int, int], result: tuple[int, int], taps: tuple[int, int], dilation: tuple[int, int], strides: tuple[int, int],
        padding: tuple[int, int],
    ) -> LineWindow:  # fmt: skip
        """The window of an image, each argument (along y, along x); of a signal of one line, each of whose positions is a line."""
        if image[0] == result[0] == taps[0] == 1:
            return cls(image[1], 1, result[1], 1, dilation[1] * (taps[1] - 1) + 1, 1, strides[1], padding[1])
        return cls(*image, *result, dilation[0] * (taps[0] - 1) + 1, taps[1], strides[0], padding[0])


@dataclass(frozen=True)
class Partial:
    """A row of what an operation has so far of a line of its result, or of an image: `width` elements of `bits` bits."""

    width: int
    bits: int


@dataclass(frozen=True)
class Piece:
    """Consecutive elements of operand number `operand`, which one row of a result needs."""

    operand: int
    elements: int


class LayerBase(ManifestRecord, ABC):
    """The base of all layers.

    Attributes
    ----------
    exact
        Up to its requantization it is exact integers, which the functional check compares with a twin.
    fusable
        The requantization of a product can compute it as well, element by element; a second operand must be available already.
    by_group
        Each group (an attention head) is computed separately, as soon as it is available.
    rearranges
        Its result is one tensor of the chosen order, even where its operands are stored group by group.
    residual
        Its result continues a residual connection, whose width importers choose apart from that of other activations.
    constants
        Float32 streams by the names of `constant_sizes`, all or none: a real model's payload holds them. No timing depends on them.
    neutral_constants
        Value of a constant where a seeded trace is executed, which stores none, by name; 0 for the others.
    """

    if TYPE_CHECKING:
        op: str  # the operation within the layer's kind

    exact: ClassVar[bool] = False
    fusable: ClassVar[bool] = False
    by_group: ClassVar[bool] = False
    rearranges: ClassVar[bool] = False
    residual: ClassVar[bool] = False
    neutral_constants: ClassVar[Mapping[str, float]] = {}

    name: Name = Field(description="name of the layer and of its output")
    inputs: tuple[Name, ...] = Field(description="names of earlier layers or model inputs that it reads")
    output: TensorShape = Field(description="shape of its output")
    constants: dict[str, StreamRecord] = Field(default_factory=dict)

    @property
    def macs(self) -> int:
        """Multiply-accumulates; 0 for vector layers."""
        return 0

    @property
    def loops(self) -> LoopBounds | None:
        """Loops of its multiply-accumulates; None for vector layers."""
        return None

    @property
    def weights(self) -> WeightRecord | None:
        """Its trained matrix; None without one."""
        return None

    @property
    def product(self) -> MacLayer | None:
        """Itself, if the MAC array computes it."""
        return None

    @property
    def weighted(self) -> WeightedLayer | None:
        """Itself, if it is a product with weights."""
        return None

    @property
    def head_product(self) -> MatmulLayer | None:
        """Itself, if it is a product of two activations, head by head."""
        return None

    @property
    def cache(self) -> CacheLayout | None:
        """The cache in DRAM to which its second operand is appended; None if there is none."""
        return None

    @property
    def from_cache(self) -> bool:
        """Whether it reads its second operand from that cache."""
        return False

    @property
    def not_checked(self) -> str:
        """Why no functional check can multiply it; '' if one can."""
        return ""

    @property
    def convolution(self) -> ConvLayer | None:
        """Itself, if it is a convolution with weights."""
        return None

    @property
    def expert_product(self) -> ExpertsLayer | None:
        """Itself, if it is a product with weights of which each row chooses some."""
        return None

    @property
    def router(self) -> RouteLayer | None:
        """Itself, if it chooses the experts of each token."""
        return None

    @property
    def gathers(self) -> bool:
        """Whether its rows are those that some tokens of all sequences of a batch share."""
        return False

    @property
    def combines(self) -> bool:
        """True if it adds up the rows of each token's experts."""
        return False

    @property
    def vector(self) -> VectorLayer | None:
        """Itself, if the vector unit computes it."""
        return None

    def step_fields(self, tokens: int, context: int) -> dict[str, Any]:
        """Fields that differ, besides its shape, where the network works on `tokens` tokens behind `context` in its caches."""
        return {}

    @property
    def causal_reach(self) -> int | None:
        """Tokens that a row of a causal attention sees, its own the last, 0 for all; None if it is no softmax of such scores."""
        return None

    @property
    def with_positions(self) -> Self | None:
        """The same operation that adds position embeddings as well; None if it cannot."""
        return None

    @property
    def tile_groups(self) -> int:
        """Groups of a product that share no tile unless the compiler merges them: those of a convolution."""
        return 1

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """True if no element of the result can be below 0, given for each operand whether that is known of it."""
        return False

    @property
    def channel_window(self) -> ChannelWindow | None:
        """The window by which each output channel reads one input channel of its own: that of a depthwise convolution."""
        return None

    @property
    def row_read(self) -> int | None:
        """The one row of the input that is read; None: all rows."""
        return None

    def in_format(self, weight_format: WeightFormat) -> Self:
        """The layer with its weights in another format, without their bits; itself if it has none."""
        return self

    @property
    def by_rows(self) -> bool:
        """True if each row, or line, of the result needs only some rows, or a window of lines, of the input."""
        return False

    @property
    def in_step(self) -> bool:
        """True if a row of the result needs the same row of each operand and no other; of a result by windows it says nothing."""
        return True

    def operand_rows(self, operand: int, first_row: int, rows: int) -> tuple[int, int]:
        """(first row, rows) of an operand, of all images, that these rows of a result `by_rows` without a window need; (0, 0): none."""
        return first_row, rows

    @property
    def window(self) -> LineWindow | None:
        """The window of lines that a line of the result needs; None if row maps to row."""
        return None

    @property
    def partial(self) -> Partial | None:
        """The results that it accumulates where the rows of its operand are not in the buffer together; None if it needs them together.

        With a window, a line of the result is accumulated from lines of the operand (`of_lines`). Without one, moments of all rows of an
        image are, before any row of the result is computed (`in_two_passes`).
        """
        return None

    def of_lines(self, line: int, first: int, lines: int) -> VectorLayer:
        """The share that `lines` input lines, from `first` on, have in a line of the result, as a layer that reads nothing else."""
        raise self._refuse("needs its operand whole")

    def in_two_passes(self) -> tuple[VectorLayer, VectorLayer]:
        """(the moments of some rows, the rows of the result given the moments), as layers whose rows are those of the operand."""
        raise self._refuse("needs its operand whole")

    @property
    def input_planes(self) -> int:
        """Consecutive planes of the input image, of which each line of the result needs the same lines; 0 without planes."""
        return 0

    @property
    def leading_rows(self) -> int:
        """Rows of the result before the one computed from the first row of the input."""
        return 0

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Trained numbers besides the weights, by name."""
        return {}

    @property
    def parameters(self) -> int:
        """Trained numbers: weights, biases, normalization, embeddings."""
        return sum(self.constant_sizes.values())

    @property
    def parameter_bytes(self) -> int:
        """Bytes read from memory besides weights and bias."""
        return 0

    @model_validator(mode="after")
    def _constants_are_those_of_the_op(self) -> Self:
        found = {name: record.bits for name, record in self.constants.items()}
        wanted = {name: 32 * size for name, size in self.constant_sizes.items()}
        if found and found != wanted:
            raise self._refuse(f"constants hold {found} bits; the layer has {wanted} (float32)")
        return self

    @abstractmethod
    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Check that the inputs' shapes are those this layer reads; TraceError if not."""

    @abstractmethod
    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The operation by its definition: operands and result float64 (groups, rows, width), constants and "weight" (K, N) by name."""

    def _refuse(self, message: str) -> TraceError:
        return TraceError(f"layer {self.name!r}: {message}")

    def _expect(self, what: str, found: tuple[int, int, int], wanted: tuple[int, int, int]) -> None:
        if found != wanted:
            as_text = " x ".join(map(str, wanted))
            raise self._refuse(f"{what} is {' x '.join(map(str, found))} (groups x rows x width), but the layer needs {as_text}")

    def _expect_inputs(self, count: int) -> None:
        if len(self.inputs) != count:
            raise self._refuse(f"has {len(self.inputs)} inputs {list(self.inputs)}; {self.op} takes {count}")


class VectorLayer(LayerBase):
    """An operation of the vector unit.

    Attributes
    ----------
    operands
        Activations that it reads.
    tabulated
        A function of one element and nothing else, as a table holds it.
    scale_free
        A factor on its operand leaves the result as it is.
    walk
        Order of access to the data: element by element, by whole rows, or by windows of an image.
    pass_name, default_passes, least_passes
        Field of the chip's `vector_unit.passes` that says how often it passes over the data, its default and the least allowed.
    pass_note
        The meaning of that field, beyond "passes over a row".
    constant_defaults
        Value of a trained constant that a model leaves out, by the names of `constant_sizes` in the order of a model's inputs.
    importer_names
        Operations of ONNX and of PyTorch's exported graphs identified as this one by name alone -> fields of the record.
    """

    operands: ClassVar[int] = 1
    tabulated: ClassVar[bool] = False
    scale_free: ClassVar[bool] = False
    walk: ClassVar[Literal["elements", "rows", "windows"]] = "elements"
    pass_name: ClassVar[str]
    default_passes: ClassVar[int]
    least_passes: ClassVar[int] = 1
    pass_note: ClassVar[str] = ""
    constant_defaults: ClassVar[Mapping[str, float]] = {}
    importer_names: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    if TYPE_CHECKING:
        parameter_bits: ConstantBits  # a field of each operation that has constants

    @property
    def parameter_bytes(self) -> int:
        """Its constants as read from memory."""
        count = sum(self.constant_sizes.values())
        return count * self.parameter_bits // 8 if count else 0

    @model_validator(mode="after")
    def _inputs_are_the_operands(self) -> Self:
        self._expect_inputs(self.operands)
        return self

    @property
    def vector(self) -> VectorLayer:
        """Itself."""
        return self

    @property
    def by_rows(self) -> bool:
        """True: rows of the result need the same rows of the operands."""
        return True

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Every input has the output's groups, rows and width (not necessarily its bits)."""
        for name, shape in zip(self.inputs, shapes, strict=True):
            self._expect(f"input {name!r}", shape.dims, self.output.dims)

    def row_work(self, chip: Callable[[str], int], width: int, lanes: int) -> tuple[int, int]:
        """(elements, passes over them) of a row of `width` elements that is not fused, on a unit of so many lanes (0: ideal)."""
        return width, self.passes(chip, False)

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        """Passes over a row of the result on a chip that makes `chip(pass_name)` of them, fused into a requantization or alone."""
        return chip(self.pass_name)

    def row_pieces(self, widths: Sequence[int]) -> list[Piece]:
        """Consecutive pieces of the operands, whose rows have these widths, that are read for one row of the result."""
        if self.window is not None:
            lines = 1 if self.window.width > 1 else self.window.span  # that are one piece
            return [Piece(0, widths[0] * self.window.taps * lines)] * (self.window.span // lines)
        return [Piece(operand, width) for operand, width in enumerate(widths)]

    def integers(self, operands: Sequence[Integers], grids: Sequence[Grid], constants: Mapping[str, Floats], result: Grid) -> Integers:
        """The operation on integers: by its definition on the values for which they stand, rounded once to the grid of the result.

        Parameters
        ----------
        operands, grids : int64 (groups, rows, width) each, and what they stand for
        constants : by name, as the payload stores them
        """
        with np.errstate(all="ignore"):  # an infinity saturates, and NaN is 0
            if self.tabulated and grids[0].bits <= _TABLE_BITS:
                lowest, highest = grids[0].range
                values = grids[0].real(np.arange(lowest, highest + 1)).reshape(1, 1, -1)
                return result.quantize(self.evaluate([values], constants)).reshape(-1)[operands[0] - lowest]
            if self.scale_free:  # of the integers themselves, equal elements have a deviation of 0
                grids = [replace(grid, scale=1.0) for grid in grids]
            reals = [grid.real(operand) for grid, operand in zip(grids, operands, strict=True)]
            return result.quantize(self.evaluate(reals, constants))

    def unit_sums(self, image: npt.NDArray[np.int8]) -> Integers:
        """Of an `exact` operation: its result of int8 (rows, width) before requantization, read by address as the vector unit does."""
        raise self._refuse("is not computed in exact integers")

    def exact_sums(self, image: npt.NDArray[np.int8]) -> Integers:
        """Of an `exact` operation: the same by its definition, for the functional check."""
        raise self._refuse("is not computed in exact integers")
