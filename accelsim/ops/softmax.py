"""Softmax over each row of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer

KIND = "softmax"


class SoftmaxLayer(VectorLayer):
    """Softmax over each row of each group.

    Attributes
    ----------
    mask
        "causal": row r is the softmax of its elements 0 to r, and 0 after them (attention that sees no later token). It costs nothing
        and saves nothing: the array computes all scores, and the unit passes over whole rows.
    """

    walk = "rows"
    pass_name = "softmax"
    default_passes = 3
    pass_note = "maximum, exponent and sum, division"
    by_group = True

    op: Literal["softmax"] = "softmax"
    mask: Literal["causal"] | None = None

    @model_validator(mode="after")
    def _rows_meet_the_mask(self) -> SoftmaxLayer:
        if self.mask == "causal" and self.output.rows != self.output.width:
            raise self._refuse(f"a causal mask of {self.output.rows} rows of {self.output.width}; allowed: as many rows as columns")
        return self

    @property
    def by_rows(self) -> bool:
        """False: it is split by head, not by row."""
        return False

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """exp(x) over its sum; the largest element of a row is subtracted first."""
        scores = operands[0]
        if self.mask == "causal":
            scores = np.where(np.tri(scores.shape[1], dtype=bool), scores, -np.inf)
        exponents = np.exp(scores - scores.max(axis=2, keepdims=True))
        return np.asarray(exponents / exponents.sum(axis=2, keepdims=True), np.float64)


SPEC = SoftmaxLayer
EXAMPLES = (
    # e^ln3 : e^0 = 3 : 1
    Example({}, ((np.log(3.0), 0.0),), (0.75, 0.25)),
)
