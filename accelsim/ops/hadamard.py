"""Hadamard transform of each row with a sign per element, as QuIP# puts it before and after a product (arXiv 2402.04396, section 3).

A row of n = m * 2^k elements takes k stages of n / 2 butterflies, then m products of n elements where m > 1. Its result has a scale of its
own, so two more passes find the largest element and requantize. Disputable assumptions: a lane makes a butterfly per cycle, and a stage
waits for the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.hadamard_matrices import ALLOWED, matrix_of_order, odd_part
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer

KIND = "hadamard"
_REQUANTIZE = 2  # passes: the largest element, then the values


class HadamardLayer(VectorLayer):
    """The orthonormal transform of each row, blocking, with its own signs: those of a matrix are no other's.

    Attributes
    ----------
    signs_first
        True: H^T (s * x), ahead of a product; False: s * (H x), behind it, which takes a True one with the same signs back.
    """

    walk = "rows"
    pass_name = "hadamard"
    default_passes = 1
    pass_note = "of two stages of butterflies; a transform adds those of its odd part, and two to requantize"
    neutral_constants: ClassVar[Mapping[str, float]] = {"signs": 1.0}

    op: Literal["hadamard"] = "hadamard"
    signs_first: bool = Field(default=True, exclude_if=lambda first: first)
    parameter_bits: ConstantBits = 8

    @model_validator(mode="after")
    def _a_matrix_is_known(self) -> HadamardLayer:
        if odd_part(self.output.width) is None:
            raise self._refuse(f"no Hadamard matrix of its {self.output.width} elements is known here; allowed: {ALLOWED}")
        return self

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Signs."""
        return {"signs": self.output.width}

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        """Half the stages, rounded up, at the chip's passes; the odd part's products; and the requantization."""
        m = odd_part(self.output.width) or 1
        stages = (self.output.width // m).bit_length() - 1
        return chip(self.pass_name) * -(-stages // 2) + (m if m > 1 else 0) + _REQUANTIZE

    def row_work(self, chip: Callable[[str], int], width: int, lanes: int) -> tuple[int, int]:
        """Cycles as passes over a row of the lanes: a stage takes n / 2 butterflies, and waits for the one before."""
        if not lanes:
            return width, self.passes(chip, False)
        m = odd_part(width) or 1
        stages = chip(self.pass_name) * ((width // m).bit_length() - 1)
        whole = (m if m > 1 else 0) + _REQUANTIZE
        return lanes, stages * -(-width // (2 * lanes)) + whole * -(-width // lanes)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The product with the matrix, stage by stage."""
        signs, m, n = constants["signs"], odd_part(self.output.width) or 1, self.output.width
        x = operands[0] * signs if self.signs_first else operands[0]
        x = x.reshape(-1, m, n // m)
        for stage in range((n // m).bit_length() - 1):
            pairs = x.reshape(x.shape[0], m, -1, 2, 1 << stage)
            x = np.stack([pairs.sum(axis=3), pairs[:, :, :, 0] - pairs[:, :, :, 1]], axis=3).reshape(x.shape)
        matrix = matrix_of_order(m).T if self.signs_first else matrix_of_order(m)
        x = np.einsum("ij,rjk->rik", matrix, x).reshape(self.output.dims) / np.sqrt(n)
        return np.asarray(x if self.signs_first else x * signs, np.float64)


SPEC = HadamardLayer
EXAMPLES = (
    # s * x = (1, -3): sum and difference, over the root of 2
    Example({}, ((1.0, 3.0),), (-2.0 / 2**0.5, 4.0 / 2**0.5), {"signs": (1.0, -1.0)}),
    # of 1, 2, 3, 4: sums 10, -2, -4, 0 over 2; then the signs
    Example({"signs_first": False}, ((1.0, 2.0, 3.0, 4.0),), (5.0, 1.0, -2.0, 0.0), {"signs": (1.0, -1.0, 1.0, 1.0)}),
    # the first column of Paley's matrix of order 12, and its first row
    Example({}, ((1.0, *(0.0,) * 11),), (12**-0.5, *(-(12**-0.5),) * 11), {"signs": (1.0,) * 12}),
    Example({"signs_first": False}, ((1.0, *(0.0,) * 11),), (12**-0.5,) * 12, {"signs": (1.0,) * 12}),
)
