"""The router of a mixture of experts: the largest elements of each row, its chosen experts' weights, and zeros elsewhere.

Disputable assumptions: the vector unit finds one expert per pass over a row, the choice needs no sort; weights are above 0, so that their
zeros tell who reads them which experts were not chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer
from accelsim.ops.shapes import Bound
from accelsim.quantities import unit

KIND = "route"

Expert = Annotated[int, Field(ge=0, le=1 << 16), unit("number of an expert")]


def chosen_experts(weights: Floats, top_k: int) -> npt.NDArray[np.int64]:
    """Experts of each row of `weights` (tokens, experts), in ascending order: int64 (tokens, top_k); of equal weights the first."""
    return np.sort(np.argsort(-weights, axis=1, kind="stable")[:, :top_k], axis=1)


class RouteLayer(VectorLayer):
    """The weights of the experts that each token takes: the `top_k` largest of its row, and 0 for the others.

    `inputs` are the weights of all experts and, if it is `corrected`, the scores that choose.

    Attributes
    ----------
    top_k
        Experts per token.
    normalized
        The weights of a row are divided by their sum.
    factor
        By which the weights are multiplied.
    corrected
        Experts are chosen by other scores than their weights: by these with a correction.
    chosen
        Experts of each token, as a run of the model chose them, for timing; (): drawn evenly by the seed of a simulation.
    """

    walk = "rows"
    pass_name = "route"
    default_passes = 1
    pass_note = "per expert that a token takes; one more where their weights are normalized or scaled"

    op: Literal["route"] = "route"
    top_k: Annotated[Bound, unit("experts")]
    normalized: bool = False
    factor: Annotated[float, Field(gt=0, allow_inf_nan=False, exclude_if=lambda value: value == 1), unit("ratio")] = 1.0
    corrected: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    chosen: Annotated[tuple[tuple[Expert, ...], ...], Field(exclude_if=lambda rows: not rows)] = ()

    @model_validator(mode="after")
    def _inputs_are_the_operands(self) -> RouteLayer:
        self._expect_inputs(1 + self.corrected)
        return self

    @model_validator(mode="after")
    def _experts_exist(self) -> RouteLayer:
        experts = self.output.width
        if self.top_k > experts:
            raise self._refuse(f"top_k={self.top_k}; allowed: at most its {experts} experts")
        if self.chosen and len(self.chosen) != self.output.rows:
            raise self._refuse(f"chosen has {len(self.chosen)} rows; allowed: one for each of {self.output.rows} tokens")
        for row in self.chosen:
            if len(set(row)) != self.top_k or len(row) != self.top_k or max(row) >= experts:
                raise self._refuse(f"chosen has a row {row}; allowed: {self.top_k} different experts below {experts}")
        return self

    @property
    def router(self) -> Self:
        """Itself."""
        return self

    def step_fields(self, tokens: int, context: int) -> dict[str, Any]:
        """The choices of the step's tokens, or none where not all of them are recorded."""
        recorded = self.chosen[context : context + tokens]
        return {"chosen": recorded if len(recorded) == tokens else ()}

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        """The chip's passes for each expert, and one to normalize and scale."""
        return self.top_k * chip(self.pass_name) + (self.normalized or self.factor != 1)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The chosen weights in their places."""
        every, places = operands[0][0], chosen_experts(operands[-1][0], self.top_k)
        weights = np.zeros_like(every)
        np.put_along_axis(weights, places, np.take_along_axis(every, places, axis=1), axis=1)
        if self.normalized:
            weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray(self.factor * weights[None], np.float64)


SPEC = RouteLayer
EXAMPLES = (
    Example({"top_k": 2}, ((0.5, 0.125, 0.25, 0.125),), (0.5, 0.0, 0.25, 0.0)),
    Example({"top_k": 1}, ((0.25, 0.5, 0.375, 0.375),), (0.0, 0.5, 0.375, 0.0), rows=2, output_rows=2),  # of equals the first
    # 6 / (6 + 2) and 2 / (6 + 2)
    Example({"top_k": 2, "normalized": True}, ((6.0, 1.0, 2.0),), (0.75, 0.0, 0.25)),
    # by the second operand the first two, whose weights are 3 and 1: 2 * 3 / 4 and 2 * 1 / 4
    Example({"top_k": 2, "normalized": True, "factor": 2.0, "corrected": True}, ((3.0, 1.0, 4.0), (3.0, 2.5, 2.0)), (1.5, 0.5, 0.0)),
)
