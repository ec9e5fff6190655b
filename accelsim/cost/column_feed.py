"""Gates of feeds per column: windows of registers, and a multiplexer per PE between its neighbour's activation and its column's feed.

Never synthesized. Disputable assumption: a feed reaches the rows that a window has taps for, or all rows where there are no windows.
"""

from __future__ import annotations

from accelsim.cost.gate_counts import FLOP, FLOP_ENABLE, READ_MUX
from accelsim.cost.span import Span
from accelsim.hw.core_spec import ArraySpec


def window_register_bits(array: ArraySpec) -> int:
    """Bits of all columns' windows: k x k activations of 8 bits each."""
    return 8 * (array.column_feed or 0) ** 2 * array.cols


def windows(array: ArraySpec) -> Span:
    """The registers of `window_register_bits`, with an enable; low: without, as they shift in every cycle that matters."""
    bits = window_register_bits(array)
    return Span(FLOP_ENABLE * bits, FLOP * bits, 1.25 * FLOP_ENABLE * bits)


def feeds(array: ArraySpec) -> Span:
    """Two inputs of 8 bits at each PE that a feed reaches; high: as much again for the wires' drivers."""
    if array.column_feed is None:
        return Span.exact(0.0)
    rows = min(array.rows, array.column_feed**2) if array.column_feed else array.rows
    gates = 2 * READ_MUX * 8 * rows * array.cols
    return Span(gates, 0.5 * gates, 2 * gates)
