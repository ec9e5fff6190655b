"""Which SRAM macros make up each memory of an accelerator, and their area with the correction for small sizes.

Disputable assumptions: a buffer that is read and written in one cycle has cells with two ports (1R1W, about twice the area in
CACTI); each column has an accumulator macro of its own, because the columns are skewed by a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.accelerator import Accelerator
from accelsim.cost.span import Span
from accelsim.cost.sram_grid import SramPoint, SramPorts, sram_point
from accelsim.cost.technology import MemoryTable

SINGLE_PORT: SramPorts = "1rw"
SMALL_BYTES = 4096  # up to here CACTI's SRAM is smaller than compiled macros: FakeRAM45 has 0.50-0.62 um2/bit, CACTI 0.40-0.44


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
        small, small_bytes = memory.small_sram_um2_per_bit, min(self.size_bytes, SMALL_BYTES)
        bits = 8 * small_bytes * self._port_ratio(memory, small_bytes)
        scaled = memory.area_factor.span * point.area_um2
        return Span(max(scaled.nominal, small.value * bits), scaled.low, max(scaled.high, small.high * bits)) * self.count

    def _port_ratio(self, memory: MemoryTable, size_bytes: int) -> float:
        """Area of a macro of that size with these ports over that of one with a single port."""
        ported, single = (Macro(1, size_bytes, self.word_bits, ports).point(memory).area_um2 for ports in (self.ports, SINGLE_PORT))
        return ported / single


def buffer_macro(capacity: int, banks: int, word_bits: int, ports: SramPorts) -> Macro:
    """`banks` macros that hold `capacity` bytes."""
    return Macro(banks, -(-capacity // banks), word_bits, ports)


def weight_macro(accelerator: Accelerator) -> Macro:
    """The DMA writes while the unpacker reads: two ports, unless banks can take turns."""
    buffer = accelerator.weight_buffer
    return buffer_macro(buffer.capacity, buffer.banks, buffer.word_bits, "1r1w" if buffer.banks == 1 else "1rw")


def activation_macro(accelerator: Accelerator) -> Macro:
    """Banks of one port, or of two where the accelerator asks for more."""
    buffer = accelerator.activation_buffer
    return buffer_macro(buffer.capacity, buffer.banks, buffer.width_bits, "1rw" if buffer.ports == 1 else "1r1w")


def accumulator_macro(accelerator: Accelerator) -> Macro:
    """A macro per column and bank: max_m psums, read and written back in one cycle."""
    array = accelerator.array
    return Macro(array.cols * array.accumulator_banks, -(-array.max_m * array.psum_bits // 8), array.psum_bits, "1r1w")


def codebook_macro(accelerator: Accelerator) -> Macro:
    """Of a codebook in an SRAM or a ROM macro: one for each bank, or a copy for each port, and as many again for each set of a RAM."""
    codebook = accelerator.codebook
    words = -(-codebook.codewords // (codebook.banks or 1))
    count = (codebook.banks or codebook.ports) * (codebook.sets if codebook.store == "ram" else 1)
    return Macro(count, words * codebook.codeword_length, 8 * codebook.codeword_length, SINGLE_PORT)
