"""The SRAMs of an accelerator: weight buffer, activation buffer and accumulators, as silicon.

Disputable assumptions: nominal is the circuit of `sram_macros`; the ranges hold cheaper and dearer ways to serve the same accesses
(one port and banks that alternate, accumulators in shared macros, a second port in every activation bank).
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.accelerator import Accelerator
from accelsim.cost.codebook_area import codebook_components
from accelsim.cost.components import AreaComponent
from accelsim.cost.span import Span
from accelsim.cost.sram_grid import AREA_DEVICE
from accelsim.cost.sram_macros import Macro, accumulator_macro, activation_macro, buffer_macro, l2_macro, weight_macro
from accelsim.cost.technology import Technology

Sized = tuple[AreaComponent, float | None]  # and the cycle time of its macro, ns (None: not a macro of the grid)


def memory_components(accelerator: Accelerator, technology: Technology) -> tuple[Sized, ...]:
    """Weight buffer, activation buffer, accumulators, the parts of the codebook, and the L2 if there is one."""
    weights, activations, columns = weight_macro(accelerator), activation_macro(accelerator), accumulator_macro(accelerator)
    ports = accelerator.activation_buffer.ports
    activation_notes: tuple[str, ...] = ("the DMA's own port is an idle bank's; high: a second port in every bank",)
    if activations.extra_ports:
        activation_notes += (f"{ports} ports a bank: the grid has 2, each further one adds the area of one port, extrapolated",)
    column_notes: tuple[str, ...] = ("one macro per column; low: shared 256-bit words",)
    if columns.extra_ports:
        column_notes += ("a second read port for the drain: 2R1W, the area of one port more, extrapolated",)
    shared = buffer_macro(columns.count * columns.size_bytes, accelerator.array.accumulator_banks, 256, "1rw")
    shared = replace(shared, extra_ports=columns.extra_ports)
    return (
        _buffer(
            "accumulator memory",
            "accumulators",
            columns,
            technology,
            low=shared,
            notes=column_notes,
        ),
        *((part, None) for part in codebook_components(accelerator.codebook, technology, accelerator.cores)),
        _buffer(
            "weight buffer",
            "buffers",
            weights,
            technology,
            low=Macro(weights.count, weights.size_bytes, weights.word_bits, "1rw"),
            notes=("read and written in one cycle: 1R1W; low: one port",) if weights.ports == "1r1w" else (),
        ),
        _buffer(
            "activation buffer",
            "buffers",
            activations,
            technology,
            high=replace(activations, ports="1r1w"),
            notes=activation_notes,
        ),
        *((_shared(_buffer("L2", "buffers", l2_macro(accelerator.l2), technology)),) if accelerator.l2 is not None else ()),
    )


def _shared(sized: Sized) -> Sized:
    """One that all cores have together."""
    component, cycle_ns = sized
    return replace(component, shared=True), cycle_ns


def _buffer(
    name: str,
    group: str,
    macro: Macro,
    technology: Technology,
    low: Macro | None = None,
    high: Macro | None = None,
    notes: tuple[str, ...] = (),
) -> Sized:
    """An SRAM from the grid; `low` and `high` are cheaper and dearer ways to build it."""
    memory = technology.memory
    area = macro.area_um2(memory)
    floor = area.low if low is None else min(area.low, low.area_um2(memory).low)
    ceiling = area.high if high is None else max(area.high, high.area_um2(memory).high)
    point = macro.point(memory)
    correction = (f"CACTI corrected for small sizes: {memory.small_sram_um2_per_bit.citation}",) if macro.is_corrected(memory) else ()
    what = f"{macro.count} x {macro.size_bytes} B, words of {macro.word_bits} bits, {macro.ports_label}, area as of device {AREA_DEVICE}"
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
