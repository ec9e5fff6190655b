"""Idealizations: the same run again with one resource ideal at a time, as an upper bound on its worth.

Disputable assumption: a resource is made ideal through the configuration alone, so the machine keeps every other rule, and the order of
heads that the real chip was given; the gains of two rows do not add up, because one bottleneck hides another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.ops.catalog import pass_ranges
from accelsim.progress import Progress
from accelsim.result import CATEGORIES, Result, own_cycles
from accelsim.simulation import Shared, simulate
from accelsim.trace.trace import Trace

HUGE_BYTES = 2**34  # of an ideal buffer: the most that a specification may say
MANY_ROWS = 2**20  # rows per cycle of an ideal array, likewise
MANY_PORTS = 8  # likewise
MOST_LOOKUPS = 1024  # per cycle of a codebook, likewise
MANY_LANES = 2**16  # likewise
LONGEST_TRANSFER = 2**24  # bytes, likewise


@dataclass(frozen=True)
class WhatIf:
    """A run under one idealization.

    Attributes
    ----------
    resource : the same by its key in RESOURCES
    speedup : baseline cycles over this run's cycles
    explanation : '' unless this run is slower than the baseline, or equal because the chip already is that way
    replanned : speed-up of a chip that is built so and has a plan of its own; None where that is this run, or was not tried
    """

    name: str
    resource: str
    description: str
    result: Result
    speedup: float
    explanation: str
    replanned: float | None = None

    def __repr__(self) -> str:
        return f"<WhatIf {self.name} were free: {self.speedup:.4g}x>"


Overrides = Callable[[Accelerator, Sequence[Trace]], tuple[str, ...]]


@dataclass(frozen=True)
class Ideal:
    """One idealization, as overrides of an accelerator's fields; `resource` is its key in RESOURCES.

    `plans` says that the compiler plans with what is ideal, so that a chip with so much of it would have another plan. Each of `parts` is
    a smaller idealization of the resource, which may be worth more where the whole one takes the buffer's ports from other units.
    """

    name: str
    resource: str
    description: str
    overrides: Overrides
    plans: bool = False
    parts: tuple[Overrides, ...] = ()


def _memory(accelerator: Accelerator, traces: Sequence[Trace]) -> tuple[str, ...]:
    del traces
    ideal = ("dma.fabric_latency=0 ps", *(() if accelerator.placement.weights == "l2" else ("placement.weights=dram",)))
    overrides = (f"dram={{device: ideal{_background(accelerator)}}}", *ideal)
    return _with_raw_path(accelerator, overrides, accelerator.raw_weights_per_cycle)


def _with_raw_path(accelerator: Accelerator, overrides: tuple[str, ...], least: int) -> tuple[str, ...]:
    """The overrides, and one more if they leave a raw path of fewer than `least` weights per cycle, which may follow a memory's rate."""
    if with_overrides(accelerator, overrides).raw_weights_per_cycle >= least:
        return overrides
    return (*overrides, f"array.raw_weights_per_cycle={least}")


def _background(accelerator: Accelerator) -> str:
    """Keep the background client: only the channel is ideal."""
    client = accelerator.dram.background if accelerator.dram is not None else None
    return f", background: {{bandwidth: {client.bandwidth} B/s, transfer: {client.transfer} B}}" if client else ""


def _l2(accelerator: Accelerator, traces: Sequence[Trace]) -> tuple[str, ...]:
    """A port that takes a cycle per transfer, as no transfer is longer, on no slower clock than the core's."""
    del traces
    if accelerator.l2 is None:
        return ()
    slower = accelerator.l2.clock is not None and accelerator.l2.clock < accelerator.clock
    return (f"l2.width_bits={8 * LONGEST_TRANSFER}", f"l2.burst={LONGEST_TRANSFER}", *(("l2.clock=null",) if slower else ()))


def _decoder(accelerator: Accelerator, traces: Sequence[Trace]) -> tuple[str, ...]:
    book, width = accelerator.codebook, accelerator.decode_width
    paths = [layer.weight.format.decode_path() for trace in traces for layer in trace.weighted_layers()]
    cols = accelerator.array.cols
    row = max([cols // width.codeword_length, *(width.lookups_for(path, cols) for path in paths)])
    if accelerator.array.few_rows:  # what leaves the decoder is multiplied there, a tile a cycle at most
        row = min(MOST_LOOKUPS, row * accelerator.array.rows)
    ports = max(book.ports, book.banks or 0, row)
    ideal = (f"codebook.ports={ports}", "codebook.banks=null", "codebook.sets=2", "codebook.latency=1", "codebook.shared_ports=null")
    return _with_raw_path(accelerator, ideal, width.with_ports(ports).coded)


def _width(accelerator: Accelerator, traces: Sequence[Trace]) -> tuple[str, ...]:
    """A word for whatever the decoder takes in a cycle; activations that are read as weights are raw, and still pass the buffer's ports."""
    del traces
    book, buffer = accelerator.codebook, accelerator.activation_buffer
    pop_bits = 8 * accelerator.decode_width.with_ports(book.banks or book.ports).widest  # 8 bits per element, at most
    word_bits = max(accelerator.weight_buffer.word_bits, pop_bits)
    loader_bits = max(buffer.loader_bits, min(8 * accelerator.raw_weights_per_cycle, buffer.port_accesses * buffer.width_bits))
    return (f"weight_buffer.word_bits={word_bits}", f"activation_buffer.loader_bits={loader_bits}")


def _vector_unit(accelerator: Accelerator, traces: Sequence[Trace]) -> tuple[str, ...]:
    """Lanes for any row; its reads and writes still take the buffer's ports, which are a resource of their own."""
    return (*_vector_lanes(accelerator, traces), *_vector_passes(accelerator, traces))


def _vector_lanes(accelerator: Accelerator, traces: Sequence[Trace]) -> tuple[str, ...]:
    del traces
    return (f"vector_unit.lanes={0 if accelerator.vector_unit.lanes == 0 else MANY_LANES}", "vector_unit.latency=0")


def _vector_passes(accelerator: Accelerator, traces: Sequence[Trace]) -> tuple[str, ...]:
    del traces
    taken, ranges = accelerator.vector_unit.passes, pass_ranges()
    fewest = {name: min(ranges[name].least if name in ranges else 1, taken.of(name)) for name in type(taken).model_fields}
    passes = ", ".join(f"{name}: {count}" for name, count in fewest.items())
    return ("vector_unit.latency=0", f"vector_unit.passes={{{passes}}}")


_UNLIMITED_PREFETCH = ("control.overlap=prefetch", "control.prefetch={layers: null, bytes: null}")

IDEALS: tuple[Ideal, ...] = (
    Ideal("memory", "memory", "weights and activations cross it in no time", _memory),
    Ideal("L2 port", "L2 port", "a cycle per transfer", _l2),
    Ideal(
        "decoder",
        "decoder",
        "an array row of codewords or raw weights per cycle (a tile for few rows), next codebook loads aside",
        _decoder,
    ),
    Ideal("buffer width", "weight buffer width", "every decode cycle's bits in one word", _width),
    Ideal("array", "MAC array", "all rows of a tile in one cycle", lambda *_: (f"array.rows_per_cycle={MANY_ROWS}",)),
    Ideal(
        "vector unit",
        "vector unit",
        "a row per pass and cycle, each function in its fewest passes; one of the two where both hold other work up",
        _vector_unit,
        parts=(_vector_lanes, _vector_passes),
    ),
    Ideal(
        "buffers",
        "buffer capacity",
        "transfers run ahead without end, tiles and spills as planned",
        lambda *_: (f"weight_buffer.capacity={HUGE_BYTES}", f"activation_buffer.capacity={HUGE_BYTES}"),
        plans=True,
    ),
    Ideal("accumulators", "accumulators", "a second bank drains while the first one fills", lambda *_: ("array.accumulator_banks=2",)),
    Ideal(
        "accumulator read",
        "accumulator ports",
        "a second port drains while later rows are added up",
        lambda *_: ("array.accumulator_read=second_port",),
    ),
    Ideal("shadow weights", "shadow weights", "a second set loads while the first one waits", lambda *_: ("array.shadow_sets=2",)),
    Ideal(
        "buffer ports",
        "activation buffer ports",
        f"{MANY_PORTS} accesses per bank and cycle",
        lambda *_: (f"activation_buffer.ports={MANY_PORTS}",),
    ),
    Ideal(
        "control",
        "control",
        "runs are issued at once, and load under the run before",
        lambda *_: (*_UNLIMITED_PREFETCH, "control.runs=chained", "control.issue_overhead_cycles=0"),
    ),
    Ideal(
        "other cores",
        "other cores",
        "what they write is there at once",
        lambda accelerator, _: ("control.core_sync=free",) if accelerator.cores > 1 else (),
    ),
    Ideal(
        "launch overhead",
        "launch overhead",
        "networks, layers and tokens are launched at once",
        lambda *_: tuple(f"control.overhead.{what}=0 ps" for what in ("network", "layer", "token")),
    ),
)


def what_if(
    accelerator: Accelerator,
    trace: Trace,
    baseline: Result,
    progress: Progress | None = None,
    *,
    then: Sequence[Trace] = (),
    seed: int = 0,
) -> tuple[WhatIf, ...]:
    """`baseline` (of `trace` on `accelerator`) again, once for each row of IDEALS.

    Parameters
    ----------
    then : the other networks of the baseline, if it had several
    progress : called with (phase, done, total) before each run
    seed : as for `simulate`

    Raises
    ------
    CompileError, DeadlockError, ConservationError
        As `simulate`.
    """
    traces = (trace, *then)
    out: list[WhatIf] = []
    shared = Shared()  # of one network: most idealizations change neither its plan nor its allocation

    def run(chip: Accelerator, planned_for: Accelerator | None = None) -> Result:
        frames = len(baseline.frames) // len(traces)
        return simulate(chip, *traces, frames=frames, batch=baseline.batch, seed=seed, shared=shared, planned_for=planned_for)

    for number, ideal in enumerate(IDEALS):
        if progress is not None:
            progress("what if", number, len(IDEALS))
        other = with_overrides(accelerator, ideal.overrides(accelerator, traces))
        if other == accelerator:
            out.append(WhatIf(ideal.name, ideal.resource, ideal.description, baseline, 1.0, "the chip is already configured this way"))
            continue
        result = run(other, planned_for=accelerator)
        if accelerator.cores > 1 or _port_cycles(result) > _port_cycles(baseline):  # work that comes earlier may stand in another's way
            parts = [with_overrides(accelerator, part(accelerator, traces)) for part in ideal.parts]
            tried = [result, *(run(part, planned_for=accelerator) for part in parts if part != accelerator)]
            result = min(tried, key=lambda item: item.total_cycles)
        other_plan = run(other) if ideal.plans else result
        speedup, replanned = (baseline.total_cycles / item.total_cycles for item in (result, other_plan))
        out.append(
            WhatIf(
                ideal.name, ideal.resource, ideal.description, result, speedup, explain(baseline, result),
                replanned if other_plan.frames != result.frames else None,
            )
        )  # fmt: skip
    return tuple(out)


def _port_cycles(result: Result) -> int:
    return own_cycles(result.cycles, "activation buffer ports")


def with_overrides(accelerator: Accelerator, overrides: tuple[str, ...]) -> Accelerator:
    """`accelerator` with overrides like 'array.cols=32' applied, checked again."""
    return load_accelerator(accelerator.writable(), overrides)


def explain(baseline: Result, result: Result) -> str:
    """Why `result` is slower than `baseline`: stall reasons that grew or shrank, and changed compiler choices; '' if it is not."""
    lost = result.total_cycles - baseline.total_cycles
    if lost <= 0:
        return ""
    moved = sorted(((result.cycles[name] - baseline.cycles[name], name) for name in CATEGORIES), reverse=True)
    grew = ", ".join(f"{name} +{change:,}" for change, name in moved if change > 0)
    shrank = ", ".join(f"{name} {change:,}" for change, name in reversed(moved) if change < 0)
    text = f"slower by {lost:,} cycles: {grew}" + (f" outweigh {shrank}" if shrank else "")
    other = [f"{name}: {value}" for name, value in result.choices.items() if value != baseline.choices.get(name)]
    bytes_more = result.bus_bytes - baseline.bus_bytes
    traffic = f"; {bytes_more:+,} bytes on the bus" if bytes_more else ""
    return text + traffic + (f"; compiler choices changed: {'; '.join(other)}" if other else "")
