"""The memories of an accelerator: buffers, accumulators and the codebook in its five circuits.

Disputable assumptions: a buffer that is read and written in one cycle has cells with two ports (1R1W, about twice the area in
CACTI), the low end of its range one port and banks that alternate; each column has an accumulator macro of its own, because the
columns are skewed by a cycle; a ROM port, and an SRAM port, is a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

from accelsim.accelerator import Accelerator
from accelsim.errors import ConfigError
from accelsim.hw.decode_mac_core import CodebookSpec
from accelsim.report import gate_counts
from accelsim.report.components import AreaComponent, logic
from accelsim.report.gate_counts import SYNTHESIS
from accelsim.report.span import Span
from accelsim.report.sram_grid import SramPoint, SramPorts, sram_point
from accelsim.report.technology import MemoryTable, Technology

SMALL_BYTES = 4096  # below it CACTI's SRAM is smaller than compiled macros: FakeRAM45 has 0.50-0.62 um2/bit, CACTI 0.40-0.44

Sized = tuple[AreaComponent, float | None]  # and the cycle time of its macro, ns (None: not a macro of the grid)


@dataclass(frozen=True)
class Macro:
    """Equal SRAM macros that make up a memory."""

    count: int
    size_bytes: int
    word_bits: int
    ports: SramPorts

    def point(self, memory: MemoryTable) -> SramPoint:
        """One macro in the grid, unscaled."""
        return sram_point(memory.grid_node_nm, memory.device, self.ports, self.size_bytes, self.word_bits)

    def area_um2(self, memory: MemoryTable) -> Span:
        """All macros, scaled to the node; no macro is smaller than the small-size correction allows."""
        point = self.point(memory)
        one_port = sram_point(memory.grid_node_nm, memory.device, "1rw", self.size_bytes, self.word_bits)
        port_ratio = point.area_um2 / one_port.area_um2
        small = memory.small_sram_um2_per_bit
        bits = 8 * min(self.size_bytes, SMALL_BYTES) * port_ratio
        scaled = memory.area_factor.span * point.area_um2
        return Span(max(scaled.nominal, small.value * bits), scaled.low, max(scaled.high, small.high * bits)) * self.count


def memory_components(accelerator: Accelerator, technology: Technology) -> tuple[Sized, ...]:
    """Weight buffer, activation buffer, accumulators, and the parts of the codebook."""
    weights, activations, array = accelerator.weight_buffer, accelerator.activation_buffer, accelerator.array
    weight_macro = buffer_macro(weights.capacity, weights.banks, weights.word_bits, "1r1w" if weights.banks == 1 else "1rw")
    activation_macro = buffer_macro(
        activations.capacity, activations.banks, activations.width_bits, "1rw" if activations.ports == 1 else "1r1w"
    )
    activation_notes: tuple[str, ...] = ("the DMA's own port is an idle bank's; high: a second port in every bank",)
    extra = max(0, activations.ports - 2)
    if extra:
        activation_notes += (f"{activations.ports} ports a bank: the grid has 2, each further one adds the area of one port, extrapolated",)
    columns = accumulator_macro(accelerator)
    shared = buffer_macro(columns.count * columns.size_bytes, array.accumulator_banks, 256, "1rw")
    return (
        _buffer(
            "accumulator memory", "accumulators", columns, technology, low=shared, notes=("one macro a column; low: shared 256-bit words",)
        ),
        *((part, None) for part in codebook_components(accelerator.codebook, technology)),
        _buffer(
            "weight buffer",
            "buffers",
            weight_macro,
            technology,
            low=Macro(weight_macro.count, weight_macro.size_bytes, weight_macro.word_bits, "1rw"),
            notes=("read and written in one cycle: 1R1W; low: one port",) if weight_macro.ports == "1r1w" else (),
        ),
        _buffer(
            "activation buffer",
            "buffers",
            activation_macro,
            technology,
            high=Macro(activation_macro.count, activation_macro.size_bytes, activation_macro.word_bits, "1r1w"),
            extra_ports=extra,
            notes=activation_notes,
        ),
    )


def buffer_macro(capacity: int, banks: int, word_bits: int, ports: SramPorts) -> Macro:
    """`banks` macros that hold `capacity` bytes."""
    return Macro(banks, -(-capacity // banks), word_bits, ports)


def accumulator_macro(accelerator: Accelerator) -> Macro:
    """A macro a column and bank: max_m psums, read and written back in one cycle."""
    array = accelerator.array
    return Macro(array.cols * array.accumulator_banks, -(-array.max_m * array.psum_bits // 8), array.psum_bits, "1r1w")


def _buffer(
    name: str,
    group: str,
    macro: Macro,
    technology: Technology,
    low: Macro | None = None,
    high: Macro | None = None,
    extra_ports: int = 0,
    notes: tuple[str, ...] = (),
) -> Sized:
    """An SRAM from the grid; `low` and `high` are cheaper and dearer ways to build it."""
    memory = technology.memory
    area = macro.area_um2(memory)
    if extra_ports:
        one = Macro(macro.count, macro.size_bytes, macro.word_bits, "1rw").area_um2(memory)
        area = Span(
            area.nominal + extra_ports * one.nominal, area.low + 0.5 * extra_ports * one.low, area.high + 2 * extra_ports * one.high
        )
    floor = area.low if low is None else min(area.low, low.area_um2(memory).low)
    ceiling = area.high if high is None else max(area.high, high.area_um2(memory).high)
    point = macro.point(memory)
    small = macro.size_bytes < SMALL_BYTES or area.nominal > point.area_um2 * memory.area_factor.value * macro.count * 1.001
    correction = (f"CACTI corrected for small sizes: {memory.small_sram_um2_per_bit.citation}",) if small and not extra_ports else ()
    what = f"{macro.count} x {macro.size_bytes} B, words of {macro.word_bits} bits, {macro.ports.upper()}, {memory.device}"
    return (
        AreaComponent(
            name,
            group,
            "memory",
            None,
            Span(area.nominal, floor, ceiling),
            f"CACTI 7 at {memory.grid_node_nm} nm ({what}); factor {memory.area_factor.value:g}: {memory.area_factor.citation}",
            (*notes, *correction, *point.notes),
        ),
        point.cycle_ns,
    )


def codebook_components(codebook: CodebookSpec, technology: Technology) -> tuple[AreaComponent, ...]:
    """Storage in its circuit, output registers, and the crossbar of a banked codebook.

    Raises
    ------
    ConfigError
        A RAM in a circuit that cannot be written.
    """
    rom_circuit = codebook.circuit in ("logic_rom", "rom_macro")
    if codebook.store == "ram" and rom_circuit:
        raise ConfigError(
            f"codebook.circuit = {codebook.circuit!r} cannot be written and codebook.store is 'ram'; allowed: flops, latches, sram"
        )
    sets = codebook.sets if codebook.store == "ram" else 1
    banks = codebook.banks or 1
    ports = 1 if codebook.banks else codebook.ports
    notes: tuple[str, ...] = ()
    if codebook.store == "rom" and not rom_circuit:
        notes = (f"a fixed codebook kept in {codebook.circuit} and written at power-up; circuit: logic_rom or rom_macro has no such cost",)
    words = -(-codebook.codewords // banks)
    parts = [_storage(codebook, technology, words, ports, sets * banks, notes)]
    registers = Span.exact(gate_counts.output_registers(codebook.ports, codebook.codeword_length))
    parts.append(logic("codebook output registers", "codebook", registers, technology, SYNTHESIS))
    if codebook.banks:
        index_bits = max(1, ceil(log2(codebook.codewords)))
        crossbar = gate_counts.bank_crossbar(codebook.ports, codebook.banks, index_bits, codebook.codeword_length)
        parts.append(logic("codebook crossbar and merge", "codebook", crossbar, technology, "own estimate, not synthesized"))
    return tuple(parts)


def _storage(codebook: CodebookSpec, technology: Technology, words: int, ports: int, copies: int, notes: tuple[str, ...]) -> AreaComponent:
    """`copies` (sets x banks) of `words` codewords with `ports` read ports each."""
    bits = 8 * words * codebook.codeword_length
    what = f"{copies} x {words} codewords of {8 * codebook.codeword_length} bits, {ports} port{'s' if ports > 1 else ''}"
    name, group, memory = "codebook storage", "codebook", technology.memory
    if codebook.circuit == "logic_rom":
        gates, synthesized = gate_counts.logic_rom(words, codebook.codeword_length)
        span = Span(gates, 0.88 * gates, 1.05 * gates) if synthesized else Span(gates, 0.8 * gates, 1.2 * gates)
        how = "synthesized point" if synthesized else "own fit, within 20 %"
        if not synthesized and not gate_counts.LOGIC_ROM_FITTED_BITS[0] <= bits <= gate_counts.LOGIC_ROM_FITTED_BITS[1]:
            span = Span(gates, 0.6 * gates, 1.6 * gates)
            notes += (f"{bits} bits lie outside the synthesized ROMs (512 to 65536 bits): extrapolated",)
        source = f"logic ROM, random bytes, {how}, yosys 0.23 / Nangate45 ({what}; a port is a copy)"
        return logic(name, group, span * (ports * copies), technology, source, (*notes, "low: codewords of 7-bit magnitudes"))
    if codebook.circuit in ("flops", "latches"):
        cell = gate_counts.FLOP_ENABLE if codebook.circuit == "flops" else gate_counts.LATCH
        gates = gate_counts.register_file(bits, ports, cell) * copies
        if not 512 <= bits <= 65536 or ports > 2:
            notes += (f"{bits} bits with {ports} ports: fitted on 512 to 8192 bits and up to 2 ports, extrapolated",)
        return logic(name, group, Span(gates, 0.93 * gates, 1.03 * gates), technology, f"{SYNTHESIS}, {codebook.circuit} ({what})", notes)
    if codebook.circuit == "sram":
        per_bit, fixed = memory.codebook_sram_um2_per_bit, memory.codebook_sram_fixed_um2
        area = (per_bit.span * bits + fixed.span) * (ports * copies)
        return AreaComponent(name, group, "memory", None, area, f"SRAM macro ({what}; a port is a copy): {per_bit.citation}", notes)
    per_bit = memory.rom_macro_um2_per_bit
    source = f"ROM macro ({what}; a port is a copy): {per_bit.citation}"
    return AreaComponent(name, group, "memory", None, per_bit.span * (bits * ports * copies), source, notes)
