"""Accesses of the activation SRAM that one row of A takes: the real pattern of a product or a convolution.

Disputable assumption: pieces of a row that are not consecutive take an access each, however near; banks are interleaved so
that the accesses of one row fall into different banks.
"""

from __future__ import annotations

from accelsim.hw.sram import ActivationBufferSpec
from accelsim.ops.channel_window import ChannelWindow
from accelsim.trace.layers import MacLayer


def row_accesses(buffer: ActivationBufferSpec, layer: MacLayer, rows: int) -> int:
    """Accesses that the `rows` elements of one K-tile take in one row of A (int8)."""
    full, rest = divmod(min(rows, layer.k), layer.contiguous)
    return full * buffer.accesses(layer.contiguous) + (buffer.accesses(rest) if rest else 0)


def window_accesses(buffer: ActivationBufferSpec, window: ChannelWindow, columns: int, taps: int) -> int:
    """Accesses that `taps` taps of each of `columns` channels take for one output position, without a register that keeps any (int8)."""
    if not window.planar:
        return taps * buffer.accesses(columns)
    line = window.width if window.dense else 1  # taps that lie side by side
    lines, rest = divmod(taps, line)
    return columns * (lines * buffer.accesses(line) + (buffer.accesses(rest) if rest else 0))
