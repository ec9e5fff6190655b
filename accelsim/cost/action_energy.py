"""Energy of one action of each kind, pJ: from the technology's constants, CACTI's SRAM points and the gate counts.

Disputable assumption: a block of gates that nobody measured (unpacker, sign decoder, logic ROM, control) costs, for each action,
as much as the MAC's gates in one operation, gate for gate, within a factor of about four either way; none of them costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.accelerator import Accelerator
from accelsim.cost import (
    gate_counts,
    gemv_gates,
    input_stationary_gates,
    output_stationary_gates,
    row_pass_gates,
    scale_gates,
    sparse_tile,
    vector_path_gates,
)
from accelsim.cost.column_feed import window_register_bits
from accelsim.cost.span import ZERO, Span
from accelsim.cost.sram_grid import SramPoint, sram_point
from accelsim.cost.sram_macros import Macro, accumulator_macro, activation_macro, codebook_macro, l2_macro, weight_macro
from accelsim.cost.technology import Figure, Technology
from accelsim.cost.unpack_width import widest_pop_bits
from accelsim.hw.core_spec import ArraySpec


@dataclass(frozen=True)
class ActionEnergy:
    """Energy of one action, pJ, and where it comes from."""

    pj: Span
    source: str


def action_energies(accelerator: Accelerator, technology: Technology) -> Mapping[str, ActionEnergy]:
    """Action name (`Action.name`) -> energy."""
    table, array = technology.energy, accelerator.array
    weights, activations, psums = weight_macro(accelerator), activation_macro(accelerator), accumulator_macro(accelerator)
    control = gate_counts.control(array.rows, array.cols, array.max_m, 0, 0)
    return {
        "mac": _mac(array, technology),
        **_pe_energies(array, technology),
        **_clocked("skew", gate_counts.skew_register_bits(array.rows, array.cols, array.activation_bits), 0, technology),
        **_clocked("window", window_register_bits(array), 0, technology),
        **_clocked("deskew", gate_counts.deskew_register_bits(array.cols, array.psum_bits), 0, technology),
        "shadow_write": _shadow_write(accelerator, technology),
        "accumulate": _cited(table.psum_add_pj.span, table.psum_add_pj),
        **_sram("accumulator", psums, technology),
        **_sram("activation", activations, technology, gate_counts.buffer_switch(1, activations.word_bits)),
        **_sram("weight", weights, technology),
        **(_sram("l2", l2_macro(accelerator.l2), technology) if accelerator.l2 is not None else {}),
        "unpack_cycle": _gates(_unpack_gates(accelerator), technology, "unpack buffer"),
        "lookup": _lookup(accelerator, technology),
        "codebook_write_bit": _codebook_write(accelerator, technology),
        **_mask_energies(accelerator, technology),
        **_scale_energies(accelerator, technology),
        **_gemv_energies(accelerator, technology),
        **_held_sum_energies(accelerator, technology),
        **_bank_energies(accelerator, technology),
        **_lane_energies(accelerator, technology),
        "sign_lane": _gates(gate_counts.SIGN_LANE, technology, "sign decoder"),
        "vector_op": _cited(table.vector_op_pj.span, table.vector_op_pj),
        "control_cycle": _cited(
            table.gate_pj.span * control * table.idle_fraction.value, table.gate_pj, table.idle_fraction, what=f"control, {control:.0f} GE"
        ),
        **{f"{name}_held_cycle": _held(name, bits, technology) for name, bits in _held_bits(accelerator).items()},
        "dma_bit": _cited(table.dma_pj_per_bit.span, table.dma_pj_per_bit),
        "dram_bit": _cited(table.dram_pj_per_bit.span, table.dram_pj_per_bit),
        "flash_bit": _cited(table.flash_pj_per_bit.span, table.flash_pj_per_bit),
    }


def _mac(array: ArraySpec, technology: Technology) -> ActionEnergy:
    """A multiplication and addition of 8 x 8 bits; of wider activations in proportion to their bits."""
    table, bits = technology.energy.mac_pj, array.activation_bits
    return _cited(table.span * (bits / 8), table, what=f"{bits} x 8 bits" if bits > 8 else "")


def _pe_energies(array: ArraySpec, technology: Technology) -> dict[str, ActionEnergy]:
    """A PE's registers in a cycle; with a file of weights, whose latches have no clock, its activation and the read are actions apart."""
    if array.held_weights == 1:
        return _clocked("pe", array.activation_bits + array.psum_bits, array.weight_bits * (1 + array.shadow_sets), technology)
    register, gate = technology.energy.register_bit_pj, technology.energy.gate_pj
    gates = gate_counts.READ_MUX * array.weight_bits * array.pe_weights
    return {
        **_clocked("pe", array.psum_bits, 8, technology),
        "hold_activation": _cited(register.span * array.activation_bits, register, what=f"{array.activation_bits} bits of activation"),
        "file_read": _cited(gate.span * gate_counts.MUX_SHARE * gates, gate, what=f"a weight out of {array.pe_weights}, {gates:.0f} GE"),
    }


def _cited(pj: Span, *figures: Figure, what: str = "") -> ActionEnergy:
    """An energy with the sources of the constants that it was made of."""
    return ActionEnergy(pj, f"{what}: " * bool(what) + "; ".join(dict.fromkeys(figure.citation for figure in figures)))


def _clocked(name: str, bits: int, held_bits: int, technology: Technology) -> dict[str, ActionEnergy]:
    """Registers that take a value in a busy cycle, and others that hold theirs; an idle cycle costs a share of all."""
    register, idle = technology.energy.register_bit_pj, technology.energy.idle_fraction
    held = register.span * idle.span * held_bits
    what = f"{bits} register bits" + (f", {held_bits} held" if held_bits else "")
    busy = (register, idle) if held_bits else (register,)
    return {
        f"{name}_cycle": _cited(register.span * bits + held, *busy, what=what),
        f"{name}_idle_cycle": _cited(register.span * idle.span * bits + held, register, idle, what=f"{what}, idle"),
    }


def _held(name: str, bits: int, technology: Technology) -> ActionEnergy:
    register, idle = technology.energy.register_bit_pj, technology.energy.idle_fraction
    return _cited(register.span * idle.span * bits, register, idle, what=f"{bits} register bits of {name} that hold")


def _held_bits(accelerator: Accelerator) -> dict[str, int]:
    """Register bits outside array and control. Latches have no clock; a codebook of flops has one per bit, shared by all cores a share."""
    codebook, dma = accelerator.codebook, accelerator.dma
    word_bits = accelerator.weight_buffer.word_bits
    stored = codebook.codewords * codebook.codeword_bits * (codebook.sets if codebook.store == "ram" else 1)
    if codebook.shared_ports is not None:
        stored = -(-stored // accelerator.cores)
    return {
        "unpack": gate_counts.unpack_register_bits(word_bits, widest_pop_bits(accelerator)),
        "codebook": codebook.element_bits * accelerator.decode_width.coded + (stored if codebook.circuit == "flops" else 0),
        "vector": gate_counts.VECTOR_LANE_REGISTER_BITS * accelerator.vector_unit.lanes,
        "dma": gate_counts.dma_register_bits(dma.max_transfers, dma.max_outstanding_bursts, word_bits),
    }


def _codebook_write(accelerator: Accelerator, technology: Technology) -> ActionEnergy:
    """A bit of a codebook into its circuit; into each copy of an SRAM, whose ports are copies."""
    codebook, register, factor = accelerator.codebook, technology.energy.register_bit_pj, technology.memory.energy_factor
    if codebook.circuit not in ("sram", "rom_macro"):
        return _cited(register.span * 2, register, what="bit and enable")
    point, what = _codebook_macro(accelerator, technology)
    copies = 1 if codebook.banks else codebook.ports
    return _cited(factor.span * (point.write_pj * copies / codebook.codeword_bits), factor, what=f"{what}, {copies} copies")


def _codebook_macro(accelerator: Accelerator, technology: Technology) -> tuple[SramPoint, str]:
    """The SRAM of a bank or of a port's copy, and its description."""
    memory, macro = technology.memory, codebook_macro(accelerator)
    point = macro.point(memory)
    notes = "".join(f" ({note})" for note in point.notes)
    return point, f"CACTI 7 at {memory.grid_node_nm} nm, {8 * macro.size_bytes} bits, {memory.device}{notes}"


def _shadow_write(accelerator: Accelerator, technology: Technology) -> ActionEnergy:
    """A weight into its shadow register and on into the active one, or once into a file; of two shadow sets a multiplexer selects."""
    register, gate = technology.energy.register_bit_pj, technology.energy.gate_pj
    if accelerator.array.held_weights > 1:  # files change roles
        return _cited(register.span * 8, register, what="8 bits of weight")
    moved = register.span * 16
    if accelerator.array.shadow_sets == 1:
        return _cited(moved, register, what="16 bits of weight")
    select = 8 * gate_counts.READ_MUX
    return _cited(moved + gate.span * select, register, gate, what=f"16 bits of weight, {select:.0f} GE of select")


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


def _scale_energies(accelerator: Accelerator, technology: Technology) -> dict[str, ActionEnergy]:
    """A sum of a group that is scaled, a weight that the decoder scales, a sum of a pass; nothing where the chip states no such logic."""
    array, gate = accelerator.array, technology.energy.gate_pj
    out = {}
    if array.states_scaling:
        gates = scale_gates.tap(array.psum_bits)
        out["scale_sum"] = ActionEnergy(gate.span * gates, f"a tap's multiplier and adder, {gates.nominal:.0f} GE: {gate.citation}")
    if array.scale_at == "weight":
        gates = scale_gates.decoder_multiplier()
        out["scale_weight"] = ActionEnergy(gate.span * gates, f"a lane's multiplier, {gates.nominal:.0f} GE: {gate.citation}")
    if array.most_row_passes > 1:
        gates = row_pass_gates.column_foot(array.psum_bits, array.most_row_passes)
        out["shift_sum"] = ActionEnergy(gate.span * gates, f"a column's shifter and adder, {gates.nominal:.0f} GE: {gate.citation}")
    return out


def _gemv_energies(accelerator: Accelerator, technology: Technology) -> dict[str, ActionEnergy]:
    """Registers around a multiplier behind the decoder, and a sum that is read and written back; nothing where the chip has neither."""
    array, register, gate = accelerator.array, technology.energy.register_bit_pj, technology.energy.gate_pj
    if not array.few_rows:
        return {}
    gates = gemv_gates.sum_read_gates(accelerator)
    read = gate.span * gate_counts.MUX_SHARE * gates
    row, product = array.activation_bits, gemv_gates.PRODUCT_BITS + array.weight_bits - 8
    return {
        "gemv_weight": _cited(register.span * array.weight_bits, register, what=f"{array.weight_bits} bits of weight"),
        "gemv_lane": _cited(register.span * (row + product), register, what=f"{row + product} bits of activation and product"),
        "gemv_sum": _cited(
            read + register.span * array.psum_bits, register, gate, what=f"a sum of {array.psum_bits} bits, read through {gates:.0f} GE"
        ),
        "gemv_held_cycle": _held("GEMV sums", gemv_gates.gemv_sum_bits(accelerator), technology),
    }


def _held_sum_energies(accelerator: Accelerator, technology: Technology) -> dict[str, ActionEnergy]:
    """Steps and drains of sums in PEs: registers of weights and activations that pass, of sums that move down; nothing without them.

    Of a column's sums (R + 1) / 2 move in a cycle on average, and all registers at the foot. The sum of a busy PE is in its cycle.
    """
    array, register, gate = accelerator.array, technology.energy.register_bit_pj, technology.energy.gate_pj
    if not array.may_hold_outputs:
        return {}
    parts = output_stationary_gates
    passing, foot, moved = (
        parts.passing_bits(accelerator),
        parts.foot_bits(accelerator),
        array.psum_bits * array.cols * (array.rows + 1) // 2,
    )
    queued, lines = parts.queue_bits(accelerator), parts.line_bits(accelerator)
    mux = gate_counts.READ_MUX * queued.nominal
    held = parts.sum_bits(accelerator) + passing + foot + lines + int(queued.nominal)
    return {
        "os_step": _cited(register.span * (passing + 8 * array.rows), register, what=f"{passing} bits of weights, 8 per row"),
        "os_shift": _cited(register.span * (moved + foot), register, what=f"{moved} bits of sums on average, {foot} at the foot"),
        "queue_weight": _cited(
            register.span * array.weight_bits + gate.span * gate_counts.MUX_SHARE * (mux / array.cols), register, gate,
            what=f"{array.weight_bits} bits of weight, read through {mux / array.cols:.0f} GE",
        ),
        "os_held_cycle": _held("sums in PEs and what passes them", held, technology),
    }  # fmt: skip


def _bank_energies(accelerator: Accelerator, technology: Technology) -> dict[str, ActionEnergy]:
    """A weight into a bank and out of it, and the banks' clock; nothing where activations do not stay."""
    array, register, gate = accelerator.array, technology.energy.register_bit_pj, technology.energy.gate_pj
    if not array.may_hold_inputs:
        return {}
    mux, bits = input_stationary_gates.bank_read_gates(accelerator), input_stationary_gates.bank_bits(accelerator)
    moved = register.span * array.weight_bits + gate.span * gate_counts.MUX_SHARE * mux
    what = f"{array.weight_bits} bits of weight, read through {mux:.0f} GE"
    return {"bank_weight": _cited(moved, register, gate, what=what), "bank_held_cycle": _held("weight banks", bits, technology)}


def _lane_energies(accelerator: Accelerator, technology: Technology) -> dict[str, ActionEnergy]:
    """A step of a lane beside its multiplication, and a weight into its registers; nothing where lanes do not multiply."""
    array, register, gate = accelerator.array, technology.energy.register_bit_pj, technology.energy.gate_pj
    if accelerator.vector_unit.depthwise_taps is None:
        return {}
    mux = vector_path_gates.weight_read_gates(accelerator)
    return {
        "lane_step": _cited(
            register.span * array.psum_bits + gate.span * gate_counts.MUX_SHARE * mux, register, gate,
            what=f"a sum of {array.psum_bits} bits, a weight read through {mux:.0f} GE",
        ),
        "lane_weight": _cited(register.span * array.weight_bits, register, what=f"{array.weight_bits} bits of weight"),
        "lane_held_cycle": _held("weights and sums of lanes", vector_path_gates.held_bits(accelerator), technology),
    }  # fmt: skip


def _gates(gates: float, technology: Technology, what: str) -> ActionEnergy:
    figure = technology.energy.gate_pj
    return _cited(figure.span * gates, figure, what=f"{what}, {gates:.0f} GE an action")


def _unpack_gates(accelerator: Accelerator) -> float:
    return gate_counts.unpack_buffer(accelerator.weight_buffer.word_bits, widest_pop_bits(accelerator), step_bits=1)


def _sram(name: str, macro: Macro, technology: Technology, switch: Span = ZERO) -> dict[str, ActionEnergy]:
    """Read and write of one word of one macro through `switch` gates; low: a one-port macro."""
    memory, gate = technology.memory, technology.energy.gate_pj
    point = macro.point(memory)
    cheaper = sram_point(memory.grid_node_nm, memory.device, "1rw", macro.size_bytes, macro.word_bits)
    factor = memory.energy_factor
    what = f"CACTI 7 at {memory.grid_node_nm} nm, {macro.size_bytes} B, {macro.word_bits} bits, {macro.ports_label}, {memory.device}"
    what += "".join(f" ({note})" for note in point.notes)
    out = {}
    for access, pj, least in (("read", point.read_pj, cheaper.read_pj), ("write", point.write_pj, cheaper.write_pj)):
        span = Span.around(pj * factor.value, min(pj, least) * factor.low, pj * factor.high) + gate.span * switch
        figures = (factor, gate) if switch.high else (factor,)
        out[f"{name}_{access}"] = _cited(span, *figures, what=f"{what}; factor {factor.value:g}")
    return out


def _lookup(accelerator: Accelerator, technology: Technology) -> ActionEnergy:
    """One codeword out of the codebook's circuit, with its output register."""
    codebook, memory, table = accelerator.codebook, technology.memory, technology.energy
    register, gate = table.register_bit_pj, table.gate_pj
    words = -(-codebook.codewords // (codebook.banks or 1))
    rest, figures = register.span * codebook.codeword_bits, [register]
    if codebook.element_code == "table":
        rest += gate.span * gate_counts.element_table(codebook.element_bits) * codebook.codeword_length
        figures.append(gate)
    if codebook.banks:
        index_bits = max(1, (codebook.codewords - 1).bit_length())
        switch = gate_counts.bank_crossbar(codebook.banks, codebook.banks, index_bits, codebook.codeword_bits)
        rest += gate.span * switch * (1 / codebook.banks)  # a lookup uses one port's share of it
        figures.append(gate)
    if codebook.shared_ports is not None:
        index_bits = max(1, (codebook.codewords - 1).bit_length())
        ports = codebook.shared_ports, accelerator.cores, index_bits, codebook.codeword_bits
        rest += gate.span * gate_counts.rom_switch(codebook.ports, *ports) * (1 / codebook.shared_ports)  # as above
        figures.append(gate)
    if codebook.circuit in ("sram", "rom_macro"):
        rom, factor = codebook.circuit == "rom_macro", memory.energy_factor
        point, what = _codebook_macro(accelerator, technology)
        # A ROM's bit lines are shorter and carry one cell's current; nobody's figure, so from a quarter of an SRAM's read to all of it.
        share = Span(0.6, 0.25, 1.0) if rom else Span.exact(1.0)
        said = "a ROM read as 0.25-1 of an SRAM's (estimate), " if rom else ""
        return _cited(share * factor.span * point.read_pj + rest, factor, *figures, what=f"{said}{what}; factor {factor.value:g}")
    if codebook.circuit == "logic_rom":
        gates, share = gate_counts.logic_rom(words, codebook.codeword_bits / 8), Span(1.0, 0.1, 1.0)
        what = "logic ROM, all gates (low: a tenth)"
    else:
        gates, share = gate_counts.READ_MUX * words * codebook.codeword_bits, Span(0.1, 0.01, 1.0)
        what = f"read multiplexer of {codebook.circuit}, a tenth of it (0.01-1)"
    return _cited(gate.span * gates * share + rest, gate, *figures, what=f"{what}, {gates:.0f} GE")
