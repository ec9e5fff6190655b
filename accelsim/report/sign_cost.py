"""What a sign bit costs in gates: a decoder on the load path against a sign carried into every PE, two's complement against XOR alone.

Disputable assumption: sign-magnitude codewords save the carry of the decoder and are taken to cost the multiplier nothing; a
multiplier for sign-magnitude weights was not synthesized.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.accelerator import Accelerator
from accelsim.report import gate_counts
from accelsim.report.components import AreaComponent, logic
from accelsim.report.gate_counts import SYNTHESIS
from accelsim.report.span import Span
from accelsim.report.technology import Technology

SIGN_INSIDE_SYNTHESIZED = (1231.7 - 1188.7, 1127.0 - 1038.0)  # GE a PE, psums of 32 and of 24 bits


@dataclass(frozen=True)
class SignChoice:
    """One way to apply signs: what it adds to a core without signs, and that over the PE array."""

    component: AreaComponent
    share_of_array_pct: float


def sign_choices(accelerator: Accelerator, technology: Technology) -> tuple[SignChoice, ...]:
    """The three circuits, in gates and um2, on this accelerator's array and lookups."""
    array = accelerator.array
    lanes = accelerator.codebook.ports * accelerator.codebook.codeword_length
    pes = array.rows * array.cols
    waiting = gate_counts.FLOP_ENABLE * lanes  # a register a lane: the signs wait a cycle for their codeword
    inside = gate_counts.pe_sign_inside(array.psum_bits) - gate_counts.pe(array.psum_bits)
    choices = (
        (
            "decoder on the load path, two's complement",
            _within(gate_counts.sign_decoder(lanes) + waiting, 0.01),
            f"{SYNTHESIS}: eight XOR and a carry a lane, within 1 %",
            (),
        ),
        (
            "decoder on the load path, sign-magnitude",
            _within(gate_counts.SIGN_XOR * lanes + waiting, 0.01),
            f"{SYNTHESIS}: one XOR a lane",
            ("a multiplier for sign-magnitude weights was not synthesized: taken to cost nothing more",),
        ),
        (
            "sign carried into every PE",
            Span.around(inside, *SIGN_INSIDE_SYNTHESIZED) * pes,
            f"{SYNTHESIS}; range: PEs with a sign less PEs without, as synthesized",
            (),
        ),
    )
    whole = pes * gate_counts.pe(array.psum_bits)
    return tuple(
        SignChoice(logic(name, "decoder", gates, technology, source, notes), 100 * gates.nominal / whole)
        for name, gates, source, notes in choices
    )


def _within(gates: float, error: float) -> Span:
    return Span(gates, (1 - error) * gates, (1 + error) * gates)
