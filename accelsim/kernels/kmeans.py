"""Lloyd's algorithm on small vectors: nearest codeword of each point, and the mean of each codeword's points.

Sums run in the order of the points, in float64, so that the result does not depend on threads or on a BLAS library.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.kernels.kernel import kernel


@kernel
def assign(
    points: npt.NDArray[np.float32],
    codebook: npt.NDArray[np.float32],
    nearest: npt.NDArray[np.int64],
    distance: npt.NDArray[np.float32],
) -> None:
    """Write the nearest codeword of each point and the squared distance to it; the lowest index wins a tie.

    Parameters
    ----------
    points
        [points, d].
    codebook
        [d, codewords]: transposed, so that the loop over codewords is contiguous.
    nearest, distance
        [points], written.
    """
    d, codewords = codebook.shape
    squared = np.empty(codewords, dtype=np.float32)
    for point in range(points.shape[0]):
        for j in range(codewords):
            squared[j] = np.float32(0.0)
        for lane in range(d):
            value = points[point, lane]
            for j in range(codewords):
                difference = value - codebook[lane, j]
                squared[j] += difference * difference
        best = 0
        smallest = squared[0]
        for j in range(1, codewords):
            if squared[j] < smallest:
                smallest = squared[j]
                best = j
        nearest[point] = best
        distance[point] = smallest


@kernel
def accumulate(
    points: npt.NDArray[np.float32],
    nearest: npt.NDArray[np.int64],
    sums: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
) -> None:
    """Add each point to the sum of its codeword: `sums` [codewords, d] and `counts` [codewords] are overwritten."""
    sums[:] = 0.0
    counts[:] = 0
    for point in range(points.shape[0]):
        j = nearest[point]
        counts[j] += 1
        for lane in range(points.shape[1]):
            sums[j, lane] += points[point, lane]


@kernel
def shrink_to_seed(points: npt.NDArray[np.float32], seed: npt.NDArray[np.float32], distance: npt.NDArray[np.float64]) -> None:
    """Lower each point's squared distance to that of a new seed where it is nearer (k-means++)."""
    for point in range(points.shape[0]):
        total = 0.0
        for lane in range(points.shape[1]):
            difference = np.float64(points[point, lane]) - np.float64(seed[lane])
            total += difference * difference
        if total < distance[point]:
            distance[point] = total
