"""Weight-side streams: the contents of a run's stream, its transfers, and when each may be issued and used.

A stream is a header (see `weight_traffic`) and the words of the packed records. Parameters of the vector
unit (gamma, beta, embeddings) are streams without words that do not pass the weight buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from accelsim.compiler.memory_layout import MemoryLayout
from accelsim.compiler.program_size import check_transfers
from accelsim.compiler.target import Target
from accelsim.errors import CompileError
from accelsim.program import Int64, Transfers


@dataclass(frozen=True)
class RunStream:
    """Streams of equal size that follow each other, in issue order.

    Attributes
    ----------
    header_bytes, word_bytes, words : sizes of one of them
    batch_words : int64 (batches,), words that each batch ends at, ascending, the last of them `words` (one entry where nothing is gated)
    gates : int64 (batches,), tiles that must be finished before each batch of the first stream is issued
    buffered : it takes room in the weight buffer until it is read
    copies : number of streams; gate_step : tiles by which the gates of each lie behind those of the one before
    reads : consecutive copies that read the same bytes of the memory
    """

    header_bytes: int
    word_bytes: int
    words: int
    batch_words: Int64
    gates: Int64
    buffered: bool
    copies: int = 1
    gate_step: int = 0
    reads: int = 1

    @property
    def bytes(self) -> int:
        """Bytes of one stream."""
        return self.header_bytes + self.words * self.word_bytes

    @property
    def batch_bytes(self) -> Int64:
        """Bytes of a stream before each of its batches and up to its end: int64 (2, batches)."""
        out = np.zeros((2, self.batch_words.size), np.int64)
        out[1] = self.header_bytes + self.batch_words * self.word_bytes
        out[0, 1:] = out[1, :-1]
        return out

    @property
    def buffered_bytes(self) -> int:
        """Bytes of one stream that take room in the weight buffer."""
        return self.bytes if self.buffered else 0


@dataclass(frozen=True)
class Placed:
    """The first of the streams that were added.

    Attributes
    ----------
    first : its first transfer, of `count`; those of its copies follow
    base : bytes of all buffered streams before it
    bus_bytes : of all copies together, in whole bursts
    address : its first byte in the memory
    """

    first: int
    count: int
    base: int
    bus_bytes: int
    address: int


@dataclass(frozen=True)
class _Added:
    """Streams as they were added: address of the first, buffered bytes before it, layers begun until then, and the layer in the program."""

    stream: RunStream
    address: int
    base: int
    layer: int
    index: int


@dataclass
class StreamBuilder:
    """Collects streams, gives them addresses, and cuts them into transfers."""

    target: Target
    burst_bytes: int  # a divisor of a transfer
    layout: MemoryLayout = field(default_factory=MemoryLayout)
    buffered_bytes: int = 0  # of all streams so far: what the loader's progress is counted against
    count: int = 0  # transfers so far
    taken_bytes: int = 0  # in the memory, by all streams so far, whoever put them there
    _added: list[_Added] = field(default_factory=list)
    _layers: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])  # (tiles, buffered bytes) before each layer; the first is none

    def begin_layer(self, tiles: int) -> None:
        """Say that what is added next belongs to another layer, which computes once `tiles` tiles are done."""
        self._layers.append((tiles, self.buffered_bytes))

    def add(self, stream: RunStream, what: str, layer: int, at: int | None = None) -> Placed:
        """Append the copies of a stream; those that are in the memory already, at byte `at`, are read again and take no room there.

        Parameters
        ----------
        what : names the layer in messages; layer : its index in the program

        Raises
        ------
        CompileError
            A batch that must be in the weight buffer at once does not fit, or the program has too many transfers.
        """
        address = self.layout.weights if at is None else at
        count, bursts = self._cut(stream, what, address % self.burst_bytes)
        check_transfers(what, self.count + stream.copies * count)
        self._added.append(_Added(stream, address, self.buffered_bytes, len(self._layers) - 1, layer))
        placed = Placed(self.count, count, self.buffered_bytes, stream.copies * bursts * self.burst_bytes, address)
        self.count += stream.copies * count
        taken = -(-stream.copies // stream.reads) * self.stride(stream)
        self.taken_bytes += taken
        if at is None:
            self.layout.weights += taken
        self.buffered_bytes += stream.copies * stream.buffered_bytes
        return placed

    def _cut(self, stream: RunStream, what: str, skipped: int) -> tuple[int, int]:
        """(transfers, bursts) of one copy, which begins `skipped` bytes into a burst."""
        transfer, burst = self.target.dma.transfer, self.burst_bytes
        if stream.batch_words.size == 1 and not skipped:
            return -(-stream.bytes // transfer), -(-stream.bytes // burst)
        starts, stops = stream.batch_bytes
        sizes = stops - starts
        if stream.buffered and sizes.size > 1:
            self._check_room(sizes, what)
        pieces = -(-sizes // transfer)
        late = (skipped + starts) % burst  # where a batch does not begin with a burst, none of its transfers does
        bursts = (pieces - 1) * (transfer // burst + (late > 0)) - (-(late + sizes - (pieces - 1) * transfer) // burst)
        return int(pieces.sum()), int(bursts[sizes > 0].sum())

    def stride(self, stream: RunStream) -> int:
        """Bytes from one copy to the next in the memory."""
        return -(-stream.bytes // self.burst_bytes) * self.burst_bytes

    def _check_room(self, sizes: Int64, what: str) -> None:
        """Check that each batch fits the weight buffer at once."""
        capacity = self.target.weight_buffer.capacity
        large = sizes[sizes > capacity]
        if large.size:
            raise CompileError(
                f"{what}: {large[0]} B must be in the weight buffer at once with control.overlap = "
                f"{self.target.control.overlap!r}; weight_buffer.capacity = {capacity} B is short by {large[0] - capacity} B"
            )

    def transfers(self) -> Transfers:
        """All transfers as arrays: streams are repeated by copy, then by batch, then by transfer."""
        if not self._added:
            return Transfers(*np.zeros((8, 0), np.int64))
        gated = self.target.control.overlap != "prefetch"
        copies, reads, batches, address, stride, base, room, layer, index, gate_step, together = np.array(
            [
                (
                    item.stream.copies, item.stream.reads, item.stream.batch_words.size, item.address, self.stride(item.stream), item.base,
                    item.stream.buffered_bytes, item.layer, item.index, item.stream.gate_step, gated and item.stream.buffered,
                )
                for item in self._added
            ],
            np.int64,
        ).T  # fmt: skip
        added, copy = _spread(copies)
        copied, batch = _spread(batches[added])
        batch += (np.cumsum(batches) - batches)[added][copied]  # among the batches of all streams, without copies
        starts, stops = np.concatenate([item.stream.batch_bytes for item in self._added], axis=1)[:, batch]
        gates = np.concatenate([item.stream.gates for item in self._added])[batch] + (gate_step[added] * copy)[copied]
        pieces = -(-(stops - starts) // self.target.dma.transfer)
        of_batch, piece = _spread(pieces)
        of_stream = copied[of_batch]
        start = starts[of_batch] + piece * self.target.dma.transfer
        end = np.minimum(start + self.target.dma.transfer, stops[of_batch])
        before = (base[added] + room[added] * copy)[of_stream]
        return Transfers(
            address=(address[added] + stride[added] * (copy // reads[added]))[of_stream] + start,
            size=end - start,
            need=np.where((room[added] > 0)[of_stream], before + end - self.target.weight_buffer.room_bytes, 0),
            gate=np.maximum(
                gates[of_batch], self._prefetch_gates(layer[added][of_stream], before + np.where((room[added] > 0)[of_stream], end, 0))
            ),
            visible=np.where((together[added] == 1)[of_stream], (np.cumsum(pieces) - 1)[of_batch], np.arange(self.count)),
            end=end,
            layer=index[added][of_stream],
            broadcast=np.full(end.size, -1),
        )

    def _prefetch_gates(self, layer: Int64, end: Int64) -> Int64:
        """Tiles that must be done before transfers of a layer (number of those begun) that end at a buffered byte may be fetched ahead."""
        depth = self.target.control.prefetch
        tiles, starts = np.array(self._layers, np.int64).T
        gates = np.zeros(layer.size, np.int64)
        if depth.layers is not None:
            gates = np.maximum(gates, tiles[np.maximum(layer - depth.layers, 0)])
        if depth.bytes is not None:
            ends = np.append(starts[1:], self.buffered_bytes)
            computing = np.searchsorted(ends, end - depth.bytes)  # the first layer whose weights end at most so many bytes before
            gates = np.maximum(gates, tiles[np.minimum(computing, layer)])
        return gates


def _spread(counts: Int64) -> tuple[Int64, Int64]:
    """(owner, number within the owner) of each of `counts[i]` things that belong to owner i, in order."""
    owner = np.repeat(np.arange(counts.size), counts)
    return owner, np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)


def layer_batches(tile_words: Int64, words: int, header_bytes: int, word_bytes: int, capacity: int, each_tile: bool) -> Int64:
    """Words at which each batch of tiles ends, int64 (batches,): as many whole tiles as the buffer takes, or one tile each.

    `tile_words[i]` is the number of words that hold tiles 0..i (the last may hold the first bits of the next tile).
    """
    last = tile_words.size - 1
    if each_tile:
        return np.append(tile_words[:last], words)
    ends: list[int] = []
    tile = start_bytes = 0
    while tile < last:
        fitting = int(np.searchsorted(tile_words, (capacity + start_bytes - header_bytes) // word_bytes, "right"))
        tile = max(tile, fitting - 1)  # a tile that is too large is a batch of its own, and is refused later
        if tile < last:
            ends.append(int(tile_words[tile]))
            start_bytes = header_bytes + ends[-1] * word_bytes
            tile += 1
    return np.array([*ends, words], np.int64)
