"""TOPS/W of MVQ's 64x64 array without DRAM: weight stationary, enhanced weight stationary, and plain vector quantization on the latter.

MVQ (ASPLOS 2025, arXiv 2412.10261; 40 nm, 0.3 GHz) gives 2.9 TOPS/W for 8-bit weights and 3.8 for plain vector quantization on the
enhanced array. Disputable assumptions, which the paper does not state: the network is ResNet-18 with one image; each weight is loaded
once, through L2, L1 and a 64-bit bus; a layer's activations cross L2 once each way; sums stay in register files at the foot of the
columns, however many there are; the array waits while a load is longer than its fold. Nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles
from accelsim.report import gate_counts
from accelsim.report.area_validation import MVQ_WEIGHT_FILE_DEPTH, PUBLISHED_PSUM_BITS, PUBLISHED_WORD_BITS
from accelsim.report.span import Span, total
from accelsim.report.sram_grid import sram_point
from accelsim.report.technology import Technology
from accelsim.validate.load_width import CODEWORD_LENGTH, CODEWORDS, Gemm, resnet18

SIDE = 64
CLOCK_HZ = 300_000_000
L1_BYTES, L2_BYTES = 256 * 1024, 2 * 1024 * 1024
PUBLISHED_TOPS_PER_WATT = {"EWS, 8 bit": 2.9, "EWS, plain VQ": 3.8}
MUX_SHARE = Span(0.1, 0.01, 1.0)  # gates of a read multiplexer that switch in an access: estimate, as for a codebook in latches

Weights = Literal["int8", "vq"]
MACHINES: Mapping[str, tuple[str, Weights]] = {
    "WS, 8 bit": ("weight_stationary", "int8"),
    "EWS, 8 bit": ("enhanced_weight_stationary", "int8"),
    "EWS, plain VQ": ("enhanced_weight_stationary", "vq"),
}


@dataclass(frozen=True)
class ArrayEfficiency:
    """One machine on one network.

    Attributes
    ----------
    parts_pj : what -> energy, leakage as a part of its own
    """

    name: str
    macs: int
    cycles: int
    parts_pj: Mapping[str, Span]

    def tops_per_watt(self, *, leakage: bool = True) -> Span:
        """Operations (2 a MAC) over energy: 10^12 a joule."""
        energy = total(span for what, span in self.parts_pj.items() if leakage or what != "leakage")
        return Span.exact(2.0 * self.macs) / energy


@dataclass(frozen=True)
class _Counts:
    """What a network does on a machine."""

    macs: int
    cycles: int
    busy_cycles: int
    activation_bytes: int
    weight_bits: float
    weights: int
    output_bytes: int


def array_efficiencies(technology: Technology) -> tuple[ArrayEfficiency, ...]:
    """Every machine of `MACHINES` on ResNet-18."""
    return tuple(_efficiency(name, dataflow, weights, technology) for name, (dataflow, weights) in MACHINES.items())


def _counts(dataflow: str, weights: Weights) -> _Counts:
    bits = 8.0 if weights == "int8" else (CODEWORDS - 1).bit_length() / CODEWORD_LENGTH
    layers = [_layer(gemm, dataflow, bits) for gemm in resnet18()]
    return _Counts(*(sum(values) for values in zip(*layers, strict=True)))


def _layer(gemm: Gemm, dataflow: str, bits: float) -> tuple[int, int, int, int, float, int, int]:
    result = gemm_cycles(dataflow, SystolicArray(SIDE, SIDE, weight_file=MVQ_WEIGHT_FILE_DEPTH), gemm.m, gemm.k, gemm.n)
    weights = gemm.k * -(-gemm.n // SIDE) * SIDE  # columns are padded
    busy = result.folds * gemm.m
    load = -(-weights * bits // PUBLISHED_WORD_BITS)
    return result.macs, int(max(busy, load)), busy, result.rows_read * SIDE, weights * bits, weights, gemm.m * gemm.n


def _efficiency(name: str, dataflow: str, weights: Weights, technology: Technology) -> ArrayEfficiency:
    counts, table = _counts(dataflow, weights), technology.energy
    register, gate = table.register_bit_pj.span, table.gate_pj.span
    file = dataflow == "enhanced_weight_stationary"
    word_bytes = PUBLISHED_WORD_BITS // 8
    l1_read, l1_write = _word(technology, L1_BYTES)
    l2_read, l2_write = _word(technology, L2_BYTES)
    slots = float(counts.busy_cycles * SIDE * SIDE)
    moves = slots / MVQ_WEIGHT_FILE_DEPTH if file else slots  # an activation goes on to the next PE when it has met the file
    parts = {
        "MACs": table.mac_pj.span * counts.macs,
        "registers of sums": register * (PUBLISHED_PSUM_BITS * slots),
        "registers of activations": register * (8 * moves),
        "accumulators": (table.psum_add_pj.span + register * PUBLISHED_PSUM_BITS) * (counts.busy_cycles * SIDE),
        "weights into the array": register * (2 * 8 * counts.weights),
        "activations out of L1": l1_read * (counts.activation_bytes / word_bytes),
        "activations to L2 and back": (l1_read + l2_write + l2_read + l1_write) * (counts.output_bytes / word_bytes),
        "weights out of L2 and L1": (l2_read + l1_write + l1_read) * (counts.weight_bits / PUBLISHED_WORD_BITS),
        "waiting PEs": register
        * table.idle_fraction.span
        * ((8 + PUBLISHED_PSUM_BITS) * (counts.cycles - counts.busy_cycles) * SIDE * SIDE),
        "leakage": _leakage(technology, file) * (counts.cycles / CLOCK_HZ),
    }
    if file:
        parts["weight files"] = gate * MUX_SHARE * (gate_counts.READ_MUX * 8 * MVQ_WEIGHT_FILE_DEPTH * slots)
    if weights == "vq":
        codebook = gate * MUX_SHARE * (gate_counts.READ_MUX * 8 * CODEWORDS * CODEWORD_LENGTH) + register * (8 * CODEWORD_LENGTH)
        parts["codebook"] = codebook * (counts.weights / CODEWORD_LENGTH)
    return ArrayEfficiency(name, counts.macs, counts.cycles, parts)


def _word(technology: Technology, size_bytes: int) -> tuple[Span, Span]:
    """Energy to read and to write a word of an SRAM, pJ."""
    memory = technology.memory
    point = sram_point(memory.grid_node_nm, memory.device, "1rw", size_bytes, PUBLISHED_WORD_BITS)
    return memory.energy_factor.span * point.read_pj, memory.energy_factor.span * point.write_pj


def _leakage(technology: Technology, file: bool) -> Span:
    """Of the array and both SRAMs, pJ a second."""
    memory = technology.memory
    one = gate_counts.pe_weight_file(PUBLISHED_PSUM_BITS, MVQ_WEIGHT_FILE_DEPTH) if file else gate_counts.pe(PUBLISHED_PSUM_BITS)
    points = [sram_point(memory.grid_node_nm, memory.device, "1rw", size, PUBLISHED_WORD_BITS) for size in (L1_BYTES, L2_BYTES)]
    milliwatts = technology.energy.logic_leakage_nw_per_ge.span * (SIDE * SIDE * one * 1e-6)
    return (milliwatts + memory.leakage_factor.span * sum(point.leakage_mw for point in points)) * 1e9
