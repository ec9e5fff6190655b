"""VecQ (IEEE TC 2020, arXiv 2005.08501): W = alpha * v, half-integers v with no level at zero, and no codebook to decode.

Stored is u = v - 1/2, b bits in two's complement; the array multiplies 2v = 2u + 1, which is u with a 1 appended below its lowest
bit: wires, but one bit more. So b = 8 needs nine bits per multiplier operand, and an 8-bit array takes b of at most 7.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.formats.decode_path import DecodePath, raw_path
from accelsim.formats.parts import Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat, scale_stream

KIND = "vecq"
EXAMPLES = ("vecq:bits=2", "vecq", "vecq:bits=7", "vecq:bits=8")


class VecqFormat(WeightFormat):
    """Streams: weights [K,N] of `bits` bits (u), and the scale alpha / 2 of the layer."""

    kind: Literal["vecq"] = "vecq"
    bits: Annotated[int, Field(ge=2, le=8, description="bits of a weight")] = 4

    def decode_path(self) -> DecodePath:
        """Raw values that stand for odd integers."""
        return raw_path(self.bits, Scale("tensor"), odd=True)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """Any shape is taken."""
        return {
            "weights": Stream(shape=(k, n), bits=self.bits, number="signed", place="record", in_paper_count=True),
            "scales": scale_stream("tensor", n),
        }

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """The odd integers 2u + 1, -(2^b - 1)..2^b - 1: int8 up to 7 bits, int16 for 8."""
        stored = arrays["weights"].astype(np.int16)
        return (2 * stored + 1).astype(np.int8 if self.bits < 8 else np.int16)


SPEC = VecqFormat
