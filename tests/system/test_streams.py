"""Transfers of weight streams equal those cut one by one, and batches of tiles those filled tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compiler.streams import RunStream, StreamBuilder, layer_batches
from accelsim.compiler.target import target_of
from tests.tiny_machines import tiny_accelerator

BURST = 4


@dataclass
class Cutter:
    """Cuts streams into transfers of `size` bytes, one by one; rows are (address, size, need, gate, visible, end, layer, -1)."""

    size: int
    capacity: int
    prefetch: bool

    def __post_init__(self) -> None:
        self.rows: list[tuple[int, int, int, int, int, int, int, int]] = []
        self.address = self.buffered = 0

    def add(self, stream: RunStream, gates: list[int], layer: int) -> int:
        """Add one stream, which no other core reads; bytes on the bus."""
        start = bus = 0
        for words, gate in zip(stream.batch_words.tolist(), gates, strict=True):
            stop = stream.header_bytes + words * stream.word_bytes
            first = len(self.rows)
            pieces = [(at, min(at + self.size, stop)) for at in range(start, stop, self.size)]
            for number, (at, end) in enumerate(pieces):
                last = first + (number if self.prefetch or not stream.buffered else len(pieces) - 1)
                need = self.buffered + end - self.capacity if stream.buffered else 0
                self.rows.append((self.address + at, end - at, need, gate, last, end, layer, -1))
                bus += (-(-(self.address + end) // BURST) - (self.address + at) // BURST) * BURST
            start = max(start, stop)
        self.address += -(-stream.bytes // BURST) * BURST
        self.buffered += stream.bytes if stream.buffered else 0
        return bus


@st.composite
def streams(draw: st.DrawFn) -> RunStream:
    """Streams of a few batches, some of them without a word, and their copies."""
    words = sorted(draw(st.lists(st.integers(1, 12), min_size=1, max_size=4)))
    gates = np.array(draw(st.lists(st.integers(0, 9), min_size=len(words), max_size=len(words))))
    header, step = draw(st.integers(0, 20)), draw(st.integers(0, 5))
    return RunStream(header, draw(st.integers(1, 8)), words[-1], np.array(words), gates, draw(st.booleans()), draw(st.integers(1, 3)), step)


@given(st.lists(streams(), max_size=5), st.sampled_from([4, 8, 32]), st.sampled_from(["prefetch", "layer"]))
def test_transfers_of_all_streams_equal_those_cut_one_by_one(added: list[RunStream], size: int, overlap: str) -> None:
    chip = tiny_accelerator(dma__transfer=size, control={"overlap": overlap}, weight_buffer={"capacity": 256, "word_bits": 32})
    builder = StreamBuilder(target_of(chip, ()), BURST)
    cutter = Cutter(size, 256, overlap == "prefetch")
    for layer, stream in enumerate(added):
        first, base = len(cutter.rows), cutter.buffered
        bus = sum(cutter.add(stream, (stream.gates + copy * stream.gate_step).tolist(), layer) for copy in range(stream.copies))
        placed = builder.add(stream, "a stream", layer)
        assert (placed.first, placed.base, placed.bus_bytes) == (first, base, bus)
        assert placed.count * stream.copies == len(cutter.rows) - first
    found = builder.transfers()
    assert list(zip(*(column.tolist() for column in vars(found).values()), strict=True)) == cutter.rows


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(0, 30), st.integers(1, 4), st.integers(1, 60), st.booleans())
def test_a_batch_takes_as_many_whole_tiles_as_the_buffer_holds(
    sizes: list[int], header: int, word_bytes: int, capacity: int, each_tile: bool
) -> None:
    tile_words = np.cumsum(sizes)
    words, start, ends = int(tile_words[-1]), 0, []
    for tile, end in enumerate(tile_words.tolist()):
        last = tile + 1 == len(sizes)
        if last or each_tile or header + int(tile_words[tile + 1]) * word_bytes - start > capacity:
            ends.append(words if last else end)
            start = header + ends[-1] * word_bytes
    assert layer_batches(tile_words, words, header, word_bytes, capacity, each_tile).tolist() == ends
