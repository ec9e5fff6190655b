"""An int8 codebook for the subvectors of a matrix: k-means, codewords rounded to levels, and the nearest of these for each subvector.

Subvectors come in units of their matrix or of their output channels, so one step serves the whole codebook, and a scale is a unit
times the step. A step is at least the float32 resolution of the unit: finer codewords are 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.compression.encoder import Codebook, Floats
from accelsim.compression.kmeans import Kept, kmeans, nearest_codewords

_TOP = 127
_FINEST = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Int8Codebook:
    """A codebook, its use and its scales.

    Attributes
    ----------
    levels
        Codewords [k, d], -127..127.
    indices
        [subvectors], the codeword of each, uint16.
    scales
        float32, one for each unit.
    """

    levels: Codebook
    indices: npt.NDArray[np.uint16]
    scales: Floats


def level_step(codebook: Floats) -> float:
    """The step with which the largest element is level 127."""
    return max(float(np.abs(codebook).max()) / _TOP, _FINEST)


def int8_codebook(points: Floats, k: int, unit: Floats, rng: np.random.Generator, kept: Kept | None = None) -> Int8Codebook:
    """The codebook of `points` [subvectors, d], in units of `unit` (see `channel_range`); `kept` and errors as `kmeans` has them."""
    codebook = kmeans(points, k, rng, kept).codebook
    step = level_step(codebook)
    levels = np.clip(np.rint(codebook / step), -_TOP, _TOP)
    nearest, _ = nearest_codewords(points, (levels * step).astype(np.float32), kept)
    return Int8Codebook(levels.astype(np.int8), nearest.astype(np.uint16), unit * np.float32(step))
