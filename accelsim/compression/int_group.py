"""Encoder of group quantization: round to nearest; the scale from a group's largest magnitude, or from its range where it has an offset.

Neither GPTQ's error feedback nor AWQ's activation-aware scaling takes place: sizes and traffic are theirs, and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.compression.encoder import Arrays, Floats
from accelsim.errors import FormatError
from accelsim.formats.int_group import IntGroupFormat

Doubles = npt.NDArray[np.float64]
KIND = "int_group"
_LEAST = float(np.finfo(np.float16).smallest_normal)
_MOST = float(np.finfo(np.float16).max)


def encode(spec: IntGroupFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `weights` [K,N], `scales` and, with zero points or minima, `zeros` or `minima`; `rng` is not used.

    Raises
    ------
    FormatError
        A scale does not fit binary16.
    """
    k, n = weights.shape
    groups = -(-k // spec.group)
    padded = np.pad(weights.astype(np.float64), ((0, groups * spec.group - k), (0, 0)), "edge")  # a shorter last group keeps its range
    blocks = padded.reshape(groups, spec.group, n)
    offsets: Arrays = {}
    if spec.minimum:
        top = (1 << spec.bits) - 1
        low = blocks.min(axis=1).astype(np.float16).astype(np.float64)
        scales = _rounded(np.maximum(blocks.max(axis=1) - low, 0) / top)
        levels = np.clip(np.rint((blocks - low[:, None, :]) / scales[:, None, :]), 0, top)
        offsets = {"minima": low.astype(np.float16)}
    elif spec.zero:
        low, high = np.minimum(blocks.min(axis=1), 0), np.maximum(blocks.max(axis=1), 0)
        top = (1 << spec.bits) - 1
        scales = _rounded((high - low) / top)
        zeros = np.clip(np.rint(-low / scales), 0, top)
        levels = np.clip(np.rint(blocks / scales[:, None, :]) + zeros[:, None, :], 0, top)
        offsets = {"zeros": zeros.astype(np.uint8)}
    else:
        top = (1 << spec.bits - 1) - 1
        scales = _rounded(np.abs(blocks).max(axis=1) / top)
        levels = np.clip(np.rint(blocks / scales[:, None, :]), -top, top)
    flat = levels.reshape(-1, n)[:k].astype(np.int16)
    return {"weights": flat, "scales": scales.astype(np.float16), **offsets}


def _rounded(scales: Doubles) -> Doubles:
    """Scales as binary16 holds them, at least the smallest normal number."""
    if float(scales.max()) > _MOST:
        raise FormatError(f"a group needs a scale of {float(scales.max()):g}; allowed: at most {_MOST:g}, the largest of binary16")
    stored: Doubles = np.maximum(scales, _LEAST).astype(np.float16).astype(np.float64)
    return stored
