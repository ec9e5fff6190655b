"""Rotary position embedding (Su et al., arXiv 2104.09864): pairs of a head's elements turned by an angle per position.

Disputable assumption: the vector unit multiplies by the cosine and by the sine in one pass each; it fetches the partner of an element from
the same row, whose words it has read anyway. Cosines and sines come from memory, one of each per position and pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer
from accelsim.ops.shapes import Bound
from accelsim.quantities import unit

KIND = "rotary"


class RotaryLayer(VectorLayer):
    """Pairs (a, b) of each head's elements become (a cos - b sin, b cos + a sin), with an angle per position and pair.

    Attributes
    ----------
    head_width
        Elements of a head; a row has a whole number of heads, which share the angles.
    turned
        Leading elements of a head that are turned; the others are copied.
    pairs
        "halves": element i of the turned ones is paired with element i + turned / 2; "neighbours": element 2 i with 2 i + 1.
    """

    walk = "rows"
    pass_name = "rotary"
    default_passes = 2
    pass_note = "product with the cosine, product with the sine and sum"
    neutral_constants: ClassVar[Mapping[str, float]] = {"cos": 1.0}

    op: Literal["rotary"] = "rotary"
    head_width: Annotated[Bound, unit("elements")]
    turned: Annotated[Bound, unit("elements")]
    pairs: Literal["halves", "neighbours"] = "halves"
    parameter_bits: ConstantBits = 16

    @model_validator(mode="after")
    def _heads_fill_a_row(self) -> RotaryLayer:
        if self.output.groups != 1 or self.output.width % self.head_width:
            raise self._refuse(f"heads of {self.head_width} in {self.output.describe()}; allowed: one matrix of whole heads side by side")
        if self.turned % 2 or self.turned > self.head_width:
            raise self._refuse(f"turned={self.turned}; allowed: even numbers up to head_width={self.head_width}")
        return self

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Cosines and sines, position by position."""
        angles = self.output.rows * (self.turned // 2)
        return {"cos": angles, "sin": angles}

    @property
    def parameters(self) -> int:
        """None: the angles follow from the positions."""
        return 0

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Pair by pair."""
        rows, pairs = self.output.rows, self.turned // 2
        cos, sin = (constants[name].reshape(rows, 1, pairs) for name in ("cos", "sin"))
        result = operands[0].reshape(rows, -1, self.head_width).copy()
        if self.pairs == "halves":
            apart = slice(0, pairs), slice(pairs, self.turned)
        else:
            apart = slice(0, self.turned, 2), slice(1, self.turned, 2)
        a, b = (result[..., part].copy() for part in apart)
        result[..., apart[0]] = a * cos - b * sin
        result[..., apart[1]] = b * cos + a * sin
        return np.asarray(result.reshape(self.output.dims), np.float64)


SPEC = RotaryLayer
EXAMPLES = (
    # Two heads of (1, 2, 3, 4), by a quarter turn: (a, b) becomes (-b, a); the pairs are (1, 3) and (2, 4).
    Example({"head_width": 4, "turned": 4}, ((1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0),), (-3.0, -4.0, 1.0, 2.0, -3.0, -4.0, 1.0, 2.0),
            {"cos": (0.0, 0.0), "sin": (1.0, 1.0)}),
    # The same with neighbours, pairs (1, 2) and (3, 4), of which the second is turned by cos = 0.6, sin = 0.8.
    Example({"head_width": 4, "turned": 4, "pairs": "neighbours"}, ((1.0, 2.0, 3.0, 4.0),),
            (-2.0, 1.0, 3 * 0.6 - 4 * 0.8, 4 * 0.6 + 3 * 0.8), {"cos": (0.0, 0.6), "sin": (1.0, 0.8)}),
    # Two positions with angles of their own: none, and half a turn. The third element of each head is only copied.
    Example({"head_width": 3, "turned": 2}, ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0),), (1.0, 2.0, 3.0, -4.0, -5.0, 6.0),
            {"cos": (1.0, -1.0), "sin": (0.0, 0.0)}, rows=2, output_rows=2),
)  # fmt: skip
