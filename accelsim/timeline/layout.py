"""Which track is where: the processes and threads of a timeline, in the order in which a viewer shows them."""

from __future__ import annotations

from accelsim.timeline.trace_file import TraceFile, Track

CORE, DMA, MEMORY, COUNTERS = 1, 2, 3, 4
LAYERS = Track(CORE, 1)
ARRAY = Track(CORE, 2)
LOADER = Track(CORE, 3)
CODEBOOK = Track(CORE, 4)
VECTOR = Track(CORE, 5)

_CHANNEL_STRIDE = 1000  # thread numbers of a memory channel
_REFRESH, _FIRST_BANK = 1, 2


def place_track(place: int) -> Track:
    """A place in flight of the DMA."""
    return Track(DMA, 1 + place)


def bus_track(memory: int, channel: int) -> Track:
    """The data bus of a channel; of a memory without banks the memory itself."""
    return Track(MEMORY + 10 * memory, 1 + channel * _CHANNEL_STRIDE)


def refresh_track(memory: int, channel: int) -> Track:
    return Track(MEMORY + 10 * memory, 1 + channel * _CHANNEL_STRIDE + _REFRESH)


def bank_track(memory: int, channel: int, bank: int) -> Track:
    return Track(MEMORY + 10 * memory, 1 + channel * _CHANNEL_STRIDE + _FIRST_BANK + bank)


def name_core(out: TraceFile, accelerator: str) -> None:
    """Name the tracks that every machine has."""
    out.process(CORE, f"core of {accelerator}")
    for track, name in (
        (LAYERS, "layers"),
        (ARRAY, "MAC array"),
        (LOADER, "loader and decoder"),
        (CODEBOOK, "codebook load"),
        (VECTOR, "vector unit"),
    ):
        out.track(track, name)
    out.process(COUNTERS, "buffers and bandwidth")
