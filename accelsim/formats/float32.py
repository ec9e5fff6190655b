"""Uncompressed float32 weights, as an importer writes them.

No decode path of the core takes them: encoders read a float trace, and the compiler requires compressed weights.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.decode_path import DecodePath, raw_path
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat

KIND = "float32"
EXAMPLES = ("float32",)


class Float32Format(WeightFormat):
    """Streams: weights [K,N] of 32 bits."""

    packed = False

    kind: Literal["float32"] = "float32"

    def decode_path(self) -> DecodePath:
        """Raw values of 32 bits, which no preset's array multiplies."""
        return raw_path(32)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """Any shape is taken."""
        return {"weights": Stream(shape=(k, n), bits=32, number="float", place="record", in_paper_count=True)}

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Refuse NaN and infinity before they reach an encoder."""
        if not bool(np.all(np.isfinite(arrays["weights"].astype(np.float32, copy=False)))):
            raise FormatError("float32 stream 'weights': holds NaN or an infinity")

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """The float32 weights themselves: this is the one format whose result is not an integer."""
        return arrays["weights"].astype(np.float32, copy=False)


SPEC = Float32Format
