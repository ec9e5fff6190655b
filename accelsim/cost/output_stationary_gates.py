"""Registers and multiplexers of an array that may hold sums (`array.dataflow: output_stationary`, or `cheapest`).

Never synthesized. Disputable assumptions: PEs remain those of the weight-stationary array, with its weight and psum registers, so every
part here is added, also on a chip whose layers all hold sums; each row of PEs has registers of two accesses of the activation buffer,
from which it takes a value per step; wires are in the flow's factor and in the range.
"""

from __future__ import annotations

from accelsim.accelerator import Accelerator
from accelsim.cost.gate_counts import FLOP, FLOP_ENABLE, READ_MUX, register_file
from accelsim.cost.gemv_gates import gemv_lanes
from accelsim.cost.span import Span

_ESTIMATE = Span(1.0, 0.75, 1.5)
_SIDES = 2  # inputs of a multiplexer


def sum_bits(accelerator: Accelerator) -> int:
    """Bits of the sums in all PEs, one bank or two."""
    array = accelerator.array
    return array.accumulator_banks * array.rows * array.cols * array.psum_bits


def sums(accelerator: Accelerator) -> Span:
    """Sum registers, a multiplexer for the adder (own sum, or the one from above), and one for what moves down."""
    array = accelerator.array
    select = 2 * _SIDES * READ_MUX * array.rows * array.cols * array.psum_bits
    return _ESTIMATE * (FLOP_ENABLE * sum_bits(accelerator) + select)


def passing_bits(accelerator: Accelerator) -> int:
    """Bits of weights on their way: a register per PE, and c in front of column c."""
    array = accelerator.array
    return array.weight_bits * (array.rows * array.cols + array.cols * (array.cols - 1) // 2)


def passing_weights(accelerator: Accelerator) -> Span:
    """These registers, and a multiplexer per PE between the weight that passes and the one that stays."""
    array = accelerator.array
    return _ESTIMATE * (FLOP * passing_bits(accelerator) + _SIDES * READ_MUX * array.weight_bits * array.rows * array.cols)


def queue_bits(accelerator: Accelerator) -> Span:
    """Bits of the queue of decoded weights: a group and a row of C; high: two lines of D rows, for codewords along the reduction."""
    array = accelerator.array
    group, row = gemv_lanes(accelerator), array.cols
    most = group + 2 * row * accelerator.codebook.codeword_length
    return Span(float(group + row), float(group + row), float(most)) * array.weight_bits


def queue(accelerator: Accelerator) -> Span:
    """The queue with one read port."""
    bits = queue_bits(accelerator)
    return Span(
        register_file(int(bits.nominal), 1, FLOP_ENABLE), 0.75 * register_file(int(bits.low), 1, FLOP_ENABLE),
        register_file(int(bits.high), 1, FLOP_ENABLE),
    )  # fmt: skip


def foot_bits(accelerator: Accelerator) -> int:
    """Bits of the registers at the foot: C - c for column c, the last of which hold a row for the lanes."""
    array = accelerator.array
    return array.psum_bits * array.cols * (array.cols + 1) // 2


def foot(accelerator: Accelerator) -> Span:
    """These registers, with an enable each."""
    return _ESTIMATE * (FLOP_ENABLE * foot_bits(accelerator))


def line_bits(accelerator: Accelerator) -> int:
    """Bits of activations in front of the rows of PEs: two accesses each."""
    return 2 * accelerator.activation_buffer.width_bits * accelerator.array.rows


def lines(accelerator: Accelerator) -> Span:
    """These registers with one read port."""
    return _ESTIMATE * register_file(line_bits(accelerator), 1, FLOP_ENABLE)
