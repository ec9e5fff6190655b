"""The end of a mixture of experts: for each token the sum of its experts' rows, times their weights.

Disputable assumption: the vector unit adds one expert's row per pass, so an expert that nobody takes costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, Piece, VectorLayer
from accelsim.ops.route import chosen_experts
from accelsim.ops.shapes import Bound, TensorShape
from accelsim.quantities import unit

KIND = "combine"


class CombineLayer(VectorLayer):
    """For each token the weighted sum of its experts' rows. `inputs` are those rows, and the weights that `RouteLayer` gives.

    Attributes
    ----------
    top_k
        Experts, and so rows, per token.
    parts
        1: the rows of a token follow each other, its experts in ascending order. More: as many inputs, one for each expert that some
        token takes, in ascending order, with the rows of its tokens.
    sequences
        Sequences of a batch whose tokens they are; the weights and the result are those of one.
    """

    operands = 2
    walk = "rows"
    pass_name = "combine"
    default_passes = 1
    pass_note = "per expert that a token takes"

    op: Literal["combine"] = "combine"
    top_k: Annotated[Bound, unit("experts")]
    parts: Annotated[Bound, Field(exclude_if=lambda count: count == 1), unit("inputs")] = 1
    sequences: Annotated[Bound, Field(exclude_if=lambda count: count == 1), unit("sequences")] = 1

    @model_validator(mode="after")
    def _inputs_are_the_operands(self) -> CombineLayer:
        self._expect_inputs(self.parts + 1)
        return self

    @property
    def combines(self) -> bool:
        """True."""
        return True

    @property
    def in_step(self) -> bool:
        """False: a row needs rows of other numbers."""
        return False

    @property
    def by_rows(self) -> bool:
        """False: the rows of a token lie apart."""
        return False

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        """The chip's passes for each expert."""
        return self.top_k * chip(self.pass_name)

    def row_pieces(self, widths: Sequence[int]) -> list[Piece]:
        """A row of each expert, and the token's weights."""
        return [Piece(0, widths[0])] * self.top_k + [Piece(self.parts, widths[-1])]

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """`top_k` rows for each token, and its weights."""
        *parts, weights = shapes
        tokens, width = self.output.rows, self.output.width
        rows = sum(part.groups * part.rows for part in parts)
        for part in parts:
            self._expect("rows", (1, rows, part.width), (1, tokens * self.top_k * self.sequences, width))
        self._expect("weights", weights.dims, (1, tokens, weights.width))
        if self.top_k > weights.width:
            raise self._refuse(f"top_k={self.top_k}; allowed: at most its {weights.width} experts")

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Row by row."""
        *parts, weights = operands
        experts = chosen_experts(weights[0], self.top_k)
        rows = np.concatenate([part[0] for part in parts])
        if self.parts > 1:
            by_expert = np.argsort(experts.reshape(-1), kind="stable")
            rows = rows[np.argsort(by_expert)]
        shares = np.take_along_axis(weights[0], experts, axis=1)
        return np.asarray(np.einsum("tk,tkn->tn", shares, rows.reshape(*experts.shape, -1))[None], np.float64)


SPEC = CombineLayer
EXAMPLES = (
    # Token 0 takes experts 0 and 1: 0.5 (1, 2) + 0.25 (4, 8); token 1 the same with 1 and 0.5.
    Example(
        {"top_k": 2}, ((1.0, 2.0, 4.0, 8.0, 1.0, 1.0, 2.0, 2.0), (0.5, 0.25, 1.0, 0.5)), (1.5, 3.0, 2.0, 2.0),
        rows=4, output_rows=2, operand_rows=(4, 2),
    ),
)  # fmt: skip
