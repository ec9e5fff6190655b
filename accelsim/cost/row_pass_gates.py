"""Gates for rows wider than 8 bits: a shifter, an adder and a register at the foot of each column, and PEs that take bytes without a sign.

Multipliers of 16 bits need neither. Never synthesized. Disputable assumptions: the shifter is a multiplexer of as many inputs as there are
passes; a PE multiplies by a ninth bit in each pass, with a row of partial products more; a multiplier of 16 x 8 bits is two of 8 x 8, an
adder and a byte's register.
"""

from __future__ import annotations

from accelsim.cost.gate_counts import FLOP, MULTIPLIER_8X8, READ_MUX, adder
from accelsim.cost.span import Span
from accelsim.hw.core_spec import ArraySpec


def column_foot(psum_bits: int, passes: int) -> Span:
    """Gates that shift and add the sums of a column's passes; high: as much again for its drivers and clock."""
    gates = adder(psum_bits) + (FLOP + READ_MUX * passes) * psum_bits
    return Span(gates, 0.75 * gates, 2 * gates)


def wide_multipliers(macs: int) -> Span:
    """Gates of `macs` multipliers of 16 x 8 bits beyond those of 8 x 8; high: floats, which align and round their sums."""
    gates = macs * (MULTIPLIER_8X8 + adder(24) + 8 * FLOP)
    return Span(gates, 0.75 * gates, 3 * gates)


def unsigned_bytes(array: ArraySpec) -> Span:
    """A row of an 8x8 multiplier's partial products, and a bit of an activation register, in each PE; low: the register alone."""
    bit, row = array.rows * array.cols * FLOP, array.rows * array.cols * MULTIPLIER_8X8 / 8
    return Span(bit + row, bit, bit + 1.5 * row)
