"""Windows over an image: those of convolutions and of pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from accelsim.ops.shapes import window_positions

Pair = tuple[int, int]
PoolOp = Literal["max_pool2d", "avg_pool2d"]


@dataclass(frozen=True)
class Convolution:
    """Parameters of a 2-D convolution: output channels and taps, and per axis (y, x) the rest.

    Padding is that of the top and the left; `padding_end` that of the bottom and the right, None for the same.
    """

    outputs: int
    taps: Pair
    strides: Pair
    padding: Pair
    dilation: Pair
    groups: int
    padding_end: Pair | None = None

    @property
    def far(self) -> Pair:
        """Padding of the bottom and the right."""
        return self.padding if self.padding_end is None else self.padding_end

    def positions(self, image: Sequence[int]) -> Pair:
        """(OY, OX) over an image (height, width); below 1 where the windows do not fit."""
        oy, ox = (
            window_positions(size, self.taps[i], self.strides[i], self.padding[i], self.far[i], self.dilation[i])
            for i, size in enumerate(image)
        )
        return oy, ox

    def padded(self, before: Pair, after: Pair) -> Convolution:
        """With more zeros at the top and the left, and at the bottom and the right."""
        return replace(self, padding=_sum(self.padding, before), padding_end=_sum(self.far, after))


@dataclass(frozen=True)
class Pool:
    """Windows of a pool, per axis (y, x); an average divides by all taps (`count_padding`) or by those inside the image."""

    op: PoolOp
    taps: Pair
    strides: Pair
    padding: Pair = (0, 0)
    padding_end: Pair | None = None
    count_padding: bool = False

    @property
    def far(self) -> Pair:
        """Padding of the bottom and the right."""
        return self.padding if self.padding_end is None else self.padding_end

    def positions(self, image: Sequence[int]) -> Pair:
        """(OY, OX) over an image (height, width); below 1 where the windows do not fit."""
        oy, ox = (window_positions(size, self.taps[i], self.strides[i], self.padding[i], self.far[i]) for i, size in enumerate(image))
        return oy, ox


def _sum(first: Pair, second: Pair) -> Pair:
    return first[0] + second[0], first[1] + second[1]
