"""Lloyd's algorithm on small vectors: nearest codeword of each point, and the mean of each codeword's points.

A lane that a point does not keep (MVQ's masks) adds neither to the distance nor to the mean. Sums run in the order of the points,
in float64, so that the result does not depend on threads or on a BLAS library.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernels.kernel import kernel


@kernel
def assign(points, kept, codebook, nearest, distance):
    """Write the codeword nearest to each point over its kept lanes and the squared distance; the lowest index wins a tie.

    Parameters
    ----------
    points : float32 (points, d); kept : bool (points, d)
    codebook : float32 (d, codewords), transposed, so that the loop over codewords is contiguous
    nearest, distance : int64 and float32 (points,), written
    """
    d, codewords = codebook.shape
    squared = np.empty(codewords, np.float32)
    for point in range(points.shape[0]):
        for j in range(codewords):
            squared[j] = np.float32(0.0)
        for lane in range(d):
            if kept[point, lane]:
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
def accumulate(points, kept, nearest, sums, counts):
    """Add each point, 0 in the lanes that it drops, and each kept lane to its codeword.

    Parameters
    ----------
    points : float32 (points, d); kept : bool (points, d); nearest : int64 (points,)
    sums, counts : float64 and int64 (codewords, d), overwritten
    """
    sums[:] = 0.0
    counts[:] = 0
    for point in range(points.shape[0]):
        j = nearest[point]
        for lane in range(points.shape[1]):
            sums[j, lane] += points[point, lane]
            counts[j, lane] += kept[point, lane]


@kernel
def shrink_to_seed(points, seed, distance):
    """Lower each point's squared distance (float64) to that of a new seed, float32 (d,), where it is nearer (k-means++)."""
    for point in range(points.shape[0]):
        total = 0.0
        for lane in range(points.shape[1]):
            difference = np.float64(points[point, lane]) - np.float64(seed[lane])
            total += difference * difference
        if total < distance[point]:
            distance[point] = total
