"""Elements of an activation in another order: slices, transpositions, windows of tokens, shuffles, repetitions.

Disputable assumption: the vector unit copies row by row of the result through an address generator of nested loops; consecutive elements of
the source are read in words of the buffer, and each jump takes an access of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, Piece, VectorLayer
from accelsim.ops.shapes import MAX_ELEMENTS, Bound, TensorShape
from accelsim.quantities import unit

KIND = "move"

Offset = Annotated[int, Field(ge=-MAX_ELEMENTS, le=MAX_ELEMENTS), unit("elements")]
Loops = tuple[tuple[Bound, Offset], ...]


class MoveLayer(VectorLayer):
    """A copy of elements in another order.

    Element j of the result (row-major over groups, rows, width) is element `start` + sum of i * stride of the source, with i the
    digits of j in the sizes of the loops.

    Attributes
    ----------
    source
        (groups, rows, width) of the input.
    start
        First element that is read.
    nest
        (size, stride) of each loop, the slowest first; some of the fastest make up a row of the result. A stride of 0 repeats.
    """

    pass_name = "move"
    default_passes = 1
    pass_note = "of a copy in another order, and of a concatenation"
    rearranges = True

    op: Literal["move"] = "move"
    source: tuple[Bound, Bound, Bound]
    start: Annotated[int, Field(ge=0, le=MAX_ELEMENTS), unit("elements")] = 0
    nest: Annotated[Loops, Field(min_length=1, max_length=32)]

    @model_validator(mode="after")
    def _addresses_lie_in_the_source(self) -> MoveLayer:
        if math.prod(size for size, _ in self.nest) != self.output.elements or self._first_of_row is None:
            raise self._refuse(f"nest {self.nest} does not make rows of {self.output.width} of a result of {self.output.describe()}")
        reach = [(size - 1) * stride for size, stride in self.nest]
        least, most = self.start + sum(min(0, way) for way in reach), self.start + sum(max(0, way) for way in reach)
        if least < 0 or most >= math.prod(self.source):
            raise self._refuse(f"reads elements {least} to {most} of a source of {math.prod(self.source)}")
        return self

    @property
    def _first_of_row(self) -> int | None:
        """The slowest of the loops that make up a row; None if none do."""
        return _first_of_row(self.nest, self.output.width)

    @property
    def _row_loops(self) -> Loops:
        return self.nest[self._first_of_row :]

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """The source."""
        self._expect("input", shapes[0].dims, self.source)

    def operand_rows(self, operand: int, first_row: int, rows: int) -> tuple[int, int]:
        """All rows of the source between the first and the last that is read."""
        image, start = divmod(first_row, self.output.groups * self.output.rows)
        last_image, stop = divmod(first_row + rows - 1, self.output.groups * self.output.rows)
        height = self.source[0] * self.source[1]
        lowest, highest = _rows_touched(self.nest, len(self._row_loops), self.start, self.source[2])
        one = image == last_image
        first = image * height + int(lowest[start : stop + 1 if one else None].min())
        last = last_image * height + int(highest[start if one else 0 : stop + 1].max())
        return first, last - first + 1

    @property
    def in_step(self) -> bool:
        """True if it takes a part of each row, or reorders it."""
        rows = self.output.groups * self.output.rows
        return self.source[0] * self.source[1] == rows and _stays_in_rows(self.nest, len(self._row_loops), self.start, self.source[2])

    def row_pieces(self, widths: Sequence[int]) -> list[Piece]:
        """Runs of consecutive elements."""
        run = 1
        for size, stride in reversed(self._row_loops):
            if stride != run:
                break
            run *= size
        return [Piece(0, run)] * (self.output.width // run)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        place = addresses(self.start, self.nest)
        return np.asarray(operands[0].reshape(-1)[place].reshape(self.output.dims), np.float64)


@lru_cache(maxsize=256)
def _first_of_row(loops: Loops, width: int) -> int | None:
    wide = [math.prod(size for size, _ in loops[place:]) for place in range(len(loops) + 1)]
    return wide.index(width) if width in wide else None


@lru_cache(maxsize=256)
def _stays_in_rows(loops: Loops, of_a_row: int, start: int, width: int) -> bool:
    """True if each row of the result reads the row of the source with its number."""
    lowest, highest = _rows_touched(loops, of_a_row, start, width)
    return bool((lowest == np.arange(lowest.size)).all() and (highest == lowest).all())


@lru_cache(maxsize=64)
def addresses(start: int, loops: Loops) -> npt.NDArray[np.int64]:
    """Element of the source by element of the result."""
    place = np.array([start], np.int64)
    for size, stride in loops:
        place = (place[:, None] + stride * np.arange(size, dtype=np.int64)).reshape(-1)
    return place


@lru_cache(maxsize=64)
def _rows_touched(loops: Loops, of_a_row: int, start: int, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(first, last) row of the source by row of the result; the last `of_a_row` loops make up a row."""
    outer = loops[: len(loops) - of_a_row]
    reach = [(size - 1) * stride for size, stride in loops[len(outer) :]]
    begin = addresses(start, outer)
    lowest, highest = begin + sum(min(0, way) for way in reach), begin + sum(max(0, way) for way in reach)
    return lowest // width, highest // width


SPEC = MoveLayer
EXAMPLES = (
    # columns 1 and 2 of three
    Example(
        {"source": (1, 2, 3), "start": 1, "nest": ((2, 3), (2, 1))}, ((0.0, 1.0, 2.0, 3.0, 4.0, 5.0),), (1.0, 2.0, 4.0, 5.0),
        rows=2, output_rows=2, width=3,
    ),
    # a 2 x 3 matrix transposed
    Example(
        {"source": (1, 2, 3), "nest": ((3, 1), (2, 3))}, ((0.0, 1.0, 2.0, 3.0, 4.0, 5.0),), (0.0, 3.0, 1.0, 4.0, 2.0, 5.0),
        rows=2, output_rows=3, width=3,
    ),
    # each row twice, as an up-sampling to the nearest
    Example({"source": (1, 2, 2), "nest": ((2, 2), (2, 0), (2, 1))}, ((1.0, 2.0, 3.0, 4.0),), (1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0),
            rows=2, output_rows=4),
)  # fmt: skip
