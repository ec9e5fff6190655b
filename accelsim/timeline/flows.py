"""Arrows from a load to its use: from a DMA transfer over the loader's first tile that needs it to the swap of that tile in the array.

Activations that the array reads as rows have no tile of the loader between; their arrow is that of the tensor's first transfer. Nor does
an arrow pass a tile that the loader began before the transfer was issued: viewers let an arrow leave the slice that began first.
A transfer that several runs read (a stripe that is held over chunks) has the arrow of its first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.kernels.compute_state import LOAD
from accelsim.timeline.context import Context
from accelsim.timeline.flights import Flight
from accelsim.timeline.trace_file import PS_PER_NS


@dataclass(frozen=True)
class Load:
    """A tile that was loaded: the slice of the loader, and the transfers that it is the first to need.

    `decoded` pass the loader, `streamed` go to the array as rows of activations.
    """

    layer: int
    start_ps: int
    end_ps: int
    decoded: tuple[Flight, ...]
    streamed: tuple[Flight, ...]


class Flows:
    """Transfers that wait for their first use; `load` and `arrive` are called tile after tile."""

    def __init__(self, context: Context, flights: Sequence[Flight]) -> None:
        self._context = context
        self._by_transfer = {flight.what: flight for flight in flights if flight.what >= 0}
        self._by_job: dict[int, Flight] = {}  # the first of each job that landed
        for flight in sorted(flights, key=lambda flight: flight.landed_ps):
            if flight.what < 0:
                self._by_job.setdefault(-1 - flight.what, flight)
        program = context.run.program
        self._job_of_load = {job.load: index for index, job in enumerate(program.jobs) if not job.write}
        self._used: set[int] = set()
        self._run = -1  # that is loaded
        self._needed_bits = 0  # of its stream, by its tiles so far
        self._chunk = 0  # first transfer of its stream that they did not need
        self._loads: dict[tuple[int, int], Load] = {}

    def load(self, run: int, tile: int, groups: int, start_ps: int, end_ps: int) -> None:
        """A tile of `groups` groups is in the shadow registers."""
        record = self._context.runs[run]
        if run != self._run:
            self._run, self._needed_bits, self._chunk = run, 8 * record["header_bytes"], record["chunk0"]
        self._needed_bits += groups * record["pop_bits"]
        found: list[Flight] = []
        ends = self._context.run.program.transfers.end
        while 0 <= self._chunk < record["chunk0"] + record["chunk_count"]:
            first_byte = int(ends[self._chunk - 1]) if self._chunk > record["chunk0"] else 0
            if 8 * first_byte >= self._needed_bits:
                break
            if self._chunk not in self._used and self._chunk in self._by_transfer:
                found.append(self._by_transfer[self._chunk])
            self._used.add(self._chunk)
            self._chunk += 1
        streamed: list[Flight] = []
        if tile == 0:
            found += self._activation(record["w_task"])
            streamed = self._activation(record["in_task"])
        self._loads[run, tile] = Load(record["layer"], start_ps, end_ps, tuple(found), tuple(streamed))

    def _activation(self, task: int) -> list[Flight]:
        """The first transfer that landed of a tensor that is brought from DRAM, at the tensor's first use."""
        record = self._context.tasks[task] if task >= 0 else None
        if record is None or record["kind"] != LOAD:
            return []
        job = self._job_of_load.get(record["ordinal"])
        flight = self._by_job.pop(job, None) if job is not None else None
        return [flight] if flight is not None else []

    def arrive(self, run: int, tile: int) -> Load | None:
        """Loads that belong to a tile the array has computed."""
        return self._loads.pop((run, tile), None)

    def draw(self, load: Load | None, use_ps: int) -> None:
        """Arrows of the transfers of `load` to the array at `use_ps`, when its tile is swapped in; as far as their slices are drawn."""
        if load is None:
            return
        context, cycle, places = self._context, self._context.cycle, self._context.places
        loader_drawn = context.window.shows(load.layer, cycle(load.start_ps), cycle(load.end_ps))
        for flight, decoded in (*((item, True) for item in load.decoded), *((item, False) for item in load.streamed)):
            seen = context.window.shows(flight.layer, cycle(flight.start_ps), cycle(flight.end_ps))
            if not seen or flight.start_ps // PS_PER_NS == flight.end_ps // PS_PER_NS:  # no time: nothing to leave from
                continue
            arrow = places.arrow(flight.number)
            last_ps = max(flight.start_ps, flight.end_ps - PS_PER_NS)  # the transfer's last nanosecond
            context.out.flow(arrow, flight.operand, "s", places.slot(flight.slot), last_ps)
            if decoded and loader_drawn and load.start_ps // PS_PER_NS >= flight.start_ps // PS_PER_NS:
                context.out.flow(arrow, flight.operand, "t", places.loader, max(load.start_ps, flight.landed_ps))
            context.out.flow(arrow, flight.operand, "f", places.array, use_ps)
