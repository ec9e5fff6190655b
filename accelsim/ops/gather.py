"""Elements of each row by their numbers: the stored order of a matrix's inputs (VPTQ's permutation, GPTQ's act-order), or some of them.

Each element is an access of its own to the activation buffer. Disputable assumption: banks hold equal shares of a row, each element is read
once, and every bank works off its elements in a queue of its own: conflicts within a cycle cost nothing beyond that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from accelsim.errors import TraceError
from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, Piece, VectorLayer
from accelsim.ops.shapes import Bound, TensorShape
from accelsim.quantities import unit

KIND = "gather"


class GatherLayer(VectorLayer):
    """Element j of each row of the result is element j + `steps`[j] of the same row of the input.

    Attributes
    ----------
    source
        Elements of a row of the input, at least as many as the result has.
    """

    walk = "rows"
    pass_name = "move"
    default_passes = 1
    pass_note = "of a copy in another order, and of a concatenation"

    op: Literal["gather"] = "gather"
    source: Annotated[Bound, Field(description="elements of a row of the input"), unit("elements")]
    parameter_bits: ConstantBits = 16

    @property
    def constant_sizes(self) -> dict[str, int]:
        """A step from the own place per element."""
        return {"steps": self.output.width}

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Rows of `source` elements."""
        self._expect("input", shapes[0].dims, (self.output.groups, self.output.rows, self.source))
        if self.output.width > self.source:
            raise self._refuse(f"takes {self.output.width} elements of {self.source}; allowed: no more than there are")

    def row_pieces(self, widths: Sequence[int]) -> list[Piece]:
        """Single elements."""
        return [Piece(0, 1)] * self.output.width

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element.

        Raises
        ------
        TraceError
            A step leads out of the row.
        """
        places = np.arange(self.output.width) + constants["steps"].astype(np.int64)
        if places.min() < 0 or places.max() >= self.source:
            raise TraceError(f"layer {self.name!r}: steps lead to element {int(places.min())} to {int(places.max())} of {self.source}")
        return np.asarray(operands[0][..., places], np.float64)


SPEC = GatherLayer
EXAMPLES = (
    Example({"source": 3}, ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0),), (3.0, 1.0, 2.0, 6.0, 4.0, 5.0), {"steps": (2.0, -1.0, -1.0)},
            rows=2, output_rows=2),
    Example({"source": 4}, ((1.0, 2.0, 3.0, 4.0),), (4.0, 2.0), {"steps": (3.0, 0.0)}, width=4),
)  # fmt: skip
