"""The sizes of a layer: an activation as matrices, and the loop bounds of its multiply-accumulates.

Activations are row-major matrices as an array writes them (rows = positions or tokens, width = channels). A model's image
is the exception: its planes arrive one channel after the other, so it is `groups` = channels of height x width.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from accelsim.errors import TraceError
from accelsim.quantities import unit
from accelsim.records import FrozenModel

MAX_BOUND = 1 << 24  # of any one loop or dimension: beyond every network known
MAX_ELEMENTS = 1 << 32  # of a tensor; of a GEMM's three, (M K)(K N)(M N) = MACs^2, so its MACs stay below 2^48 and every count below 2^63
Bound = Annotated[int, Field(ge=1, le=MAX_BOUND), unit("elements")]

Loop = Annotated[Bound, unit("iterations")]


class ManifestRecord(FrozenModel):
    """Base of a manifest's records: immutable, no unknown fields, no conversions ('5' is not 5)."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class TensorShape(ManifestRecord):
    """An activation: `groups` matrices of `rows` x `width` elements of `bits` bits, row-major, one after the other.

    Attributes
    ----------
    groups
        Separate matrices: attention heads, image planes; 1 otherwise.
    rows
        Tokens or output positions (OY*OX).
    width
        Elements of a row: channels.
    bits
        Bits of an element.
    zero_point
        Integer that stands for 0, of elements in two's complement: that of unsigned ones less 128.
    """

    groups: Annotated[Bound, unit("matrices")] = 1
    rows: Annotated[Bound, unit("rows")]
    width: Bound
    bits: Literal[8, 16, 32] = 8
    zero_point: Annotated[int, Field(ge=-128, le=127, exclude_if=lambda point: point == 0), unit("steps")] = 0

    @model_validator(mode="after")
    def _bounded(self) -> TensorShape:
        if self.zero_point and self.bits != 8:
            raise TraceError(f"tensor of {self.describe()}: zero_point={self.zero_point} of {self.bits} bits; allowed: 0, or 8 bits")
        if self.elements > MAX_ELEMENTS:
            raise TraceError(f"tensor of {self.describe()} has {self.elements} elements; allowed: at most {MAX_ELEMENTS}")
        return self

    @property
    def elements(self) -> int:
        """Elements in all groups."""
        return self.groups * self.rows * self.width

    @property
    def bytes(self) -> int:
        """Bytes in all groups."""
        return self.elements * self.bits // 8

    @property
    def dims(self) -> tuple[int, int, int]:
        """(groups, rows, width)."""
        return self.groups, self.rows, self.width

    def describe(self) -> str:
        """'1 x 197 x 192' (groups x rows x width)."""
        return f"{self.groups} x {self.rows} x {self.width}"


def window_positions(size: int, taps: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Positions of a window of `taps` along an axis of `size` elements, padded by `before` and `after`; below 1 if none fits."""
    return (size + before + after - dilation * (taps - 1) - 1) // stride + 1


class LoopBounds(ManifestRecord):
    """The seven loops of a layer and its groups, in the names of the field.

    B batch, K output channels and C input channels (of one group), OY and OX output positions, FY and FX filter taps, G groups. A
    matrix product of M rows is a 1 x 1 convolution over OX = M positions; the heads of attention are G.
    """

    B: Loop = Field(default=1, description="batch")
    K: Loop = Field(description="output channels of one group")
    C: Loop = Field(description="input channels of one group")
    OY: Loop = Field(default=1, description="output rows")
    OX: Loop = Field(default=1, description="output columns; rows of a matrix product")
    FY: Loop = Field(default=1, description="filter rows")
    FX: Loop = Field(default=1, description="filter columns")
    G: Loop = Field(default=1, description="groups of a convolution, heads of attention")

    @property
    def loops(self) -> tuple[int, ...]:
        """All eight."""
        return self.B, self.K, self.C, self.OY, self.OX, self.FY, self.FX, self.G

    @property
    def m(self) -> int:
        """Rows of the GEMM of one group: B*OY*OX."""
        return self.B * self.OY * self.OX

    @property
    def k(self) -> int:
        """Reduction of the GEMM of one group: C*FY*FX, with C the slowest and FX the fastest."""
        return self.C * self.FY * self.FX

    @property
    def n(self) -> int:
        """Columns of the GEMM of one group: K."""
        return self.K

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all groups."""
        return self.m * self.k * self.n * self.G
