"""Layout of the tracks: the processes and threads of a timeline, in display order.

A thread's number is that of no other thread and of no process: viewers know a thread by its number alone, or show one that has its
process's number before all others.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.timeline.trace_file import TraceFile, Track

_CORE, _DMA, _COUNTERS, _OF_A_CORE = 1, 2, 3, 3  # processes of a core
_TRACKS = 1_000_000  # numbers for the tracks of a process
_CHANNEL_TRACKS = 1_000  # of them for a memory channel
_REFRESH, _FIRST_BANK = 1, 2


def _track(process: int, place: int) -> Track:
    return Track(process, process * _TRACKS + place)


@dataclass(frozen=True)
class CoreLayout:
    """Processes and tracks of core `number` of `cores`."""

    number: int = 0
    cores: int = 1

    @property
    def core(self) -> int:
        """The process of its core."""
        return self._process(_CORE)

    @property
    def dma(self) -> int:
        return self._process(_DMA)

    @property
    def counters(self) -> int:
        return self._process(_COUNTERS)

    @property
    def layers(self) -> Track:
        return _track(self.core, 1)

    @property
    def array(self) -> Track:
        return _track(self.core, 2)

    @property
    def loader(self) -> Track:
        return _track(self.core, 3)

    @property
    def codebook(self) -> Track:
        return _track(self.core, 4)

    @property
    def vector(self) -> Track:
        return _track(self.core, 5)

    def slot(self, slot: int) -> Track:
        """A slot of the DMA for a transfer in flight."""
        return _track(self.dma, slot)

    def arrow(self, transfer: int) -> int:
        """The number of the arrow of a transfer; weights that one core reads for another have an arrow on each."""
        return transfer * self.cores + self.number

    def named(self, what: str) -> str:
        """'core 1: loader' of several cores; 'loader' of one alone."""
        return what if self.cores == 1 else f"core {self.number}: {what}"

    def _process(self, which: int) -> int:
        return self.number * _OF_A_CORE + which


@dataclass(frozen=True)
class SharedLayout:
    """Processes and tracks of what all cores share: the counters of the memories, and the memories."""

    cores: int = 1

    @property
    def counters(self) -> int:
        """The process of the counters: that of a core's, where there is one core."""
        return _COUNTERS if self.cores == 1 else self.cores * _OF_A_CORE + 1

    def bus(self, memory: int, channel: int) -> Track:
        """The data bus of a channel; of a memory without banks the memory itself."""
        return self._of(memory, channel, 0)

    def refresh(self, memory: int, channel: int) -> Track:
        return self._of(memory, channel, _REFRESH)

    def bank(self, memory: int, channel: int, bank: int) -> Track:
        return self._of(memory, channel, _FIRST_BANK + bank)

    def _of(self, memory: int, channel: int, place: int) -> Track:
        return _track(self.counters + 1 + memory, channel * _CHANNEL_TRACKS + place)


def name_core(out: TraceFile, layout: CoreLayout, accelerator: str, remark: str = "") -> None:
    """Name the tracks that every core has; `remark` stands behind the core's name."""
    core = "core" if layout.cores == 1 else f"core {layout.number}"
    out.process(layout.core, f"{core} of {accelerator}{remark}")
    for track, name in (
        (layout.layers, "layers"),
        (layout.array, "MAC array"),
        (layout.loader, "loader and decoder"),
        (layout.codebook, "codebook load"),
        (layout.vector, "vector unit"),
    ):
        out.track(track, layout.named(name))
    out.process(layout.counters, "buffers and bandwidth" if layout.cores == 1 else layout.named("buffers"))


def name_shared(out: TraceFile, layout: SharedLayout) -> None:
    """Name the counters of the memories, if they have a process of their own."""
    if layout.cores > 1:
        out.process(layout.counters, "bandwidth, all cores")
