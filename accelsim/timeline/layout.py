"""Layout of the tracks: the processes and threads of a timeline, in display order.

A thread's number is that of no other thread and of no process: viewers know a thread by its number alone, or show one that has its
process's number before all others.
"""

from __future__ import annotations

from accelsim.run_labels import label
from accelsim.simulation import RecordedRun
from accelsim.timeline.trace_file import TraceFile, Track

CORE, DMA, COUNTERS, FIRST_MEMORY = 1, 2, 3, 4
_TRACKS = 1_000_000  # numbers for the tracks of a process
_CHANNEL_TRACKS = 1_000  # of them for a memory channel
_REFRESH, _FIRST_BANK = 1, 2


def _track(process: int, place: int) -> Track:
    return Track(process, process * _TRACKS + place)


LAYERS = _track(CORE, 1)
ARRAY = _track(CORE, 2)
LOADER = _track(CORE, 3)
CODEBOOK = _track(CORE, 4)
VECTOR = _track(CORE, 5)


def slot_track(slot: int) -> Track:
    """A slot of the DMA for a transfer in flight."""
    return _track(DMA, slot)


def bus_track(memory: int, channel: int) -> Track:
    """The data bus of a channel; of a memory without banks the memory itself."""
    return _track(FIRST_MEMORY + memory, channel * _CHANNEL_TRACKS)


def refresh_track(memory: int, channel: int) -> Track:
    return _track(FIRST_MEMORY + memory, channel * _CHANNEL_TRACKS + _REFRESH)


def bank_track(memory: int, channel: int, bank: int) -> Track:
    return _track(FIRST_MEMORY + memory, channel * _CHANNEL_TRACKS + _FIRST_BANK + bank)


def run_label(run: RecordedRun) -> str:
    """The label of a run, and of several cores the one that is shown."""
    return label(run.result) if run.core is None else f"{label(run.result)}, core {run.core}, the last to end"


def name_core(out: TraceFile, accelerator: str, core: int | None) -> None:
    """Name the tracks that every machine has."""
    out.process(CORE, f"core of {accelerator}" if core is None else f"core {core} of {accelerator}, the last to end")
    for track, name in (
        (LAYERS, "layers"),
        (ARRAY, "MAC array"),
        (LOADER, "loader and decoder"),
        (CODEBOOK, "codebook load"),
        (VECTOR, "vector unit"),
    ):
        out.track(track, name)
    out.process(COUNTERS, "buffers and bandwidth")
