"""Which SRAM macros make up each memory of an accelerator, and their area with the correction for small sizes.

Disputable assumptions: a buffer that is read and written in one cycle has cells with two ports (1R1W, about twice the area in
CACTI); each column has an accumulator macro of its own, because the columns are skewed by a cycle. The grid has two ports at most: each
further one adds the area of a single-ported macro, and as much energy, leakage and time as the second one did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.accelerator import Accelerator
from accelsim.cost.span import Span
from accelsim.cost.sram_grid import SramPoint, SramPorts, sram_point
from accelsim.cost.technology import MemoryTable
from accelsim.hw.l2 import L2Spec

SINGLE_PORT: SramPorts = "1rw"
SMALL_BYTES = 4096  # up to here CACTI's SRAM is smaller than compiled macros: FakeRAM45 has 0.50-0.62 um2/bit, CACTI 0.40-0.44


@dataclass(frozen=True)
class Macro:
    """Equal SRAM macros that make up a memory; `extra_ports` beyond `ports`, extrapolated."""

    count: int
    size_bytes: int
    word_bits: int
    ports: SramPorts
    extra_ports: int = 0

    @property
    def ports_label(self) -> str:
        """Ports as a datasheet writes them."""
        return self.ports.upper() + (f" and {self.extra_ports} more" if self.extra_ports else "")

    def point(self, memory: MemoryTable) -> SramPoint:
        """One macro in the grid, unscaled; energies, leakage and time of further ports extrapolated, their area as `area_um2` has it."""
        point = sram_point(memory.grid_node_nm, memory.device, self.ports, self.size_bytes, self.word_bits)
        if not self.extra_ports:
            return point
        single = replace(self, ports=SINGLE_PORT, extra_ports=0).point(memory)

        def beyond(with_second: float, alone: float) -> float:
            return with_second + self.extra_ports * max(0.0, with_second - alone)

        return replace(
            point,
            area_um2=point.area_um2 + self.extra_ports * single.area_um2,
            read_pj=beyond(point.read_pj, single.read_pj),
            write_pj=beyond(point.write_pj, single.write_pj),
            leakage_mw=beyond(point.leakage_mw, single.leakage_mw),
            cycle_ns=beyond(point.cycle_ns, single.cycle_ns),
        )

    def area_um2(self, memory: MemoryTable) -> Span:
        """All macros, scaled to the node; none smaller than the small-size correction allows; a further port from half to twice one."""
        area = self._two_ports_um2(memory)
        if not self.extra_ports:
            return area
        one = replace(self, ports=SINGLE_PORT)._two_ports_um2(memory) * self.extra_ports
        return Span(area.nominal + one.nominal, area.low + 0.5 * one.low, area.high + 2 * one.high)

    def is_corrected(self, memory: MemoryTable) -> bool:
        """Whether the small-size correction sets its area, or may."""
        point = sram_point(memory.grid_node_nm, memory.device, self.ports, self.size_bytes, self.word_bits)
        scaled = point.area_um2 * memory.area_factor.value * self.count
        return self.size_bytes < SMALL_BYTES or self._two_ports_um2(memory).nominal > scaled * 1.001

    def _two_ports_um2(self, memory: MemoryTable) -> Span:
        """The area without the extra ports."""
        point = sram_point(memory.grid_node_nm, memory.device, self.ports, self.size_bytes, self.word_bits)
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
    """Banks of one port, or of as many as the accelerator asks for."""
    buffer = accelerator.activation_buffer
    macro = buffer_macro(buffer.capacity, buffer.banks, buffer.width_bits, "1rw" if buffer.ports == 1 else "1r1w")
    return replace(macro, extra_ports=max(0, buffer.ports - 2))


def l2_macro(l2: L2Spec) -> Macro:
    """Banks of one port, as wide as the level's: one of them moves a word."""
    return buffer_macro(l2.capacity, l2.banks, l2.width_bits, "1rw")


def accumulator_macro(accelerator: Accelerator) -> Macro:
    """A macro per column and bank: max_m psums, read and written back in one cycle, in which the drain may read at a port of its own."""
    array = accelerator.array
    size_bytes = -(-array.max_m * array.psum_bits // 8)
    drain_ports = 1 if array.accumulator_read == "second_port" else 0
    return Macro(array.cols * array.accumulator_banks, size_bytes, array.psum_bits, "1r1w", drain_ports)


def codebook_macro(accelerator: Accelerator) -> Macro:
    """Of a codebook in an SRAM or a ROM macro: one per bank, or a copy per port (of a ROM for all cores), as many for each set of a RAM."""
    codebook = accelerator.codebook
    words = -(-codebook.codewords // (codebook.banks or 1))
    count = (codebook.shared_ports or codebook.banks or codebook.ports) * (codebook.sets if codebook.store == "ram" else 1)
    return Macro(count, -(-words * codebook.codeword_bits // 8), codebook.codeword_bits, SINGLE_PORT)
