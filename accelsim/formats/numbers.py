"""Number formats of the factors of groups: integers, binary16, and the 8-bit floats of the Microscaling formats."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
_BINARY32 = 32
NumberFormat = Literal["float", "integer", "signed", "e8m0", "ue4m3"]


def read_numbers(codes: npt.NDArray[Any], bits: int, number: NumberFormat) -> npt.NDArray[np.float64]:
    """float64 of unsigned `codes` of `bits` bits, exact; "signed" is two's complement, "float" binary16 or, of 32 bits, binary32."""
    if number == "integer":
        return codes.astype(np.float64)
    if number == "signed":
        wide = codes.astype(np.int64)
        return (wide - (wide >> bits - 1 << bits)).astype(np.float64)
    if number == "float" and bits == _BINARY32:
        return codes.astype(np.uint32).view(np.float32).astype(np.float64)
    return read_floats(codes.astype(np.uint16 if number == "float" else np.uint8), number).astype(np.float64)


def read_floats(codes: npt.NDArray[Any], number: NumberFormat) -> Float32:
    """float32 of binary16, of an exponent (e8m0, halved as its doubled fractions want), or of an unsigned e4m3 (halved likewise)."""
    if number == "float":
        return codes.view(np.float16).astype(np.float32)
    scales: Float32 = _eight_bit_scales(number)[codes]
    return scales


@cache
def _eight_bit_scales(number: str) -> Float32:
    """The float32 of each 8-bit scale."""
    code = np.arange(256)
    if number == "e8m0":
        return np.ldexp(1.0, code - 128).astype(np.float32)
    exponent, fraction = code >> 3 & 15, code & 7
    normal = np.ldexp(1 + fraction / 8, exponent - 8)
    values = np.where(exponent > 0, normal, np.ldexp(fraction / 8, -7))
    values[0x7F] = 0  # NaN in e4m3: read as 0, as GGUF's decoders do
    return values.astype(np.float32)
