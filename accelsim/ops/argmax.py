"""The place of the largest element of each row: the class of a position, the next token.

Disputable assumption: a place is an activation like any other. At 8 bits it is rounded where rows are longer than 256 elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, Piece, VectorLayer
from accelsim.ops.shapes import Bound, TensorShape
from accelsim.quantities import unit

KIND = "argmax"


class ArgMaxLayer(VectorLayer):
    """The number of the largest element of each row, of several equal ones the first's.

    Attributes
    ----------
    source
        Elements of a row of the input.
    """

    walk = "rows"
    pass_name = "pool"
    default_passes = 1
    pass_note = "per tap of the window"

    op: Literal["argmax"] = "argmax"
    source: Annotated[Bound, Field(description="elements of a row of the input"), unit("elements")]

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Rows of `source` elements, of which each gives one number."""
        self._expect("output", self.output.dims, (self.output.groups, self.output.rows, 1))
        self._expect("input", shapes[0].dims, (self.output.groups, self.output.rows, self.source))

    def row_work(self, chip: Callable[[str], int], width: int, lanes: int) -> tuple[int, int]:
        """A comparison for each element of the row, as in a pool whose window it is."""
        return self.source, self.passes(chip, False)

    def row_pieces(self, widths: Sequence[int]) -> list[Piece]:
        """The whole row."""
        return [Piece(0, self.source)]

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """True: places count from 0."""
        return True

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Row by row."""
        return np.asarray(operands[0].argmax(axis=-1)[..., None], np.float64)


SPEC = ArgMaxLayer
EXAMPLES = (Example({"source": 3}, ((1.0, 5.0, 5.0, 7.0, -1.0, 2.0),), (1.0, 0.0), rows=2, output_rows=2, width=3),)
