"""The 95 % confidence interval of a mean over a few seeds (Student's t): the seeds' figures are taken for normal."""

from __future__ import annotations

import numpy as np

# Student's t at 97.5 %, by degrees of freedom.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}


def half_width(values: np.ndarray) -> float:
    """Half of the interval's width, in the unit of `values` (at least two)."""
    return float(T[len(values) - 1] * values.std(ddof=1) / len(values) ** 0.5)
