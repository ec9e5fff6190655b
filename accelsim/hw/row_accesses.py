"""Accesses of the activation SRAM that one row of A takes: the real pattern of a product or a convolution.

Disputable assumption: pieces of a row that are not consecutive take an access each, however near; banks are interleaved so
that the accesses of one row fall into different banks.
"""

from __future__ import annotations

from accelsim.hw.sram import ActivationBufferSpec
from accelsim.trace.layers import MacLayer


def row_accesses(buffer: ActivationBufferSpec, layer: MacLayer, rows: int) -> int:
    """Accesses that the `rows` elements of one K-tile take in one row of A (int8)."""
    full, rest = divmod(min(rows, layer.k), layer.contiguous)
    return full * buffer.accesses(layer.contiguous) + (buffer.accesses(rest) if rest else 0)
