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
from accelsim.hw.memory import IDEAL, MemorySpec
from accelsim.kernels import dram_state as at
from accelsim.quantities import cycle_at, edge_ps
from accelsim.timeline.context import Context
from accelsim.timeline.flights import Flight
from accelsim.timeline.moved import Moved
from accelsim.timeline.serial_tracks import draw_port, draw_serial
from accelsim.timeline.trace_file import Slice, Track

DATA_COMMANDS = (at.RD, at.WR)


def draw_flights(context: Context, flights: Sequence[Flight]) -> None:
    """The DMA's transfers, each in the slot that it held."""
    places = context.places
    context.out.process(places.dma, places.named("DMA"))
    for slot in range(max((flight.slot for flight in flights), default=-1) + 1):
        context.out.track(places.slot(slot), places.named(f"slot {slot}"))
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
        context.out.slice(Slice(places.slot(flight.slot), name, "transfer", flight.start_ps, flight.end_ps, arguments))


def draw_memories(context: Context, flights: Sequence[Flight]) -> Iterator[tuple[str, Moved]]:
    """Draw every memory; (memory, bytes that it moved) in the order of time for each channel.

    Parameters
    ----------
    context : of the whole run
    flights : of all cores

    Raises
    ------
    ConservationError
        A memory, run again on what it took, does not do what it did in the run.
    """
    by_number: dict[int, Flight] = {}
    for flight in flights:  # of weights that reach several cores the first: their numbers, layers and bytes are alike
        by_number.setdefault(flight.number, flight)
    for number, name in enumerate(sorted(context.run.notes.requests)):
        spec = context.run.accelerator.memory(name)
        if isinstance(spec, MemorySpec) and spec.device != IDEAL:
            moved = _draw_dram(context, number, name, spec)
        else:
            moved = draw_serial(context, number, name, spec, by_number)
        for item in moved:
            yield name, item
    if context.run.notes.port:
        for item in draw_port(context, len(context.run.notes.requests), by_number):
            yield L2, item


def _draw_dram(context: Context, number: int, name: str, spec: MemorySpec) -> Iterator[Moved]:
    device = load_device(spec.device)
    dma = context.run.accelerator.dma
    params = channel_parameters(spec, dma.max_outstanding_bursts, dma.fabric_latency)
    context.out.process(context.shared.bus(number, 0).process, f"{name}: {spec.device}, {device.clock_hz / 1e6:g} MHz")
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
        self._bus = context.shared.bus(memory, channel)
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
                track = self._context.shared.refresh(self._memory, self._channel)
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
                yield Moved(start, start + device.n_burst, device.clock_hz, device.burst_bytes, write)

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
        track = self._context.shared.bank(self._memory, self._channel, place)
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
