"""Local response normalization over neighbouring channels (Krizhevsky et al. 2012, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer
from accelsim.quantities import unit

KIND = "lrn"


class LrnLayer(VectorLayer):
    """Each element over (bias + alpha / size * the sum of squares of the `size` channels around it) to the power of beta.

    Attributes
    ----------
    size
        Channels whose squares are summed.
    alpha, beta, bias
        Factor of the sum, power, and term beside the sum.
    """

    walk = "rows"
    pass_name = "lrn"
    default_passes = 3
    pass_note = "squares and their running sum, power from a table, product"

    op: Literal["lrn"] = "lrn"
    size: Annotated[int, Field(ge=1, le=1 << 16), unit("channels")]
    alpha: Annotated[float, unit("ratio")] = 1e-4
    beta: Annotated[float, unit("ratio")] = 0.75
    bias: Annotated[float, unit("activation's real value")] = 1.0

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The neighbours are (size - 1) // 2 channels before, the rest after; outside there are none."""
        x = operands[0]
        before = (self.size - 1) // 2
        padded = np.pad(x**2, ((0, 0), (0, 0), (before, self.size - 1 - before)))
        sums = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=2).sum(axis=3)
        return np.asarray(x / (self.bias + self.alpha / self.size * sums) ** self.beta, np.float64)


SPEC = LrnLayer
EXAMPLES = (
    # squares 1, 4, 9; sums over three neighbours 5, 14, 13; times 3 / 3, plus 2
    Example({"size": 3, "alpha": 3.0, "beta": 1.0, "bias": 2.0}, ((1.0, 2.0, 3.0),), (1.0 / 7.0, 2.0 / 16.0, 3.0 / 15.0)),
)
