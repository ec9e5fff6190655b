"""Integers with a scale per group of inputs of each output: the form of GPTQ (arXiv 2210.17323), AWQ and mlx.

A group has an integer zero point (GPTQ, AWQ), a minimum of its own (mlx), or neither. It covers `group` neighbouring inputs of one output;
the last one of an output may be shorter. Act-order is not part of the format: a trace gathers the inputs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from accelsim.errors import FormatError
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Offset, Raw, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat
from accelsim.quantities import unit

KIND = "int_group"
EXAMPLES = (
    "int_group:bits=4,group=32",
    "int_group:bits=4,group=128,zero=1",
    "int_group:bits=2,group=64,zero=1",
    "int_group:bits=3,group=32,zero=1",
    "int_group:bits=4,group=64,minimum=1",
    "int_group:bits=8,group=256",
    "int_group:bits=8,group=128,zero=1",
)
_SCALE_BITS = 16


class IntGroupFormat(WeightFormat):
    """Streams: weights [K,N], scales [K/group,N] of binary16, and zeros or minima [K/group,N]; K/group is rounded up.

    w = scale * (u - zero) with zero points, scale * u + minimum with minima, u unsigned; without either a weight is in two's complement.
    """

    kind: Literal["int_group"] = "int_group"

    bits: Annotated[int, Field(ge=2, le=8, description="bits of a weight")]
    group: Annotated[int, Field(ge=8, le=4096, description="inputs of a group"), unit("weights")]
    zero: Annotated[Literal[0, 1], Field(description="zero points per group, integers as wide as a weight"), unit("zero points")] = 0
    minimum: Annotated[
        Literal[0, 1], Field(description="minima per group, of binary16", exclude_if=lambda count: count == 0), unit("minima")
    ] = 0

    @model_validator(mode="after")
    def _one_offset(self) -> IntGroupFormat:
        if self.zero and self.minimum:
            raise FormatError("format 'int_group': zero=1 and minimum=1 exclude each other; allowed: one of them")
        return self

    def decode_path(self) -> DecodePath:
        """Raw values, less a zero point; a scale per group; then its minimum."""
        scale = Scale(self.group, _SCALE_BITS)
        unsigned = Raw(self.bits, levels=tuple(range(1 << self.bits)), less=128 if self.bits == 8 else 0)  # 8 bits hold -128 to 127
        if self.minimum:
            return DecodePath((unsigned, scale, Offset("minimum", self.group, _SCALE_BITS, "minima", "float")))
        if self.zero:  # the integers less their zero points have as many bits as those from 0 on, so 9 where the sums take them
            return DecodePath((unsigned, Offset("zero point", self.group, self.bits, "zeros"), scale))
        return DecodePath((Raw(self.bits), scale))

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """Any shape is taken."""
        groups = (-(-k // self.group), n)
        number: Literal["unsigned", "signed"] = "unsigned" if self.zero or self.minimum else "signed"
        table = {
            "weights": Stream(shape=(k, n), bits=self.bits, number=number, place="record", in_paper_count=True),
            "scales": Stream(shape=groups, bits=_SCALE_BITS, number="float", place="header", in_paper_count=False),
        }
        if self.zero:
            table["zeros"] = Stream(shape=groups, bits=self.bits, number="unsigned", place="header", in_paper_count=False)
        if self.minimum:
            table["minima"] = Stream(shape=groups, bits=_SCALE_BITS, number="float", place="header", in_paper_count=False)
        return table

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Minima are finite."""
        if self.minimum and not np.isfinite(arrays["minima"]).all():
            raise FormatError("int_group stream 'minima': holds NaN or an infinity")

    def _check_scales(self, arrays: Arrays) -> None:
        """Beside a minimum, a scale may be negative: mlx counts from the end of the range that it keeps exactly."""
        super()._check_scales({"scales": np.abs(arrays["scales"])} if self.minimum else arrays)

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """The integers less their zero points: int8, of 8 bits with zero points or minima int16."""
        weights = arrays["weights"].astype(np.int16)
        if self.zero:
            weights -= self._spread(arrays["zeros"].astype(np.int16), k)
        return weights.astype(np.int8 if self.bits + self.zero + self.minimum <= 8 else np.int16)

    def reconstruct(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.float64]:
        """[K,N]: integers times the scales of their groups, exact in float64; plus their minima."""
        scales: npt.NDArray[np.float64] = self._spread(arrays["scales"].astype(np.float64), k)
        integers: npt.NDArray[np.float64] = self.dequantize(arrays, k, n).astype(np.float64)
        return integers * scales + (self._spread(arrays["minima"].astype(np.float64), k) if self.minimum else 0.0)

    def _spread(self, values: npt.NDArray[Any], k: int) -> npt.NDArray[Any]:
        """One value per input, from one per group."""
        return np.repeat(values, self.group, axis=0)[:k]


SPEC = IntGroupFormat
