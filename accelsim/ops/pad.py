"""Positions of one value around an image, for readers that know no padding of their own: a pool, a sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, Pad, VectorLayer
from accelsim.ops.shapes import Bound, TensorShape
from accelsim.quantities import unit

KIND = "pad"


class PadLayer(VectorLayer):
    """An image, one row per position, with positions of one value around it.

    Attributes
    ----------
    image
        (height, width) of the input.
    padding, padding_end
        (y, x) at the top and the left, and at the bottom and the right.
    value
        Of the new positions.
    """

    pass_name = "move"
    default_passes = 1
    pass_note = "of a copy in another order, and of a concatenation"

    op: Literal["pad"] = "pad"
    image: tuple[Bound, Bound]
    padding: tuple[Pad, Pad] = (0, 0)
    padding_end: tuple[Pad, Pad] = (0, 0)
    value: Annotated[float, unit("activation's real value")] = 0.0

    @model_validator(mode="after")
    def _output_is_the_larger_image(self) -> PadLayer:
        height, width = self._larger
        self._expect("output", self.output.dims, (1, height * width, self.output.width))
        return self

    @property
    def _larger(self) -> tuple[int, int]:
        height, width = (self.padding[axis] + self.image[axis] + self.padding_end[axis] for axis in (0, 1))
        return height, width

    @property
    def in_step(self) -> bool:
        """False: rows move on."""
        return False

    def operand_rows(self, operand: int, first_row: int, rows: int) -> tuple[int, int]:
        """The lines of the image within those of the result."""
        height, width = self._larger
        picture, line = divmod(first_row // width, height)
        last_picture, last_line = divmod((first_row + rows - 1) // width, height)
        inside = [min(self.image[0] - 1, max(0, place - self.padding[0])) for place in (line, last_line)]
        first, last = picture * self.image[0] + inside[0], last_picture * self.image[0] + inside[1]
        return first * self.image[1], (last - first + 1) * self.image[1]

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One row of channels per position of the image."""
        self._expect("input", shapes[0].dims, (1, self.image[0] * self.image[1], self.output.width))

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The image in its place."""
        around = (*zip(self.padding, self.padding_end, strict=True), (0, 0))
        padded = np.pad(operands[0].reshape(*self.image, -1), around, constant_values=self.value)
        return padded.reshape(self.output.dims)


SPEC = PadLayer
EXAMPLES = (
    Example(
        {"image": (1, 2), "padding": (1, 0), "padding_end": (0, 1), "value": 9.0}, ((1.0, 2.0),), (9.0, 9.0, 9.0, 1.0, 2.0, 9.0),
        rows=2, output_rows=6,
    ),
)  # fmt: skip
