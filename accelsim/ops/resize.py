"""An image of another size: the nearest position, or a bilinear or bicubic interpolation.

Disputable assumption: a multiply-add per neighbour and element, a pass each; the lines that a result lies between are read for each of its
lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, Piece, VectorLayer
from accelsim.ops.shapes import Bound, TensorShape
from accelsim.quantities import unit

KIND = "resize"
Ratio = Annotated[float, Field(gt=0, le=1 << 16), unit("ratio")]
_LINEAR = 4  # neighbours, whose passes a chip states
_REACH = {"nearest": 1, "linear": 2, "cubic": 4}  # neighbours along an axis
_SHARPNESS = -0.75  # of the cubic kernel (Keys 1981, doi 10.1109/TASSP.1981.1163711, with PyTorch's and ONNX's constant)


class ResizeLayer(VectorLayer):
    """An image, one row per position, at another size: each position from those around it.

    Attributes
    ----------
    image, size
        (height, width) of the input and of the result.
    corners
        "edges": the images' edges coincide; "centres": the centres of their corner positions do (align_corners); "starts": the centres of
        the first positions do (asymmetric).
    method
        "linear": the two positions along each axis between which one lies; "cubic": four; "nearest": one.
    rounding
        To the nearest, of a place between two positions: down, up, or to the closer one, a half down or up.
    ratio
        Positions of the input per position of the result, along (y, x), where a model states them; None: those of the sizes.
    """

    walk = "windows"
    pass_name = "resize"
    default_passes = 4
    pass_note = "the four neighbours of a bilinear interpolation; a bicubic one takes four times as many, the nearest a quarter"

    op: Literal["resize"] = "resize"
    image: tuple[Bound, Bound]
    size: tuple[Bound, Bound]
    corners: Literal["edges", "centres", "starts"] = "edges"
    method: Literal["linear", "nearest", "cubic"] = Field(default="linear", exclude_if=lambda method: method == "linear")
    rounding: Literal["floor", "ceil", "half_down", "half_up"] = Field(default="floor", exclude_if=lambda rounding: rounding == "floor")
    ratio: tuple[Ratio, Ratio] | None = Field(default=None, exclude_if=lambda ratio: ratio is None)

    @model_validator(mode="after")
    def _output_is_the_other_image(self) -> ResizeLayer:
        self._expect("output", self.output.dims, (1, self.size[0] * self.size[1], self.output.width))
        return self

    @property
    def in_step(self) -> bool:
        """False: a line lies between two."""
        return False

    def operand_rows(self, operand: int, first_row: int, rows: int) -> tuple[int, int]:
        """The lines between which those of the result lie."""
        before, after = self._lines_read
        picture, line = divmod(first_row // self.size[1], self.size[0])
        last_picture, last_line = divmod((first_row + rows - 1) // self.size[1], self.size[0])
        first, last = picture * self.image[0] + int(before[line]), last_picture * self.image[0] + int(after[last_line])
        return first * self.image[1], (last - first + 1) * self.image[1]

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One row of channels per position of the image."""
        self._expect("input", shapes[0].dims, (1, self.image[0] * self.image[1], self.output.width))

    def row_pieces(self, widths: Sequence[int]) -> list[Piece]:
        """The positions around it."""
        return [Piece(0, widths[0])] * self._neighbours

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        """The chip's passes are those of four neighbours."""
        return -(-chip(self.pass_name) * self._neighbours // _LINEAR)

    @property
    def _neighbours(self) -> int:
        return _REACH[self.method] ** 2

    @property
    def _lines_read(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(first, last) line that each line of the result reads."""
        places = np.stack([place for place, _ in self._axis(0)])
        return places.min(axis=0), places.max(axis=0)

    def _axis(self, axis: int) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """(position, weight) of each neighbour along an axis, by index of the result."""
        old, new = self.image[axis], self.size[axis]
        step = old / new if self.ratio is None else self.ratio[axis]
        index = np.arange(new, dtype=np.float64)
        if self.corners == "centres":
            place = index * (old - 1) / max(1, new - 1)
        else:
            place = index * step if self.corners == "starts" else (index + 0.5) * step - 0.5
        if self.method == "nearest":
            return [(np.clip(_ROUNDINGS[self.rounding](place), 0, old - 1).astype(np.int64), np.ones(new))]
        if self.method == "linear":
            place = np.clip(place, 0, old - 1)
        before = np.floor(place).astype(np.int64)
        share = place - before
        kernel = [1 - share, share] if self.method == "linear" else [_cubic(share - tap) for tap in (-1, 0, 1, 2)]
        first = 0 if self.method == "linear" else -1
        return [(np.clip(before + first + tap, 0, old - 1), weight) for tap, weight in enumerate(kernel)]

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Along y, then along x."""
        picture = operands[0].reshape(*self.image, -1)
        for axis in (0, 1):
            shape = [-1 if place == axis else 1 for place in range(3)]
            picture = np.sum([picture.take(place, axis) * weight.reshape(shape) for place, weight in self._axis(axis)], axis=0)
        return np.asarray(picture.reshape(self.output.dims), np.float64)


_ROUNDINGS: dict[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "half_down": lambda place: np.ceil(place - 0.5),
    "half_up": lambda place: np.floor(place + 0.5),
}


def _cubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' kernel at distances up to 2 (equation 15 of the paper, with another constant)."""
    x = np.abs(distance)
    near = (_SHARPNESS + 2) * x**3 - (_SHARPNESS + 3) * x**2 + 1
    far = _SHARPNESS * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.asarray(np.where(x <= 1, near, far), np.float64)


SPEC = ResizeLayer
EXAMPLES = (
    # centres of 4 positions over 2: -0.25 (held at 0), 0.25, 0.75, 1.25 (held at 1)
    Example({"image": (1, 2), "size": (1, 4)}, ((0.0, 4.0),), (0.0, 1.0, 3.0, 4.0), rows=2, output_rows=4, width=1),
    Example({"image": (2, 1), "size": (3, 1), "corners": "centres"}, ((0.0, 4.0),), (0.0, 2.0, 4.0), rows=2, output_rows=3, width=1),
    # starts of three positions over four: 0, 0.75, 1.5, 2.25
    Example({"image": (1, 3), "size": (1, 4), "corners": "starts", "method": "nearest"}, ((5.0, 6.0, 7.0),), (5.0, 5.0, 6.0, 7.0),
            rows=3, output_rows=4, width=1),
    # centres of three positions over two: 0.25, 1.75; a ratio of 1 that is stated: 0, 1
    Example({"image": (1, 3), "size": (1, 2), "method": "nearest", "rounding": "half_up"}, ((5.0, 6.0, 7.0),), (5.0, 7.0),
            rows=3, output_rows=2, width=1),
    Example({"image": (1, 3), "size": (1, 2), "ratio": (1.0, 1.0)}, ((5.0, 6.0, 7.0),), (5.0, 6.0), rows=3, output_rows=2, width=1),
    # -1/4, 1/4, 3/4, ... are 5/4, 3/4, 1/4, ... from position 1, where the kernel is -27, 67, 225, ... of 256
    Example({"image": (1, 4), "size": (1, 8), "method": "cubic"}, ((0.0, 256.0, 0.0, 0.0),),
            (-27.0, 67.0, 225.0, 225.0, 67.0, -27.0, -9.0, 0.0), rows=4, output_rows=8, width=1),
)  # fmt: skip
