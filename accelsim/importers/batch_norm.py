"""A batch norm folded into the layer before it, as inference has it: y = gamma (x - mean) / sqrt(variance + epsilon) + beta.

Disputable assumption: the fold is computed in float64 and rounded to float32 once, so a folded weight is the nearest float32 of its
exact value, not a product of rounded factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.errors import ImportModelError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BatchNorm:
    """Trained numbers and running statistics of a batch norm, float32 (channels,) each."""

    gamma: Floats
    beta: Floats
    mean: Floats
    variance: Floats
    epsilon: float


def fold_batch_norm(weights: Floats, bias: Floats | None, norm: BatchNorm) -> tuple[Floats, Floats]:
    """Weights and bias of the layer that computes a linear layer or a convolution and then `norm`.

    Parameters
    ----------
    weights : float32 (K, N), one column an output channel
    bias : float32 (N,); None for no bias

    Returns
    -------
    (Wt[K,N], bias[N]), float32.

    Raises
    ------
    ImportModelError
        A variance plus epsilon that is not positive, or a result that is not finite.
    """
    spread = norm.variance.astype(np.float64) + norm.epsilon
    if not np.all(spread > 0):
        raise ImportModelError(f"batch norm: variance plus epsilon is {float(np.min(spread))} in a channel; allowed: above 0")
    factor = norm.gamma.astype(np.float64) / np.sqrt(spread)
    before = np.float64(0) if bias is None else bias.astype(np.float64)
    folded = (weights.astype(np.float64) * factor).astype(np.float32)
    shift = ((before - norm.mean.astype(np.float64)) * factor + norm.beta.astype(np.float64)).astype(np.float32)
    if not (np.all(np.isfinite(folded)) and np.all(np.isfinite(shift))):
        raise ImportModelError("batch norm: a folded weight or bias is not finite in float32")
    return folded, shift
