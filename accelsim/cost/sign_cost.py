"""The cost of a sign bit: a decoder on the load path against a sign carried into every PE, two's complement against XOR alone.

Disputable assumption: sign-magnitude codewords save the carry of the decoder and are taken to cost the multiplier nothing; a
multiplier for sign-magnitude weights was not synthesized. A gate costs what a MAC's gate costs, also in every PE and every cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelsim.accelerator import Accelerator
from accelsim.cost import gate_counts
from accelsim.cost.action_counts import add_counts, count_actions
from accelsim.cost.components import AreaComponent, logic
from accelsim.cost.gate_counts import SYNTHESIS
from accelsim.cost.recost import Cost
from accelsim.cost.span import ZERO, Span
from accelsim.cost.technology import Technology
from accelsim.result import Result

SIGN_INSIDE_SYNTHESIZED = (1231.7 - 1188.7, 1127.0 - 1038.0)  # GE per PE, psums of 32 and of 24 bits


@dataclass(frozen=True)
class SignChoice:
    """One way to apply signs: what it adds to a core without signs, and that over the PE array."""

    component: AreaComponent
    share_of_array_pct: float


@dataclass(frozen=True)
class SignCost:
    """One circuit that applies the signs: its area, and its energy in a run.

    Attributes
    ----------
    share_of_array_pct : its gates over those of the PEs
    energy_uj : of an inference, without leakage; share_of_run_pct : of the whole run's energy, nominal
    energy_source : of the energy of a gate
    """

    choice: SignChoice
    energy_uj: Span
    share_of_run_pct: float
    energy_source: str

    def to_row(self) -> dict[str, Any]:
        """Flat and plain, for a table, CSV or JSON."""
        return {
            **self.choice.component.to_row(),
            "share_of_array_pct": self.choice.share_of_array_pct,
            **{f"energy{end}_uj": value for end, value in self.energy_uj.ends},
            "share_of_run_pct": self.share_of_run_pct,
            "energy_source": self.energy_source,
        }


def sign_bits(result: Result) -> float:
    """Bits of signs that an inference moves over the memories."""
    return sum(bits for key, bits in result.traffic.items() if key.operand == "signs") / _inferences(result)


def sign_costs(result: Result, cost: Cost, technology: Technology) -> tuple[SignCost, ...]:
    """The circuits on this chip: signs of decoded lanes on the load path, of every PE in every cycle inside the array."""
    counts = {action.name: span for action, span in add_counts(count_actions(result, cost.accelerator)).items()}
    lanes, slots = counts.get("sign_lane", ZERO), counts.get("pe_cycle", ZERO)
    gate, run = technology.energy.gate_pj, cost.energy.energy_pj().nominal
    each = (lanes * gate_counts.SIGN_LANE, lanes * gate_counts.SIGN_XOR, slots * (gate_counts.SIGN_LANE if lanes.high else 0.0))
    return tuple(
        SignCost(choice, gates * gate.span * (1e-6 / _inferences(result)), 100 * gates.nominal * gate.value / run, gate.citation)
        for choice, gates in zip(sign_choices(cost.accelerator, technology), each, strict=True)
    )


def _inferences(result: Result) -> int:
    return len(result.frames) * result.batch


def sign_choices(accelerator: Accelerator, technology: Technology) -> tuple[SignChoice, ...]:
    """The three circuits, in gates and um2, on this accelerator's array and lookups."""
    array = accelerator.array
    lanes = accelerator.decode_width.coded
    pes = array.rows * array.cols
    waiting = gate_counts.FLOP_ENABLE * lanes  # a register per lane: the signs wait a cycle for their codeword
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
            f"{SYNTHESIS}: one XOR per lane",
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
        SignChoice(logic(name, "decoder", gates, technology, source, notes).on_cores(accelerator.cores), 100 * gates.nominal / whole)
        for name, gates, source, notes in choices
    )


def _within(gates: float, error: float) -> Span:
    return Span(gates, (1 - error) * gates, (1 + error) * gates)
