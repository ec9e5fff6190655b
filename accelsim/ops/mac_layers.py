"""Layers that run on the MAC array: linear layers, convolutions, and products of two activations.

Disputable assumption: a convolution is one GEMM over the output positions per group; heads and groups are independent products.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from accelsim.formats.weight_format import WeightFormat
from accelsim.ops.cache_layout import CacheBits, CacheLayout
from accelsim.ops.channel_window import ChannelWindow
from accelsim.ops.operation import Floats, LayerBase, LineWindow, Pad, Step
from accelsim.ops.shapes import Bound, LoopBounds, ManifestRecord, TensorShape, window_positions
from accelsim.ops.weight_record import WeightRecord
from accelsim.quantities import unit


class MacLayer(LayerBase):
    """A layer that runs on the MAC array."""

    exact = True

    bounds: LoopBounds = Field(description="loops of the multiply-accumulates")

    @property
    def loops(self) -> LoopBounds:
        """Its bounds."""
        return self.bounds

    @property
    def product(self) -> Self:
        """Itself."""
        return self

    def merged(self, groups: int) -> Self:
        """The layer each of whose groups is `groups` of its own; itself for 1."""
        if groups > 1:
            raise self._refuse(f"{groups} groups in a tile; allowed: those of a convolution")
        return self

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

    @property
    def contiguous(self) -> int:
        """Consecutive elements of a row of A in the activation buffer: the whole row."""
        return self.k

    @property
    def sum_factor(self) -> float:
        """Factor on its sums that the requantization applies."""
        return 1.0

    def as_read(self, operand: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Activations (samples, groups, rows, width) as the functional check takes them: those of a convolution plane by plane."""
        return operand

    @abstractmethod
    def zero_terms(self, operands: Sequence[npt.NDArray[Any]], zeros: Sequence[int], weights: Mapping[str, Floats]) -> Floats:
        """The part of its sums that comes from the zero points of its operands: sum(ab) less sum((a - za)(b - zb)), of the output's shape.

        Parameters
        ----------
        operands, zeros : integers (groups, rows, width) each, and the integer of each that stands for 0
        weights : `weight` (K, N) in steps, if it has any, which have no zero point
        """

    @abstractmethod
    def joined(self, sums: Sequence[npt.NDArray[Any]], samples: int) -> npt.NDArray[Any]:
        """Sums of its groups, or of the heads of each sample in turn, each (rows, N), as one activation (samples, groups, rows, width)."""


class WeightedLayer(MacLayer):
    """A MAC layer whose second operand is weights: Wt[k, n*G]."""

    weight: WeightRecord = Field(description="the weights")
    bias: bool = Field(default=False, description="true: a bias per output channel is added")

    @property
    def weights(self) -> WeightRecord:
        """Wt[k, n*G]."""
        return self.weight

    @property
    def weighted(self) -> Self:
        """Itself."""
        return self

    @property
    def likeness(self) -> tuple[object, ...]:
        """All of a layer that its mapping, its image and its runs on a chip follow from: layers are alike where it is equal."""
        return (type(self), self.weight.format, *self.bounds.loops, self.channel_window, self.contiguous)

    @property
    def reduction_order(self) -> npt.NDArray[np.int64] | None:
        """Row of Wt[K, N] that each reduction step of the array takes, int64 (K,); None: the rows in their own order."""
        return None

    def in_format(self, weight_format: WeightFormat) -> Self:
        """Its weights in another format, without their bits."""
        return self.with_fields(weight=WeightRecord(format=weight_format, k=self.weight.k, n=self.weight.n))

    def of_outputs(self, count: int) -> Self:
        """The layer of `count` of its outputs, without their bits; of one whose outputs are all in one group."""
        if self.bounds.G > 1:
            raise self._refuse(f"{count} outputs of {self.bounds.G} groups; allowed: a layer without groups")
        weight = WeightRecord(format=self.weight.format.scaled_to(self.weight.k, count), k=self.weight.k, n=count)
        bounds = self.bounds.with_fields(K=count)
        return self.with_fields(bounds=bounds, weight=weight, output=self.output.with_fields(width=count), constants={})

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Bias."""
        return {"bias": self.bounds.K * self.bounds.G} if self.bias else {}

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weight.count + super().parameters

    def zero_terms(self, operands: Sequence[npt.NDArray[Any]], zeros: Sequence[int], weights: Mapping[str, Floats]) -> Floats:
        """The layer of an image of nothing but zero points: a constant per column, less the taps that are padding."""
        if not zeros[0]:
            return np.zeros(self.output.dims)
        return self.evaluate([np.full(operands[0].shape, float(zeros[0]))], weights)

    def joined(self, sums: Sequence[npt.NDArray[Any]], samples: int) -> npt.NDArray[Any]:
        """Groups side by side."""
        return np.hstack(sums).reshape(samples, *self.output.dims)

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
    input_row: Annotated[int, Field(ge=0), unit("row")] | None = None

    @property
    def row_read(self) -> int | None:
        """Its `input_row`."""
        return self.input_row

    @property
    def by_rows(self) -> bool:
        """Unless it reads one row alone."""
        return self.input_row is None

    def as_read(self, operand: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Its one matrix."""
        return operand[:, 0]

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The product, and the bias."""
        rows = operands[0] if self.input_row is None else operands[0][:, self.input_row : self.input_row + 1]
        return np.asarray(rows @ constants["weight"] + constants.get("bias", 0.0), np.float64)

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
    """A convolution as a GEMM of m = OY*OX, k = C*FY*FX (C slowest, then FY, then FX), n = K, one per group.

    Attributes
    ----------
    strides, padding, dilation
        (y, x); padding is that of the top and the left.
    padding_end
        (y, x) padding of the bottom and the right; None: the same as `padding`.
    image
        (height, width) of the input.
    input_layout
        "planar": the input is one plane per channel (groups = channels, rows = height, width = width), as a model's image arrives;
        "interleaved": one row per position (rows = height*width, width = channels), as the array writes its output.
    """

    op: Literal["conv2d", "depthwise_conv2d"] = "conv2d"
    strides: tuple[Step, Step] = (1, 1)
    padding: tuple[Pad, Pad] = (0, 0)
    padding_end: tuple[Pad, Pad] | None = None
    dilation: tuple[Step, Step] = (1, 1)
    image: tuple[Bound, Bound]
    input_layout: Literal["planar", "interleaved"]

    @model_validator(mode="after")
    def _output_positions_follow(self) -> ConvLayer:
        taps, outputs = (self.bounds.FY, self.bounds.FX), (self.bounds.OY, self.bounds.OX)
        for axis, name in enumerate(("OY", "OX")):
            before, after = self.padding[axis], self.far_padding[axis]
            wanted = window_positions(self.image[axis], taps[axis], self.strides[axis], before, after, self.dilation[axis])
            if outputs[axis] != wanted:
                raise self._refuse(f"{name}={outputs[axis]}, but image, taps, strides, padding and dilation give {wanted}")
        depthwise = self.bounds.K == 1 and self.bounds.C == 1 and self.bounds.G > 1
        if self.op == "depthwise_conv2d" and not depthwise:
            raise self._refuse("op 'depthwise_conv2d' needs K=1 and C=1 in each of several groups")
        return self

    @property
    def far_padding(self) -> tuple[int, int]:
        """Padding of the bottom and the right."""
        return self.padding if self.padding_end is None else self.padding_end

    @property
    def convolution(self) -> Self:
        """Itself."""
        return self

    @property
    def input_channels(self) -> int:
        """Channels of all groups."""
        return self.bounds.C * self.bounds.G

    @property
    def contiguous(self) -> int:
        """Taps of a line of a plane; or all channels of a position, and of its neighbours in the line if they are adjacent taps."""
        adjacent = self.bounds.FX if self.dilation[1] == 1 else 1
        if self.input_layout == "planar":
            return adjacent
        return self.bounds.C * adjacent if self.bounds.G == 1 else self.bounds.C

    @property
    def likeness(self) -> tuple[object, ...]:
        """The same, and where the elements of several groups in a tile lie: see `contiguous` of a merged layer."""
        return (*super().likeness, self.input_layout, self.dilation[1] == 1)

    @property
    def tile_groups(self) -> int:
        """Its groups."""
        return self.bounds.G

    def merged(self, groups: int) -> Self:
        """The convolution each of whose groups is `groups` of its own: the last one is filled up."""
        if groups == 1:
            return self
        own = self.bounds
        bounds = own.with_fields(K=own.K * groups, C=own.C * groups, G=-(-own.G // groups))
        width = bounds.K * bounds.G
        weight = WeightRecord(format=self.weight.format, k=bounds.k, n=width)
        return self.with_fields(op="conv2d", bounds=bounds, weight=weight, output=self.output.with_fields(width=width))

    @property
    def channel_window(self) -> ChannelWindow | None:
        """Its taps, if each group has one input and one output channel."""
        own = self.bounds
        if own.G == 1 or own.C != 1 or own.K != 1:
            return None
        return ChannelWindow(own.OX, own.FY, own.FX, self.strides[1], self.dilation[1] == 1, self.input_layout == "planar")

    @property
    def reduction_order(self) -> npt.NDArray[np.int64] | None:
        """FY, FX, C for an interleaved image, which holds a position's channels side by side; a trace's order is C, FY, FX.

        Codewords, groups and blocks along K pin the order of the rows that they cover, and the rows stay where they are.
        """
        taps, path = self.bounds.FY * self.bounds.FX, self.weight.format.decode_path()
        pinned = path.axis == 1 or path.scale_levels or (path.lookup is not None and path.lookup.block is not None)
        if self.input_layout != "interleaved" or taps == 1 or self.bounds.C == 1 or pinned:
            return None
        return np.arange(self.k, dtype=np.int64).reshape(self.bounds.C, taps).T.reshape(-1)

    @property
    def by_rows(self) -> bool:
        """Line by line."""
        return True

    @property
    def window(self) -> LineWindow:
        """Its taps, by lines of the image."""
        own = self.bounds
        return LineWindow.of_image(self.image, (own.OY, own.OX), (own.FY, own.FX), self.dilation, self.strides, self.padding)

    @property
    def input_planes(self) -> int:
        """Its channels, where the image arrives plane by plane."""
        return self.input_channels if self.input_layout == "planar" else 0

    def as_read(self, operand: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Its planes, (samples, channels, height, width)."""
        planes = operand if self.input_layout == "planar" else operand.transpose(0, 3, 1, 2)
        return planes.reshape(-1, self.input_channels, *self.image)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Tap by tap: the image as each tap meets it, times the weights of the tap."""
        bounds, (dy, dx), (sy, sx) = self.bounds, self.dilation, self.strides
        around = ((0, 0), *zip(self.padding, self.far_padding, strict=True))
        padded = np.pad(self.as_read(operands[0][None])[0], around)
        taps = constants["weight"].reshape(bounds.C, bounds.FY, bounds.FX, bounds.G, bounds.K)
        sums = np.zeros((bounds.G, bounds.OY * bounds.OX, bounds.K))
        for y in range(bounds.FY):
            lines = padded[:, y * dy : y * dy + (bounds.OY - 1) * sy + 1 : sy]
            for x in range(bounds.FX):
                met = lines[:, :, x * dx : x * dx + (bounds.OX - 1) * sx + 1 : sx].reshape(bounds.G, bounds.C, -1)
                sums += met.transpose(0, 2, 1) @ taps[:, y, x].transpose(1, 0, 2)
        return np.asarray(sums.transpose(1, 0, 2).reshape(self.output.dims) + constants.get("bias", 0.0), np.float64)

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """The image in the stated layout."""
        height, width = self.image
        planar = self.input_layout == "planar"
        self._expect("input", shapes[0].dims, (self.input_channels, height, width) if planar else (1, height * width, self.input_channels))


class Operand(ManifestRecord):
    """The layout of the heads in an operand of an attention matmul.

    "columns": head h is columns [h*w, (h+1)*w) of one matrix (q, k, v, context); "groups": each head is a separate matrix (scores).
    """

    split: Literal["columns", "groups"] = Field(description="columns: heads side by side in one matrix; groups: a matrix per head")


class MatmulLayer(MacLayer):
    """A product of two activations per head: Y[m,n] = A[m,k] x B[k,n], or x B[n,k] transposed.

    `inputs` is (A, B). Loop bounds: OX = m, C = k, K = n, G = heads of B.

    Attributes
    ----------
    shared
        Heads of A and of the output that meet one head of B (grouped queries, Ainslie et al., arXiv 2305.13245): head h of A meets head
        h // shared of B, which is read once for all of them. Their rows are those of one product, m of them, head after head.
    cache_rows
        Rows of B (tokens) that come from a cache in DRAM, all of them; the last are those of `inputs[1]`, which are appended to it first.
        0: they are appended, and read from the activation buffer; None: there is no cache.
    cache_bits
        Bits of an element of that cache (`accelsim.ops.cache_layout`).
    transposed_b
        B is stored as [n,k] (Q x K^T).
    merge
        Layout of the heads in the output; see `Operand.split`.
    scale
        Factor on the product, folded into its requantization (1/sqrt(head width)).
    """

    op: Literal["matmul"] = "matmul"
    a: Operand = Field(description="first operand")
    b: Operand = Field(description="second operand")
    transposed_b: bool = False
    merge: Literal["columns", "groups"]
    scale: Annotated[float, unit("ratio")] = 1.0
    shared: Annotated[Bound, Field(exclude_if=lambda count: count == 1), unit("heads")] = 1

    cache_rows: Annotated[Bound | Literal[0], unit("rows")] | None = Field(default=None, exclude_if=lambda count: count is None)
    cache_bits: Annotated[CacheBits, Field(exclude_if=lambda bits: bits == 8), unit("bits")] = 8

    @property
    def head_product(self) -> Self:
        """Itself."""
        return self

    @property
    def heads(self) -> int:
        """Independent products."""
        return self.bounds.G

    @property
    def from_cache(self) -> bool:
        """Whether B is read from a cache in DRAM."""
        return bool(self.cache_rows)

    @property
    def cache(self) -> CacheLayout | None:
        """The cache that B is appended to."""
        return None if self.cache_rows is None else CacheLayout(self.cache_bits, self.k if self.transposed_b else self.n)

    @property
    def not_checked(self) -> str:
        """No trace holds the tokens of a cache."""
        return "" if self.cache_rows is None else f"has no tokens for its cache of {self.cache_bits} bits, which belongs to a step"

    @property
    def head_rows(self) -> int:
        """Rows of one head of A."""
        return self.m // self.shared

    @staticmethod
    def _operand_dims(split: str, heads: int, rows: int, width: int) -> tuple[int, int, int]:
        return (heads, rows, width) if split == "groups" else (1, rows, heads * width)

    @model_validator(mode="after")
    def _output_matches_bounds(self) -> MatmulLayer:
        self._expect_inputs(2)
        if self.bounds.FY != 1 or self.bounds.FX != 1:
            raise self._refuse("a matmul has no filter taps; allowed: FY=1, FX=1")
        if self.cache_bits != 8 and self.cache_rows is None:
            raise self._refuse(f"cache_bits={self.cache_bits} without a cache (cache_rows); allowed: 8")
        if self.m % self.shared:
            raise self._refuse(f"shared={self.shared}; allowed: divisors of its {self.m} rows")
        self._expect("output", self.output.dims, self._operand_dims(self.merge, self.heads * self.shared, self.head_rows, self.n))
        return self

    @property
    def sum_factor(self) -> float:
        """Its scale."""
        return self.scale

    def joined(self, sums: Sequence[npt.NDArray[Any]], samples: int) -> npt.NDArray[Any]:
        """Heads in the layout of the output."""
        heads = np.stack(sums).reshape(samples, self.heads * self.shared, self.head_rows, self.n)
        return heads if self.merge == "groups" else heads.transpose(0, 2, 1, 3).reshape(samples, *self.output.dims)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Head by head."""
        a = self._heads_of(operands[0], self.a.split, self.heads * self.shared)
        b = self._heads_of(operands[1], self.b.split, self.heads).repeat(self.shared, axis=0)
        product = a @ (b.transpose(0, 2, 1) if self.transposed_b else b)
        return np.asarray(self.scale * self.joined(list(product), 1)[0], np.float64)

    def zero_terms(self, operands: Sequence[npt.NDArray[Any]], zeros: Sequence[int], weights: Mapping[str, Floats]) -> Floats:
        """zb x the sums of A's rows + za x the sums of B's columns - K za zb."""
        (za, zb), heads = zeros, self.heads * self.shared
        rows = self._heads_of(operands[0].astype(np.float64), self.a.split, heads).sum(2, keepdims=True)
        b = self._heads_of(operands[1].astype(np.float64), self.b.split, self.heads).repeat(self.shared, axis=0)
        columns = b.sum(2)[:, None, :] if self.transposed_b else b.sum(1, keepdims=True)
        return np.asarray(self.joined(list(zb * rows + za * columns - self.k * za * zb), 1)[0], np.float64)

    @staticmethod
    def _heads_of(operand: Floats, split: str, heads: int) -> Floats:
        """(heads, rows, width)."""
        return operand if split == "groups" else operand[0].reshape(operand.shape[1], heads, -1).transpose(1, 0, 2)

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """A of m x k and B of k x n (or n x k) per head, in the stated splits."""
        first = self._operand_dims(self.a.split, self.heads * self.shared, self.head_rows, self.k)
        self._expect("operand a", shapes[0].dims, first)
        rows, width = (self.n, self.k) if self.transposed_b else (self.k, self.n)
        if self.from_cache:
            if self.cache_rows != rows or shapes[1].rows > rows:
                raise self._refuse(f"cache_rows={self.cache_rows} of {rows} rows, {shapes[1].rows} of them appended; allowed: all rows")
            rows = shapes[1].rows
        self._expect("operand b", shapes[1].dims, self._operand_dims(self.b.split, self.heads, rows, width))
