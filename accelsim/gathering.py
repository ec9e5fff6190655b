"""Cycles, traffic and figures of the runs of a program, by core and layer; and the layers of all cores together.

Disputable assumption: of several cores, where the time went is told by the core that ended last, bounds of its own units included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.kernels.compute_state import RUN_RESULTS
from accelsim.program import LayerPlan, Program
from accelsim.result import CATEGORIES, FIGURES, MEMORIES, SHARED_LEVEL, CoreResult, FrameResult, LayerResult, Traffic
from accelsim.system import Outcome

SHARED = (*MEMORIES, SHARED_LEVEL, "rom")  # bounds of what all cores share


def core_results(program: Program, outcome: Outcome, array_size: int, last_wait: str) -> tuple[CoreResult, ...]:
    """Each core, with the cycles of the whole run.

    Parameters
    ----------
    array_size : PEs of a core
    last_wait : category of the cycles until the last write of a core has landed
    """
    parts = zip(program.cores, outcome.of_cores, strict=True)
    return tuple(CoreResult(_frames(core, own, outcome.cycles, array_size, last_wait)) for core, own in parts)


def _frames(program: Program, outcome: Outcome, run_cycles: int, array_size: int, last_wait: str) -> tuple[FrameResult, ...]:
    booked = np.zeros((len(program.layers), len(CATEGORIES)), np.int64)
    np.add.at(booked, program.runs["layer"], outcome.run_results[:, : len(CATEGORIES)])
    cycles = [dict(zip(CATEGORIES, row, strict=True)) for row in booked.tolist()]
    starts: list[int | None] = [None] * len(program.layers)
    ends = [0] * len(program.layers)
    spans = outcome.run_results[:, [RUN_RESULTS.index("start"), RUN_RESULTS.index("end")]].tolist()
    for layer, (start, end) in zip(program.runs["layer"].tolist(), spans, strict=True):
        if starts[layer] is None:
            starts[layer] = start
        ends[layer] = end
    last = int(program.runs["layer"][-1]) if spans else len(program.layers) - 1
    cycles[last][last_wait] += outcome.tail_cycles
    cycles[last]["dependency"] += run_cycles - outcome.cycles  # on the other cores
    if starts[last] is None:
        starts[last] = 0
    ends[last] += outcome.tail_cycles + run_cycles - outcome.cycles

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


def _layer(plan: LayerPlan, cycles: dict[str, int], start: int, end: int, array_size: int) -> LayerResult:
    return LayerResult(
        name=plan.name,
        op=plan.op,
        format=plan.format,
        start_cycle=start,
        end_cycle=end,
        cycles=cycles,
        macs=plan.macs,
        pe_cycles=cycles["busy"] * array_size,
        vector_cycles=plan.vector_cycles,
        traffic=tuple(Traffic(operand, memory, write, bits) for (operand, memory, write), bits in sorted(plan.bits.items())),
        bounds=dict(plan.bounds),
        lowering=plan.lowering,
        **plan.figures,
    )


def merged_frames(cores: Sequence[CoreResult], last_core: int) -> tuple[FrameResult, ...]:
    """The inferences of all cores together: see `Result.cores`."""
    if len(cores) == 1:
        return cores[0].frames
    frames = zip(*(core.frames for core in cores), strict=True)
    return tuple(
        FrameResult(tuple(_merged(layers, last_core) for layers in zip(*(frame.layers for frame in parts), strict=True)), parts[0].trace)
        for parts in frames
    )


def _merged(layers: Sequence[LayerResult], last_core: int) -> LayerResult:
    """A layer of all cores: cycles, and bounds of what every core has for itself, of the core that ended last."""
    traffic: Counter[tuple[str, str, bool]] = Counter()
    for item in (item for layer in layers for item in layer.traffic):
        traffic[item.operand, item.memory, item.write] += item.bits
    names = dict.fromkeys(name for layer in layers for name in layer.bounds)
    bounds = {
        name: sum(layer.bounds.get(name, 0) for layer in (layers if name in SHARED else layers[last_core : last_core + 1]))
        for name in names
    }
    figures: dict[str, Any] = {}
    for name in FIGURES:
        found = [value for layer in layers if (value := getattr(layer, name)) is not None]
        figures[name] = sum(found) if found else None
    return replace(
        layers[last_core],
        macs=sum(layer.macs for layer in layers),
        pe_cycles=sum(layer.pe_cycles for layer in layers),
        vector_cycles=sum(layer.vector_cycles for layer in layers),
        traffic=tuple(Traffic(*key, bits) for key, bits in sorted(traffic.items())),
        bounds=bounds,
        lowering=next((layer.lowering for layer in layers if layer.lowering), ""),
        **figures,
    )
