"""The matrices of a mixture of experts: each row of activations meets the matrix of one expert of its token.

Disputable assumption: all experts of a layer share its format and its codebook, as one matrix with the experts' outputs side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from accelsim.ops.mac_layers import GemmLayer, WeightedLayer
from accelsim.ops.operation import Floats
from accelsim.ops.route import chosen_experts
from accelsim.ops.shapes import Bound, TensorShape
from accelsim.ops.weight_record import WeightRecord
from accelsim.quantities import unit


class ExpertsLayer(WeightedLayer):
    """A linear layer whose matrix each token chooses: Y[r,n] = A[r,k] x Wt[k, n of expert e], with e one of the row's token.

    `inputs` are the rows and the weights that `RouteLayer` gives, `top_k` of them per token. The rows of a token follow each other in
    the output, its experts in ascending order: OX = tokens * top_k. Wt[K, N * experts] has the outputs of the experts side by side.

    Attributes
    ----------
    experts
        Matrices that are stored.
    top_k
        Matrices that a token meets.
    per_token
        The input has one row for each token, which meets all matrices of the token; else one for each of them.
    """

    op: Literal["experts"] = "experts"
    experts: Annotated[Bound, unit("matrices"), Field(description="matrices that are stored")]
    top_k: Annotated[Bound, unit("matrices"), Field(description="matrices that a token meets")]
    per_token: bool = Field(description="true: one row of input per token; false: one per token and expert")

    @model_validator(mode="after")
    def _weight_matches_bounds(self) -> ExpertsLayer:
        self._expect_inputs(2)
        wanted = (self.k, self.n * self.experts)
        if (self.weight.k, self.weight.n) != wanted:
            raise self._refuse(f"weight is {self.weight.k} x {self.weight.n} (K x N), but its experts need {wanted[0]} x {wanted[1]}")
        if self.bias or self.bounds.G != 1 or self.top_k > self.experts or self.m % self.top_k:
            raise self._refuse(
                f"bias={self.bias}, G={self.bounds.G}, top_k={self.top_k} of {self.experts} for {self.m} rows; allowed: false, 1, "
                "as many as there are, and as many rows for each token"
            )
        self._expect("output", self.output.dims, (1, self.m, self.n))
        return self

    @property
    def expert_product(self) -> Self:
        """Itself."""
        return self

    @property
    def not_checked(self) -> str:
        """Which rows meet which expert is known when the network runs."""
        return "cannot multiply experts, whose rows depend on the activations"

    def of_expert(self, expert: int, rows: int, source: str) -> GemmLayer:
        """The product of one expert with the rows of its tokens, `source`; without the bits of its weights."""
        return GemmLayer(
            name=f"{self.name}[{expert}]",
            inputs=(source,),
            output=self.output.with_fields(rows=rows),
            bounds=self.bounds.with_fields(OX=rows),
            weight=WeightRecord(format=self.weight.format, k=self.k, n=self.n),
        )

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Rows of k columns, and the weights of each token's experts."""
        rows, weights = shapes
        tokens = self.m // self.top_k
        self._expect("rows", rows.dims, (1, tokens if self.per_token else self.m, self.k))
        self._expect("weights", weights.dims, (1, tokens, self.experts))

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Expert by expert."""
        rows, weights = operands[0][0], operands[1][0]
        chosen = chosen_experts(weights, self.top_k).reshape(-1)
        rows = rows.repeat(self.top_k, axis=0) if self.per_token else rows
        matrices = constants["weight"].reshape(self.k, self.experts, self.n)
        result = np.zeros((1, rows.shape[0], self.n))
        for expert in np.unique(chosen):
            taken = chosen == expert
            result[0, taken] = rows[taken] @ matrices[:, expert]
        return result
