"""The layers of a network: what each computes, on which shapes, with which weights and constants.

A layer reads earlier layers or model inputs by name and writes one activation. Batch is 1: a machine that batches repeats.
Constants beside the weights (bias, normalization, embeddings) are counted here; bias bytes are the compiler's, because
the width of a bias and of a requantization scale belongs to the machine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from accelsim.errors import TraceError
from accelsim.trace.shapes import Bound, LoopBounds, Record, TensorShape
from accelsim.trace.streams import StreamRecord, WeightRecord

__all__ = [
    "AddLayer", "ConvLayer", "EmbedLayer", "GeluLayer", "GemmLayer", "Layer", "LayerNormLayer", "LoopBounds", "MacLayer", "MatmulLayer",
    "Operand", "SoftmaxLayer", "TensorShape", "WeightRecord", "WeightedLayer",
]  # fmt: skip

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Step = Annotated[int, Field(ge=1, le=1 << 16)]
Pad = Annotated[int, Field(ge=0, le=1 << 16)]
ConstantBits = Literal[8, 16, 32]


class LayerBase(Record, ABC):
    """What every layer has.

    Attributes
    ----------
    constants
        Float32 streams by the names of `constant_sizes`, all or none: a real model's payload holds them. No timing depends on them.
    """

    name: Name
    inputs: tuple[Name, ...]
    output: TensorShape
    constants: dict[str, StreamRecord] = Field(default_factory=dict)

    def with_fields(self, **changes: object) -> Self:
        """The same layer with some fields replaced, validated again."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **changes})

    @property
    def macs(self) -> int:
        """Multiply-accumulates; 0 for vector layers."""
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

    def _refuse(self, message: str) -> TraceError:
        return TraceError(f"layer {self.name!r}: {message}")

    def _expect(self, what: str, found: tuple[int, int, int], wanted: tuple[int, int, int]) -> None:
        if found != wanted:
            as_text = " x ".join(map(str, wanted))
            raise self._refuse(f"{what} is {' x '.join(map(str, found))} (groups x rows x width), but the layer needs {as_text}")

    def _expect_inputs(self, count: int) -> None:
        if len(self.inputs) != count:
            raise self._refuse(f"has {len(self.inputs)} inputs {list(self.inputs)}; {getattr(self, 'op', 'it')} takes {count}")


class MacLayer(LayerBase):
    """A layer that runs on the MAC array."""

    bounds: LoopBounds

    @property
    def m(self) -> int:
        """GEMM rows (of one group or head)."""
        return self.bounds.m

    @property
    def k(self) -> int:
        """GEMM reduction (of one group or head)."""
        return self.bounds.k

    @property
    def n(self) -> int:
        """GEMM columns (of one group or head)."""
        return self.bounds.n

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all groups or heads."""
        return self.bounds.macs


class WeightedLayer(MacLayer):
    """A MAC layer whose second operand is weights: Wt[k, n*G]."""

    weight: WeightRecord
    bias: bool = False

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Bias."""
        return {"bias": self.bounds.K * self.bounds.G} if self.bias else {}

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weight.count + super().parameters

    @model_validator(mode="after")
    def _weight_matches_bounds(self) -> WeightedLayer:
        self._expect_inputs(1)
        wanted = (self.bounds.k, self.bounds.K * self.bounds.G)
        if (self.weight.k, self.weight.n) != wanted:
            raise self._refuse(f"weight is {self.weight.k} x {self.weight.n} (K x N), but the loop bounds need {wanted[0]} x {wanted[1]}")
        self._expect("output", self.output.dims, (1, self.bounds.m, self.bounds.K * self.bounds.G))
        return self


class GemmLayer(WeightedLayer):
    """A linear layer: Y[m,n] = A[m,k] x Wt[k,n] (+ bias).

    Attributes
    ----------
    input_row
        The one row of the input that is read (the classifier reads the class token); None: all rows.
    """

    op: Literal["gemm"] = "gemm"
    input_row: Annotated[int, Field(ge=0)] | None = None

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One matrix of k columns; its rows are m, or `input_row` selects one."""
        (source,) = shapes
        if self.input_row is not None:
            if self.m != 1 or self.input_row >= source.rows:
                raise self._refuse(
                    f"input_row={self.input_row} of an input of {source.rows} rows needs m=1 (m={self.m}) and a row that exists"
                )
            self._expect("input", source.dims, (1, source.rows, self.k))
        else:
            self._expect("input", source.dims, (1, self.m, self.k))


class ConvLayer(WeightedLayer):
    """A convolution as a GEMM of m = OY*OX, k = C*FY*FX (C slowest, then FY, then FX), n = K, one for each of G groups.

    Attributes
    ----------
    strides, padding, dilation
        (y, x); padding is the same on both sides.
    image
        (height, width) of the input.
    input_layout
        "planar": the input is one plane a channel (groups = channels, rows = height, width = width), as a model's image arrives;
        "interleaved": one row a position (rows = height*width, width = channels), as the array writes its output.
    """

    op: Literal["conv2d", "depthwise_conv2d"] = "conv2d"
    strides: tuple[Step, Step] = (1, 1)
    padding: tuple[Pad, Pad] = (0, 0)
    dilation: tuple[Step, Step] = (1, 1)
    image: tuple[Bound, Bound]
    input_layout: Literal["planar", "interleaved"]

    @model_validator(mode="after")
    def _output_positions_follow(self) -> ConvLayer:
        taps, outputs = (self.bounds.FY, self.bounds.FX), (self.bounds.OY, self.bounds.OX)
        for axis, name in enumerate(("OY", "OX")):
            span = self.dilation[axis] * (taps[axis] - 1) + 1
            wanted = (self.image[axis] + 2 * self.padding[axis] - span) // self.strides[axis] + 1
            if outputs[axis] != wanted:
                raise self._refuse(f"{name}={outputs[axis]}, but image, taps, strides, padding and dilation give {wanted}")
        depthwise = self.bounds.K == 1 and self.bounds.C == 1 and self.bounds.G > 1
        if self.op == "depthwise_conv2d" and not depthwise:
            raise self._refuse("op 'depthwise_conv2d' needs K=1 and C=1 in each of several groups")
        return self

    @property
    def input_channels(self) -> int:
        """Channels of all groups."""
        return self.bounds.C * self.bounds.G

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """The image in the stated layout."""
        height, width = self.image
        planar = self.input_layout == "planar"
        self._expect("input", shapes[0].dims, (self.input_channels, height, width) if planar else (1, height * width, self.input_channels))


class Operand(Record):
    """How the heads lie in an operand of an attention matmul.

    "columns": head h is columns [h*w, (h+1)*w) of one matrix (q, k, v, context); "groups": each head is a matrix of its own (scores).
    """

    split: Literal["columns", "groups"]


class MatmulLayer(MacLayer):
    """A product of two activations, one for each head: Y[m,n] = A[m,k] x B[k,n], or x B[n,k] transposed.

    `inputs` is (A, B). Loop bounds: OX = m, C = k, K = n, G = heads.

    Attributes
    ----------
    transposed_b
        B is stored as [n,k] (Q x K^T).
    merge
        How the heads lie in the output, as `Operand.split`.
    scale
        Factor on the product, folded into its requantization (1/sqrt(head width)).
    """

    op: Literal["matmul"] = "matmul"
    a: Operand
    b: Operand
    transposed_b: bool = False
    merge: Literal["columns", "groups"]
    scale: float = 1.0

    @property
    def heads(self) -> int:
        """Independent products."""
        return self.bounds.G

    def _operand_dims(self, split: str, rows: int, width: int) -> tuple[int, int, int]:
        return (self.heads, rows, width) if split == "groups" else (1, rows, self.heads * width)

    @model_validator(mode="after")
    def _output_matches_bounds(self) -> MatmulLayer:
        self._expect_inputs(2)
        if self.bounds.FY != 1 or self.bounds.FX != 1:
            raise self._refuse("a matmul has no filter taps; allowed: FY=1, FX=1")
        self._expect("output", self.output.dims, self._operand_dims(self.merge, self.m, self.n))
        return self

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """A of m x k and B of k x n (or n x k) a head, in the stated splits."""
        self._expect("operand a", shapes[0].dims, self._operand_dims(self.a.split, self.m, self.k))
        rows, width = (self.n, self.k) if self.transposed_b else (self.k, self.n)
        self._expect("operand b", shapes[1].dims, self._operand_dims(self.b.split, rows, width))


class _SameShapeLayer(LayerBase):
    """A vector layer whose output has its inputs' shape (not necessarily their bits)."""

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Every input has the output's groups, rows and width."""
        for name, shape in zip(self.inputs, shapes, strict=True):
            self._expect(f"input {name!r}", shape.dims, self.output.dims)


class SoftmaxLayer(_SameShapeLayer):
    """Softmax over each row of each group."""

    op: Literal["softmax"] = "softmax"

    @model_validator(mode="after")
    def _one_input(self) -> SoftmaxLayer:
        self._expect_inputs(1)
        return self


class GeluLayer(_SameShapeLayer):
    """GELU of each element."""

    op: Literal["gelu"] = "gelu"

    @model_validator(mode="after")
    def _one_input(self) -> GeluLayer:
        self._expect_inputs(1)
        return self


class AddLayer(_SameShapeLayer):
    """The sum of two activations: a residual connection."""

    op: Literal["add"] = "add"

    @model_validator(mode="after")
    def _two_inputs(self) -> AddLayer:
        self._expect_inputs(2)
        return self


class LayerNormLayer(_SameShapeLayer):
    """Layer normalization of each row, with gamma and beta of `parameter_bits` bits a channel."""

    op: Literal["layernorm"] = "layernorm"
    parameter_bits: ConstantBits = 32

    @model_validator(mode="after")
    def _one_input(self) -> LayerNormLayer:
        self._expect_inputs(1)
        return self

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Gamma and beta."""
        return {"gamma": self.output.width, "beta": self.output.width}

    @property
    def parameter_bytes(self) -> int:
        """Gamma and beta as read from memory."""
        return self.parameters * self.parameter_bits // 8


class EmbedLayer(LayerBase):
    """Put trained rows (class token) before the input's rows, and add a trained matrix (position embeddings) to all of them."""

    op: Literal["embed"] = "embed"
    prepended_rows: Annotated[int, Field(ge=0, le=1 << 16)]
    positions: bool
    parameter_bits: ConstantBits = 8

    @model_validator(mode="after")
    def _one_input(self) -> EmbedLayer:
        self._expect_inputs(1)
        return self

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One matrix, shorter than the output by the prepended rows."""
        self._expect("input", shapes[0].dims, (1, self.output.rows - self.prepended_rows, self.output.width))

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Prepended rows and position embeddings."""
        sizes = {"prepended": self.prepended_rows * self.output.width, "positions": self.output.elements if self.positions else 0}
        return {name: size for name, size in sizes.items() if size}

    @property
    def parameter_bytes(self) -> int:
        """The same as read from memory."""
        return self.parameters * self.parameter_bits // 8


Layer = Annotated[
    GemmLayer | ConvLayer | MatmulLayer | SoftmaxLayer | LayerNormLayer | GeluLayer | AddLayer | EmbedLayer,
    Field(discriminator="op"),
]
