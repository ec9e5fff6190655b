"""N:M masks as numbers: which N of M neighbours are kept, counted through all C(M,N) patterns.

Patterns are in the order of their bit masks read as integers (bit e: lane e is kept), which is the order of the combinatorial number
system. The order is a convention of ours: MVQ (arXiv 2412.10261) fixes only how many bits a number takes.
"""

from __future__ import annotations

from functools import cache
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt


def pattern_bits(keep: int, of: int) -> int:
    """Bits of a pattern's number: ceil(log2 C(of, keep)), at least 1."""
    return max(1, (comb(of, keep) - 1).bit_length())


@cache
def mask_patterns(keep: int, of: int) -> npt.NDArray[np.int8]:
    """All patterns, 1 where a lane is kept: int8 (C(of, keep), of), read-only; `of` at most 16."""
    values = np.arange(1 << of, dtype=np.int64)
    lanes = (values[:, None] >> np.arange(of)) & 1
    patterns: npt.NDArray[np.int8] = lanes[lanes.sum(axis=1) == keep].astype(np.int8)
    patterns.flags.writeable = False
    return patterns


def pattern_numbers(kept: npt.NDArray[Any], keep: int) -> npt.NDArray[np.uint16]:
    """Numbers of patterns: boolean (..., of) with `keep` lanes each -> uint16 (...)."""
    of = kept.shape[-1]
    weights = np.int64(1) << np.arange(of, dtype=np.int64)
    return np.searchsorted(mask_patterns(keep, of) @ weights, kept.astype(np.int64) @ weights).astype(np.uint16)
