"""A request trace: text lines `CYCLE R|W 0xADDR`, one burst per line, in the order in which they are offered.

Disputable assumption: an address is the byte address of a burst in one channel and is rounded down to the burst's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accelsim.errors import ReferenceDataError
from accelsim.hw.dram.device import DramDevice
from accelsim.kernels.dram_state import Ints
from accelsim.reading import read_text

ALLOWED = "allowed: CYCLE R|W 0xADDR, as in `120 R 0x1f40`"
MAX_CYCLE = 2**50
LARGEST_TRACE = 1 << 30  # bytes of text


@dataclass(frozen=True)
class MemoryTrace:
    """Bursts in the order in which they are offered.

    Attributes
    ----------
    source : str
        The file, for messages.
    cycle : int64 (bursts,)
        First memory cycle in which the burst may be offered; never falls.
    is_write : int64 (bursts,)
        0 or 1.
    address : int64 (bursts,)
        Byte address.
    """

    source: str
    cycle: Ints
    is_write: Ints
    address: Ints


def read_memory_trace(path: Path) -> MemoryTrace:
    """The trace in a text file; blank lines are skipped.

    Raises
    ------
    ReferenceDataError
        If the file cannot be read, or a line is not `CYCLE R|W 0xADDR`, or its cycle lies before the one above.
    """
    text = read_text(path, ReferenceDataError, "ascii", LARGEST_TRACE)
    words = text.split()
    if len(words) % 3 or not words:
        raise _first_bad_line(path, text)
    try:
        cycle = np.array(list(map(int, words[0::3])), np.int64)
        address = np.array([int(word, 16) for word in words[2::3]], np.int64)
    except (ValueError, OverflowError) as error:
        raise _first_bad_line(path, text) from error
    kind = np.array(words[1::3])
    is_write = (kind == "W").astype(np.int64)
    lines = text.count("\n") + (not text.endswith("\n"))
    plain = lines == len(cycle) and bool(np.all((kind == "R") | (is_write == 1)))
    if not plain or cycle[0] < 0 or int(cycle.max()) > MAX_CYCLE or int(address.min()) < 0 or np.any(np.diff(cycle) < 0):
        _check_lines(path, text)
    if not all(word.startswith(("0x", "0X")) for word in words[2::3]):
        raise _first_bad_line(path, text)
    return MemoryTrace(str(path), cycle, is_write, address)


def _check_lines(path: Path, text: str) -> None:
    """The slow pass, line by line: raises at the first line that does not fit."""
    last = 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            if len(words) != 3 or words[1] not in ("R", "W") or not words[2].lower().startswith("0x"):
                raise ValueError
            cycle, address = int(words[0]), int(words[2], 16)
        except ValueError:
            raise ReferenceDataError(f"{path}:{number}: {line.strip()!r:.80} is not a burst; {ALLOWED}") from None
        if not 0 <= cycle <= MAX_CYCLE or not 0 <= address < 2**62:
            raise ReferenceDataError(f"{path}:{number}: {line.strip()!r:.80}: allowed cycles 0 to 2^50, addresses 0 to 2^62 - 1")
        if cycle < last:
            raise ReferenceDataError(f"{path}:{number}: cycle {cycle} goes back; allowed: {last} or later, as on the line above")
        last = cycle


def _first_bad_line(path: Path, text: str) -> ReferenceDataError:
    if not text.strip():
        return ReferenceDataError(f"{path}: holds no burst; {ALLOWED}")
    try:
        _check_lines(path, text)
    except ReferenceDataError as error:
        return error
    return ReferenceDataError(f"{path}: is not a request trace; {ALLOWED}")


def transfers_of(trace: MemoryTrace, device: DramDevice) -> tuple[Ints, Ints, Ints, Ints]:
    """The trace as transfers for the kernel: runs of consecutive bursts with one cycle and direction.

    Bursts are offered strictly in order, so how they are grouped changes nothing but the number of transfers.

    Returns
    -------
    arrival_cycle, is_write, first_burst, n_bursts : int64 (transfers,)

    Raises
    ------
    ReferenceDataError
        If an address lies past the device.
    """
    if len(trace.address) and int(trace.address.max()) >= device.capacity_bytes:
        index = int(np.argmax(trace.address >= device.capacity_bytes))
        raise ReferenceDataError(
            f"{trace.source}: burst {index + 1}: address {int(trace.address[index]):#x} lies past {device.name};"
            f" allowed: 0x0 to {device.capacity_bytes - 1:#x}"
        )
    burst = trace.address // device.burst_bytes
    same = (np.diff(burst) == 1) & (np.diff(trace.cycle) == 0) & (np.diff(trace.is_write) == 0)
    start = np.concatenate((np.zeros(min(1, len(burst)), np.int64), np.flatnonzero(~same) + 1))
    count = np.diff(np.append(start, len(burst)))
    return trace.cycle[start], trace.is_write[start], burst[start], count
