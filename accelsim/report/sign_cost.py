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
    inside = pes * (gate_counts.pe_sign_inside(array.psum_bits) - gate_counts.pe(array.psum_bits))
    choices = (
        ("decoder on the load path, two's complement", gate_counts.sign_decoder(lanes) + waiting, SYNTHESIS),
        ("decoder on the load path, sign-magnitude", gate_counts.SIGN_XOR * lanes + waiting, f"{SYNTHESIS}: one XOR a lane"),
        (
            "sign carried into every PE",
            inside,
            f"{SYNTHESIS}, PE within 3 %: a difference of two PEs, known to within half",
        ),
    )
    whole = pes * gate_counts.pe(array.psum_bits)
    return tuple(
        SignChoice(logic(name, "decoder", Span(gates, 0.5 * gates, 1.5 * gates), technology, source), 100 * gates / whole)
        for name, gates, source in choices
    )
