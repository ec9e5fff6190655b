"""Lloyd's steps on vectors of which only some lanes count: a lane that a point's mask drops neither costs nor pulls.

Sums run in the order of the points, in float64, as in `kmeans`.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernels.kernel import kernel


@kernel
def assign_masked(points, masks, codebook, nearest, distance):
    """Write the codeword nearest to each point over its kept lanes and the squared distance; the lowest index wins a tie.

    Parameters
    ----------
    points : float32 (points, d); masks : bool (points, d)
    codebook : float32 (d, codewords), transposed, so that the loop over codewords is contiguous
    nearest, distance : int64 and float32 (points,), written
    """
    d, codewords = codebook.shape
    squared = np.empty(codewords, np.float32)
    for point in range(points.shape[0]):
        for j in range(codewords):
            squared[j] = np.float32(0.0)
        for lane in range(d):
            if masks[point, lane]:
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
def accumulate_masked(points, masks, nearest, sums, counts):
    """Add the kept lanes of each point to its codeword: `sums` float64 and `counts` int64 (codewords, d) are overwritten."""
    sums[:] = 0.0
    counts[:] = 0
    for point in range(points.shape[0]):
        j = nearest[point]
        for lane in range(points.shape[1]):
            if masks[point, lane]:
                sums[j, lane] += points[point, lane]
                counts[j, lane] += 1
