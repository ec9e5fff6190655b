"""Banks and multiplexers of an array whose activations stay (`array.dataflow: input_stationary`).

Never synthesized. Disputable assumptions: PEs, skew registers and accumulators are those of the weight-stationary array, with the roles
turned, so only two parts are added: two banks of R x C weights, out of which a column of R leaves per cycle, and a multiplexer at each
shadow register between the loader's record and its column's activation.
"""

from __future__ import annotations

from accelsim.accelerator import Accelerator
from accelsim.cost.gate_counts import FLOP_ENABLE, LATCH, READ_MUX, register_file
from accelsim.cost.span import Span

_ESTIMATE = Span(1.0, 0.75, 1.5)
_BANKS = 2
_SIDES = 2  # inputs of a multiplexer


def bank_bits(accelerator: Accelerator) -> int:
    """Bits of both banks of weights; none where activations do not stay."""
    array = accelerator.array
    return _BANKS * array.rows * array.cols * array.weight_bits if array.may_hold_inputs else 0


def banks(accelerator: Accelerator) -> Span:
    """Both banks with one read port; low: latches."""
    bits = bank_bits(accelerator)
    nominal = register_file(bits, 1, FLOP_ENABLE)
    return Span(nominal, register_file(bits, 1, LATCH), 1.25 * nominal)


def load_select(accelerator: Accelerator) -> Span:
    """The multiplexers at the shadow registers."""
    array = accelerator.array
    return _ESTIMATE * (_SIDES * READ_MUX * array.weight_bits * array.rows * array.cols)


def bank_read_gates(accelerator: Accelerator) -> float:
    """Multiplexer through which a weight of an output leaves: both banks' weights of a row."""
    array = accelerator.array
    return READ_MUX * _BANKS * array.cols * array.weight_bits
