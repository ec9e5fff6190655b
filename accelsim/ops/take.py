"""The rows of the tokens that take one expert, gathered side by side for its product.

Disputable assumption: the vector unit copies them one by one, and reads a token's weights again to tell whether the row is one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer
from accelsim.ops.route import Expert, chosen_experts
from accelsim.ops.shapes import Bound, TensorShape
from accelsim.quantities import unit

KIND = "take"


class TakeLayer(VectorLayer):
    """The rows of the tokens that take one expert. `inputs` are the rows of all tokens, and the weights that `RouteLayer` gives them.

    Attributes
    ----------
    expert
        Column of the weights.
    top_k
        Experts per token.
    sequences
        Sequences of a batch whose tokens they are; `inputs` are those of one.
    """

    operands = 2
    walk = "rows"
    pass_name = "move"
    default_passes = 1
    pass_note = "of a copy in another order, and of a concatenation"

    op: Literal["take"] = "take"
    expert: Annotated[Expert, Field(description="column of the weights")]
    top_k: Annotated[Bound, unit("experts")]
    sequences: Annotated[Bound, Field(exclude_if=lambda count: count == 1), unit("sequences")] = 1

    @property
    def gathers(self) -> bool:
        """Of several sequences."""
        return self.sequences > 1

    @property
    def in_step(self) -> bool:
        """False: a row needs rows of other numbers."""
        return False

    @property
    def by_rows(self) -> bool:
        """False: which rows it reads depends on the weights."""
        return False

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """A row of weights for each row, and no more rows of the result than those."""
        source, weights = shapes
        self._expect("rows", source.dims, (1, weights.rows, self.output.width))
        if self.output.rows > source.rows * self.sequences or self.expert >= weights.width or self.top_k > weights.width:
            raise self._refuse(
                f"takes {self.output.rows} of {source.rows} rows, expert {self.expert} of {weights.width}, top_k={self.top_k}; "
                "allowed: no more than there are"
            )

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Rows whose token takes the expert, in their order."""
        takes = (chosen_experts(operands[1][0], self.top_k) == self.expert).any(axis=1)
        return np.asarray(operands[0][:, takes], np.float64)


SPEC = TakeLayer
EXAMPLES = (
    Example(
        {"expert": 1, "top_k": 1}, ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0), (0.0, 0.5, 0.5, 0.0, 0.0, 0.25)), (1.0, 2.0, 5.0, 6.0),
        rows=3, output_rows=2,
    ),
)  # fmt: skip
