"""One simulation: compile a network, or several that take turns, for an accelerator, run it, and gather the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from accelsim.accelerator import Accelerator
from accelsim.compiler.accumulator_range import range_warnings
from accelsim.compiler.caches import Caches
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.cost_of_sharing import with_sharing_remarks
from accelsim.compiler.lru_cache import LruCache
from accelsim.errors import ConservationError
from accelsim.gathering import core_results, merged_frames
from accelsim.hw.recorder import RunRecorder
from accelsim.program import Program
from accelsim.progress import Progress
from accelsim.provenance import run_id, traces_sha256, versions
from accelsim.result import Result
from accelsim.system import Outcome, run_program
from accelsim.trace.trace import Trace


class Shared(Caches):
    """Exact reuse between the simulations of one process: the compiler's caches, and outcomes by `Timing.key`."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: LruCache[str, Outcome] = LruCache(256)


def simulate(
    accelerator: Accelerator,
    *traces: Trace,
    frames: int = 1,
    batch: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
    shared: Shared | None = None,
    planned_for: Accelerator | None = None,
) -> Result:
    """Run `frames` inferences of `batch` images of each trace on `accelerator`.

    Parameters
    ----------
    traces : one network, or several whose inferences take turns (first, second, first, second, ...) in one program, or that have a core
        each (`control.core_split: networks`); of several, the layers in the result are called 'network/layer'
    seed : of values that the trace leaves open (codebook indices of a trace without payload, under bank conflicts)
    progress : called with (phase, done, total) now and then
    shared : of several simulations in a row; the result is the same to the bit
    planned_for : the chip by whose costs orders of heads and mappings are ranked; None: `accelerator`

    Raises
    ------
    CompileError, DeadlockError, ConservationError
        See `compile_trace` and `run_program`.
    """
    program = compile_trace(
        accelerator, *traces, frames=frames, batch=batch, seed=seed, caches=shared, planned_for=planned_for, progress=progress
    )
    if planned_for is None:
        program = with_sharing_remarks(accelerator, traces, program, frames=frames, batch=batch, seed=seed, caches=shared)
    outcome = run_program(accelerator, program, progress, outcomes=None if shared is None else shared.outcomes)
    plan = {} if planned_for is None else {"planned_for": planned_for.model_dump(mode="json", exclude={"name", "description"})}
    return gather(accelerator, traces, program, outcome, {"frames": frames, "batch": batch, "seed": seed, **plan})


@dataclass(frozen=True)
class RecordedRun:
    """A simulation with all that is needed to look into it; `core` is the number of the core that it is about, if it is of one alone."""

    accelerator: Accelerator
    program: Program
    outcome: Outcome
    result: Result
    notes: RunRecorder
    core: int | None = None

    @property
    def cores(self) -> int:
        """How many cores the run is about: those of the machine, or one."""
        return len(self.program.cores) if self.core is None else 1

    @property
    def of_cores(self) -> tuple[RecordedRun, ...]:
        """The run as each core saw it, in the order of the cores; itself with one core."""
        return tuple(self.of_core(core) for core in range(self.cores))

    @property
    def of_last_core(self) -> RecordedRun:
        """The run as that core saw it which ended last."""
        return self.of_core(self.outcome.last_core)

    def of_core(self, core: int) -> RecordedRun:
        """The run as one core saw it; itself with one core.

        Program, outcome, result and notes are that core's, but for what memories and the L2's port did for all.
        """
        if self.cores == 1:
            return self
        own = self.outcome.cores[core]
        counters = {**self.outcome.counters, **own.counters}
        result = replace(self.result, frames=self.result.cores[core].frames, cores=(), counters=counters)
        return RecordedRun(self.accelerator, self.program.cores[core], own, result, self.notes.of_core(core, self.cores), core)


def simulate_recorded(
    accelerator: Accelerator, *traces: Trace, frames: int = 1, batch: int = 1, seed: int = 0, progress: Progress | None = None
) -> RecordedRun:
    """`simulate`, with a record of the traffic between the units; the result is the same."""
    program = compile_trace(accelerator, *traces, frames=frames, batch=batch, seed=seed, progress=progress)
    program = with_sharing_remarks(accelerator, traces, program, frames=frames, batch=batch, seed=seed)
    notes = RunRecorder()
    outcome = run_program(accelerator, program, progress, notes)
    result = gather(accelerator, traces, program, outcome, {"frames": frames, "batch": batch, "seed": seed})
    return RecordedRun(accelerator, program, outcome, result, notes)


def gather(accelerator: Accelerator, traces: Sequence[Trace], program: Program, outcome: Outcome, options: dict[str, Any]) -> Result:
    """The result of a run.

    Raises
    ------
    ConservationError
        Its sums differ from the machine's or from the traces'.
    """
    array = accelerator.array
    cores = core_results(program, outcome, array.rows * array.cols, accelerator.placement.last_wait)
    result = Result(
        run_id=run_id(accelerator, traces, options),
        accelerator_name=accelerator.name,
        accelerator=accelerator.dump_yaml(),
        clock_hz=accelerator.clock,
        trace_name=" + ".join(trace.name for trace in traces),
        trace_sha256=traces_sha256(traces),
        weights_source=", ".join(dict.fromkeys(trace.manifest.source.kind for trace in traces)),
        batch=program.batch,
        frames=merged_frames(cores, outcome.last_core),
        cores=cores if len(cores) > 1 else (),
        counters=outcome.counters,
        choices=program.choices,
        warnings=(
            *program.warnings,
            *outcome.warnings,
            *range_warnings(accelerator, traces),
            *(note for trace in traces for note in (*trace.manifest.notes, *trace.remarks)),
        ),
        versions=versions(),
    )
    _check_result(result, traces, outcome)
    return result


def _check_result(result: Result, traces: Sequence[Trace], outcome: Outcome) -> None:
    """The sums of a result equal the machine's and the traces', and no set of layers beats its bounds."""
    if result.total_cycles != outcome.cycles:
        raise ConservationError(f"layers sum to {result.total_cycles} cycles, the machine ran {outcome.cycles}")
    known = {trace.name: trace.macs * result.batch for trace in traces}
    for index, frame in enumerate(result.frames):
        if frame.macs != known[frame.trace]:
            raise ConservationError(f"frame {index}: layers sum to {frame.macs} MACs, {frame.trace!r} has {known[frame.trace]}")
    for number, core in enumerate(result.cores):
        if core.total_cycles != outcome.cycles:
            raise ConservationError(f"core {number}: layers sum to {core.total_cycles} cycles, the machine ran {outcome.cycles}")
    if 8 * result.bus_bytes != sum(result.traffic.values()):
        raise ConservationError("traffic is not a whole number of bytes")
    for resource, bound in result.bounds.items():
        if result.total_cycles < bound:
            raise ConservationError(f"{result.total_cycles} cycles are below the {bound} that {resource} needs at least")
