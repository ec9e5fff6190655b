"""An image of another size by bilinear interpolation.

Disputable assumption: four multiply-adds per element, a pass each; the two lines that a result lies between are read for each of its lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, Piece, VectorLayer
from accelsim.ops.shapes import Bound, TensorShape

KIND = "resize"
_CORNERS = 4


class ResizeLayer(VectorLayer):
    """An image, one row per position, at another size: each position from the four around it.

    Attributes
    ----------
    image, size
        (height, width) of the input and of the result.
    corners
        "edges": the images' edges coincide; "centres": the centres of their corner positions do (align_corners).
    """

    walk = "windows"
    pass_name = "resize"
    default_passes = 4
    pass_note = "the four neighbours of a bilinear interpolation"

    op: Literal["resize"] = "resize"
    image: tuple[Bound, Bound]
    size: tuple[Bound, Bound]
    corners: Literal["edges", "centres"] = "edges"

    @model_validator(mode="after")
    def _output_is_the_other_image(self) -> ResizeLayer:
        self._expect("output", self.output.dims, (1, self.size[0] * self.size[1], self.output.width))
        return self

    @property
    def in_step(self) -> bool:
        """False: a line lies between two."""
        return False

    def operand_rows(self, first_row: int, rows: int) -> tuple[int, int]:
        """The lines between which those of the result lie."""
        before, after, _ = self._axis(0)
        picture, line = divmod(first_row // self.size[1], self.size[0])
        last_picture, last_line = divmod((first_row + rows - 1) // self.size[1], self.size[0])
        first, last = picture * self.image[0] + int(before[line]), last_picture * self.image[0] + int(after[last_line])
        return first * self.image[1], (last - first + 1) * self.image[1]

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One row of channels per position of the image."""
        self._expect("input", shapes[0].dims, (1, self.image[0] * self.image[1], self.output.width))

    def row_pieces(self, widths: Sequence[int]) -> list[Piece]:
        """The four positions."""
        return [Piece(0, widths[0])] * _CORNERS

    def _axis(self, axis: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """(before, after, weight of after) of each index of an axis of the result."""
        old, new = self.image[axis], self.size[axis]
        index = np.arange(new, dtype=np.float64)
        place = index * (old - 1) / max(1, new - 1) if self.corners == "centres" else (index + 0.5) * old / new - 0.5
        place = np.maximum(place, 0)
        before = np.minimum(np.floor(place).astype(np.int64), old - 1)
        return before, np.minimum(before + 1, old - 1), place - before

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Along y, then along x."""
        picture = operands[0].reshape(*self.image, -1)
        for axis in (0, 1):
            before, after, weight = self._axis(axis)
            share = weight.reshape([-1 if place == axis else 1 for place in range(3)])
            picture = picture.take(before, axis) * (1 - share) + picture.take(after, axis) * share
        return np.asarray(picture.reshape(self.output.dims), np.float64)


SPEC = ResizeLayer
EXAMPLES = (
    # centres of 4 positions over 2: -0.25 (held at 0), 0.25, 0.75, 1.25 (held at 1)
    Example({"image": (1, 2), "size": (1, 4)}, ((0.0, 4.0),), (0.0, 1.0, 3.0, 4.0), rows=2, output_rows=4, width=1),
    Example({"image": (2, 1), "size": (3, 1), "corners": "centres"}, ((0.0, 4.0),), (0.0, 2.0, 4.0), rows=2, output_rows=3, width=1),
)
