"""The machine as two sides that run in turn, each as far as the other's promises reach; no event, and nothing is run twice to look ahead.

The cluster promises rooms, gates and ends of tasks up to the cycle that it has reached, and the memory side promises landings up to a
fabric's latency behind the instant that it has reached. So the side that is behind can always go on, and mostly runs far: the cluster until
it asks for a landing that is not told, DMA and memories until their next decision depends on a room that is not. It is the conservative
scheme of parallel discrete event simulation (Chandy and Misra 1979; Bryant 1977) with two processes.

Disputable assumption: none of its own; the engine of events gives the same instants, to the picosecond.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accelsim.errors import DeadlockError
from accelsim.hw.cluster_ahead import ClusterAhead
from accelsim.hw.dma import DmaSpec
from accelsim.hw.flash import FlashSpec
from accelsim.hw.memory import MemorySpec
from accelsim.hw.memory_side import NO_EVENTS, MemorySide
from accelsim.program import Program
from accelsim.progress import Progress


def run_sides(
    clock_hz: int,
    dma: DmaSpec,
    program: Program,
    memories: Mapping[str, MemorySpec | FlashSpec],
    weight_memory: str,
    progress: Progress | None = None,
    events: np.ndarray = NO_EVENTS,
) -> tuple[ClusterAhead, MemorySide]:
    """Run a program to its end; both sides as they are then.

    Parameters
    ----------
    memories : those that the program uses, by name; `can_run` holds of them
    weight_memory : the one that holds the weights
    events : int64 (n, EVENT_WIDTH), takes each submission, landing and fill, as `dma_state` says

    Raises
    ------
    DeadlockError
        Every unit waits; the message names the event each one waits for.
    """
    cluster = ClusterAhead(clock_hz, program)
    memory = MemorySide(clock_hz, dma, program, cluster, memories, weight_memory, events)
    cluster.advance(-1)
    while not (cluster.done and memory.idle):
        before, ended = (cluster.told, memory.moved), cluster.done
        cluster.advance(memory.advance(cluster.cycle))
        if (cluster.told, memory.moved) == before and (memory.quiet or memory.idle):
            cluster.advance_until_told()
            if cluster.told == before[0] and ended == cluster.done:
                raise DeadlockError(f"every unit waits. {cluster.waiting()}; {memory.waiting()}")
        if progress is not None:
            progress("simulate", cluster.run_index, int(program.runs.size))
    return cluster, memory
