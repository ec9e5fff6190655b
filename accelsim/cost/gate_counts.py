"""Gate equivalents of the core's blocks, as functions of their parameters; 1 GE = one two-input NAND (0.798 um2 in Nangate45).

Disputable assumption: the coefficients are accelsim's own fits, made on blocks synthesized with yosys 0.23 for Nangate45 (cell
area, no wires, no clock tree) and checked against seven whole cores with psums of 32 bits; other libraries differ by up to 17 %
in GE (`accelsim validate area` lists every row). Blocks that were never synthesized are estimates and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, gcd, log2

from accelsim.cost.span import Span

SYNTHESIS = "own fit to yosys 0.23 / Nangate45 synthesis"

FLOP = 5.67  # GE per bit without enable: 45.3 GE for 8 bits
FLOP_ENABLE = 8.0  # GE per bit with enable: 64.0 GE for 8 bits
MUX_SHARE = Span(0.1, 0.01, 1.0)  # gates of a read multiplexer that switch in an access: estimate, as for a codebook in latches
LATCH = 3.25  # GE per bit: fit to the latch codebooks
READ_MUX = 2.15  # GE per bit and read port: least squares of relative errors, flop and latch codebooks at one and two ports
MULTIPLIER_8X8 = 579.0  # GE: synthesized
PE_ADDER = 7.13  # GE a bit of the PE's adder, fitted inside the PE for psums of 16 to 32 bits
ACCUMULATOR_SELECT = 1.46  # GE per bit: an accumulator restarts or adds; 4,458.6 GE for 16 columns of 32 bits, less the adders
SIGN_LANE = 38.3  # GE per lane: eight XOR and a carry (two's complement)
SIGN_XOR = 2.0  # GE: one XOR; eight of them, a lane in one's complement, took 16.0
VECTOR_LANE_REGISTER_BITS = 200  # of a lane of the vector unit: estimate
OUTPUT_REGISTER_ELEMENT = 45.0  # GE for the 8 flops of one codeword element

# GE of a codebook as synthesized logic, without output register: (codewords, codeword length) -> GE. Random bytes; yosys 0.23,
# Nangate45.
LOGIC_ROM_GE = {
    (16, 4): 106.0,
    (32, 4): 257.0,
    (64, 4): 506.3,
    (128, 4): 930.3,
    (256, 4): 1763.7,
    (512, 4): 3203.3,
    (1024, 4): 5510.0,
    (16, 8): 195.0,
    (32, 8): 433.3,
    (64, 8): 900.0,
    (128, 8): 1726.0,
    (256, 8): 3129.3,
    (512, 8): 5552.7,
    (1024, 8): 9647.3,
}


def adder(bits: int) -> float:
    """An adder that stands alone, 8 to 32 bits."""
    return max(6.1 * bits, 7.63 * bits - 12.3)


def pe(psum_bits: int) -> float:
    """PE of the weight-stationary array: 8x8 multiplier, adder, registers of activation and psum, shadow and active weight."""
    return MULTIPLIER_8X8 + PE_ADDER * psum_bits + FLOP * (8 + psum_bits) + 2 * 8 * FLOP_ENABLE


def second_shadow_weights(rows: int, cols: int) -> Span:
    """A second shadow weight per PE, the multiplexer before the active one, and a bit that travels with the swap token. Estimate.

    Bits with enable and multiplexers at the synthesized cost of their kind; low: latches; high: a quarter more for enables.
    """
    select = 8 * READ_MUX * rows * cols + FLOP * (rows + cols - 1)
    bits = 8 * rows * cols
    return Span(FLOP_ENABLE * bits + select, LATCH * bits + select, 1.25 * (FLOP_ENABLE * bits + select))


def pe_single_buffer(psum_bits: int) -> float:
    """PE without a shadow weight."""
    return pe(psum_bits) - 8 * FLOP_ENABLE


def pe_sign_inside(psum_bits: int) -> float:
    """PE that carries a sign bit beside each weight (shadow and active) and negates behind it, in place of a decoder on the load path."""
    return pe(psum_bits) + SIGN_LANE + 2 * FLOP_ENABLE


def pe_weight_file(psum_bits: int, depth: int) -> float:
    """PE with a file of `depth` weights in latches and one read port in place of the two weight registers. Not synthesized."""
    return pe(psum_bits) - 2 * 8 * FLOP_ENABLE + 8 * depth * (LATCH + READ_MUX)


def skew_register_bits(rows: int, cols: int, activation_bits: int = 8) -> int:
    """Triangle of activation registers in front of the rows (0, 1, ..., rows - 1 of them), and the swap token's chain."""
    return activation_bits * rows * (rows - 1) // 2 + rows + cols - 1


def skew_registers(rows: int, cols: int, activation_bits: int = 8) -> float:
    """The registers of `skew_register_bits`."""
    return FLOP * skew_register_bits(rows, cols, activation_bits)


def unpack_register_bits(word_bits: int, pop_bits: int) -> int:
    """Bits B that the unpack buffer holds: a word, a group, and a second of the larger."""
    return word_bits + pop_bits + max(word_bits, pop_bits)


def unpack_buffer(word_bits: int, pop_bits: int, step_bits: int | None = None) -> float:
    """Unpack buffer: B = W + n + max(W, n) bits, and the shifter that places a word of W behind what is held.

    Parameters
    ----------
    word_bits, pop_bits : W and n, bits per cycle in and out
    step_bits : greatest common divisor of all fill levels' distances; gcd(W, n) for one fixed n, 1 if records of any width come
    """
    held = unpack_register_bits(word_bits, pop_bits)
    step = gcd(word_bits, pop_bits) if step_bits is None else step_bits
    return 8.79 * held + 4.42 * word_bits * log2((held - word_bits) / step + 1)


def record_aligner(pop_bits: int, widths: int) -> float:
    """Multiplexer that takes a group out of the unpack buffer, of n bits at most, in records of one of `widths` widths. Not synthesized."""
    return READ_MUX * pop_bits * widths


def sign_decoder(lanes: int) -> float:
    """Negation of `lanes` codeword elements per cycle on the load path, two's complement."""
    return SIGN_LANE * lanes


def sign_decoder_xor(lanes: int) -> float:
    """One's complement of `lanes` elements: eight XOR per lane and no carry (W becomes -W - 1)."""
    return 8 * SIGN_XOR * lanes


def accumulator_adders(cols: int, psum_bits: int) -> float:
    """One adder per column, behind the accumulator's memory, and the choice of what it adds to."""
    return cols * (adder(psum_bits) + ACCUMULATOR_SELECT * psum_bits)


def deskew_register_bits(cols: int, psum_bits: int) -> int:
    """Triangle of psum registers behind the adders: column c waits for C - 1 - c cycles."""
    return psum_bits * cols * (cols - 1) // 2


def deskew_registers(cols: int, psum_bits: int) -> float:
    """The registers of `deskew_register_bits`, of the same flops as the skew registers."""
    return FLOP * deskew_register_bits(cols, psum_bits)


def drain_start_bits(rows: int, cols: int, slots: int, row_cycles: int) -> tuple[int, int]:
    """(slots, bits of each) of the table of drain starts: a cycle within what the drains of all slots may take, and whether it is to come.

    Parameters
    ----------
    slots : accumulator rows of all banks
    row_cycles : cycles for which a row occupies the lanes
    """
    horizon = slots * row_cycles + rows + cols + 1
    return slots, ceil(log2(horizon)) + 1


def drain_start_table(slots: int, bits: int) -> Span:
    """Starts of the drains on their way, written and read at one slot per cycle; and what computes and compares a start. Estimate.

    Nominal: latches with a read multiplexer, two adders and a comparator of that width with their registers; high: flops.
    """
    arithmetic = (3 * 7.63 + 3 * FLOP_ENABLE) * bits
    nominal, high = (register_file(slots * bits, 1, cell) + arithmetic for cell in (LATCH, FLOP_ENABLE))
    return Span(nominal, 0.5 * nominal, high)


def control(rows: int, cols: int, max_m: int, sign_lanes: int, raw_lanes: int) -> float:
    """Counters, address chains and enables; registers of signs (1 bit per lane) and of raw values (8 bits per lane) that wait a cycle."""
    chains = 7.0 * (rows + cols) * (4 + log2(max_m))
    return 1750 + chains + 10.6 * rows + FLOP_ENABLE * (sign_lanes + 8 * raw_lanes)


def logic_rom(codewords: int, codeword_length: float, points: Mapping[tuple[int, int], float] = LOGIC_ROM_GE) -> float:
    """Codebook as synthesized logic, without output register.

    By Shannon's count a random table of b bits takes at least about b / (2 log2 b) gates; what synthesis takes over b / log2 b varies
    slowly (1.9 to 2.8), and is interpolated between `points` in the logarithms of codewords and length, and held beyond them.

    Parameters
    ----------
    codewords, codeword_length : the table's words, and bytes of a word
    points : (codewords, bytes of a codeword) -> GE of a synthesized table
    """
    rows: dict[int, dict[int, float]] = {}
    for (words, length), gates in points.items():
        rows.setdefault(length, {})[words] = gates / _table_size(words, length)
    by_length = {length: _between(row, codewords) for length, row in rows.items()}
    return _between(by_length, codeword_length) * _table_size(codewords, codeword_length)


def is_synthesized_rom_size(codewords: int, codeword_length: float) -> bool:
    """Whether `logic_rom` interpolates rather than extrapolates."""
    words, lengths = {size[0] for size in LOGIC_ROM_GE}, {size[1] for size in LOGIC_ROM_GE}
    return min(words) <= codewords <= max(words) and min(lengths) <= codeword_length <= max(lengths)


def _table_size(codewords: int, codeword_length: float) -> float:
    bits = 8 * codewords * codeword_length
    return bits / log2(bits)


def _between(known: Mapping[int, float], at: float) -> float:
    """A value between its known neighbours, on a line in the logarithm of the place; beyond the ends that of the end."""
    at = min(max(at, min(known)), max(known))
    below, above = max(place for place in known if place <= at), min(place for place in known if place >= at)
    if below == above:
        return known[below]
    share = log2(at / below) / log2(above / below)
    return (1 - share) * known[below] + share * known[above]


def output_registers(ports: int, codeword_length: int, element_bits: int = 8) -> float:
    """Registers between codebook and sign decoder."""
    return OUTPUT_REGISTER_ELEMENT * ports * codeword_length * (element_bits / 8)


def element_table(bits: int) -> Span:
    """Table from a number of `bits` bits to an integer of 8: a logic ROM of 2^bits bytes, below the synthesized sizes. Estimate."""
    gates = logic_rom(1 << bits, 1)
    return Span(gates, 0.6 * gates, 1.6 * gates)


def register_file(bits: int, ports: int, cell: float) -> float:
    """`bits` of storage (`cell` GE each, FLOP_ENABLE or LATCH) with a read multiplexer per port."""
    return bits * (cell + READ_MUX * ports)


def bank_crossbar(ports: int, banks: int, index_bits: int, codeword_bits: int) -> Span:
    """Between P lookups and B banks: data multiplexers, request routing, arbitration, comparators that merge equal indices. Estimate.

    A data bit of a B-to-1 multiplexer counts READ_MUX a bank, as in a register file; arbitration 6 GE per port and bank; a
    comparator 3 GE per bit for each pair of ports.
    """
    data = READ_MUX * ports * banks * codeword_bits
    requests = READ_MUX * ports * banks * index_bits
    merge = 3.0 * index_bits * ports * (ports - 1) / 2
    nominal = data + requests + 6.0 * ports * banks + merge
    return Span(nominal, 0.5 * nominal, 2.0 * nominal)


def rom_switch(ports: int, shared_ports: int, cores: int, index_bits: int, codeword_bits: int) -> Span:
    """Between the P lookups of each of N cores and the Q ports of one ROM: multiplexers of indices and codewords, arbitration. Estimate.

    A port takes its index from one of the cores, and of its lookups in turn where there are fewer ports; a lookup takes its codeword from
    one of the groups of ports, of which there are floor(Q / P). Each input of a multiplexer counts READ_MUX per bit, arbitration 6 GE per
    core and group.
    """
    groups, turns = max(1, shared_ports // ports), -(-ports // shared_ports)
    used = min(shared_ports, groups * ports)
    inputs = READ_MUX * used * (cores * turns if cores * turns > 1 else 0) * index_bits
    outputs = READ_MUX * cores * ports * (groups if groups > 1 else 0) * codeword_bits
    nominal = inputs + outputs + 6.0 * cores * groups
    return Span(nominal, 0.5 * nominal, 2.0 * nominal)


def vector_unit(lanes: int) -> Span:
    """Vector unit: lanes and what they share. Estimate.

    A lane is counted as a 32 x 16 bit multiplier (eight 8x8 multipliers), two 32-bit adders and a comparator, a 256 x 16 bit
    table for exponent and GELU as logic ROM, and 200 register bits; shared are a reciprocal, a reciprocal square root and a
    sequencer. The range spans a lane that only requantizes (one 32 x 8 multiplier) to one with a 32 x 32 multiplier.
    """
    if lanes == 0:
        return Span.exact(0.0)
    lane = Span(8 * MULTIPLIER_8X8 + 3 * adder(32) + logic_rom(256, 2) + VECTOR_LANE_REGISTER_BITS * FLOP, 3_000.0, 14_000.0)
    return lane * lanes + Span(20_000.0, 5_000.0, 60_000.0)


def dma_register_bits(max_transfers: int, max_outstanding_bursts: int, word_bits: int) -> int:
    """Registers of `dma_engine`. Estimate."""
    return 128 * max_transfers + 24 * max_outstanding_bursts + 2 * word_bits


def dma_engine(max_transfers: int, max_outstanding_bursts: int, word_bits: int) -> Span:
    """DMA: a descriptor of 128 bits per transfer, 24 bits per burst in flight, two words of staging, address units. Estimate."""
    nominal = 6_000.0 + FLOP_ENABLE * dma_register_bits(max_transfers, max_outstanding_bursts, word_bits)
    return Span(nominal, 0.4 * nominal, 3.0 * nominal)


def buffer_switch(banks: int, width_bits: int) -> Span:
    """Between activation buffer and its four clients (array rows, loader, vector unit, DMA): multiplexers both ways. Estimate."""
    nominal = READ_MUX * 4 * banks * width_bits + 6.0 * 4 * banks
    return Span(nominal, 0.3 * nominal, 2.5 * nominal)
