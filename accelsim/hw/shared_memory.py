"""The memories that the DMAs of several cores share, and the tensors that pass from core to core.

Disputable assumption: in an instant the DMAs decide in the order of their cores, and a memory takes what they submit in that order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from accelsim.hw.memory import Channel, Complete
from accelsim.program import Program

OpenMemory = Callable[[str, Complete], Channel]


class SharedMemories:
    """Each memory once, with a port for each core: transfer i of core c is number i * cores + c there.

    Attributes
    ----------
    channels : the memories by name
    """

    def __init__(self, names: Sequence[str], cores: int, open_memory: OpenMemory) -> None:
        self.cores = cores
        self._completes: dict[tuple[str, int], Complete] = {}
        self.channels = {name: open_memory(name, self._ended(name)) for name in names}

    def number(self, flight: int, core: int) -> int:
        """The number of a core's transfer in the memories."""
        return flight * self.cores + core

    def port(self, core: int) -> OpenMemory:
        """Opens a core's port of a memory, as a DMA asks for it."""

        def open_port(name: str, complete: Complete) -> Channel:
            self._completes[name, core] = complete
            return _Port(self.channels[name], partial(self.number, core=core))

        return open_port

    def _ended(self, name: str) -> Complete:
        def ended(transfer: int) -> None:
            flight, core = divmod(transfer, self.cores)
            self._completes[name, core](flight)

        return ended


class _Port:
    """A memory as one core's DMA sees it."""

    def __init__(self, channel: Channel, number: Callable[[int], int]) -> None:
        self._channel, self._number = channel, number

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        self._channel.submit(self._number(transfer), address, size, write)

    def counters(self) -> dict[str, int]:
        return {}

    def waiting(self) -> str:
        return self._channel.waiting()


class SharedTensors:
    """Which of the tensors that pass from core to core are complete in memory: every core's writes of them have landed."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self._missing = Counter(job.shared for program in programs for job in program.jobs if job.write and job.shared >= 0)
        self._listeners: list[Callable[[int], None]] = []

    def listen(self, listener: Callable[[int], None]) -> None:
        """Have `listener` called with the number of each tensor in the instant in which it is complete."""
        self._listeners.append(listener)

    def is_complete(self, number: int) -> bool:
        """Whether tensor `number` is; -1, a tensor of one core alone, always is."""
        return self._missing[number] == 0

    def written(self, number: int) -> None:
        """A write of a part of tensor `number` has landed."""
        self._missing[number] -= 1
        if not self._missing[number]:
            for listener in self._listeners:
                listener(number)
