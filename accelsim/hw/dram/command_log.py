"""The commands of one DRAM channel in a recorded run: its kernel, run again on the requests that it took.

Disputable assumption: none beside the channel's; a request is handed over when it arrived, as far as there is room, as in the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from accelsim.kernels import dram
from accelsim.kernels import dram_state as at

CHUNK = 1 << 14  # memory cycles, and so commands, that are held at once
_NO_SAMPLES = np.zeros(0, np.int64)


@dataclass(frozen=True)
class ChannelRequest:
    """Bursts `first` .. `first` + `count` - 1 of a channel, asked for in memory cycle `cycle`."""

    number: int
    cycle: int
    write: bool
    first: int
    count: int


@dataclass(frozen=True)
class CommandPiece:
    """Commands of consecutive memory cycles.

    Attributes
    ----------
    commands : int64 (n, LOG_WIDTH): cycle, command, bank group, bank in its group, row, column
    completed : (request's number, first memory cycle after it was complete), in order
    end : first memory cycle that is not covered
    """

    commands: at.Ints
    completed: tuple[tuple[int, int], ...]
    end: int


def command_log(params: at.Ints, requests: Iterable[ChannelRequest]) -> Iterator[CommandPiece]:
    """All commands until the last request is complete, in pieces; `params` are those of the channel that took the requests."""
    state = dram.new_state(params)
    waiting = deque(requests)
    log = np.zeros((CHUNK, at.LOG_WIDTH), np.int64)
    report = int(params[at.P_AT_REPORT])
    while waiting or state[at.INCOMPLETE]:
        while waiting and (not state[at.INCOMPLETE] or waiting[0].cycle <= state[at.NOW]):
            request = waiting[0]
            if not dram.submit(state, params, request.number, request.cycle, int(request.write), request.first, request.count):
                break
            waiting.popleft()
        until = int(state[at.NOW]) + CHUNK
        if waiting and waiting[0].cycle > state[at.NOW]:
            until = min(until, waiting[0].cycle)
        state[at.LOGGED] = 0
        end = int(dram.advance(state, params, until, log, _NO_SAMPLES))
        done = state[report : report + int(state[at.REPORTED]) * at.DONE_WIDTH].reshape(-1, at.DONE_WIDTH)
        completed = tuple((number, end) for number in sorted(done[:, at.DONE_WHAT].tolist()))
        yield CommandPiece(log[: int(state[at.LOGGED])].copy(), completed, end)
