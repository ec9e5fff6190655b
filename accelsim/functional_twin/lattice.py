"""The expected weights of QuIP#'s lattice, point by point from its definition: a table of all signs, and no bit arithmetic on lanes.

It shares the grid with the code that it checks, as data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.formats.block_decoding import grid_of

Int64 = npt.NDArray[np.int64]


def lattice_weights(indices: Int64, signs: Int64) -> Int64:
    """Quarters (8 x vectors along K, N) of indices and fields of signs, (vectors, N) each."""
    points = np.array([_signs(field) for field in range(256)])  # (fields, 9): a factor per weight, and the shift
    chosen = points[signs]
    values: Int64 = grid_of("e8p").astype(np.int64)[indices] * chosen[..., :8] + chosen[..., 8:]
    return values.transpose(0, 2, 1).reshape(8 * indices.shape[0], indices.shape[1])


def _signs(field: int) -> list[int]:
    """-1 for each set bit, the first turned around where their number is odd; then +1, or -1 where it is odd."""
    factors = [-1 if digit == "1" else 1 for digit in reversed(f"{field:08b}")]
    odd = factors.count(-1) % 2 == 1
    if odd:
        factors[0] = -factors[0]
    return [*factors, -1 if odd else 1]
