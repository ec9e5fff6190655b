"""Trained rows before or after the input's (a class token, queries), and a trained matrix added to all rows (position embeddings)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer
from accelsim.ops.shapes import TensorShape
from accelsim.quantities import unit

KIND = "embed"


class EmbedLayer(VectorLayer):
    """Put trained rows (class token) before and after the input's, and add a trained matrix (position embeddings) to all of them."""

    pass_name = "add"
    default_passes = 1
    pass_note = "of a residual sum, and of position embeddings"
    residual = True

    op: Literal["embed"] = "embed"
    prepended_rows: Annotated[int, Field(ge=0, le=1 << 16, description="trained rows put before the input"), unit("rows")]
    appended_rows: Annotated[
        int, Field(ge=0, le=1 << 16, exclude_if=lambda rows: rows == 0, description="trained rows put after the input"), unit("rows")
    ] = 0
    positions: bool = Field(description="true: a trained matrix is added to all rows")
    parameter_bits: ConstantBits = 8

    @property
    def with_positions(self) -> Self | None:
        """The same with position embeddings; None if it has them."""
        return None if self.positions else self.with_fields(positions=True)

    @property
    def in_step(self) -> bool:
        """True if it adds positions alone, and no rows."""
        return self.prepended_rows + self.appended_rows == 0

    def operand_rows(self, operand: int, first_row: int, rows: int) -> tuple[int, int]:
        """Rows of the input from the first that is needed to the last; at least one, where all are trained ones."""
        height = self.output.rows - self.prepended_rows - self.appended_rows
        (image, row), (last_image, last_row) = (divmod(each, self.output.rows) for each in (first_row, first_row + rows - 1))
        first, last = (min(max(each - self.prepended_rows, 0), height - 1) for each in (row, last_row))
        return image * height + first, (last_image - image) * height + last - first + 1

    @property
    def leading_rows(self) -> int:
        """The prepended rows."""
        return self.prepended_rows

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One matrix, shorter than the output by the trained rows."""
        trained = self.prepended_rows + self.appended_rows
        self._expect("input", shapes[0].dims, (1, self.output.rows - trained, self.output.width))

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Rows before and after the input's, and position embeddings."""
        width = self.output.width
        sizes = {
            "prepended": self.prepended_rows * width,
            "appended": self.appended_rows * width,
            "positions": self.output.elements if self.positions else 0,
        }
        return {name: size for name, size in sizes.items() if size}

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Trained rows around the input's, and the positions on top of all."""
        before, after = (constants.get(name, np.empty(0)).reshape(1, -1, self.output.width) for name in ("prepended", "appended"))
        rows = np.concatenate([before, operands[0], after], axis=1)
        return rows + constants["positions"].reshape(rows.shape) if self.positions else rows


SPEC = EmbedLayer
EXAMPLES = (
    Example(
        {"prepended_rows": 1, "positions": True}, ((1.0, 2.0),), (10.0, 21.0, 31.0, 42.0),
        {"prepended": (10.0, 20.0), "positions": (0.0, 1.0, 30.0, 40.0)}, output_rows=2,
    ),
    Example(
        {"prepended_rows": 0, "appended_rows": 1, "positions": False}, ((1.0, 2.0),), (1.0, 2.0, 10.0, 20.0), {"appended": (10.0, 20.0)},
        output_rows=2,
    ),
)  # fmt: skip
