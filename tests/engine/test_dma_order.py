"""The DMA before a memory that answers in another order: rows count as landed only when no byte before them is missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import simpy

from accelsim.accelerator import load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.hw.dma import Dma
from accelsim.presets import find_trace
from accelsim.trace.trace import load_trace

ROOM = 1 << 40


class Cluster:
    """Takes everything, and notes how many rows of which load were there and when."""

    clock_hz = 10**9

    def __init__(self) -> None:
        self.filled: list[tuple[int, int]] = []  # (load, rows)
        self.on_room: Callable[[], None] | None = None
        self.on_task: Callable[[int, int], None] | None = None

    def fill(self, load: int, offset: int, units: int) -> None:
        self.filled.append((load, units))

    def land(self, transfer: int) -> None:
        pass

    def wait_for(self, freed: int, tiles: int) -> None:
        pass

    def freed_and_tiles(self) -> tuple[int, int]:
        return ROOM, ROOM


class Memory:
    """Holds the transfers of activations until it is asked to answer them; answers all others at once."""

    def __init__(self, complete: Callable[[int], None]) -> None:
        self.complete = complete
        self.waiting: list[tuple[int, int, int]] = []  # (transfer, address, bytes)

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        self.waiting.append((transfer, address, size))

    def counters(self) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("order", ["forwards", "backwards", "first last"])
def test_rows_are_there_when_all_bytes_before_them_are(order: str) -> None:
    chip = load_accelerator("edge-32x32", ["dma.transfer=64", "dma.max_transfers=64", "weight_buffer.word_bits=128"])
    program = compile_trace(chip, load_trace(find_trace("tiny_vit_int8")))
    job = program.jobs[0]
    assert job.address >= 0
    assert not job.write
    assert job.size > 4 * 64
    env, cluster, memories = simpy.Environment(), Cluster(), []

    def open_memory(name: str, complete: Callable[[int], None]) -> Memory:
        memories.append(Memory(complete))
        return memories[-1]

    dma = Dma(env, chip.dma, program, cluster, "dram", open_memory)  # type: ignore[arg-type]  # a cluster that notes
    dma.pump()
    env.run(until=1)
    (memory,) = memories
    mine = [item for item in memory.waiting if job.address <= item[1] < job.address + job.size]
    assert len(mine) == min(64, -(-job.size // 64))
    answers = {"forwards": mine, "backwards": mine[::-1], "first last": mine[1:] + mine[:1]}[order]
    there: set[int] = set()
    now = 1
    for transfer, address, size in answers:
        before = len(cluster.filled)
        memory.complete(transfer)
        now += 1_000_000  # past the fabric's latency
        env.run(until=now)
        there |= set(range(address - job.address, address - job.address + size))
        whole = next((byte for byte in range(job.size) if byte not in there), job.size)
        assert [rows for load, rows in cluster.filled[before:] if load == job.load][-1] == min(job.rows, whole // job.row_bytes)
