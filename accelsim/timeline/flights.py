"""DMA transfers of a recorded run: operand, layer, in-flight slot, start and end of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.program import Program
from accelsim.result import TRAINED_OPERANDS
from accelsim.simulation import RecordedRun


@dataclass(frozen=True)
class Flight:
    """One transfer.

    Attributes
    ----------
    what : weight-side transfer of the program, or -1 - job
    slot : in-flight slot from `start_ps` (issued) to `end_ps` (completed by the memory, or read from the shared level)
    landed_ps : when its data had crossed the fabric
    """

    number: int
    what: int
    layer: int
    operand: str
    memory: str
    address: int
    size: int
    write: bool
    slot: int
    start_ps: int
    end_ps: int
    landed_ps: int


def flights_of(run: RecordedRun) -> tuple[Flight, ...]:
    """All transfers of the DMA, in the order of their issue."""
    notes, program, fabric = run.notes, run.program, run.accelerator.dma.fabric_latency
    layers = program.transfers.layer
    crossed = {crossing.flight: crossing.crossed_ps for crossing in notes.crossings}  # the last time
    slots: list[int] = []  # end of the transfer that holds each
    out: list[Flight] = []
    for issue in notes.issues:
        end = notes.completed_ps.get(issue.memory, {}).get(issue.number, -1)
        landed = end + fabric
        if crossed.get(issue.number, -1) > end:  # it came through the shared level
            end = landed = crossed[issue.number]
        free = [slot for slot, until in enumerate(slots) if until <= issue.time_ps]
        slot = free[0] if free else len(slots)
        slots[slot : slot + 1] = [end]
        what = issue.what
        layer = int(layers[what]) if what >= 0 else program.jobs[-1 - what].layer
        operand = _operands(program, layer, issue.memory) if what >= 0 else program.jobs[-1 - what].operand
        out.append(
            Flight(
                issue.number, what, layer, operand, issue.memory, issue.address, issue.size, issue.write, slot, issue.time_ps, end, landed,
            )
        )  # fmt: skip
    return tuple(out)


def _operands(program: Program, layer: int, memory: str) -> str:
    """Operands in the streams of a layer, where records mix them; another core's read, which brings them here as well, has them booked."""
    found: Sequence[str] = [name for name in TRAINED_OPERANDS if (name, memory, False) in program.layers[layer].bits]
    return " + ".join(found) or "broadcast weights"
