"""Softmax over each row of each group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer
from accelsim.ops.shapes import MAX_BOUND
from accelsim.quantities import unit

KIND = "softmax"


class SoftmaxLayer(VectorLayer):
    """Softmax over each row of each group.

    Attributes
    ----------
    mask
        "causal": row r is the softmax of its elements 0 to r, and 0 after them (attention that sees no later token). It costs nothing
        and saves nothing: the array computes all scores, and the unit passes over whole rows.
    reach
        With a causal mask: elements, the last of them r, that row r sees (a sliding window); 0: all.
    bias_groups
        Trained matrices that are added first, group g with matrix g modulo their number (relative positions, any mask); 0: none. They are
        `parameter_bits` wide and cost a pass.
    """

    walk = "rows"
    pass_name = "softmax"
    default_passes = 3
    pass_note = "maximum, exponent and sum, division"
    by_group = True

    op: Literal["softmax"] = "softmax"
    mask: Literal["causal"] | None = None
    # Written only where they say something, so that traces of versions without them stay the same to the byte.
    bias_groups: Annotated[int, Field(ge=0, le=MAX_BOUND, exclude_if=lambda count: count == 0), unit("matrices")] = 0
    parameter_bits: Annotated[ConstantBits, Field(exclude_if=lambda bits: bits == 8)] = 8
    reach: Annotated[int, Field(ge=0, le=MAX_BOUND, exclude_if=lambda size: size == 0), unit("elements")] = 0

    @model_validator(mode="after")
    def _rows_meet_the_mask(self) -> SoftmaxLayer:
        if self.mask == "causal" and self.output.rows != self.output.width:
            raise self._refuse(f"a causal mask of {self.output.rows} rows of {self.output.width}; allowed: as many rows as columns")
        if self.reach and self.mask is None:
            raise self._refuse(f"reach={self.reach} without a causal mask; allowed: 0")
        if self.bias_groups and self.output.groups % self.bias_groups:
            raise self._refuse(f"bias_groups={self.bias_groups}; allowed: divisors of its {self.output.groups} groups")
        return self

    @property
    def causal_reach(self) -> int | None:
        """Its reach, with a causal mask."""
        return None if self.mask is None else self.reach

    def step_fields(self, tokens: int, context: int) -> dict[str, Any]:
        """Behind a context, no mask: a step's rows see all tokens that are read."""
        return {"mask": None, "reach": 0} if context and self.mask is not None else {}

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Bias of the scores."""
        return {"bias": self.bias_groups * self.output.rows * self.output.width} if self.bias_groups else {}

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        """The chip's passes, and one for a bias."""
        return chip(self.pass_name) + (1 if self.bias_groups else 0)

    @property
    def by_rows(self) -> bool:
        """False: it is split by head, not by row."""
        return False

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """Shares of 1."""
        return True

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """exp(x) over its sum; the largest element of a row is subtracted first."""
        scores = operands[0]
        if self.bias_groups:
            bias = constants["bias"].reshape(self.bias_groups, *scores.shape[1:])
            scores = scores + np.tile(bias, (scores.shape[0] // self.bias_groups, 1, 1))
        if self.mask == "causal":
            seen = np.tri(scores.shape[1], dtype=bool)
            if self.reach:
                seen &= ~np.tri(scores.shape[1], k=-self.reach, dtype=bool)
            scores = np.where(seen, scores, -np.inf)
        exponents = np.exp(scores - scores.max(axis=2, keepdims=True))
        return np.asarray(exponents / exponents.sum(axis=2, keepdims=True), np.float64)


SPEC = SoftmaxLayer
EXAMPLES = (
    # e^ln3 : e^0 = 3 : 1
    Example({}, ((np.log(3.0), 0.0),), (0.75, 0.25)),
    Example({"bias_groups": 1}, ((0.0, 5.0),), (0.75, 0.25), {"bias": (np.log(3.0), -5.0)}),
    # A row sees itself and one before it: the first itself alone, the third not the first.
    Example(
        {"mask": "causal", "reach": 2},
        ((9.0, 9.0, 9.0, np.log(3.0), 0.0, 9.0, 9.0, np.log(3.0), 0.0),),
        (1.0, 0.0, 0.0, 0.75, 0.25, 0.0, 0.0, 0.75, 0.25),
        rows=3,
        output_rows=3,
    ),
)
