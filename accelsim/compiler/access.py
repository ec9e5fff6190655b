"""Accesses of the activation SRAM that one row of A takes: the real pattern of a product or a convolution.

Disputable assumption: pieces of a row that are not consecutive take an access each, however near; banks are interleaved so
that the accesses of one row fall into different banks.
"""

from __future__ import annotations

from accelsim.hw.sram import ActivationBufferSpec
from accelsim.trace.layers import ConvLayer, MacLayer


def row_accesses(buffer: ActivationBufferSpec, layer: MacLayer, rows: int) -> int:
    """Accesses that the `rows` elements of one K-tile take in one row of A (int8)."""
    used = min(rows, layer.k)
    if not isinstance(layer, ConvLayer):
        return buffer.accesses(used)
    bounds = layer.bounds
    if layer.input_layout == "planar":
        piece = bounds.FX if layer.dilation[1] == 1 else 1  # taps of a line lie side by side
    else:
        whole_line = layer.dilation[1] == 1 and bounds.G == 1
        piece = bounds.C * bounds.FX if whole_line else bounds.C  # channels lie side by side, then the taps of a line
    full, rest = divmod(used, piece)
    return full * buffer.accesses(piece) + (buffer.accesses(rest) if rest else 0)
