"""Energy of one action of each kind, pJ: from the technology's constants, CACTI's SRAM points and the gate counts.

Disputable assumption: a block of gates that nobody measured (unpacker, sign decoder, logic ROM, control) costs, for each action,
what the MAC's gates cost in one operation, gate for gate, within a factor of about four either way; none of them costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.accelerator import Accelerator
from accelsim.report import gate_counts, sparse_tile
from accelsim.report.span import Span
from accelsim.report.sram_grid import sram_point
from accelsim.report.sram_macros import Macro, accumulator_macro, activation_macro, weight_macro
from accelsim.report.technology import Technology


@dataclass(frozen=True)
class ActionEnergy:
    """Energy of one action, pJ, and where it comes from."""

    pj: Span
    source: str


def action_energies(accelerator: Accelerator, technology: Technology) -> Mapping[str, ActionEnergy]:
    """Action name (`Action.name`) -> energy."""
    table, array = technology.energy, accelerator.array
    registers = table.register_bit_pj.span * (8 + array.psum_bits)
    idle = table.idle_fraction
    weights, activations, psums = weight_macro(accelerator), activation_macro(accelerator), accumulator_macro(accelerator)
    control = gate_counts.control(array.rows, array.cols, array.max_m, 0, 0)
    return {
        "mac": ActionEnergy(table.mac_pj.span, table.mac_pj.citation),
        "pe_cycle": ActionEnergy(registers, f"{8 + array.psum_bits} register bits: {table.register_bit_pj.citation}"),
        "pe_idle_cycle": ActionEnergy(registers * idle.span, f"share of a PE's registers in an idle cycle: {idle.citation}"),
        "shadow_write": _shadow_write(accelerator, technology),
        "accumulate": ActionEnergy(table.psum_add_pj.span, table.psum_add_pj.citation),
        **_sram("accumulator", psums, technology),
        **_sram("activation", activations, technology),
        **_sram("weight", weights, technology),
        "unpack_cycle": _gates(_unpack_gates(accelerator), technology, "unpack buffer"),
        "lookup": _lookup(accelerator, technology),
        "codebook_write_bit": ActionEnergy(table.register_bit_pj.span * 2, f"bit and enable: {table.register_bit_pj.citation}"),
        **_mask_energies(accelerator, technology),
        "sign_lane": _gates(gate_counts.SIGN_LANE, technology, "sign decoder"),
        "vector_op": ActionEnergy(table.vector_op_pj.span, table.vector_op_pj.citation),
        "control_cycle": _gates(control * idle.value, technology, f"control, {idle.value:g} of its gates a cycle"),
        "dma_bit": ActionEnergy(table.dma_pj_per_bit.span, table.dma_pj_per_bit.citation),
        "dram_bit": ActionEnergy(table.dram_pj_per_bit.span, table.dram_pj_per_bit.citation),
        "flash_bit": ActionEnergy(table.flash_pj_per_bit.span, table.flash_pj_per_bit.citation),
    }


def _shadow_write(accelerator: Accelerator, technology: Technology) -> ActionEnergy:
    """A weight into its shadow register and from there into the active one; of two shadow sets a multiplexer selects."""
    register, gate = technology.energy.register_bit_pj, technology.energy.gate_pj
    moved = register.span * 16
    if accelerator.array.shadow_sets == 1:
        return ActionEnergy(moved, f"16 bits of weight: {register.citation}")
    select = 8 * gate_counts.READ_MUX
    return ActionEnergy(moved + gate.span * select, f"16 bits of weight: {register.citation}; {select:.0f} GE of select: {gate.citation}")


def _mask_energies(accelerator: Accelerator, technology: Technology) -> dict[str, ActionEnergy]:
    """A pattern that is looked up, and a product that a sparse tile leads to its column; nothing where the chip has neither."""
    mask, tile = accelerator.codebook.mask, accelerator.array.sparse_tile
    gate = technology.energy.gate_pj
    out = {}
    if mask is not None:
        gates = sparse_tile.mask_decoder(mask.keep, mask.of, mask.of)
        what = f"mask decoder, {gates.nominal:.0f} GE, all of them (low: a tenth)"
        out["mask_pattern"] = ActionEnergy(gate.span * Span(gates.nominal, 0.1 * gates.low, gates.high), f"{what}: {gate.citation}")
    if tile is not None:
        gates = sparse_tile.routing(tile.d, tile.q) * (1 / tile.q)
        what = f"a product's share of a tile's routing, {gates.nominal:.0f} GE (low: a tenth)"
        out["route_product"] = ActionEnergy(gate.span * Span(gates.nominal, 0.1 * gates.low, gates.high), f"{what}: {gate.citation}")
    return out


def _gates(gates: float, technology: Technology, what: str) -> ActionEnergy:
    figure = technology.energy.gate_pj
    return ActionEnergy(figure.span * gates, f"{what}, {gates:.0f} GE an action: {figure.citation}")


def _unpack_gates(accelerator: Accelerator) -> float:
    codebook = accelerator.codebook
    pop_bits = 8 * codebook.ports * codebook.codeword_length
    return gate_counts.unpack_buffer(accelerator.weight_buffer.word_bits, pop_bits, step_bits=1)


def _sram(name: str, macro: Macro, technology: Technology) -> dict[str, ActionEnergy]:
    """Read and write of one word of one macro; low: a one-port macro."""
    memory = technology.memory
    point = macro.point(memory)
    cheaper = sram_point(memory.grid_node_nm, memory.device, "1rw", macro.size_bytes, macro.word_bits)
    factor = memory.energy_factor
    what = f"CACTI 7 at {memory.grid_node_nm} nm, {macro.size_bytes} B, {macro.word_bits} bits, {macro.ports.upper()}, {memory.device}"
    out = {}
    for access, pj, least in (("read", point.read_pj, cheaper.read_pj), ("write", point.write_pj, cheaper.write_pj)):
        span = Span.around(pj * factor.value, min(pj, least) * factor.low, pj * factor.high)
        out[f"{name}_{access}"] = ActionEnergy(span, f"{what}; factor {factor.value:g}: {factor.citation}")
    return out


def _lookup(accelerator: Accelerator, technology: Technology) -> ActionEnergy:
    """One codeword out of the codebook's circuit, with its output register."""
    codebook, memory, table = accelerator.codebook, technology.memory, technology.energy
    words = -(-codebook.codewords // (codebook.banks or 1))
    bits = 8 * words * codebook.codeword_length
    register = table.register_bit_pj.span * (8 * codebook.codeword_length)
    if codebook.banks:
        index_bits = max(1, (codebook.codewords - 1).bit_length())
        switch = gate_counts.bank_crossbar(codebook.banks, codebook.banks, index_bits, codebook.codeword_length)
        register += table.gate_pj.span * switch * (1 / codebook.banks)  # a lookup uses one port's share of it
    if codebook.circuit in ("sram", "rom_macro"):
        rom = codebook.circuit == "rom_macro"
        point = sram_point(memory.grid_node_nm, memory.device, "1rw", -(-bits // 8), 8 * codebook.codeword_length)
        factor = memory.energy_factor
        # A ROM's bit lines are shorter and carry one cell's current; nobody's figure, so from a quarter of an SRAM's read to all of it.
        share = Span(0.6, 0.25, 1.0) if rom else Span.exact(1.0)
        what = "a ROM read as 0.25-1 of an SRAM's (estimate): " if rom else ""
        return ActionEnergy(
            share * factor.span * point.read_pj + register, f"{what}CACTI 7, {bits} bits; factor {factor.value:g}: {factor.citation}"
        )
    if codebook.circuit == "logic_rom":
        gates, what = gate_counts.logic_rom(words, codebook.codeword_length)[0], "logic ROM, all gates (low: a tenth)"
        low, nominal = 0.1, 1.0
    else:
        gates, what = (
            gate_counts.READ_MUX * bits,
            f"read multiplexer of {codebook.circuit}, a tenth of it (0.01-1)",
        )
        low, nominal = 0.01, 0.1
    span = table.gate_pj.span
    energy = Span(span.nominal * gates * nominal, span.low * gates * low, span.high * gates) + register
    return ActionEnergy(energy, f"{what}, {gates:.0f} GE: {table.gate_pj.citation}")
