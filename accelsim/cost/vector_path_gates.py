"""Lanes of the vector unit that multiply and accumulate depthwise layers (`vector_unit.depthwise_taps`), and the weights that they hold.

Never synthesized. Disputable assumptions: each lane gets an 8x8 multiplier, an adder and a sum of its own (low: it multiplies with the
multiplier of its requantization); the two sets of weights are a register file, out of which a lane takes a weight per cycle through a
multiplexer over both sets' taps and the columns that share the lane; the buffer's read path to the lanes is there already.
"""

from __future__ import annotations

from accelsim.accelerator import Accelerator
from accelsim.cost.gate_counts import FLOP_ENABLE, LATCH, MULTIPLIER_8X8, READ_MUX, adder, register_file
from accelsim.cost.span import Span

_ESTIMATE = Span(1.0, 0.75, 1.5)
_SETS = 2


def mac_lanes(accelerator: Accelerator) -> Span:
    """Multipliers, adders and sums of all lanes; none for an ideal unit."""
    array, lanes = accelerator.array, accelerator.vector_unit.lanes
    multiplier = MULTIPLIER_8X8 * array.weight_bits / 8
    sums = adder(array.psum_bits) + FLOP_ENABLE * array.psum_bits
    return _ESTIMATE * Span(lanes * (multiplier + sums), lanes * sums, lanes * (multiplier + sums))


def weight_register_bits(accelerator: Accelerator) -> int:
    """Bits of both sets of weights: T for each of C channels."""
    array = accelerator.array
    return _SETS * (accelerator.vector_unit.depthwise_taps or 0) * array.cols * array.weight_bits


def weight_registers(accelerator: Accelerator) -> Span:
    """The registers of `weight_register_bits` with a read port; low: latches."""
    bits = weight_register_bits(accelerator)
    nominal = register_file(bits, 1, FLOP_ENABLE)
    return Span(nominal, register_file(bits, 1, LATCH), 1.25 * nominal)


def weight_read_gates(accelerator: Accelerator) -> float:
    """Multiplexer through which a lane takes a weight out of the registers."""
    bits, lanes = weight_register_bits(accelerator), accelerator.vector_unit.lanes
    return READ_MUX * bits / min(lanes, accelerator.array.cols) if lanes else 0.0


def held_bits(accelerator: Accelerator) -> int:
    """Register bits of weights and sums; none on a chip whose lanes do not multiply."""
    if accelerator.vector_unit.depthwise_taps is None:
        return 0
    return weight_register_bits(accelerator) + accelerator.vector_unit.lanes * accelerator.array.psum_bits
