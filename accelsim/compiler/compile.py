"""The compiler's entry: choose, place and lower a network, or several in turn, for an accelerator.

What it may choose: the order of the heads, M-splits, which tensors stay on chip, which stripes are held, addresses. It ranks
head orders by estimated cost and takes the first whose activations fit without a spill (else the one that spills least).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from accelsim.accelerator import Accelerator
from accelsim.compiler.allocation import ActivationsTooLarge, Allocation
from accelsim.compiler.bank_conflicts import BankConflicts
from accelsim.compiler.heads import HEAD_ORDERS, HeadOrder, estimate_cycles
from accelsim.compiler.inference import LayerBuild, Lowering, PlacedNetwork, as_array
from accelsim.compiler.lowering import lower_inference
from accelsim.compiler.plan import Plan
from accelsim.compiler.plans import Plans
from accelsim.compiler.rom import check_rom
from accelsim.compiler.streams import StreamBuilder
from accelsim.errors import CompileError
from accelsim.hw.channel import burst_bytes, capacity_bytes, peak_bytes_per_s, read_latency_ps
from accelsim.hw.memory import IDEAL
from accelsim.kernels import compute_state
from accelsim.program import LayerPlan, Program
from accelsim.quantities import PS_PER_S, human_bytes
from accelsim.trace.layers import MatmulLayer, WeightedLayer
from accelsim.trace.trace import Trace

ACTIVATION_REGION = 4096  # bytes: alignment of what follows the weights in DRAM


def compile_trace(
    accelerator: Accelerator, *traces: Trace, frames: int = 1, batch: int = 1, seed: int = 0, plans: Plans | None = None
) -> Program:
    """Place `frames` inferences of `batch` images of each trace on `accelerator`; several traces take turns.

    All their weights lie in the memory at once, so the next network's are prefetched under the one before, as a layer's are. `plans`
    keeps what programs for other accelerators share.

    Raises
    ------
    CompileError
        A layer does not fit: names it, the buffer, and by how many bytes that is short; no unit computes it; networks that cannot
        share the chip.
    """
    for name, value in (("frames", frames), ("batch", batch)):
        if not 1 <= value <= 1024:
            raise CompileError(f"{name} = {value}: allowed: 1..1024")
    _check_names(traces)
    notes = check_rom(accelerator, traces)
    plans = plans or Plans()
    networks = [_choose(accelerator, trace, batch, plans) for trace in traces]
    bursts = {memory: burst_bytes(accelerator.memory(memory)) for memory in ("dram", "flash")}
    weights = accelerator.placement.weights
    if accelerator.dma.transfer % bursts[weights]:
        raise CompileError(
            f"accelerator {accelerator.name!r}: dma.transfer = {accelerator.dma.transfer} B must be a multiple of the "
            f"{bursts[weights]} B burst of its {weights}"
        )
    streams = StreamBuilder(accelerator, bursts[weights])
    low = Lowering(accelerator, streams, BankConflicts(accelerator.codebook.banks, seed, plans.conflicts), weights, bursts)
    for turn in range(frames):
        if turn and accelerator.weight_buffer.residency == "stream":
            streams.address = 0  # each inference reads the same image
        for number, network in enumerate(networks):
            lower_inference(low, network, turn * len(networks) + number)
    _check_pinned(accelerator, streams)
    weight_bytes = streams.address
    base = -(-weight_bytes // ACTIVATION_REGION) * ACTIVATION_REGION if weights == "dram" else 0
    _check_capacity(accelerator, weight_bytes, base + low.activation_address)
    return _program(accelerator, low, networks, base, batch, notes)


def _check_names(traces: Sequence[Trace]) -> None:
    """A network's name tells its layers from another's."""
    if not traces:
        raise CompileError("no trace is given; allowed: one, or several that take turns")
    names = [trace.name for trace in traces]
    for name in names:
        if names.count(name) > 1:
            raise CompileError(f"{names.count(name)} networks are called {name!r}; allowed: names that differ (`frames` repeats a network)")


def _choose(accelerator: Accelerator, trace: Trace, batch: int, plans: Plans) -> PlacedNetwork:
    """A network in the head order with the least estimated cost among those that fit best."""
    buffer = accelerator.activation_buffer
    may_spill = accelerator.placement.activations == "dram"
    ranked = sorted(HEAD_ORDERS, key=lambda order: _attention_estimate(accelerator, trace, order))
    if not any(isinstance(layer, MatmulLayer) for layer in trace.layers):
        ranked = ranked[:1]
    fitting: list[tuple[tuple[int, int, int], Plan, Allocation]] = []
    problems: list[ActivationsTooLarge] = []
    for rank, order in enumerate(ranked):
        try:
            candidate, allocation = plans.allocate(trace, batch, order, buffer.capacity, may_spill, buffer.residency == "dram")
        except ActivationsTooLarge as error:
            problems.append(error)
            continue
        if not allocation.spilled and not allocation.barriers:
            return PlacedNetwork(trace, candidate, allocation, f"{order}: least estimated cost of the orders that fit without a spill")
        spilled = sum(candidate.tensors[item].bytes for item in allocation.spilled)
        fitting.append(((spilled, len(allocation.barriers), rank), candidate, allocation))
    for order in ranked if may_spill and not fitting and buffer.residency != "dram" else ():
        try:
            candidate, allocation = plans.allocate_in_row_tiles(trace, batch, order, buffer.capacity)
        except ActivationsTooLarge as error:
            problems.append(error)
            continue
        why = f"{order}: least estimated cost of the orders that fit in row tiles, as none does without"
        return PlacedNetwork(trace, candidate, allocation, why)
    if not fitting:
        raise min(problems, key=lambda problem: problem.short_bytes)
    (spilled, barriers, _), candidate, allocation = min(fitting, key=lambda item: item[0])
    why = f"{candidate.head_order}: of {len(ranked)} orders the one with least spills ({human_bytes(spilled)}) and barriers ({barriers})"
    return PlacedNetwork(trace, candidate, allocation, why)


def _attention_estimate(accelerator: Accelerator, trace: Trace, order: HeadOrder) -> int:
    """Estimated cycles of all attentions in an order."""
    array, vector = accelerator.array, accelerator.vector_unit
    total = 0
    layers = list(trace.layers)
    for scores in layers:
        if not isinstance(scores, MatmulLayer) or scores.merge != "groups":
            continue
        tiles = -(-scores.n // array.cols) * -(-scores.k // array.rows)
        drain = scores.m * vector.row_cycles(scores.n, vector.passes.requantize)
        softmax = scores.m * vector.row_cycles(scores.n, vector.passes.of("softmax"))
        product = max(scores.m * tiles, drain)
        width = scores.heads * scores.k  # of the projection that makes the values
        values = scores.m * -(-width // array.cols) * -(-width // array.rows)
        total += estimate_cycles(order, scores.heads, product, softmax, product, values)
    return total


def _check_pinned(accelerator: Accelerator, streams: StreamBuilder) -> None:
    capacity = accelerator.weight_buffer.capacity
    if accelerator.weight_buffer.residency == "pinned" and streams.address > capacity:
        raise CompileError(
            f"accelerator {accelerator.name!r}: weight_buffer.residency = 'pinned' needs {streams.address} B; "
            f"weight_buffer.capacity = {capacity} B is short by {streams.address - capacity} B"
        )


def _check_capacity(accelerator: Accelerator, weight_bytes: int, dram_bytes: int) -> None:
    needed = {"dram": dram_bytes, "flash": weight_bytes if accelerator.placement.weights == "flash" else 0}
    for memory, size in needed.items():
        capacity = capacity_bytes(accelerator.memory(memory))
        if capacity is not None and size > capacity:
            raise CompileError(f"accelerator {accelerator.name!r}: {memory} holds {capacity} B, the image needs {size} B")


def _program(
    accelerator: Accelerator, low: Lowering, networks: Sequence[PlacedNetwork], base: int, batch: int, notes: tuple[str, ...]
) -> Program:
    control, buffer = accelerator.control, accelerator.activation_buffer
    machine = {
        "rows": accelerator.array.rows,
        "cols": accelerator.array.cols,
        "lanes": accelerator.vector_unit.lanes,
        "codebook_latency": accelerator.codebook.latency,
        "codebook_sets": accelerator.codebook.sets,
        "accumulator_banks": accelerator.array.accumulator_banks,
        "issue_overhead": control.issue_overhead_cycles,
        "chained": int(control.runs == "chained"),
        "port_accesses": buffer.port_accesses,
        "loader_accesses": buffer.accesses(buffer.loader_bits // 8),
        "shadow_sets": accelerator.array.shadow_sets,
        "rows_per_cycle": accelerator.array.rows_per_cycle,
    }
    rates = {memory: peak_bytes_per_s(accelerator.memory(memory)) for memory in ("dram", "flash")}
    jobs = tuple(job if job.address < 0 else replace(job, address=job.address + base) for job in low.jobs)
    return Program(
        machine=as_array([machine], compute_state.MACHINE),
        runs=as_array(low.runs, compute_state.RUN),
        tasks=as_array(low.tasks, compute_state.TASK),
        drains=np.array(low.drains, np.int64),
        row_tasks=np.array(low.row_tasks, np.int64),
        cb_runs=np.array(low.cb_runs, np.int64),
        cb_words=np.array(low.cb_words, np.int64),
        group_cost=low.conflicts.array(),
        transfers=low.streams.transfers(),
        jobs=jobs,
        stays=tuple(low.stays),
        loads=low.loads,
        units=low.units,
        layers=tuple(_layer_plan(accelerator.clock, rates, build, len(networks) > 1) for build in low.layers),
        choices=_choices(accelerator, networks, low),
        warnings=(*notes, *_warnings(accelerator, low)),
        batch=batch,
        peak_activation_bytes=max(network.allocation.peak_bytes for network in networks),
    )


def _layer_plan(clock_hz: int, rates: dict[str, Fraction | None], build: LayerBuild, several: bool) -> LayerPlan:
    layer = build.layer
    bounds = Counter(build.bounds)
    moved: Counter[str] = Counter()
    for (_, memory, _), bits in build.bits.items():
        moved[memory] += bits
    for memory, bits in moved.items():
        rate = rates[memory]
        bounds[memory] = bits * clock_hz * rate.denominator // (8 * rate.numerator) if rate else 0
    return LayerPlan(
        frame=build.frame,
        trace=build.trace,
        name=f"{build.trace}/{layer.name}" if several else layer.name,
        op=layer.op,
        format=layer.weight.format.kind if isinstance(layer, WeightedLayer) else "",
        macs=layer.macs,
        bits={key: bits for key, bits in build.bits.items() if bits},
        vector_cycles=build.vector_cycles,
        bounds=dict(bounds),
        lowering="; ".join(dict.fromkeys(build.notes)),
    )


def _choices(accelerator: Accelerator, networks: Sequence[PlacedNetwork], low: Lowering) -> dict[str, str]:
    held = sum(any("held over" in note for note in build.notes) for build in low.layers)
    again = sum(any("read again" in note for note in build.notes) for build in low.layers)
    out: dict[str, str] = {}
    for network in networks:
        of = f" of {network.trace.name}" if len(networks) > 1 else ""
        out |= {f"{name}{of}": value for name, value in _network_choices(accelerator, network).items()}
    return out | {
        "stripes": f"{held} layers held over M-chunks, {again} read again" if held or again else "every layer in one M-chunk",
        "weights": accelerator.weight_buffer.residency,
        "overlap": accelerator.control.overlap,
    }


def _network_choices(accelerator: Accelerator, network: PlacedNetwork) -> dict[str, str]:
    allocation = network.allocation
    names = ", ".join(dict.fromkeys(item.name for item in (*network.plan.in_dram, *allocation.spilled)))
    split = {op.layer.name for op in network.plan.ops if op.row_tile is not None}
    row_tiles = {"row_tiles": f"{len(split)} layers run in row tiles"} if split else {}
    return {
        "head_order": network.why if any(isinstance(op.layer, MatmulLayer) for op in network.plan.ops) else "no attention",
        "activations": f"peak {human_bytes(allocation.peak_bytes)} of {human_bytes(accelerator.activation_buffer.capacity)}",
        "spills": names or "none",
        "barriers": f"{len(allocation.barriers)} operations wait for the readers of the place that they write",
    } | row_tiles


def _in_flight_shortage(accelerator: Accelerator) -> str:
    """What Little's law says of the reads in flight: their bytes over their latency bound the bandwidth of a stream."""
    dram, dma = accelerator.dram, accelerator.dma
    rate = peak_bytes_per_s(dram)
    if dram is None or rate is None or accelerator.placement.weights != "dram":
        return ""
    latency_ps = read_latency_ps(dram) + dma.fabric_latency
    in_flight = dma.max_outstanding_bursts * dram.channels * burst_bytes(dram)
    reach = Fraction(in_flight * PS_PER_S, max(1, latency_ps))
    if reach >= rate or dram.device == IDEAL:
        return ""
    return (
        f"{in_flight} B of reads in flight over {latency_ps / 1000:.0f} ns carry {float(reach) / 1e9:.2f} GB/s at most, the memory peaks "
        f"at {float(rate) / 1e9:.2f}: raise dma.max_outstanding_bursts"
    )


def _warnings(accelerator: Accelerator, low: Lowering) -> tuple[str, ...]:
    out: list[str] = []
    if low.conflicts.synthetic:
        out.append(f"bank conflicts come from evenly drawn indices (seed {low.conflicts.seed}): the trace has no payload")
    masked = {build.layer.weight.format.decode_path().mask for build in low.layers if isinstance(build.layer, WeightedLayer)} - {None}
    if masked and accelerator.codebook.mask is None:
        names = ", ".join(f"{{keep: {mask[0]}, of: {mask[1]}}}" for mask in sorted(item for item in masked if item))
        out.append(f"no mask decoder is in this chip's area and energy, although weights are masked: set codebook.mask={names}")
    short = _in_flight_shortage(accelerator)
    if short:
        out.append(short)
    narrow = sorted({run["word_bits"] for run in low.runs if run["from_activations"] and run["word_bits"] < run["pop_bits"]})
    if narrow:
        out.append(f"attention loads its weights at {narrow[0]} bits a cycle, fewer than the ports can take: it is load-bound")
    wide = [run for run in low.runs if not run["from_activations"] and run["word_bits"] < run["pop_bits"]]
    if wide:
        names = ", ".join(sorted({low.layers[run["layer"]].layer.name for run in wide})[:3])
        out.append(
            f"weight_buffer.word_bits = {accelerator.weight_buffer.word_bits} is below the {wide[0]['pop_bits']} bits of a decode cycle: "
            f"the buffer's width limits {len(wide)} runs ({names}, ...)"
        )
    return tuple(out)
