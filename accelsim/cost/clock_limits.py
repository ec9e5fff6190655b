"""How fast each component can be clocked in a technology, and which ones a chip's clock asks too much of.

Disputable assumptions: delays are before wires. The PE's was synthesized and SRAM cycles are CACTI's; other logic is counted in gates in
a row, each a mean gate of the PE's path. A lookup may take the codebook's latency in cycles; an SRAM must accept an access in every
cycle. The vector unit is taken as pipelined over its own latency and is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, gcd, log2
from typing import Any

from accelsim.accelerator import Accelerator
from accelsim.cost.span import Span
from accelsim.cost.sram_macros import codebook_macro
from accelsim.cost.technology import Technology
from accelsim.cost.unpack_width import widest_pop_bits

MUX_LEVELS = 2  # gates in a row of a two-to-one multiplexer
SIGN_LEVELS = 10  # an XOR and a carry over eight bits
CLOCK_TO_Q_LEVELS = 4  # a flop's delay and set-up, in gates


@dataclass(frozen=True)
class ClockLimit:
    """Time that a component needs.

    Attributes
    ----------
    delay_ns : of its longest path, or between two accesses
    cycles : core cycles that it may take; of an L2 with a clock of its own one of that clock
    advice : what would help where the clock is faster
    """

    component: str
    delay_ns: Span
    cycles: float
    source: str
    advice: str

    @property
    def max_clock_mhz(self) -> Span:
        """The fastest core clock, MHz; high where the delay is low."""
        return Span.exact(1e3 * self.cycles) / self.delay_ns

    def exceeded(self, clock_hz: int) -> bool:
        """Whether a clock leaves less time than even the low end of the delay."""
        return self.delay_ns.low > self.cycles * 1e9 / clock_hz

    def warning(self, clock_hz: int, technology: str) -> str:
        """One line that names the component, its limit and what would help."""
        delay = self.delay_ns
        span = f"{delay.nominal:.2f} ns" if delay.low == delay.high else f"{delay.low:.2f}-{delay.high:.2f} ns"
        limit = f"at most {self.max_clock_mhz.high:.0f} MHz"
        return f"clock {clock_hz / 1e6:g} MHz: {self.component} takes {span} in {technology}, {limit}: {self.advice}"

    def to_row(self) -> dict[str, Any]:
        """Flat and plain, for a table, CSV or JSON."""
        return {
            "component": self.component,
            "delay_ns": self.delay_ns.nominal,
            "delay_low_ns": self.delay_ns.low,
            "delay_high_ns": self.delay_ns.high,
            "cycles": self.cycles,
            "max_clock_mhz": self.max_clock_mhz.nominal,
            "source": self.source,
        }


def clock_limits(accelerator: Accelerator, technology: Technology, memory_cycle_ns: Mapping[str, float | None]) -> tuple[ClockLimit, ...]:
    """Limit of every component that has one.

    Parameters
    ----------
    memory_cycle_ns : SRAM of the grid -> time between two accesses; None for what is no such SRAM
    """
    pe, memory = technology.logic.pe_delay_ns, technology.memory
    cacti = f"CACTI 7 at {memory.grid_node_nm} nm, {memory.device}, unscaled"
    return (
        ClockLimit(
            "a PE", pe.span, 1, pe.citation,
            "multiplier and adder must be pipelined separately, which area, and fill and drain cycles, do not include",
        ),
        _logic("the unpack buffer", _unpack_levels(accelerator), 1, "its shifter must be pipelined, not in the cycles", technology),
        _logic("the sign decoder", CLOCK_TO_Q_LEVELS + SIGN_LEVELS, 1, "it must be pipelined, which the cycles do not include", technology),
        _codebook(accelerator, technology),
        *(
            ClockLimit(
                f"the {name}", Span.exact(cycle_ns), _cycles(accelerator, name), cacti,
                f"as {memory.device} SRAM it must be pipelined, banked or of a faster device",
            )
            for name, cycle_ns in memory_cycle_ns.items()
            if cycle_ns is not None
        ),
    )  # fmt: skip


def _cycles(accelerator: Accelerator, memory: str) -> float:
    """Core cycles in which an SRAM takes an access."""
    clock = accelerator.l2.clock if accelerator.l2 is not None and memory == "L2" else None
    return 1 if clock is None else accelerator.clock / clock


def _logic(component: str, levels: int, cycles: int, advice: str, technology: Technology) -> ClockLimit:
    gate = technology.logic.gate_delay_ns
    return ClockLimit(component, gate.span * levels, cycles, f"{levels} gates in a row (estimate): {gate.citation}", advice)


def _unpack_levels(accelerator: Accelerator) -> int:
    """A multiplexer over every place where a word may land, any bit of the buffer."""
    codebook, word_bits = accelerator.codebook, accelerator.weight_buffer.word_bits
    pop_bits = widest_pop_bits(accelerator)
    step = gcd(word_bits, pop_bits) if codebook.index_field == "padded" else 1
    places = (pop_bits + max(word_bits, pop_bits)) // step + 1
    return CLOCK_TO_Q_LEVELS + MUX_LEVELS * ceil(log2(places))


def _codebook(accelerator: Accelerator, technology: Technology) -> ClockLimit:
    """A macro by CACTI (a ROM as an SRAM of its size); registers and logic ROM by the levels of their selection."""
    codebook, memory = accelerator.codebook, technology.memory
    words = -(-codebook.codewords // (codebook.banks or 1))
    index_bits = max(1, ceil(log2(words))) if words > 1 else 1
    advice = "raise codebook.latency, or divide it into banks"
    if codebook.circuit in ("sram", "rom_macro"):
        point = codebook_macro(accelerator).point(memory)
        what = "a ROM taken as an SRAM of its size: " if codebook.circuit == "rom_macro" else ""
        source = f"{what}CACTI 7 at {memory.grid_node_nm} nm, {memory.device}, unscaled"
        return ClockLimit("the codebook", Span.exact(point.cycle_ns), 1, source, "divide it into banks, or take a faster device")
    levels = CLOCK_TO_Q_LEVELS + MUX_LEVELS * index_bits + 2 * (codebook.banks is not None) * MUX_LEVELS * ceil(log2(codebook.banks or 1))
    return _logic(f"the codebook in {codebook.circuit}", levels, codebook.latency, advice, technology)
