"""Figures derived from a Result: rates, shares, groups of repeated layers, and the verdict.

A layer that repeats (same name but for its numbers, same operation, format and MACs) is summed into one group: the reader of a
network of equal blocks wants the block.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from accelsim.report.verdict import decide
from accelsim.result import CATEGORIES, OPERANDS, LayerResult, Result, Traffic, total

# The array's activity in a cycle of each category, for tables.
CATEGORY_MEANING: Mapping[str, str] = {
    "busy": "the array multiplies",
    "fill_drain": "fills or drains",
    "dram": "waits for weights from memory",
    "l2": "waits for the port of the L2",
    "buffer_width": "waits for the weight buffer's read width",
    "bank_conflict": "waits for codebook banks in conflict",
    "codebook_port": "waits for the ports of the codebook ROM that cores share",
    "codebook_load": "waits for a codebook to load",
    "decode": "waits for codebook lookups",
    "swap": "waits behind the swap wave",
    "buffer_full": "waits for a buffer slot",
    "accumulator": "waits for accumulators to drain",
    "accumulator_read": "waits for the accumulators' read port",
    "port": "waits for an activation buffer port",
    "vector": "waits for the vector unit",
    "dram_activation": "waits for activations from memory",
    "issue": "waits for the next run's issue",
    "launch": "waits for the host to launch a network, layer or token",
    "dependency": "waits for what other cores write, or for them to end",
}

_BLOCK = re.compile(r"(?<![^./_])\d+(?=[./_])")  # a number that counts blocks
OVERHEAD_OPERANDS = ("padding", "burst_rounding")
WEIGHT_OPERANDS = ("indices", "signs", "masks", "codebook", "raw_weights", "side_data")


@dataclass(frozen=True)
class Summary:
    """The headline of a run; an inference is one of the `batch` inputs of one of `frames`.

    Attributes
    ----------
    cold_ms, steady_ms : the first and the last of the frames (the same one if there is only one)
    bounds_cycles : resource -> least cycles; achieved_of_tightest_pct : the largest of them in percent of the cycles taken
    """

    accelerator: str
    trace: str
    run_id: str
    clock_hz: int
    frames: int
    batch: int
    inferences: int
    total_cycles: int
    milliseconds: float
    milliseconds_per_inference: float
    inferences_per_s: float
    cold_ms: float
    steady_ms: float
    macs: int
    utilization_pct: float
    useful_bytes: int
    bus_bytes: int
    bus_gb_per_s: float
    bus_bytes_per_cycle: float
    bus_bytes_per_mac: float
    limiting_resource: str
    limiting_sentence: str
    tightest_bound: str
    achieved_of_tightest_pct: float
    cycles: Mapping[str, int]
    bounds_cycles: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain JSON data."""
        return asdict(self)


def category_cycles(result: Result) -> dict[str, int]:
    """Category -> cycles of all inferences, in the table's order; unknown categories of a result come last."""
    found = total(layer.cycles for layer in result.layers)
    return {**dict.fromkeys(CATEGORIES, 0), **found}


def summarize(result: Result) -> Summary:
    """The headline of `result`."""
    limit = decide(result)
    cycles = result.total_cycles
    seconds = cycles / result.clock_hz
    inferences = len(result.frames) * result.batch
    frame_ms = [1e3 * frame.total_cycles / result.clock_hz for frame in result.own_frames]
    tightest, bound = tightest_bound(result.bounds)
    return Summary(
        accelerator=result.accelerator_name,
        trace=result.trace_name,
        run_id=result.run_id,
        clock_hz=result.clock_hz,
        frames=len(result.frames),
        batch=result.batch,
        inferences=inferences,
        total_cycles=cycles,
        milliseconds=result.milliseconds,
        milliseconds_per_inference=_over(result.milliseconds, inferences),
        inferences_per_s=_over(inferences, seconds),
        cold_ms=frame_ms[0] if frame_ms else 0.0,
        steady_ms=frame_ms[-1] if frame_ms else 0.0,
        macs=result.macs,
        utilization_pct=100 * result.utilization,
        useful_bytes=result.useful_bytes,
        bus_bytes=result.bus_bytes,
        bus_gb_per_s=_over(result.bus_bytes, seconds) / 1e9,
        bus_bytes_per_cycle=_over(result.bus_bytes, cycles),
        bus_bytes_per_mac=_over(result.bus_bytes, result.macs),
        limiting_resource=limit.resource,
        limiting_sentence=limit.sentence,
        tightest_bound=tightest,
        achieved_of_tightest_pct=100 * _over(bound, cycles),
        cycles=category_cycles(result),
        bounds_cycles=dict(result.bounds),
    )


def _over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def tightest_bound(bounds: Mapping[str, int]) -> tuple[str, int]:
    """The resource that needs most cycles, and how many; ('', 0) if none needs any."""
    return max(((name, value) for name, value in bounds.items() if value), key=lambda item: item[1], default=("", 0))


def bus_bits(traffic: tuple[Traffic, ...]) -> int:
    """Bits of all operands, padding and burst rounding included."""
    return sum(item.bits for item in traffic)


def useful_bits(traffic: tuple[Traffic, ...]) -> int:
    """Bits of all operands without padding and burst rounding."""
    return sum(item.bits for item in traffic if item.operand not in OVERHEAD_OPERANDS)


def weight_bits(traffic: tuple[Traffic, ...]) -> int:
    """Bits of weights in any form: indices, signs, codebooks, raw values, what groups of them have; no scales or biases of channels."""
    return sum(item.bits for item in traffic if item.operand in WEIGHT_OPERANDS)


def traffic_lines(result: Result) -> tuple[Traffic, ...]:
    """Bits by operand, memory and direction over the whole run, in the order of OPERANDS."""
    order = {name: index for index, name in enumerate(OPERANDS)}
    lines = [Traffic(key.operand, key.memory, key.write, bits) for key, bits in result.traffic.items() if bits]
    return tuple(sorted(lines, key=lambda item: (order.get(item.operand, len(order)), item.operand, item.memory, item.write)))


@dataclass(frozen=True)
class LayerGroup:
    """Layers that a table or picture shows as one: a layer in all inferences, or the same layer of all blocks."""

    name: str
    op: str
    format: str
    names: tuple[str, ...]
    layers: tuple[LayerResult, ...]

    @cached_property
    def cycles(self) -> dict[str, int]:
        """Category -> cycles."""
        return {**dict.fromkeys(CATEGORIES, 0), **total(layer.cycles for layer in self.layers)}

    @property
    def total_cycles(self) -> int:
        return sum(self.cycles.values())

    @property
    def vector_cycles(self) -> int:
        return sum(layer.vector_cycles for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def bus_bytes(self) -> float:
        return sum(bus_bits(layer.traffic) for layer in self.layers) / 8

    @cached_property
    def bounds(self) -> dict[str, int]:
        """Resource -> least cycles."""
        return total(layer.bounds for layer in self.layers)

    @property
    def top_stall(self) -> tuple[str, int]:
        """The stall reason with most cycles; ('', 0) if there is none."""
        return tightest_bound({name: value for name, value in self.cycles.items() if name != "busy"})


def group_layers(result: Result, *, fold: bool) -> tuple[LayerGroup, ...]:
    """One group per layer name (all inferences), or, with `fold`, for each set of repeated layers; by first appearance."""
    found: dict[tuple[object, ...], list[LayerResult]] = {}
    for layer in result.own_layers:
        key = (pattern(layer.name), layer.op, layer.format, layer.macs) if fold else (layer.name,)
        found.setdefault(key, []).append(layer)
    patterns = Counter(pattern(layers[0].name) for layers in found.values())
    return tuple(_group(layers, alone=patterns[pattern(layers[0].name)] == 1) for layers in found.values())


def _group(layers: list[LayerResult], *, alone: bool) -> LayerGroup:
    names = tuple(Counter(layer.name for layer in layers))
    first = layers[0]
    return LayerGroup(group_name(names, alone=alone), first.op, first.format, names, tuple(layers))


def group_name(names: Sequence[str], *, alone: bool) -> str:
    """A group by its pattern if it is `alone` with it, else with the numbers of its blocks: 'blocks.0-2.fc', 'blocks.3.fc'."""
    return names[0] if len(names) == 1 else pattern(names[0]) if alone else _numbered(names)


def _numbered(names: Sequence[str]) -> str:
    """('blocks.0.fc', 'blocks.1.fc', 'blocks.4.fc') -> 'blocks.0-1,4.fc'; of several numbers each one by itself."""
    numbers = (_ranges({int(number) for number in place}) for place in zip(*(_BLOCK.findall(name) for name in names), strict=True))
    return _BLOCK.sub(lambda _: next(numbers), names[0])


def _ranges(numbers: set[int]) -> str:
    """{0, 1, 2, 5} -> '0-2,5'."""
    starts = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number for number in numbers if number + 1 not in numbers)
    return ",".join(str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True))


def pattern(name: str) -> str:
    """'blocks.11.fc1' -> 'blocks.*.fc1': a number with a part of the name after it counts blocks; 'fc1', 'add_1', 'conv.0' keep theirs."""
    return _BLOCK.sub("*", name)
