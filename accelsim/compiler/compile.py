"""The compiler's entry: choose, place and lower a network, or several in turn, for an accelerator.

Free choices: the order of the heads, M-splits, which tensors remain on chip, which stripes are held, addresses. It ranks
head orders by estimated cost and takes the first whose activations fit without a spill (else the one that spills least).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from accelsim.accelerator import Accelerator
from accelsim.compiler.bank_conflicts import BankConflicts
from accelsim.compiler.caches import Caches
from accelsim.compiler.code_lengths import CodeLengths
from accelsim.compiler.cycle_collection import cycles_kept
from accelsim.compiler.feasibility import check_images, check_operations
from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.in_l2 import most_live_bytes
from accelsim.compiler.inference import LayerBuild, Lowering, PlacedNetwork, as_array
from accelsim.compiler.lowering import lower_inference
from accelsim.compiler.memory_layout import ALIGNMENT, InferenceMemory, MemoryLayout
from accelsim.compiler.networks_on_cores import check_cores, idle_cores, on_own_core
from accelsim.compiler.place_on_cores import place_on_cores
from accelsim.compiler.place_on_one_core import place_on_one_core
from accelsim.compiler.program_size import check_runs, check_tasks, check_transfers
from accelsim.compiler.rom import check_rom
from accelsim.compiler.routing import with_experts_chosen
from accelsim.compiler.shared_rom import shared_rom
from accelsim.compiler.streams import StreamBuilder
from accelsim.compiler.target import Target, target_of
from accelsim.compiler.weight_broadcast import cores_transfers
from accelsim.errors import CompileError, PinnedWeightsTooLarge
from accelsim.hw.l2 import L2, operand_crossings
from accelsim.hw.lane_cycles import with_lane_cycles
from accelsim.hw.load_order import with_load_order
from accelsim.kernels import compute_state
from accelsim.program import LayerPlan, Program, Structured, Transfers
from accelsim.progress import Progress, unseen
from accelsim.provenance import traces_sha256
from accelsim.quantities import human_bytes
from accelsim.trace.trace import Trace

MEMORIES = ("dram", "flash", L2)


def _counted(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    """A callback (operations done of an inference), `before` which others were done."""
    return lambda done: progress("compile", before + done, total)


def compile_trace(
    accelerator: Accelerator,
    *traces: Trace,
    frames: int = 1,
    batch: int = 1,
    seed: int = 0,
    caches: Caches | None = None,
    planned_for: Accelerator | None = None,
    progress: Progress | None = None,
) -> Program:
    """Place `frames` inferences of `batch` images of each trace on `accelerator`; several traces take turns, or have a core each.

    All their weights lie in the memory at once, so the next network's are prefetched under the one before, as a layer's are. `caches`
    holds the results that earlier compilations share with this one. Orders of heads and mappings are ranked by the costs of
    `planned_for`, or of the accelerator itself. `progress` is called with each order of heads and now and then with the operations.

    Raises
    ------
    CompileError
        A layer does not fit: names it, the buffer, and the bytes missing; no unit computes it; networks that cannot
        share the chip.
    """
    for name, value in (("frames", frames), ("batch", batch)):
        if not 1 <= value <= 1024:
            raise CompileError(f"{name} = {value}: allowed: 1..1024")
    _check_names(traces)
    target = target_of(accelerator, traces)
    check_cores(target, traces)
    if planned_for is not None and (ranked_by := target_of(planned_for, traces)) != target:
        target = target.planned_as(ranked_by)
    known = Caches() if caches is None else caches
    key = (target, traces_sha256(traces), frames, batch, seed)
    with cycles_kept():
        return known.programs.of(key, lambda: compile_for(target, traces, frames, batch, seed, known, progress or unseen))


def compile_for(
    target: Target, traces: Sequence[Trace], frames: int, batch: int, seed: int, caches: Caches, progress: Progress = unseen
) -> Program:
    """The program of `compile_trace`, which reads nothing of the accelerators but their targets."""
    notes = check_rom(target, traces)
    chosen = [with_experts_chosen(trace, batch, seed) for trace in traces]
    check_images(target, [trace for trace, _ in chosen], batch)
    for trace, _ in chosen:
        check_operations(trace, batch)
    networks = [
        [replace(part, experts=how) for part in _place(target, trace, number, batch, caches, progress)]
        for number, (trace, how) in enumerate(chosen)
    ]
    bursts = {memory: target.memory(memory).burst_bytes for memory in MEMORIES}
    weights = target.placement.weights
    if target.dma.transfer % bursts[weights]:
        raise CompileError(
            f"accelerator {target.name!r}: dma.transfer = {target.dma.transfer} B must be a multiple of the "
            f"{bursts[weights]} B burst of its {weights}"
        )
    layout = MemoryLayout()
    lengths = CodeLengths(target.weight_buffer.capacity, caches.code_lengths)
    lows = [
        Lowering(
            target,
            StreamBuilder(target, bursts[weights], layout),
            BankConflicts(target.codebook.banks, seed, caches.conflicts),
            lengths,
            weights,
            bursts,
        )
        for _ in range(target.cores)
    ]
    done, operations = 0, frames * sum(len(part.plan.ops) for network in networks for part in network)
    for turn in range(frames):
        if turn and target.weight_buffer.residency == "stream":
            layout.weights = 0  # each inference reads the same image
        for number, network in enumerate(networks):
            memory = InferenceMemory(layout)
            for low, part in zip(lows, network, strict=True):
                lower_inference(low, part, turn * len(networks) + number, memory, _counted(progress, done, operations))
                done += len(part.plan.ops)
        if turn == 0:
            _check_frames(target, lows, frames)
    _check_pinned(target, lows)
    base = -(-layout.weights // ALIGNMENT) * ALIGNMENT if weights == target.placement.activations else 0
    _check_capacity(target, lows, layout, base)
    programs = [
        _program(target, low, transfers, parts, base, batch)
        for low, transfers, parts in zip(lows, cores_transfers(lows), zip(*networks, strict=True), strict=True)
    ]
    return replace(
        programs[0],
        choices=_choices(target, [next((part for part in parts if part.plan.ops), parts[0]) for parts in networks], lows),
        warnings=(*notes, *idle_cores(target, traces), *_warnings(target, lows, [program.runs for program in programs])),
        others=tuple(programs[1:]),
    )


def _check_names(traces: Sequence[Trace]) -> None:
    """Check that the networks' names differ, as they qualify the names of layers, and that the array has something to do."""
    if not traces:
        raise CompileError("no trace is given; allowed: one, or several that take turns")
    names = [trace.name for trace in traces]
    for name in names:
        if names.count(name) > 1:
            raise CompileError(f"{names.count(name)} networks are called {name!r}; allowed: names that differ (`frames` repeats a network)")
    if not any(trace.products() for trace in traces):
        raise CompileError(
            f"no layer of {', '.join(map(repr, names))} multiplies by weights or by activations; allowed: at least one product"
        )


def _place(target: Target, trace: Trace, number: int, batch: int, caches: Caches, progress: Progress) -> tuple[PlacedNetwork, ...]:
    """Each core's part of a network; `number` counts the networks."""
    if target.splits_layers:
        return place_on_cores(target, trace, batch, caches, progress)
    return on_own_core(target, place_on_one_core(target, trace, batch, caches, progress), number)


def _check_frames(target: Target, lows: Sequence[Lowering], frames: int) -> None:
    """Refuse inferences whose program would be too large, once the first of them are lowered; the others are like them."""
    where = f"frames = {frames}"
    for low in lows:
        check_runs(where, frames * low.runs.rows)
        check_tasks(where, frames * len(low.tasks))
        if target.weight_buffer.residency == "stream":
            check_transfers(where, frames * low.streams.count)


def _check_pinned(target: Target, lows: Sequence[Lowering]) -> None:
    """Check that each core's buffer holds all weights that it computes with."""
    capacity, needed = target.weight_buffer.capacity, max(low.streams.taken_bytes for low in lows)
    if target.weight_buffer.residency == "pinned" and needed > capacity:
        raise PinnedWeightsTooLarge(
            f"accelerator {target.name!r}: weight_buffer.residency = 'pinned' needs {needed} B{' on one core' if len(lows) > 1 else ''}; "
            f"weight_buffer.capacity = {capacity} B is short by {needed - capacity} B"
        )


def _check_capacity(target: Target, lows: Sequence[Lowering], layout: MemoryLayout, base: int) -> None:
    placement = target.placement
    needed = {placement.weights: layout.weights}
    if placement.activations != "none":
        needed[placement.activations] = base + layout.activations
    if L2 in needed:
        activations = 0
        if placement.activations == L2:  # a core that is ahead of the others holds its tensors beside theirs
            activations = most_live_bytes(lows[0].jobs, layout.regions) if target.cores == 1 else layout.activations
        needed[L2] = activations + (layout.weights if placement.weights == L2 else 0)
    for memory, size in needed.items():
        capacity = target.memory(memory).capacity_bytes
        if capacity is not None and size > capacity:
            what = "the image needs" if memory != L2 else "the tensors placed there, beside the bytes in transit, need"
            raise CompileError(f"accelerator {target.name!r}: {memory} holds {capacity} B, {what} {size} B")


def _program(
    target: Target,
    low: Lowering,
    transfers: Transfers,
    networks: Sequence[PlacedNetwork],
    base: int,
    batch: int,
) -> Program:
    control, buffer = target.control, target.activation_buffer
    machine = {
        "rows": target.array.rows,
        "cols": target.array.cols,
        "lanes": target.vector_unit.lanes,
        "codebook_latency": target.codebook.latency,
        "codebook_sets": target.codebook.sets,
        "accumulator_banks": target.array.accumulator_banks,
        "accumulator_read": compute_state.ACCUMULATOR_READS.index(target.array.accumulator_read),
        "accumulator_rule": compute_state.ACCUMULATOR_RULES.index(target.array.accumulator_rule),
        "issue_overhead": control.issue_overhead_cycles,
        "chained": int(control.runs == "chained"),
        "port_accesses": buffer.port_accesses,
        "loader_accesses": buffer.accesses(buffer.loader_bits // 8),
        "shadow_sets": target.array.shadow_sets,
        "rows_per_cycle": target.array.rows_per_cycle,
        "drain_stages": target.array.drain_stages,
        **shared_rom(target)._asdict(),
    }
    machines = as_array([machine], compute_state.MACHINE)
    rates = {memory: target.memory(memory).bytes_per_cycle for memory in MEMORIES}
    jobs = tuple(job if job.address < 0 else replace(job, address=job.address + base) for job in low.jobs)
    return Program(
        machine=machines,
        runs=low.runs.array(),
        tasks=with_load_order(with_lane_cycles(as_array(low.tasks, compute_state.TASK), machines), jobs),
        drains=np.array(low.drains, np.int64),
        row_tasks=np.array(low.row_tasks, np.int64),
        cb_runs=np.array(low.cb_runs, np.int64),
        cb_words=np.array(low.cb_words, np.int64),
        group_cost=low.conflicts.array(),
        transfers=transfers,
        jobs=jobs,
        slots=tuple(low.slots),
        loads=low.loads,
        units=low.units,
        layers=tuple(_layer_plan(target, rates, build, len(networks) > 1) for build in low.layers),
        choices={},
        warnings=(),
        batch=batch,
        peak_activation_bytes=max(network.allocation.peak_bytes for network in networks),
    )


def _layer_plan(target: Target, rates: dict[str, Fraction | None], build: LayerBuild, several: bool) -> LayerPlan:
    layer = build.layer
    bounds = dict(build.bounds)
    moved: dict[str, int] = {}
    for (_, memory, _), bits in build.bits.items():
        moved[memory] = moved.get(memory, 0) + bits
    for memory, bits in moved.items():
        rate = rates[memory]
        bounds[memory] = bits * rate.denominator // (8 * rate.numerator) if rate else 0
    if target.l2 is not None:
        crossed = sum(bits * operand_crossings(target.l2.bypass, *key[:2]) for key, bits in build.bits.items())
        bounds[L2] = int(crossed / (8 * target.l2.bytes_per_cycle))
    return LayerPlan(
        frame=build.frame,
        trace=build.trace,
        name=f"{build.trace}/{layer.name}" if several else layer.name,
        op=layer.op,
        format=layer.weights.format.kind if layer.weights is not None else "",
        macs=build.macs,
        bits={key: bits for key, bits in build.bits.items() if bits},
        vector_cycles=build.vector_cycles,
        bounds=bounds,
        lowering="; ".join(dict.fromkeys(build.notes)),
        figures=dict(build.figures),
    )


def _choices(target: Target, networks: Sequence[PlacedNetwork], lows: Sequence[Lowering]) -> dict[str, str]:
    """The choices for each network, and for all; of a layer that several cores share the first one that has some of it tells."""
    builds = [next((build for build in parts if build.notes), parts[0]) for parts in zip(*(low.layers for low in lows), strict=True)]
    held = sum(any("held over" in note for note in build.notes) for build in builds)
    again = sum(any("read again" in note for note in build.notes) for build in builds)
    out: dict[str, str] = {}
    for network in networks:
        of = f" of {network.trace.name}" if len(networks) > 1 else ""
        out |= {f"{name}{of}": value for name, value in _network_choices(target, network).items()}
    return out | {
        "stripes": f"{held} layers held over M-chunks, {again} read again" if held or again else "every layer in one M-chunk",
        "weights": target.weight_buffer.residency,
        **({"l2": _l2_choice(target)} if target.l2 is not None else {}),
        **({"mapping": _mapping_choice(builds)} if target.array.mapping != "tiles" else {}),
        **({"dataflow": _dataflow_choice(target, builds)} if target.array.may_hold_outputs or target.array.may_hold_inputs else {}),
        "overlap": target.control.overlap,
    }


def _dataflow_choice(target: Target, builds: Sequence[LayerBuild]) -> str:
    """How many layers of products keep their sums, or their activations, in the PEs, on a chip that may."""
    products = [build for build in builds if build.layer.product is not None]
    held = {"output": "os_reads", "input": "is_reads"}
    counts = {name: sum(figure in build.figures for build in products) for name, figure in held.items()}
    told = "input" if target.array.holds_inputs else "output"
    (first, count), *more = [(name, count) for name, count in counts.items() if count] or [(told, 0)]
    others = "".join(f", {count} {name} stationary" for name, count in more)
    return f"{count} of {len(products)} products {first} stationary{others}, the others weight stationary"


def _mapping_choice(builds: Sequence[LayerBuild]) -> str:
    """How many layers of products meet their weights as these leave the decoder, on a chip that has a choice."""
    products = [build for build in builds if build.layer.product is not None]
    direct = sum("gemv_steps" in build.figures for build in products)
    return f"{direct} of {len(products)} products by GEMV, the others tile by tile"


def _l2_choice(target: Target) -> str:
    """Tensor classes that lie in the shared level, and those that pass through it."""
    assert target.l2 is not None
    placed = {"weights": target.placement.weights, "activations": target.placement.activations}
    here = [name for name, memory in placed.items() if memory == L2]
    through = [name for name, memory in placed.items() if memory not in (L2, "none") and name != target.l2.bypass]
    found = ((f"{' and '.join(here)} lie there", here), (f"{' and '.join(through)} pass through", through))
    return "; ".join(text for text, names in found if names)


def _network_choices(target: Target, network: PlacedNetwork) -> dict[str, str]:
    allocation = network.allocation
    names = ", ".join(dict.fromkeys(item.name for item in (*network.plan.in_dram, *allocation.spilled)))
    split = {op.layer.name for op in network.plan.ops if (op.row_tile is not None and op.row_tile.count > 1) or op.part is not None}
    row_tiles = {"row_tiles": f"{len(split)} layers run in row tiles"} if split else {}
    split = {op.layer.name for op in network.plan.ops if op.column_tile is not None and op.column_tile.count > 1}
    column_tiles = {"column_tiles": f"{len(split)} layers run in column tiles"} if split else {}
    return (
        {
            "head_order": network.why if any(op.layer.head_product is not None for op in network.plan.ops) else "no attention",
            "activations": f"peak {human_bytes(allocation.peak_bytes)} of {human_bytes(target.activation_buffer.capacity)}",
            "spills": names or "none",
            "barriers": f"{len(allocation.barriers)} operations wait for the last readers of the slot that they overwrite",
        }
        | ({"experts": network.experts} if network.experts else {})
        | ({"cores": _cores(target, network)} if target.cores > 1 else {})
        | row_tiles
        | column_tiles
        | _group_mappings(target, network)
    )


def _cores(target: Target, network: PlacedNetwork) -> str:
    """How the layers are split, and what crosses the memory for it, which `spills` does not name."""
    if not target.splits_layers:
        return f"{target.cores}: {network.split}"
    passing = {key.name: tensor.whole or tensor for key, tensor in network.plan.tensors.items() if tensor.passes}
    exchanged = [name for name, whole in passing.items() if not (whole.is_input or whole.is_output)]
    return f"{target.cores}: {network.split}; {len(exchanged)} tensors pass through the memory between cores"


def _group_mappings(target: Target, network: PlacedNetwork) -> dict[str, str]:
    """How many grouped convolutions have block-diagonal tiles or columns with feeds, on a chip that may have any."""
    if target.array.depthwise == "column":
        return {}
    grouped = [layer for layer in network.trace.weighted_layers() if layer.tile_groups > 1]
    if not grouped:
        return {}
    found = [weight_geometry(target, layer).mapping for layer in grouped]
    merged, lanes = sum(mapping.merged > 1 for mapping in found), sum(mapping.lane_passes(1) > 0 for mapping in found)
    fed = sum(mapping.own_rows for mapping in found) - lanes
    feeds = (f"{fed} in columns with feeds, " if fed else "") + (f"{lanes} on the vector unit, " if lanes else "")
    return {"grouped_convolutions": f"{merged} of {len(grouped)} in block-diagonal tiles, {feeds}the others a tile per group"}


def _warnings(target: Target, lows: Sequence[Lowering], of_cores: Sequence[Structured]) -> tuple[str, ...]:
    """Remarks on the runs of all cores."""
    low, slow = lows[0], np.concatenate([runs[runs["word_bits"] < runs["pop_bits"]] for runs in of_cores])
    out: list[str] = []
    if any(item.conflicts.synthetic for item in lows):
        out.append(f"bank conflicts come from evenly drawn indices (seed {low.conflicts.seed}): the trace has no payload")
    out += low.code_lengths.warnings()
    formats = {build.layer.weights.format for build in low.layers if build.layer.weights is not None}
    masked = {item.decode_path().mask for item in formats} - {None}
    if masked and target.codebook.mask is None:
        names = ", ".join(f"{{keep: {mask[0]}, of: {mask[1]}}}" for mask in sorted(item for item in masked if item))
        out.append(f"no mask decoder is in this chip's area and energy, although weights are masked: set codebook.mask={names}")
    out += target.warnings
    narrow, wide = slow[slow["from_activations"] == 1], slow[slow["from_activations"] == 0]
    if narrow.size:
        bits = narrow["word_bits"].min()
        out.append(f"attention loads its weights at {bits} bits per cycle, fewer than the ports can take: it is load-bound")
    if wide.size:
        names = ", ".join(sorted({low.layers[layer].layer.name for layer in set(wide["layer"].tolist())})[:3])
        out.append(
            f"weight_buffer.word_bits = {target.weight_buffer.word_bits} is below the {wide[0]['pop_bits']} bits of a decode cycle: "
            f"the buffer's width limits {wide.size} runs ({names}, ...)"
        )
    return tuple(out)
