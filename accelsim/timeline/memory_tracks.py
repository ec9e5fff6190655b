"""Tracks outside the core: the slots of the DMA, the memories, and of a DRAM each bank's open rows, the data bus and refreshes.

The commands of a DRAM are found by running its channels again on what they took; that each transfer completes when it did is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accelsim.errors import ConservationError
from accelsim.hw.dram.channels import channel_parameters, channel_pieces
from accelsim.hw.dram.command_log import ChannelRequest, CommandPiece, command_log
from accelsim.hw.dram.device import DramDevice, load_device
from accelsim.hw.l2 import L2
from accelsim.hw.l2_port import ACTIVATION_WRITE, MEMORY
from accelsim.hw.memory import IDEAL, MemorySpec
from accelsim.kernels import dram_state as at
from accelsim.quantities import cycle_at, edge_ps
from accelsim.timeline.context import Context
from accelsim.timeline.flights import Flight
from accelsim.timeline.layout import DMA, bank_track, bus_track, refresh_track, slot_track
from accelsim.timeline.trace_file import Slice, Track

DATA_COMMANDS = (at.RD, at.WR)


@dataclass(frozen=True)
class Moved:
    """Bytes that crossed a memory's bus, at the time of their last bit."""

    time_ps: int
    size: int
    write: bool


def draw_flights(context: Context, flights: Sequence[Flight]) -> None:
    """The DMA's transfers, each in the slot that it held."""
    context.out.process(DMA, "DMA")
    for slot in range(max((flight.slot for flight in flights), default=-1) + 1):
        context.out.track(slot_track(slot), f"slot {slot}")
    for flight in flights:
        start, end = context.cycle(flight.start_ps), context.cycle(flight.end_ps)
        if not context.window.shows(flight.layer, start, end):
            continue
        context.sums.dma_bits[flight.layer, flight.write] += 8 * flight.size
        arguments = {
            **context.of_layer(flight.layer),
            "transfer": flight.number,
            "operand": flight.operand,
            "bytes": flight.size,
            "direction": "write" if flight.write else "read",
            "memory": flight.memory,
            "address": hex(flight.address),
            "issue_cycle": start,
            "done_cycle": end,
            "landed_cycle": context.cycle(flight.landed_ps),
        }
        name = f"{context.layer_name(flight.layer)} {flight.operand}"
        context.out.slice(Slice(slot_track(flight.slot), name, "transfer", flight.start_ps, flight.end_ps, arguments))


def draw_memories(context: Context, flights: Sequence[Flight]) -> Iterator[tuple[str, Moved]]:
    """Draw every memory; (memory, bytes that it moved) in the order of time for each channel."""
    by_number = {flight.number: flight for flight in flights}
    for number, name in enumerate(sorted(context.run.notes.requests)):
        spec = context.run.accelerator.memory(name)
        if isinstance(spec, MemorySpec) and spec.device != IDEAL:
            moved = _draw_dram(context, number, name, spec)
        else:
            moved = _draw_serial(context, number, name, by_number)
        for item in moved:
            yield name, item
    if context.run.notes.crossings:
        for item in _draw_l2(context, len(context.run.notes.requests), by_number):
            yield L2, item


def _draw_l2(context: Context, number: int, flights: dict[int, Flight]) -> Iterator[Moved]:
    """The port of the shared level: a slice per transfer and crossing, from when the last one was done."""
    track = bus_track(number, 0)
    context.out.process(track.process, L2)
    context.out.track(track, "port")
    free = 0
    for crossing in context.run.notes.crossings:
        flight = flights[crossing.flight]
        start, free = max(crossing.asked_ps, free), crossing.crossed_ps
        yield Moved(free, flight.size, write=crossing.client == ACTIVATION_WRITE or (crossing.client == MEMORY and not flight.write))
        if context.window.holds(context.cycle(start), context.cycle(free)):
            arguments = {"transfer": crossing.flight, "bytes": flight.size, "asked_cycle": context.cycle(crossing.asked_ps)}
            name = f"{context.layer_name(flight.layer)} {crossing.client}"
            context.out.slice(Slice(track, name, "memory", start, free, arguments))


def _draw_serial(context: Context, number: int, name: str, flights: dict[int, Flight]) -> Iterator[Moved]:
    """A flash or an ideal memory: one transfer after the other, each from when the last one was done."""
    track = bus_track(number, 0)
    context.out.process(track.process, name)
    context.out.track(track, name)
    free = 0
    completed = context.run.notes.completed_ps[name]
    for request in context.run.notes.requests[name]:
        end = completed.get(request.number)
        if end is None:
            continue  # of another client, when the run was over
        start, free = max(request.arrival_ps, free), end
        yield Moved(end, request.size, request.write)
        flight = flights.get(request.number)
        if start == end or not context.window.holds(context.cycle(start), context.cycle(end)):
            continue
        owner = context.layer_name(flight.layer) if flight else "another client"
        arguments = {"transfer": request.number, "bytes": request.size, "address": hex(request.address)}
        context.out.slice(Slice(track, f"{owner} {'write' if request.write else 'read'}", "memory", start, end, arguments))


def _draw_dram(context: Context, number: int, name: str, spec: MemorySpec) -> Iterator[Moved]:
    device = load_device(spec.device)
    dma = context.run.accelerator.dma
    params = channel_parameters(spec, dma.max_outstanding_bursts, dma.fabric_latency)
    context.out.process(bus_track(number, 0).process, f"{name}: {spec.device}, {device.clock_hz / 1e6:g} MHz")
    ended: dict[int, int] = {}
    for channel, requests in enumerate(_by_channel(context, name, spec, device)):
        drawing = _DramChannel(context, device, number, channel)
        for piece in command_log(params, requests):
            yield from drawing.take(piece)
            for transfer, cycle in piece.completed:
                ended[transfer] = max(ended.get(transfer, 0), edge_ps(cycle, device.clock_hz))
        drawing.close()
    for transfer, time in context.run.notes.completed_ps[name].items():
        if ended.get(transfer) != time:
            raise ConservationError(
                f"the recorded run cannot be reproduced: transfer {transfer} of {name} completes at {ended.get(transfer)} ps, "
                f"in the run at {time}"
            )


def _by_channel(context: Context, name: str, spec: MemorySpec, device: DramDevice) -> list[list[ChannelRequest]]:
    """Requests of each channel, in the order of arrival."""
    out: list[list[ChannelRequest]] = [[] for _ in range(spec.channels)]
    burst = device.burst_bytes
    for request in context.run.notes.requests[name]:
        cycle = cycle_at(request.arrival_ps, device.clock_hz)
        first, end = request.address // burst, -(-(request.address + request.size) // burst)
        for channel, local, count in channel_pieces(spec, burst, first, end):
            out[channel].append(ChannelRequest(request.number, cycle, request.write, local, count))
    return out


@dataclass
class _OpenRow:
    row: int
    since: int
    reads: int = 0
    writes: int = 0


@dataclass
class _Burst:
    """Data that follow each other on the bus without a gap, in one direction."""

    write: bool
    start: int
    end: int
    count: int = 1


class _DramChannel:
    """Draws one channel from its commands."""

    def __init__(self, context: Context, device: DramDevice, memory: int, channel: int) -> None:
        self._context, self._device, self._memory, self._channel = context, device, memory, channel
        self._rows: dict[int, _OpenRow] = {}
        self._named: set[Track] = set()
        self._data: _Burst | None = None
        self._last = 0
        self._bus = bus_track(memory, channel)
        context.out.track(self._bus, f"channel {channel} data bus")

    def take(self, piece: CommandPiece) -> Iterator[Moved]:
        """Draw what ends with these commands; bytes that they move."""
        device = self._device
        for cycle, command, group, bank, row, _ in piece.commands.tolist():
            self._context.sums.commands[at.COMMANDS[command]] += 1
            self._last = cycle
            place = group * device.banks_per_group + bank
            if command == at.ACT:
                self._rows[place] = _OpenRow(row, cycle)
            elif command == at.PRE:
                for closed in list(self._rows) if bank == at.NONE else [place]:
                    self._close(closed, cycle)
            elif command == at.REF:
                track = refresh_track(self._memory, self._channel)
                self._name(track, f"channel {self._channel} refresh")
                self._draw(track, "refresh", "refresh", cycle, cycle + device.n_rfc, {})
            elif command in DATA_COMMANDS:
                write = command == at.WR
                opened = self._rows[place]
                if write:
                    opened.writes += 1
                else:
                    opened.reads += 1
                start = cycle + (device.n_cwl if write else device.n_cl)
                self._transfer(write, start, start + device.n_burst)
                yield Moved(edge_ps(start + device.n_burst, device.clock_hz), device.burst_bytes, write)

    def close(self) -> None:
        """Draw the slices that are open when the last request is complete."""
        end = max(self._last + 1, self._data.end if self._data else 0)
        for place in list(self._rows):
            self._close(place, end)
        self._end_data()

    def _transfer(self, write: bool, start: int, end: int) -> None:
        data = self._data
        if data is not None and data.write == write and data.end == start:
            data.end, data.count = end, data.count + 1
            return
        self._end_data()
        self._data = _Burst(write, start, end)

    def _end_data(self) -> None:
        data, self._data = self._data, None
        if data is not None:
            arguments = {"bursts": data.count, "bytes": data.count * self._device.burst_bytes}
            self._draw(self._bus, "write" if data.write else "read", "data", data.start, data.end, arguments)

    def _close(self, place: int, cycle: int) -> None:
        opened = self._rows.pop(place, None)
        if opened is None:
            return
        track = bank_track(self._memory, self._channel, place)
        self._name(track, f"channel {self._channel} bank {place}")
        arguments = {"row": opened.row, "reads": opened.reads, "writes": opened.writes}
        self._draw(track, f"row {opened.row}", "row", opened.since, cycle, arguments)

    def _name(self, track: Track, name: str) -> None:
        if track not in self._named:
            self._named.add(track)
            self._context.out.track(track, name)

    def _draw(self, track: Track, name: str, category: str, start: int, end: int, arguments: dict[str, int]) -> None:
        context, clock = self._context, self._device.clock_hz
        start_ps, end_ps = edge_ps(start, clock), edge_ps(end, clock)
        if context.window.holds(context.cycle(start_ps), context.cycle(end_ps)):
            more = {**arguments, "memory_cycle": start, "memory_cycles": end - start}
            context.out.slice(Slice(track, name, category, start_ps, end_ps, more))
