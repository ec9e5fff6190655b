"""Gates that apply scales of groups: multipliers at the columns' taps or in the decoder, and the double registers that scales wait in.

Never synthesized. Disputable assumptions: a multiplier costs an 8x8 one's gates per pair of bits; a sum that is scaled has 24 bits; a
binary16 scale multiplies by its 11 bits, the exponent's shift and a float adder are in the range alone.
"""

from __future__ import annotations

from accelsim.cost.gate_counts import FLOP, FLOP_ENABLE, LATCH, MULTIPLIER_8X8, READ_MUX, adder
from accelsim.cost.span import Span
from accelsim.hw.core_spec import ArraySpec

_BIT_PRODUCT = MULTIPLIER_8X8 / 64  # GE per pair of bits
SUM_BITS = 24  # of a group of 32: eight bits of activation, weight and sub-scale each, at most
_SCALE_BITS = Span(11.0, 8.0, 16.0)  # that multiply a sum
_DECODER_SCALE_BITS = Span(6.0, 4.0, 8.0)  # integer sub-scales
_HELD_BITS = Span(16.0, 8.0, 32.0)  # of a group's scales and offsets


def multiplier() -> Span:
    """Of a sum by a scale."""
    return _SCALE_BITS * (SUM_BITS * _BIT_PRODUCT)


def tap(psum_bits: int) -> Span:
    """A multiplier at a column, the adder behind it and its register; high: with a second multiply-add, for minima."""
    once = multiplier() + Span.exact(adder(psum_bits) + FLOP * psum_bits)
    return Span(once.nominal, once.low, 2 * once.high)


def decoder_multiplier() -> Span:
    """A multiplier of one lane of the decoder: 8 bits by an integer scale."""
    return _DECODER_SCALE_BITS * (8 * _BIT_PRODUCT)


def scale_registers(array: ArraySpec, taps: int) -> Span:
    """Two scales per column and tap, for each tile of a fold: one in use, and one that travels ahead of the next."""
    return _HELD_BITS * (FLOP_ENABLE * 2 * array.cols * taps * array.held_weights)


def wider_pes(array: ArraySpec) -> float:
    """Area that weights of more than 8 bits add to all PEs: their multipliers, and two registers per PE and set, or files."""
    more = array.weight_bits - 8
    bit = FLOP_ENABLE if array.held_weights == 1 else LATCH + READ_MUX
    return array.rows * array.cols * more * (8 * _BIT_PRODUCT + bit * array.pe_weights)


def wider_rows(array: ArraySpec) -> float:
    """Area that rows of more than 8 bits add: multipliers, a register per PE, and subtractors of the zero point ahead of the rows."""
    more = array.activation_bits - 8
    multipliers = array.rows * array.dense_cols * array.weight_bits * _BIT_PRODUCT
    centring = array.rows * adder(array.activation_bits) if more else 0.0
    return more * (multipliers + array.rows * array.cols * FLOP) + centring
