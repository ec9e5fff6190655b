"""The codebook of an accelerator in its five circuits: logic ROM, ROM macro, SRAM macro, latches, flops; by ports or banks.

Disputable assumptions: a port of a ROM or of an SRAM is a copy, a port of latches or flops a read multiplexer; banks have one port
each, and the `ports` lookups of a group come to them through a crossbar; a ROM that cores share is as near to each as one of its own.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2

from accelsim.cost import gate_counts
from accelsim.cost.components import AreaComponent, logic
from accelsim.cost.gate_counts import SYNTHESIS
from accelsim.cost.span import Span
from accelsim.cost.technology import Technology
from accelsim.errors import ConfigError
from accelsim.hw.core_spec import CodebookSpec

ESTIMATE = "own estimate, not synthesized"


def codebook_components(codebook: CodebookSpec, technology: Technology, cores: int = 1) -> tuple[AreaComponent, ...]:
    """Storage in its circuit, output registers, the crossbar of a banked codebook, and the switch of one that `cores` share.

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
    shared = codebook.shared_ports
    ports = shared or (1 if codebook.banks else codebook.ports)
    served = codebook.ports
    notes: tuple[str, ...] = ()
    if codebook.store == "rom" and not rom_circuit:
        notes = (f"a fixed codebook kept in {codebook.circuit} and written at power-up; circuit: logic_rom or rom_macro has no such cost",)
    words = -(-codebook.codewords // banks)
    parts = [replace(_storage(codebook, technology, words, ports, sets * banks, notes), shared=shared is not None)]
    registers = Span.exact(gate_counts.output_registers(served, codebook.codeword_length, codebook.element_bits))
    parts.append(logic("codebook output registers", "codebook", registers, technology, SYNTHESIS))
    if codebook.element_code == "table":
        tables = gate_counts.element_table(codebook.element_bits) * (served * codebook.codeword_length)
        parts.append(logic("element tables", "codebook", tables, technology, ESTIMATE))
    if codebook.banks:
        index_bits = max(1, ceil(log2(codebook.codewords)))
        crossbar = gate_counts.bank_crossbar(served, codebook.banks, index_bits, codebook.codeword_bits)
        parts.append(logic("codebook crossbar and merge", "codebook", crossbar, technology, ESTIMATE))
    if shared is not None:
        switch = gate_counts.rom_switch(served, shared, cores, max(1, ceil(log2(codebook.codewords))), codebook.codeword_bits)
        parts.append(replace(logic("codebook port switch", "codebook", switch, technology, ESTIMATE), shared=True))
    return tuple(parts)


def _storage(codebook: CodebookSpec, technology: Technology, words: int, ports: int, copies: int, notes: tuple[str, ...]) -> AreaComponent:
    """`copies` (sets x banks) of `words` codewords with `ports` read ports each."""
    bits = words * codebook.codeword_bits
    what = f"{copies} x {words} codewords of {codebook.codeword_bits} bits, {ports} port{'s' if ports > 1 else ''}"
    name, group, memory = "codebook storage", "codebook", technology.memory
    if codebook.circuit == "logic_rom":
        gates = gate_counts.logic_rom(words, codebook.codeword_bits / 8)
        span = Span(gates, 0.85 * gates, 1.1 * gates)
        if not gate_counts.is_synthesized_rom_size(words, codebook.codeword_bits / 8):
            span = Span(gates, 0.6 * gates, 1.6 * gates)
            size = f"{words} codewords of {codebook.codeword_bits / 8:g}"
            notes += (f"{size} lie outside the synthesized ROMs (16 to 1024 of 4 to 8): extrapolated",)
        source = f"logic ROM, random bytes, between points of own yosys 0.23 / Nangate45 synthesis ({what}; a port is a copy)"
        return logic(name, group, span * (ports * copies), technology, source, (*notes, "low: codewords of 7-bit magnitudes"))
    if codebook.circuit in ("flops", "latches"):
        cell = gate_counts.FLOP_ENABLE if codebook.circuit == "flops" else gate_counts.LATCH
        gates = gate_counts.register_file(bits, ports, cell) * copies
        span = Span(gates, 0.97 * gates, 1.03 * gates)
        if not 512 <= bits <= 8192 or ports > 2:
            span = Span(gates, 0.75 * gates, 1.25 * gates)  # MVQ's 65,536-bit files of 1 to 4 ports are predicted within 23 %
            notes += (f"{bits} bits, {ports} ports: fitted on 512 to 8192 bits and 1 or 2 ports, extrapolated",)
        return logic(name, group, span, technology, f"{SYNTHESIS}, {codebook.circuit} ({what})", notes)
    if codebook.circuit == "sram":
        per_bit, fixed = memory.codebook_sram_um2_per_bit, memory.codebook_sram_fixed_um2
        area = (per_bit.span * bits + fixed.span) * (ports * copies)
        source = f"SRAM macro ({what}; a port is a copy): {'; '.join(dict.fromkeys((per_bit.citation, fixed.citation)))}"
        return AreaComponent(name, group, "memory", None, area, source, notes)
    per_bit = memory.rom_macro_um2_per_bit
    source = f"ROM macro ({what}; a port is a copy): {per_bit.citation}"
    return AreaComponent(name, group, "memory", None, per_bit.span * (bits * ports * copies), source, notes)
