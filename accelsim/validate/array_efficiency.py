"""TOPS/W of MVQ's 64x64 array without DRAM: weight stationary in two forms, enhanced weight stationary, plain vector quantization on that.

MVQ (ASPLOS 2025, arXiv 2412.10261; 40 nm, 0.3 GHz) gives 2.9 TOPS/W for 8-bit weights and 3.8 for plain vector quantization on the
enhanced array. Disputable assumptions, which the paper does not state: the network is ResNet-18 with one image; each weight is loaded
once, through L2, L1 and a 64-bit bus; a layer's activations cross L2 once each way; sums lie in register files at the foot of the columns,
however many there are, or (one machine, as a classic weight-stationary array has it) in L1; L1 is two macros of 128 KiB, since its
published area is exactly twice that of the smaller array's; the array waits while a load is longer than its fold. No
constant is fitted; device, L1 and the machine with sums in L1 were chosen with the published figures known (docs/validation.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from accelsim.cost import gate_counts
from accelsim.cost.span import Span, total
from accelsim.cost.sram_grid import SramPoint, sram_point
from accelsim.cost.technology import Technology
from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles
from accelsim.studies.load_width import CODEWORD_LENGTH, CODEWORDS, Gemm, resnet18
from accelsim.validate.area_published import MVQ_WEIGHT_FILE_DEPTH, PUBLISHED_PSUM_BITS, PUBLISHED_WORD_BITS

SIDE = 64
CLOCK_HZ = 300_000_000
L1_MACROS, L1_MACRO_BYTES, L2_BYTES = 2, 128 * 1024, 2 * 1024 * 1024
PUBLISHED_TOPS_PER_WATT = {"EWS, 8 bit": 2.9, "EWS, plain VQ": 3.8}


@dataclass(frozen=True)
class Machine:
    """An array: its dataflow, its weight format, and the storage of sums between two K-tiles."""

    dataflow: str
    weights: Literal["int8", "vq"] = "int8"
    sums: Literal["registers", "L1"] = "registers"

    @property
    def has_weight_file(self) -> bool:
        """Whether a PE holds `MVQ_WEIGHT_FILE_DEPTH` weights in place of two."""
        return self.dataflow == "enhanced_weight_stationary"

    @property
    def weight_bits(self) -> float:
        """Bits of a weight on the way into the array."""
        return 8.0 if self.weights == "int8" else (CODEWORDS - 1).bit_length() / CODEWORD_LENGTH


MACHINES: Mapping[str, Machine] = {
    "WS, 8 bit, sums in L1": Machine("weight_stationary", sums="L1"),
    "WS, 8 bit": Machine("weight_stationary"),
    "EWS, 8 bit": Machine("enhanced_weight_stationary"),
    "EWS, plain VQ": Machine("enhanced_weight_stationary", "vq"),
}


@dataclass(frozen=True)
class ArrayEfficiency:
    """One machine on one network.

    Attributes
    ----------
    parts_pj : part -> energy, leakage as a separate part
    """

    name: str
    macs: int
    cycles: int
    parts_pj: Mapping[str, Span]

    def tops_per_watt(self, *, leakage: bool = True) -> Span:
        """Operations (2 per MAC) over energy: 10^12 per joule."""
        energy = total(span for what, span in self.parts_pj.items() if leakage or what != "leakage")
        return Span.exact(2.0 * self.macs) / energy


class LayerCounts(NamedTuple):
    """Action counts of a layer, or a network, on a machine."""

    macs: int
    cycles: int
    busy_cycles: int
    activation_bytes: int
    weight_bits: float
    weights: int
    output_bytes: int
    sums_reread: int


def array_efficiencies(technology: Technology) -> tuple[ArrayEfficiency, ...]:
    """Every machine of `MACHINES` on ResNet-18."""
    return tuple(_efficiency(name, machine, technology) for name, machine in MACHINES.items())


def layer_counts(gemm: Gemm, machine: Machine) -> LayerCounts:
    """Counts of one layer: the array waits while its load lasts longer than its folds."""
    result = gemm_cycles(machine.dataflow, SystolicArray(SIDE, SIDE, weight_file=MVQ_WEIGHT_FILE_DEPTH), gemm.m, gemm.k, gemm.n)
    k_tiles, n_tiles = -(-gemm.k // SIDE), -(-gemm.n // SIDE)
    weights = gemm.k * n_tiles * SIDE  # columns are padded
    bits = weights * machine.weight_bits
    busy = result.folds * gemm.m
    return LayerCounts(
        macs=result.macs,
        cycles=int(max(busy, -(-bits // PUBLISHED_WORD_BITS))),
        busy_cycles=busy,
        activation_bytes=result.rows_read * SIDE,
        weight_bits=bits,
        weights=weights,
        output_bytes=gemm.m * gemm.n,
        sums_reread=(k_tiles - 1) * n_tiles * SIDE * gemm.m,
    )


def _efficiency(name: str, machine: Machine, technology: Technology) -> ArrayEfficiency:
    table = technology.energy
    counts = LayerCounts(*(sum(values) for values in zip(*(layer_counts(gemm, machine) for gemm in resnet18()), strict=True)))
    register, gate = table.register_bit_pj.span, table.gate_pj.span
    word_bytes = PUBLISHED_WORD_BITS // 8
    l1_read, l1_write = _word(technology, L1_MACRO_BYTES)
    l2_read, l2_write = _word(technology, L2_BYTES)
    slots = float(counts.busy_cycles * SIDE * SIDE)
    moves = slots / MVQ_WEIGHT_FILE_DEPTH if machine.has_weight_file else slots  # an activation goes on when it has met the file
    sums = register * (PUBLISHED_PSUM_BITS * counts.busy_cycles * SIDE)
    if machine.sums == "L1":  # each sum of a K-tile goes there and, unless it was the last, comes back
        sums = (l1_read + l1_write) * (counts.sums_reread * PUBLISHED_PSUM_BITS / PUBLISHED_WORD_BITS)
    parts = {
        "MACs": table.mac_pj.span * counts.macs,
        "registers of sums": register * (PUBLISHED_PSUM_BITS * slots),
        "registers of activations": register * (8 * moves),
        "adders of accumulators": table.psum_add_pj.span * (counts.busy_cycles * SIDE),
        "sums between K-tiles": sums,
        "weights into the array": register * (2 * 8 * counts.weights),
        "activations out of L1": l1_read * (counts.activation_bytes / word_bytes),
        "activations to L2 and back": (l1_read + l2_write + l2_read + l1_write) * (counts.output_bytes / word_bytes),
        "weights out of L2 and L1": (l2_read + l1_write + l1_read) * (counts.weight_bits / PUBLISHED_WORD_BITS),
        "waiting PEs": register
        * table.idle_fraction.span
        * ((8 + PUBLISHED_PSUM_BITS) * (counts.cycles - counts.busy_cycles) * SIDE * SIDE),
        "leakage": _leakage(technology, machine) * (counts.cycles / CLOCK_HZ),
    }
    if machine.has_weight_file:
        parts["weight files"] = gate * gate_counts.MUX_SHARE * (gate_counts.READ_MUX * 8 * MVQ_WEIGHT_FILE_DEPTH * slots)
    if machine.weights == "vq":
        codebook = gate * gate_counts.MUX_SHARE * (gate_counts.READ_MUX * 8 * CODEWORDS * CODEWORD_LENGTH) + register * (
            8 * CODEWORD_LENGTH
        )
        parts["codebook"] = codebook * (counts.weights / CODEWORD_LENGTH)
    return ArrayEfficiency(name, counts.macs, counts.cycles, parts)


def _word(technology: Technology, size_bytes: int) -> tuple[Span, Span]:
    """Energy to read and to write a word of an SRAM, pJ."""
    memory = technology.memory
    point = _macro(technology, size_bytes)
    return memory.energy_factor.span * point.read_pj, memory.energy_factor.span * point.write_pj


def _leakage(technology: Technology, machine: Machine) -> Span:
    """Of the array and both SRAMs, pJ per second."""
    wide = gate_counts.pe_weight_file(PUBLISHED_PSUM_BITS, MVQ_WEIGHT_FILE_DEPTH)
    one = wide if machine.has_weight_file else gate_counts.pe(PUBLISHED_PSUM_BITS)
    srams = L1_MACROS * _macro(technology, L1_MACRO_BYTES).leakage_mw + _macro(technology, L2_BYTES).leakage_mw
    milliwatts = technology.energy.logic_leakage_nw_per_ge.span * (SIDE * SIDE * one * 1e-6)
    return (milliwatts + technology.memory.leakage_factor.span * srams) * 1e9


def _macro(technology: Technology, size_bytes: int) -> SramPoint:
    memory = technology.memory
    return sram_point(memory.grid_node_nm, memory.device, "1rw", size_bytes, PUBLISHED_WORD_BITS)
