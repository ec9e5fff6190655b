"""The largest or the average element of each window of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, Integers, LineWindow, Pad, Partial, Step, VectorLayer
from accelsim.ops.shapes import Bound, TensorShape, window_positions

KIND = "pool"
_SUM_BITS = 32  # of a sum that is accumulated: of 8-bit elements, as many as a tensor may have in an image


class PoolLayer(VectorLayer):
    """The largest or the average element of each window of an image, channel by channel; a global average has one window.

    Attributes
    ----------
    image
        (height, width) of the input, in the layout that the array writes: one row per position (rows = height*width, width = channels).
    taps
        (FY, FX) of the window.
    strides, padding
        (y, x); padding is that of the top and the left, and never wins a maximum.
    padding_end
        (y, x) padding of the bottom and the right; None: the same as `padding`.
    count_padding
        An average divides by all taps of a window; otherwise by those inside the image.
    """

    exact = True
    walk = "windows"
    pass_name = "pool"
    default_passes = 1
    pass_note = "per tap of the window"

    op: Literal["max_pool2d", "avg_pool2d"]
    image: tuple[Bound, Bound]
    taps: tuple[Step, Step]
    strides: tuple[Step, Step]
    padding: tuple[Pad, Pad] = (0, 0)
    padding_end: tuple[Pad, Pad] | None = None
    count_padding: bool = False

    @model_validator(mode="after")
    def _windows_meet_the_image(self) -> PoolLayer:
        for axis, name in enumerate(("height", "width")):
            before, places = self.padding[axis], self.positions[axis]
            last = (places - 1) * self.strides[axis] - before  # first line of the last window
            if places < 1 or before >= self.taps[axis] or last >= self.image[axis]:
                raise self._refuse(
                    f"windows of {self.taps} by strides {self.strides} with padding {self.padding} and {self.far_padding} do not fit "
                    f"an image of {self.image} along its {name}: each must hold at least one position of the image"
                )
        if self.count_padding and self.op != "avg_pool2d":
            raise self._refuse("count_padding is of an average; allowed with op 'avg_pool2d'")
        self._expect("output", self.output.dims, (1, self.positions[0] * self.positions[1], self.output.width))
        return self

    @property
    def far_padding(self) -> tuple[int, int]:
        """Padding of the bottom and the right."""
        return self.padding if self.padding_end is None else self.padding_end

    @property
    def positions(self) -> tuple[int, int]:
        """(OY, OX)."""
        oy, ox = (
            window_positions(self.image[axis], self.taps[axis], self.strides[axis], self.padding[axis], self.far_padding[axis])
            for axis in (0, 1)
        )
        return oy, ox

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """One row of channels per position of the image."""
        height, width = self.image
        self._expect("input", shapes[0].dims, (1, height * width, self.output.width))

    @property
    def window(self) -> LineWindow:
        """Its windows, by lines of the image."""
        return LineWindow.of_image(self.image, self.positions, self.taps, (1, 1), self.strides, self.padding)

    @property
    def partial(self) -> Partial:
        """The sums, or the largest elements, of the lines read so far."""
        return Partial(self.output.width, self.output.bits if self._largest else _SUM_BITS)

    def of_lines(self, line: int, first: int, lines: int) -> PoolLayer:
        """A pool of an image of these lines alone; padding above and below goes with the lines beside it."""
        window = self.window
        above = line * window.stride - window.padding
        before = max(0, -above) if first <= max(0, above) else 0
        after = max(0, above + window.span - window.height) if first + lines >= min(window.height, above + window.span) else 0
        cut = {"image": lines, "taps": before + lines + after, "padding": before, "padding_end": after}
        whole = {"image": self.image, "taps": self.taps, "padding": self.padding, "padding_end": self.far_padding}
        axis = 0 if window.height == self.image[0] else 1  # of a signal, whose positions are its lines
        fields = {name: (cut[name], pair[1]) if axis == 0 else (pair[0], cut[name]) for name, pair in whole.items()}
        return self.with_fields(**fields, output=self.output.with_fields(rows=window.positions))

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        """The chip's passes per tap."""
        return chip(self.pass_name) * self.taps[0] * self.taps[1]

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """As its input."""
        return all(operands)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The largest element of each window, or its mean over all taps or over those inside the image."""
        windows = self._windows(operands[0][0], -np.inf if self._largest else 0.0)
        if self._largest:
            pooled = windows.max(axis=(3, 4))
        elif self.count_padding:
            pooled = windows.mean(axis=(3, 4))
        else:
            inside = self._windows(np.ones_like(operands[0][0]), 0.0).sum(axis=(3, 4))
            pooled = windows.sum(axis=(3, 4)) / inside
        return np.asarray(pooled.reshape(pooled.shape[0], -1).T[None], np.float64)

    def unit_sums(self, image: npt.NDArray[np.int8]) -> Integers:
        """Tap by tap, each read by its address; positions outside the image are skipped."""
        (height, width), (oys, oxs) = self.image, self.positions
        largest = self._largest
        oy, ox = (axis.reshape(-1) for axis in np.meshgrid(np.arange(oys), np.arange(oxs), indexing="ij"))
        out = np.full((oys * oxs, image.shape[1]), -(1 << 31) if largest else 0, np.int64)
        for tap in range(self.taps[0] * self.taps[1]):
            y = oy * self.strides[0] - self.padding[0] + tap // self.taps[1]
            x = ox * self.strides[1] - self.padding[1] + tap % self.taps[1]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            element = image[y[inside] * width + x[inside]]
            out[inside] = np.maximum(out[inside], element) if largest else out[inside] + element
        return out

    def exact_sums(self, image: npt.NDArray[np.int8]) -> Integers:
        """The largest or the sum of each window's elements, int64 (OY*OX, channels)."""
        windows = self._windows(image.astype(np.int64), np.iinfo(np.int64).min if self._largest else 0)
        pooled = windows.max(axis=(3, 4)) if self._largest else windows.sum(axis=(3, 4))
        return np.asarray(pooled.reshape(pooled.shape[0], -1).T, np.int64)

    @property
    def _largest(self) -> bool:
        return self.op == "max_pool2d"

    def _windows(self, image: npt.NDArray[Any], outside: float) -> npt.NDArray[Any]:
        """(channels, OY, OX, FY, FX) of `image` (height*width, channels), padded with `outside`."""
        planes = image.T.reshape(-1, *self.image)
        padded = np.pad(planes, ((0, 0), *zip(self.padding, self.far_padding, strict=True)), constant_values=outside)
        found = np.lib.stride_tricks.sliding_window_view(padded, self.taps, axis=(1, 2))
        return found[:, :: self.strides[0], :: self.strides[1]]


SPEC = PoolLayer
EXAMPLES = (
    # an image of one line of three positions, one channel: windows (1, 4) and (4, 2)
    Example(
        {"op": "max_pool2d", "image": (1, 3), "taps": (1, 2), "strides": (1, 1)}, ((1.0, 4.0, 2.0),), (4.0, 4.0), rows=3, output_rows=2,
    ),
    Example(
        {"op": "avg_pool2d", "image": (1, 3), "taps": (1, 2), "strides": (1, 1)}, ((1.0, 4.0, 2.0),), (2.5, 3.0), rows=3, output_rows=2,
    ),
    # padding of one position on either side: (0, 1), (1, 4), (4, 2), (2, 0) over two taps, or over those inside
    Example(
        {"op": "avg_pool2d", "image": (1, 3), "taps": (1, 2), "strides": (1, 1), "padding": (0, 1), "count_padding": True},
        ((1.0, 4.0, 2.0),), (0.5, 2.5, 3.0, 1.0), rows=3, output_rows=4,
    ),
    Example(
        {"op": "avg_pool2d", "image": (1, 3), "taps": (1, 2), "strides": (1, 1), "padding": (0, 1)},
        ((1.0, 4.0, 2.0),), (1.0, 2.5, 3.0, 2.0), rows=3, output_rows=4,
    ),
)  # fmt: skip
