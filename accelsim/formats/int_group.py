"""Integers with a scale per group of inputs of each output, and a zero point or none: the form of GPTQ (arXiv 2210.17323) and AWQ.

A group covers `group` neighbouring inputs of one output; the last one of an output may be shorter. Act-order (a permutation of the inputs)
is not part of the format.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Offset, Raw, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat
from accelsim.quantities import unit

KIND = "int_group"
EXAMPLES = (
    "int_group:bits=4,group=32",
    "int_group:bits=4,group=128,zero=1",
    "int_group:bits=2,group=64,zero=1",
    "int_group:bits=8,group=256",
)
_SCALE_BITS = 16


class IntGroupFormat(WeightFormat):
    """Streams: weights [K,N], scales [K/group,N] of binary16, zeros [K/group,N] with zero points; K/group is rounded up.

    Without zero points a weight is in two's complement, else w = scale * (u - zero), both unsigned.
    """

    kind: Literal["int_group"] = "int_group"

    bits: Annotated[int, Field(ge=2, le=8, description="bits of a weight")]
    group: Annotated[int, Field(ge=8, le=4096, description="inputs of a group"), unit("weights")]
    zero: Annotated[Literal[0, 1], Field(description="zero points per group, integers as wide as a weight"), unit("zero points")] = 0

    def decode_path(self) -> DecodePath:
        """Raw values, less a zero point; a scale per group."""
        scale = Scale(self.group, _SCALE_BITS)
        if not self.zero:
            return DecodePath((Raw(self.bits), scale))
        top = (1 << self.bits) - 1  # u - zero lies in -top..top
        return DecodePath((Raw(self.bits, levels=tuple(range(-top, top + 1))), Offset("zero point", self.group, self.bits), scale))

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """Any shape is taken."""
        groups = (-(-k // self.group), n)
        number: Literal["unsigned", "signed"] = "unsigned" if self.zero else "signed"
        table = {
            "weights": Stream(shape=(k, n), bits=self.bits, number=number, place="record", in_paper_count=True),
            "scales": Stream(shape=groups, bits=_SCALE_BITS, number="float", place="header", in_paper_count=False),
        }
        if self.zero:
            table["zeros"] = Stream(shape=groups, bits=self.bits, number="unsigned", place="header", in_paper_count=False)
        return table

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """The integers less their zero points: int8, of 8 bits with zero points int16."""
        weights = arrays["weights"].astype(np.int16)
        if self.zero:
            weights -= self._spread(arrays["zeros"].astype(np.int16), k)
        return weights.astype(np.int8 if self.bits + self.zero <= 8 else np.int16)

    def reconstruct(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.float64]:
        """[K,N]: integers times the scales of their groups, exact in float64."""
        scales: npt.NDArray[np.float64] = self._spread(arrays["scales"].astype(np.float64), k)
        integers: npt.NDArray[np.float64] = self.dequantize(arrays, k, n).astype(np.float64)
        return integers * scales

    def _spread(self, values: npt.NDArray[Any], k: int) -> npt.NDArray[Any]:
        """One value per input, from one per group."""
        return np.repeat(values, self.group, axis=0)[:k]


SPEC = IntGroupFormat
