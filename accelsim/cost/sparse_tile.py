"""Gate equivalents of masks in hardware: the decoder of N:M patterns, and MVQ's sparse tile, whose columns share multipliers.

As arXiv 2412.10261 describes it, a row of H x d PEs keeps Q multipliers; leading-zero counters and demultiplexers lead their products to
the columns that a mask names. Disputable assumption: nothing of it was synthesized here. Multipliers, adders, registers and multiplexers
count as the synthesized ones of `gate_counts`; each column keeps its adder, its sum and its activation register; how they are routed is
an estimate with a factor of two either way.
"""

from __future__ import annotations

from math import comb

from accelsim.cost import gate_counts
from accelsim.cost.span import Span

PRODUCT_BITS = 16
ZERO_COUNT = 4.0  # GE per bit: finds the next set bit of a mask and clears it (a priority chain: AND, OR, inverter); estimate
LANE_GATE = 1.33  # GE per bit: AND2_X1 of Nangate45, 1.064 um2


def tile_row(psum_bits: int, d: int, q: int, weight_file: int = 2) -> Span:
    """A row of a tile: q multipliers, d adders, sums and activation registers, storage of q weights and of masks, and the routing.

    Parameters
    ----------
    weight_file : weights that a multiplier holds; 2 are the shadow and the active register, more are a file of latches with a read port
    """
    columns = d * (gate_counts.PE_ADDER * psum_bits + gate_counts.FLOP * (8 + psum_bits))
    bit = gate_counts.FLOP_ENABLE if weight_file == 2 else gate_counts.LATCH + gate_counts.READ_MUX
    storage = weight_file * bit * (8 * q + d)
    return routing(d, q) + Span.exact(columns + q * gate_counts.MULTIPLIER_8X8 + storage)


def routing(d: int, q: int) -> Span:
    """Leading-zero counters over a mask of d bits, one after the other, and q products of 16 bits into any of d columns."""
    nominal = ZERO_COUNT * q * d + gate_counts.READ_MUX * PRODUCT_BITS * q * d
    return Span(nominal, 0.5 * nominal, 2.0 * nominal)


def mask_decoder(keep: int, of: int, lanes: int) -> Span:
    """Tables from a pattern's number to its mask, one for each `of` of the lanes that are decoded a cycle, and the gates of the lanes.

    A table is logic that holds C(of, keep) words of `of` bits, as that of a codebook with random contents; patterns are regular,
    so the low end is a quarter of that (numbers of subsets can be expanded without a table).
    """
    table = gate_counts.logic_rom(comb(of, keep), of / 8) * (lanes / of)
    return Span(table, 0.25 * table, 1.2 * table) + Span.exact(LANE_GATE * 8 * lanes)


def weight_compactor(lanes: int, d: int, q: int) -> Span:
    """On the load path: of each d lanes the q that are kept, side by side; multiplexers of d - q + 1 inputs, with their counters."""
    tiles = lanes / d
    nominal = tiles * (gate_counts.READ_MUX * 8 * q * (d - q + 1) + ZERO_COUNT * q * d)
    return Span(nominal, 0.5 * nominal, 2.0 * nominal)
