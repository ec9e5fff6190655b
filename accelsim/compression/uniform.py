"""Encoder of uniform quantization: the largest magnitude meets the largest level, and each weight the nearest level.

Plain absmax: no clipping is searched for, so a heavy tail costs resolution.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import Arrays, Floats, channel_range
from accelsim.formats.uniform import UniformFormat

KIND = "uniform"


def encode(spec: UniformFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `weights` [K,N] and `scales`; levels are symmetric, -(2^(b-1)-1)..2^(b-1)-1; `rng` is not used."""
    top = (1 << spec.bits - 1) - 1
    scales = channel_range(weights, spec.scale) / np.float32(top)
    levels = np.clip(np.rint(weights / scales), -top, top)
    return {"weights": levels.astype(np.int16 if spec.bits > 8 else np.int8), "scales": scales}
