"""One simulation: compile a network, or several that take turns, for an accelerator, run it, and gather the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accelsim.accelerator import Accelerator
from accelsim.compiler.accumulator_range import range_warnings
from accelsim.compiler.caches import Caches
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.lru_cache import LruCache
from accelsim.errors import ConservationError
from accelsim.hw.recorder import RunRecorder
from accelsim.kernels.compute_state import RUN_RESULTS
from accelsim.program import LayerPlan, Program
from accelsim.progress import Progress
from accelsim.provenance import run_id, traces_sha256, versions
from accelsim.result import CATEGORIES, FrameResult, LayerResult, Result, Traffic
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
    traces : one network, or several whose inferences take turns (first, second, first, second, ...) in one program; of several, the
        layers in the result are called 'network/layer'
    seed : of values that the trace leaves open (codebook indices of a trace without payload, under bank conflicts)
    progress : called with (phase, done, total) now and then
    shared : of several simulations in a row; the result is the same to the bit
    planned_for : the chip by whose costs orders of heads are ranked; None: `accelerator`

    Raises
    ------
    CompileError, DeadlockError, ConservationError
        See `compile_trace` and `run_program`.
    """
    program = compile_trace(accelerator, *traces, frames=frames, batch=batch, seed=seed, caches=shared, planned_for=planned_for)
    outcome = run_program(accelerator, program, progress, outcomes=None if shared is None else shared.outcomes)
    plan = {} if planned_for is None else {"planned_for": planned_for.model_dump(mode="json", exclude={"name", "description"})}
    return gather(accelerator, traces, program, outcome, {"frames": frames, "batch": batch, "seed": seed, **plan})


@dataclass(frozen=True)
class RecordedRun:
    """A simulation with all that is needed to look into it."""

    accelerator: Accelerator
    program: Program
    outcome: Outcome
    result: Result
    notes: RunRecorder


def simulate_recorded(
    accelerator: Accelerator, *traces: Trace, frames: int = 1, batch: int = 1, seed: int = 0, progress: Progress | None = None
) -> RecordedRun:
    """`simulate`, with a record of the traffic between the units; the result is the same."""
    program = compile_trace(accelerator, *traces, frames=frames, batch=batch, seed=seed)
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
    result = Result(
        run_id=run_id(accelerator, traces, options),
        accelerator_name=accelerator.name,
        accelerator=accelerator.dump_yaml(),
        clock_hz=accelerator.clock,
        trace_name=" + ".join(trace.name for trace in traces),
        trace_sha256=traces_sha256(traces),
        weights_source=", ".join(dict.fromkeys(trace.manifest.source.kind for trace in traces)),
        batch=program.batch,
        frames=_frames(program, outcome, accelerator),
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


def _frames(program: Program, outcome: Outcome, accelerator: Accelerator) -> tuple[FrameResult, ...]:
    column = {name: index for index, name in enumerate(RUN_RESULTS)}
    array_size = accelerator.array.rows * accelerator.array.cols
    cycles: list[Counter[str]] = [Counter(dict.fromkeys(CATEGORIES, 0)) for _ in program.layers]
    starts: list[int | None] = [None] * len(program.layers)
    ends = [0] * len(program.layers)
    rows = outcome.run_results.tolist()
    for layer, row in zip(program.runs["layer"].tolist(), rows, strict=True):
        for category, name in enumerate(CATEGORIES):
            cycles[layer][name] += row[category]
        if starts[layer] is None:
            starts[layer] = row[column["start"]]
        ends[layer] = row[column["end"]]
    last = int(program.runs["layer"][-1])
    cycles[last][accelerator.placement.last_wait] += outcome.tail_cycles
    ends[last] += outcome.tail_cycles

    names: dict[int, str] = {}
    frames: dict[int, list[LayerResult]] = {}
    position = 0
    for index, layer in enumerate(program.layers):
        start = starts[index]
        begin = position if start is None else start
        position = ends[index] if start is not None else position
        names[layer.frame] = layer.trace
        frames.setdefault(layer.frame, []).append(
            _layer(layer, cycles[index], begin, ends[index] if start is not None else begin, array_size)
        )
    return tuple(FrameResult(tuple(layers), names[index]) for index, layers in sorted(frames.items()))


def _layer(plan: LayerPlan, cycles: Counter[str], start: int, end: int, array_size: int) -> LayerResult:
    return LayerResult(
        name=plan.name,
        op=plan.op,
        format=plan.format,
        start_cycle=start,
        end_cycle=end,
        cycles=dict(cycles),
        macs=plan.macs,
        pe_cycles=cycles["busy"] * array_size,
        vector_cycles=plan.vector_cycles,
        traffic=tuple(Traffic(operand, memory, write, bits) for (operand, memory, write), bits in sorted(plan.bits.items())),
        bounds=dict(plan.bounds),
        lowering=plan.lowering,
        **plan.figures,
    )


def _check_result(result: Result, traces: Sequence[Trace], outcome: Outcome) -> None:
    """The sums of a result equal the machine's and the traces', and no set of layers beats its bounds."""
    if result.total_cycles != outcome.cycles:
        raise ConservationError(f"layers sum to {result.total_cycles} cycles, the machine ran {outcome.cycles}")
    known = {trace.name: trace.macs * result.batch for trace in traces}
    for index, frame in enumerate(result.frames):
        if frame.macs != known[frame.trace]:
            raise ConservationError(f"frame {index}: layers sum to {frame.macs} MACs, {frame.trace!r} has {known[frame.trace]}")
    if 8 * result.bus_bytes != sum(result.traffic.values()):
        raise ConservationError("traffic is not a whole number of bytes")
    for resource, bound in result.bounds.items():
        if result.total_cycles < bound:
            raise ConservationError(f"{result.total_cycles} cycles are below the {bound} that {resource} needs at least")
