"""Uniform quantization: b-bit two's-complement integers, one float32 scale per tensor or per output channel.

The zero point is 0: the grid is symmetric, and the value -2^(b-1) is stored but never chosen by our encoder.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.formats.decode_path import DecodePath, raw_path
from accelsim.formats.parts import Scale
from accelsim.formats.weight_format import Arrays, ScaleGranularity, Stream, WeightFormat, scale_stream

KIND = "uniform"
EXAMPLES = ("uniform", "uniform:bits=2,scale=tensor", "uniform:bits=5", "uniform:bits=16")


class UniformFormat(WeightFormat):
    """Streams: weights [K,N] of `bits` bits, scales."""

    suits_all_layers = True

    kind: Literal["uniform"] = "uniform"
    bits: Annotated[int, Field(ge=2, le=16, description="bits of a weight")] = 8
    scale: ScaleGranularity = "channel"

    def decode_path(self) -> DecodePath:
        """Raw values: no index, no codebook."""
        return raw_path(self.bits, Scale(self.scale))

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """Any shape is taken."""
        return {
            "weights": Stream(shape=(k, n), bits=self.bits, number="signed", place="record", in_paper_count=True),
            "scales": scale_stream(self.scale, n),
        }

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """The stored integers: int8 up to 8 bits, int16 above."""
        return arrays["weights"].astype(np.int8 if self.bits <= 8 else np.int16, copy=False)


SPEC = UniformFormat
