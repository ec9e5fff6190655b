"""The window of a depthwise convolution over its channel's image, as a chip reads it that feeds each column with a channel of its own."""

from __future__ import annotations

from typing import NamedTuple


class ChannelWindow(NamedTuple):
    """A window that moves along output lines, one position at a time.

    Attributes
    ----------
    positions : of an output line
    height, width : taps (FY, FX)
    stride : input positions from one output position to the next in a line
    dense : taps of a line are neighbours (no dilation along the line)
    planar : the image is a plane per channel; else the channels of a position lie side by side
    """

    positions: int
    height: int
    width: int
    stride: int
    dense: bool
    planar: bool

    @property
    def taps(self) -> int:
        """T: weights of a channel."""
        return self.height * self.width

    def line_shifts(self, outputs: int) -> int:
        """Input positions that enter an empty window up to the last of the first `outputs` positions of a line."""
        return self.width + self.stride * (outputs - 1)
