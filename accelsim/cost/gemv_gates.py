"""Multipliers and sums behind the decoder, where weights meet the activations of few rows (`array.mapping`).

Never synthesized. Disputable assumptions: X multipliers and X adders stand beside the PEs (rather than PEs of X / C rows with a bypass),
each with registers of a weight, an activation and a product; where X exceeds C, adders of 20 bits are a tree in front of the C that add to
the sums. Where a chip states its multipliers for scales of groups, what is added to a sum passes one on its way. Sums are registers that
an adder and a lane read through multiplexers; wires are in the flow's factor and in the range.
"""

from __future__ import annotations

from accelsim.accelerator import Accelerator
from accelsim.cost import scale_gates
from accelsim.cost.gate_counts import FLOP, FLOP_ENABLE, LATCH, MULTIPLIER_8X8, READ_MUX, adder, register_file
from accelsim.cost.span import Span

TREE_BITS = 20  # of an adder in front of the sums: products of 16 bits, a few of them
PRODUCT_BITS = 16
_ESTIMATE = Span(1.0, 0.75, 1.5)
_READERS = 2  # an adder and the drain


def gemv_lanes(accelerator: Accelerator) -> int:
    """Weights X that leave the decoder in a cycle, at most: coded, or raw; no more than a tile has."""
    return accelerator.decode_width.most


def gemv_multipliers(accelerator: Accelerator) -> Span:
    """X multipliers with their registers, and X adders, of which at most C add to sums."""
    array, lanes = accelerator.array, gemv_lanes(accelerator)
    multiplier = MULTIPLIER_8X8 * array.weight_bits / 8 * array.activation_bits / 8
    registers = FLOP_ENABLE * (array.activation_bits + array.weight_bits) + FLOP * (PRODUCT_BITS + array.weight_bits - 8)
    sums = min(lanes, array.cols)
    return _ESTIMATE * (lanes * (multiplier + registers) + sums * adder(array.psum_bits) + (lanes - sums) * adder(TREE_BITS))


def gemv_scales(accelerator: Accelerator) -> Span:
    """Multipliers of what is added to the sums of a cycle, at most C. Low: a codeword along the reduction is one sum; high: with minima."""
    lanes = gemv_lanes(accelerator)
    sums = min(lanes, accelerator.array.cols)
    return scale_gates.multiplier() * Span(sums, min(sums, max(1, lanes // accelerator.codebook.codeword_length)), 2 * sums)


def gemv_sum_bits(accelerator: Accelerator) -> int:
    """Bits of both banks of M x C sums."""
    array = accelerator.array
    return 2 * array.few_rows * array.cols * array.psum_bits


def gemv_sums(accelerator: Accelerator) -> Span:
    """Both banks; low: latches with one read port, as only one bank is drained at a time."""
    bits = gemv_sum_bits(accelerator)
    nominal = register_file(bits, _READERS, FLOP_ENABLE)
    return Span(nominal, register_file(bits, 1, LATCH), 1.25 * nominal)


def sum_read_gates(accelerator: Accelerator) -> float:
    """Multiplexer through which a sum is read out of a bank for each of its rows, and those columns that share an adder."""
    array = accelerator.array
    return READ_MUX * array.psum_bits * 2 * array.few_rows * -(-array.cols // min(gemv_lanes(accelerator), array.cols))
