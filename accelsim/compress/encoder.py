"""What an encoder is: float weights in, the arrays of a format out; one module a format, found by its KIND.

The error is measured on what the format can say (integers times scales), not on the encoder's intermediate floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.weight_format import WeightFormat
from accelsim.registry import lookup

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]


def encode(spec: WeightFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """The arrays of `spec` for the weights Wt[K,N], float32.

    Raises
    ------
    FormatError
        The format has no encoder, does not fit the shape, or the weights are not finite.
    """
    k, n = weights.shape
    spec.streams(k, n)
    if not bool(np.all(np.isfinite(weights))):
        raise FormatError("the weights hold NaN or an infinity")
    encoder = lookup(__package__, spec.kind, "encoder", FormatError)
    return cast(Callable[[WeightFormat, Floats, np.random.Generator], Arrays], encoder.encode)(spec, weights, rng)


def reconstruct(spec: WeightFormat, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.float64]:
    """The weights that the arrays stand for, float64 [K,N]: integers times scales."""
    integers = spec.dequantize(arrays, k, n).astype(np.float64)
    return integers * arrays["scales"].astype(np.float64) if "scales" in arrays else integers


def channel_range(weights: Floats, granularity: str) -> npt.NDArray[np.float32]:
    """Largest magnitude of the tensor [1] or of each output [N]; 1 where all weights are 0, so that a scale is never 0."""
    largest = np.abs(weights).max(axis=0) if granularity == "channel" else np.abs(weights).max().reshape(1)
    return np.where(largest > 0, largest, np.float32(1)).astype(np.float32)
