"""The interface of an encoder: float weights in, the arrays of a format out; one module per format, found by its KIND.

The error is measured on the values that the format can represent (integers times scales), not on the encoder's intermediate floats.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.weight_format import WeightFormat
from accelsim.registry import lookup

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]
Codebook = npt.NDArray[np.int8]
SMALLEST = float(np.finfo(np.float32).tiny / np.finfo(np.float32).eps)  # of a range: its scale, however fine, is a normal float32


@dataclass(frozen=True)
class Matrix:
    """Weights Wt[K,N] that are loaded when they are needed, so that one matrix of a network at a time is in memory."""

    k: int
    n: int
    load: Callable[[], Floats]


def encode(spec: WeightFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """The arrays of `spec` for the weights Wt[K,N], float32.

    Raises
    ------
    FormatError
        The format has no encoder, does not fit the shape, or the weights are not finite.
    """
    _check(spec, weights)
    return cast(Callable[[WeightFormat, Floats, np.random.Generator], Arrays], find_encoder(spec).encode)(spec.quantizer, weights, rng)


def encode_with(spec: WeightFormat, weights: Floats, codebook: Codebook) -> Arrays:
    """The arrays of `spec`, whose codebook is shared, for the weights Wt[K,N] and a codebook that is given; errors as `encode`."""
    _check(spec, weights)
    return cast(Callable[[WeightFormat, Floats, Codebook], Arrays], find_encoder(spec).encode_with)(spec.quantizer, weights, codebook)


def make_codebook(spec: WeightFormat, networks: Sequence[Sequence[Matrix]], rng: np.random.Generator) -> Codebook:
    """The codebook [k, d] that the networks share, drawn from the matrices of each.

    Raises
    ------
    FormatError
        The format has no encoder, or does not fit a matrix.
    """
    make = cast(Callable[[WeightFormat, Sequence[Sequence[Matrix]], np.random.Generator], Codebook], find_encoder(spec).make_codebook)
    return make(spec.quantizer, networks, rng)


def find_encoder(spec: WeightFormat) -> ModuleType:
    """The module that encodes a format; FormatError if none does."""
    return lookup(__package__, spec.quantizer.kind, "encoder", FormatError)


def reconstruct(spec: WeightFormat, arrays: Mapping[str, npt.NDArray[Any]], k: int, n: int) -> npt.NDArray[np.float64]:
    """The weights that the arrays stand for, float64 [K,N]."""
    return spec.reconstruct(arrays, k, n)


def layer_generator(seed: int, layer: str) -> np.random.Generator:
    """The generator of one layer's encoder: neither the order of the layers nor their company changes it."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(layer.encode())])))


def _check(spec: WeightFormat, weights: Floats) -> None:
    spec.streams(*weights.shape)
    if not bool(np.all(np.isfinite(weights))):
        raise FormatError("the weights hold NaN or an infinity")


def channel_range(weights: Floats, granularity: str) -> Floats:
    """Largest magnitude of the tensor [1] or of each output [N]; 1 where it is below `SMALLEST`, where weights count as 0."""
    largest = np.abs(weights).max(axis=0) if granularity == "channel" else np.abs(weights).max().reshape(1)
    return np.where(largest >= SMALLEST, largest, np.float32(1)).astype(np.float32)
