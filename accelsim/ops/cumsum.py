"""Sums of the elements of each row up to each of them.

Disputable assumption: the vector unit adds along a row at its usual rate, as a tree of prefix sums does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer

KIND = "cumsum"


class CumulativeSumLayer(VectorLayer):
    """Element j of each row of the result is the sum of elements 0 to j of that row."""

    walk = "rows"
    pass_name = "add"
    default_passes = 1
    pass_note = "of a residual sum, and of position embeddings"

    op: Literal["cumsum"] = "cumsum"

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """As its input."""
        return all(operands)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Along the rows."""
        return np.cumsum(operands[0], axis=-1, dtype=np.float64)


SPEC = CumulativeSumLayer
EXAMPLES = (Example({}, ((1.0, 2.0, -4.0, 5.0),), (1.0, 3.0, -4.0, 1.0), rows=2, output_rows=2),)
