"""The 95 % confidence interval of a mean over a few seeds (Student's t): the seeds' figures are taken for normal."""

from __future__ import annotations

import numpy as np

# Student's t at 97.5 %, by degrees of freedom.
T = {1: 12.7062, 2: 4.30265, 3: 3.18245, 4: 2.77645, 5: 2.57058, 6: 2.44691, 7: 2.36462, 8: 2.30600, 9: 2.26216}


def half_width(values: np.ndarray) -> float:
    """Half of the interval's width, in the unit of `values` (at least two)."""
    return float(T[len(values) - 1] * values.std(ddof=1) / len(values) ** 0.5)
