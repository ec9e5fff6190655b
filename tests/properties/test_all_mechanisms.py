"""What each memory level moves, and what each core does, on chips that have any mechanisms at once: counted from the program alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from accelsim.program import Program
from accelsim.simulation import simulate
from accelsim.system import run_program
from accelsim.trace.trace import Trace
from tests.every_machine import crowded_machines, networks

SIDES = ("weights", "reads", "writes")


def requests(program: Program, accelerator: Accelerator) -> Iterator[tuple[int, str, int, bool]]:
    """(core, side, size, whether this core asks for it) of each transfer that lands on a core; one core asks for a broadcast."""
    seen: set[int] = set()
    for number, core in enumerate(program.cores):
        for size, read in zip(core.transfers.size.tolist(), core.transfers.broadcast.tolist(), strict=True):
            yield number, "weights", size, read not in seen
            seen |= {read} - {-1}
        for job in core.jobs:
            piece = job.size // job.pieces
            for first in range(0, piece if job.address >= 0 else 0, accelerator.dma.transfer):
                for _ in range(job.pieces):
                    yield number, "writes" if job.write else "reads", min(accelerator.dma.transfer, piece - first), True


def crossings(accelerator: Accelerator, side: str) -> int:
    """Times that a transfer crosses the level's port."""
    level = accelerator.l2
    assert level is not None
    group = "weights" if side == "weights" else "activations"
    if getattr(accelerator.placement, group) == "l2":
        return 1
    return 0 if level.bypass == group else 2


@given(crowded_machines(), networks, st.integers(1, 2))
@settings(max_examples=100)
def test_every_level_and_every_core_moves_what_the_program_says(accelerator: Accelerator, trace: Trace, frames: int) -> None:
    try:
        result = simulate(accelerator, trace, frames=frames)
    except CompileError:
        assume(False)
        raise
    program = compile_trace(accelerator, trace, frames=frames)
    outcome = run_program(accelerator, program)
    assert result.counters == outcome.counters
    assert result.macs == frames * trace.macs == sum(core.macs for core in result.of_cores)
    assert all(core.total_cycles == result.total_cycles == sum(core.cycles.values()) for core in result.of_cores)
    assert all(count >= 0 for core in result.of_cores for layer in core.layers for count in layer.cycles.values())
    assert 8 * result.bus_bytes == sum(result.traffic.values())
    for memory in ("dram", "flash"):
        moved = sum(bits for key, bits in result.traffic.items() if key.memory == memory)
        assert 8 * outcome.counters.get(f"{memory}_bus_bytes", 0) == moved
    assert all(result.total_cycles >= bound for bound in result.bounds.values())
    taken: dict[tuple[int, str], int] = Counter()
    once: dict[str, int] = Counter()
    for core, side, size, asked in requests(program, accelerator):
        taken[core, side] += size
        once[side] += size * asked
    for number, own in enumerate(outcome.of_cores if len(program.cores) > 1 else ()):
        assert own.counters["dma_received_bytes"] == taken[number, "weights"] + taken[number, "reads"]
        assert own.counters["dma_sent_bytes"] == taken[number, "writes"]
    if accelerator.l2 is not None:
        width, burst = accelerator.l2.width_bytes, accelerator.l2.burst
        held = 0
        for _, side, size, asked in requests(program, accelerator):
            whole, rest = divmod(size, burst)
            held += asked * crossings(accelerator, side) * (whole * -(-burst // width) + -(-rest // width))
        assert outcome.counters["l2_busy_cycles"] == held
        names = {"weights": "l2_weight_read_bytes", "reads": "l2_activation_read_bytes", "writes": "l2_activation_write_bytes"}
        for side, name in names.items():
            assert outcome.counters[name] == once[side] * (crossings(accelerator, side) > 0)
        filled = {side: once[side] * (crossings(accelerator, side) == 2) for side in SIDES}
        assert outcome.counters["l2_fill_bytes"] == filled["weights"] + filled["reads"]
        assert outcome.counters["l2_drain_bytes"] == filled["writes"]
