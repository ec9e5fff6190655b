"""Tracks of memories that serve one transfer after the other: a flash, an ideal memory, the port of the shared level.

The port is run again on the requests that it took, burst by burst; that each transfer has crossed when it did is checked, and so is the
end of each transfer of an ideal memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from accelsim.errors import ConservationError
from accelsim.hw.flash import FlashSpec
from accelsim.hw.l2 import L2, L2Spec
from accelsim.hw.l2_port import ACTIVATION_WRITE, CLIENTS, MEMORY
from accelsim.hw.memory import MemorySpec
from accelsim.hw.recorder import PortRequest, Request
from accelsim.hw.shared_port import PLACES, SharedPort
from accelsim.quantities import PS_PER_S, edge_ps
from accelsim.timeline.context import Context
from accelsim.timeline.flights import Flight
from accelsim.timeline.moved import Moved
from accelsim.timeline.trace_file import Slice, Track


def draw_serial(
    context: Context, number: int, name: str, spec: MemorySpec | FlashSpec | None, flights: Mapping[int, Flight]
) -> Iterator[Moved]:
    """A flash or an ideal memory: a slice per transfer, from when the last one was done.

    The bytes of a flash cross at its rate behind command and dummy cycles, those of an ideal memory at its rate, or at once without one.
    """
    track = context.shared.bus(number, 0)
    context.out.process(track.process, name)
    context.out.track(track, name)
    rate = _Rate(name, spec) if isinstance(spec, MemorySpec) and spec.bandwidth else None
    free = 0
    completed = context.run.notes.completed_ps[name]
    for request in context.run.notes.requests[name]:
        end = completed.get(request.number)
        if rate is not None:
            moved = rate.moved(request, end)
        elif isinstance(spec, FlashSpec) and end is not None:
            moved = Moved(
                end * spec.bandwidth - request.size * PS_PER_S, end * spec.bandwidth, PS_PER_S * spec.bandwidth, request.size, False
            )
        else:
            moved = Moved(end or 0, end or 0, PS_PER_S, request.size, request.write)
        if end is None:
            continue  # of another client, when the run was over
        start, free = max(request.arrival_ps, free), end
        yield moved
        flight = flights.get(request.number)
        if start == end or not context.window.holds(context.cycle(start), context.cycle(end)):
            continue
        owner = context.layer_name(flight.layer) if flight else "another client"
        arguments = {
            "transfer": request.number,
            "bytes": request.size,
            "address": hex(request.address),
            **context.of_number(request.number),
        }
        context.out.slice(Slice(track, f"{owner} {'write' if request.write else 'read'}", "memory", start, end, arguments))


class _Rate:
    """An ideal memory of a bandwidth, run again without rounding: ticks of 1 / (10^12 x bandwidth) s, in which a byte takes 10^12."""

    def __init__(self, name: str, spec: MemorySpec) -> None:
        self._name, self._spec, self._free = name, spec, 0

    def moved(self, request: Request, end_ps: int | None) -> Moved:
        """The bytes of the next transfer, which ended at `end_ps` in the run, or had not ended."""
        rate, latency = self._spec.bandwidth, self._spec.latency
        busy_to_ps = -(-self._free // rate)
        start = request.arrival_ps * rate if request.arrival_ps > busy_to_ps else self._free
        self._free = start + request.size * PS_PER_S
        ended = -(-self._free // rate) + latency
        if end_ps is not None and ended != end_ps:
            raise ConservationError(_otherwise(f"transfer {request.number} of {self._name}", ended, end_ps))
        return Moved(start + latency * rate, self._free + latency * rate, PS_PER_S * rate, request.size, request.write)


@dataclass
class _Stretch:
    """Bursts of a request that follow each other without a gap, in cycles of the port."""

    request: PortRequest
    start: int
    end: int
    size: int


def draw_port(context: Context, number: int, flights: Mapping[int, Flight]) -> Iterator[Moved]:
    """The port of the shared level: a slice per transfer and crossing, more where bursts of others come between."""
    spec = context.run.accelerator.l2
    assert spec is not None  # or nothing had crossed
    clock = spec.clock or context.run.accelerator.clock
    track = context.shared.bus(number, 0)
    context.out.process(track.process, L2)
    context.out.track(track, "port")
    for piece in _stretches(context, spec, clock):
        flight, client = flights[piece.request.transfer], piece.request.client
        yield Moved(piece.start, piece.end, clock, piece.size, write=client == ACTIVATION_WRITE or (client == MEMORY and not flight.write))
        _draw_stretch(context, track, clock, piece, flight)


def _draw_stretch(context: Context, track: Track, clock: int, piece: _Stretch, flight: Flight) -> None:
    start, end = edge_ps(piece.start, clock), edge_ps(piece.end, clock)
    if context.window.holds(context.cycle(start), context.cycle(end)):
        asked = context.cycle(edge_ps(piece.request.cycle, clock))
        transfer = piece.request.transfer
        arguments = {"transfer": transfer, "bytes": piece.size, "asked_cycle": asked, **context.of_number(transfer)}
        name = f"{context.layer_name(flight.layer)} {piece.request.client}"
        context.out.slice(Slice(track, name, "memory", start, end, arguments))


def _stretches(context: Context, spec: L2Spec, clock: int) -> Iterator[_Stretch]:
    """All that held the port, in the order of time.

    Raises
    ------
    ConservationError
        A request ends in another cycle than in the run.
    """
    notes = context.run.notes
    records = (notes, *notes.cores.values())
    crossed = {(item.flight, item.client): item.crossed_ps for record in records for item in record.crossings}
    port = SharedPort(CLIENTS, spec.width_bytes, spec.burst, spec.arbitration, PLACES * context.cores)
    waiting = deque(notes.port)
    known: dict[tuple[str, int], PortRequest] = {}
    left: dict[tuple[str, int], int] = {}
    stretch: _Stretch | None = None
    while True:
        burst = port.next_burst(*([waiting[0].cycle] if waiting else []))
        if burst is None:
            if not waiting:
                break
            cycle = waiting[0].cycle
            while waiting and waiting[0].cycle == cycle:
                request = waiting.popleft()
                key = (request.client, port.request(request.client, cycle, request.size))
                known[key], left[key] = request, request.size
            continue
        key = (burst.client, burst.number)
        request = known[key]
        left[key] -= burst.size
        if not left[key]:
            ended, before = edge_ps(burst.end, clock), crossed[request.transfer, request.client]
            if ended != before:
                raise ConservationError(_otherwise(f"transfer {request.transfer} ({request.client}) at the port of the L2", ended, before))
            del known[key], left[key]
        if stretch is not None and stretch.request is request and stretch.end == burst.start:
            stretch.end, stretch.size = burst.end, stretch.size + burst.size
            continue
        if stretch is not None:
            yield stretch
        stretch = _Stretch(request, burst.start, burst.end, burst.size)
    if stretch is not None:
        yield stretch


def _otherwise(what: str, now_ps: int, before_ps: int) -> str:
    return f"the recorded run cannot be reproduced: {what} ends at {now_ps} ps, in the run at {before_ps}"
