"""Weight-side streams: what one run's stream holds, how it is cut into transfers, when each may be issued and used.

A stream is a header (see `weight_traffic`) and the words of the packed records. Parameters of the vector
unit (gamma, beta, embeddings) are streams without words that do not pass the weight buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from accelsim.compiler.target import Target
from accelsim.errors import CompileError
from accelsim.program import Transfers


@dataclass(frozen=True)
class RunStream:
    """One stream in issue order.

    Attributes
    ----------
    header_bytes, word_bytes, words : sizes
    batch_words : words that each batch ends at, ascending, the last of them `words` (one entry where nothing is gated)
    gates : tiles that must be finished before each batch is issued
    buffered : it takes room in the weight buffer until it is read
    """

    layer: int
    header_bytes: int
    word_bytes: int
    words: int
    batch_words: tuple[int, ...]
    gates: tuple[int, ...]
    buffered: bool

    @property
    def bytes(self) -> int:
        return self.header_bytes + self.words * self.word_bytes


@dataclass
class StreamBuilder:
    """Collects streams, gives them addresses, and cuts them into transfers."""

    target: Target
    burst_bytes: int
    buffered_bytes: int = 0  # of all streams so far: what the loader's progress is counted against
    address: int = 0
    _columns: tuple[list[int], ...] = field(default_factory=lambda: ([], [], [], [], [], []))

    @property
    def count(self) -> int:
        """Transfers so far."""
        return len(self._columns[0])

    def add(self, stream: RunStream, what: str) -> tuple[int, int, int]:
        """Append a stream; return (first transfer, number of transfers, bytes on the bus).

        Raises
        ------
        CompileError
            A batch that must be in the weight buffer at once does not fit.
        """
        target, transfer = self.target, self.target.dma.transfer
        capacity = target.weight_buffer.capacity
        address, size, need, gate, visible, end = self._columns
        first = self.count
        start = 0
        bus_bytes = 0
        for words, tiles in zip(stream.batch_words, stream.gates, strict=True):
            stop = stream.header_bytes + words * stream.word_bytes
            if stop == start:
                continue
            if stream.buffered and len(stream.batch_words) > 1 and stop - start > capacity:
                raise CompileError(
                    f"{what}: {stop - start} B must be in the weight buffer at once with control.overlap = "
                    f"{target.control.overlap!r}; weight_buffer.capacity = {capacity} B is short by {stop - start - capacity} B"
                )
            pieces = list(range(start, stop, transfer))
            last = self.count + len(pieces) - 1
            gated = target.control.overlap != "prefetch" and stream.buffered
            for piece in pieces:
                bytes_here = min(transfer, stop - piece)
                address.append(self.address + piece)
                size.append(bytes_here)
                need.append(self.buffered_bytes + piece + bytes_here - capacity if stream.buffered else 0)
                gate.append(tiles)
                visible.append(last if gated else self.count - 1)
                end.append(piece + bytes_here)
                bus_bytes += self._bursts(self.address + piece, bytes_here) * self.burst_bytes
            start = stop
        self.address += -(-stream.bytes // self.burst_bytes) * self.burst_bytes
        if stream.buffered:
            self.buffered_bytes += stream.bytes
        return first, self.count - first, bus_bytes

    def _bursts(self, address: int, size: int) -> int:
        return -(-(address + size) // self.burst_bytes) - address // self.burst_bytes

    def transfers(self) -> Transfers:
        """All transfers as arrays."""
        address, size, need, gate, visible, end = (np.array(column, np.int64) for column in self._columns)
        return Transfers(address, size, need, gate, visible, end)


def layer_batches(tile_words: list[int], words: int, header_bytes: int, word_bytes: int, capacity: int, each_tile: bool) -> tuple[int, ...]:
    """Words at which each batch of tiles ends: as many whole tiles as the buffer takes, or one tile each.

    `tile_words[i]` is the number of words that hold tiles 0..i (the last may hold the first bits of the next tile).
    """
    out: list[int] = []
    start_bytes = 0
    for index, words_here in enumerate(tile_words):
        more = index + 1 < len(tile_words)
        if each_tile or not more or header_bytes + tile_words[index + 1] * word_bytes - start_bytes > capacity:
            out.append(words_here if more else words)
            start_bytes = header_bytes + out[-1] * word_bytes
    return tuple(out)
