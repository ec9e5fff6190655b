"""The result of a simulation: cycles by category, traffic by operand, bounds, counters; a frozen, serializable record.

Nothing here computes physics, only sums and shares of counts. Area and energy are derived in `cost`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, with_config

from accelsim.kernels.compute_state import CATEGORIES as CATEGORIES  # of a cycle: the same order and colours everywhere
from accelsim.registry import either, suggest

SCHEMA_VERSION = 2  # 2: each inference names its network; version 1 files, of a single network each, are read too

MEMORIES = ("dram", "flash")
SHARED_LEVEL = "l2"  # where operands may lie on the chip

# Operands on a memory channel. `padding` is added by the packed image, `burst_rounding` by whole bursts.
OPERANDS = (
    "indices",
    "signs",
    "masks",
    "codebook",
    "raw_weights",
    "scales_bias",
    "side_data",
    "parameters",
    "kv_read",
    "kv_write",
    "activations_in",
    "activations_out",
    "spill_out",
    "spill_in",
    "padding",
    "burst_rounding",
)

# Of these, all that is trained: streams of the weights, requantization, parameters of the vector unit.
TRAINED_OPERANDS = ("indices", "signs", "masks", "codebook", "raw_weights", "scales_bias", "side_data", "parameters")
WEIGHT_STREAM = (*TRAINED_OPERANDS, "padding")  # what passes the weight buffer, but for a cache

# Counters of the units: bytes of a channel, what a DRAM did for them, commands of a flash, the port of the shared level, the cores' own.
COUNTERS = (
    *(f"{memory}_{name}" for memory in MEMORIES for name in ("bus_bytes", "read_bytes", "write_bytes")),
    "dram_background_bytes",
    *(f"dram_{name}" for name in ("activates", "precharges", "refreshes", "reads", "writes")),
    *(f"dram_{name}" for name in ("conflicts", "turnarounds", "merged", "forwarded_reads")),
    "flash_commands",
    "l2_busy_cycles",
    *(f"l2_{name}_bytes" for name in ("activation_read", "activation_write", "weight_read", "fill", "drain")),
    "dma_received_bytes",
    "dma_sent_bytes",
    "weight_buffer_taken_bytes",
    "vector_busy_cycles",
)

LARGEST_COUNT = 2**63 - 1  # of the kernels' integers
ESTIMATED = "estimated"  # the word for a verdict without simulated idealizations, wherever one stands
ALIKE = 1.01  # gains that differ by less are told together


def _one_of(known: Callable[[], Iterable[str]]) -> AfterValidator:
    """Check of a stored name; `known` is called late, since some tables stand below the records."""

    def check(name: str) -> str:
        names = list(known())
        if name not in names:
            raise ValueError(f"must be {either(names)}{suggest(name, names)}")
        return name

    return AfterValidator(check)


Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Positive = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
Memory = Annotated[str, _one_of(lambda: (*MEMORIES, SHARED_LEVEL))]
Operand = Annotated[str, _one_of(lambda: OPERANDS)]
Category = Annotated[str, _one_of(lambda: CATEGORIES)]
UnitCounter = Annotated[str, _one_of(lambda: COUNTERS)]
Bound = Annotated[str, _one_of(lambda: BOUND_RESOURCES)]
Resource = Annotated[str, _one_of(lambda: RESOURCES)]
LimitingResource = Annotated[str, _one_of(lambda: (*RESOURCES, "none"))]
_CLOSED = with_config(ConfigDict(extra="forbid"))  # a stored record has no other fields


@_CLOSED
@dataclass(frozen=True)
class Traffic:
    """Bits of one operand over one memory, in one direction."""

    operand: Operand
    memory: Memory
    write: bool
    bits: Count


@_CLOSED
@dataclass(frozen=True)
class LayerResult:
    """One layer in one inference.

    Attributes
    ----------
    cycles : category -> core cycles of the array's time line that belong to this layer; their sum is the layer's time
    macs : useful multiply-accumulates; pe_cycles : PE slots of the busy cycles (busy x R x C)
    vector_cycles : cycles that the vector unit works for this layer (not part of the sum: it runs beside the array)
    bounds : resource -> least core cycles that the layer needs of it (dram, flash, l2, array, decode, rom, buffer_width, vector)
    start_cycle, end_cycle : first cycle and first cycle after, on the array's time line; equal for a layer without a GEMM. Heads of an
        attention interleave with other layers, so the span may hold cycles of others: `cycles` counts the layer's own
    lowering : the compiler's choices for it
    row_reads : rows of a K-tile that the array read, where PEs with a file of weights hold each for cycles; None: one per busy cycle
    gemv_steps : rows that groups of weights met as they left the decoder, beside the PEs; None: all met tiles in the array
    feed_reads : accesses of the activation buffer by columns with feeds of their own; None: the rows of the array read it
    decoded_weights : weights, padding included, that left the decoder for the array; lookups : of codewords for them. None: no product, or
        a result of an earlier version, whose energy assumes codewords of the chip's length
    os_reads : accesses of the activation buffer by a layer whose sums stay in the PEs; None: they do not
    os_shifts : cycles in which such sums move down by a row of PEs
    broadcast_bits : of its weights that the reads of another core brought to this one as well, padding included; None: it reads its own
    is_reads : accesses of the activation buffer by a layer whose activations stay in the PEs; None: they do not
    is_loads : activations that were loaded into PEs for it
    lane_mac_cycles : of vector_cycles, those in which lanes multiply and accumulate a depthwise layer; None: the array does
    lane_reads : accesses of the activation buffer in these cycles, for activations
    multiplies : of 8 bits by 8, where a MAC takes several: rows of wider elements, or a pass per codebook. None: one per MAC
    shifted_sums : of passes of wide rows, shifted and added at the foot of their columns; None: rows have 8 bits
    """

    name: str
    op: str
    format: str
    start_cycle: Count
    end_cycle: Count
    cycles: Mapping[Category, Count]
    macs: Count
    pe_cycles: Count
    vector_cycles: Count
    traffic: tuple[Traffic, ...]
    bounds: Mapping[Bound, Count]
    lowering: str
    row_reads: Count | None = None
    gemv_steps: Count | None = None
    feed_reads: Count | None = None
    decoded_weights: Count | None = None
    lookups: Count | None = None
    os_reads: Count | None = None
    os_shifts: Count | None = None
    broadcast_bits: Count | None = None
    is_reads: Count | None = None
    is_loads: Count | None = None
    lane_mac_cycles: Count | None = None
    lane_reads: Count | None = None
    multiplies: Count | None = None
    shifted_sums: Count | None = None

    @property
    def total_cycles(self) -> int:
        return sum(self.cycles.values())

    def without_waits_for_cores(self) -> LayerResult:
        """The layer up to the cycle in which it ends; itself if other cores are not waited for."""
        waits = self.cycles.get("dependency", 0)
        return replace(self, cycles={**self.cycles, "dependency": 0}, end_cycle=self.end_cycle - waits) if waits else self


FIGURES = tuple(item.name for item in fields(LayerResult) if item.default is None)  # counts of layers that have them


@_CLOSED
@dataclass(frozen=True, repr=False)
class FrameResult:
    """One inference: its layers in program order, and the name of its network."""

    layers: Annotated[tuple[LayerResult, ...], Field(min_length=1)]
    trace: str

    def __repr__(self) -> str:
        return f"<FrameResult {self.trace}: {self.total_cycles:,} cycles, {len(self.layers)} layers>"

    @cached_property
    def cycles(self) -> dict[str, int]:
        """Category -> core cycles, over all layers."""
        return {name: sum(layer.cycles.get(name, 0) for layer in self.layers) for name in CATEGORIES}

    @property
    def total_cycles(self) -> int:
        return sum(self.cycles.values())

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def works(self) -> bool:
        """Whether it has anything of the inference: on one of several cores."""
        return any(layer.macs or layer.vector_cycles or layer.traffic for layer in self.layers)

    def until_its_end(self) -> FrameResult:
        """Without waits for other cores, which follow the last layer where these run networks of their own."""
        return FrameResult(tuple(layer.without_waits_for_cores() for layer in self.layers), self.trace)


class _Sums:
    """Sums over the inferences of what has `frames`: a run, or one of its cores."""

    frames: tuple[FrameResult, ...]

    @cached_property
    def layers(self) -> tuple[LayerResult, ...]:
        """Layers of all inferences, in order."""
        return tuple(layer for frame in self.frames for layer in frame.layers)

    @cached_property
    def cycles(self) -> dict[str, int]:
        """Category -> core cycles of all inferences."""
        return {name: sum(frame.cycles[name] for frame in self.frames) for name in CATEGORIES}

    @property
    def total_cycles(self) -> int:
        """Core cycles of all inferences."""
        return sum(frame.total_cycles for frame in self.frames)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)


@_CLOSED
@dataclass(frozen=True, repr=False)
class CoreResult(_Sums):
    """One of several cores: each layer of each inference with what this core has of it, its own cycles and its own traffic.

    Its cycles add up to those of the run: a core that has ended waits for the others (`dependency`, in its last layer).
    """

    frames: Annotated[tuple[FrameResult, ...], Field(min_length=1)]

    def __repr__(self) -> str:
        return f"<CoreResult: {self.cycles['busy']:,} busy of {self.total_cycles:,} cycles, {self.macs:,} MACs>"

    @property
    def utilization(self) -> float:
        """Useful MACs over MAC slots of all cycles."""
        slots = sum(layer.pe_cycles for layer in self.layers)
        return self.macs * self.cycles["busy"] / (slots * self.total_cycles) if slots and self.total_cycles else 0.0


@_CLOSED
@dataclass(frozen=True)
class Gain:
    """Speed-up of a run if `resource` (a key of RESOURCES) were free; `anomaly` says why the run is slower then, '' if it is not."""

    resource: Resource
    speed_up: float
    anomaly: str = ""


@_CLOSED
@dataclass(frozen=True)
class Verdict:
    """The limiting resource of a run.

    Attributes
    ----------
    resource : a key of RESOURCES, or 'none'
    gain : speed-up if it were free; None for an estimate
    second : the resource that gains most after it, if any gains
    then : another resource that limits after `resource` is removed, estimated; '' for an estimate
    sentence : the same in words
    gains : of all resources, the largest first; empty for an estimate
    """

    resource: LimitingResource
    gain: float | None
    second: Gain | None
    then: str
    sentence: str
    gains: tuple[Gain, ...] = ()

    @property
    def label(self) -> str:
        """The resources that limit alike, with the word for an estimate: 'decoder', 'decoder or memory', 'decoder (estimated)'."""
        return " or ".join(self.alike) if self.gain is not None else f"{self.resource} ({ESTIMATED})"

    @property
    def alike(self) -> tuple[str, ...]:
        """The resource, and those that gain as much, within ALIKE."""
        others = self.gains[1:] if self.resource in RESOURCES else ()
        return (self.resource, *(item.resource for item in others if item.speed_up * ALIKE >= self.gains[0].speed_up))

    @property
    def basis(self) -> str:
        """'what-if' if idealizations were simulated, else 'estimated'."""
        return ESTIMATED if self.gain is None else "what-if"

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON data; `basis` says whether it was simulated or estimated."""
        second = None if self.second is None else {"resource": self.second.resource, "gain": self.second.speed_up}
        return {"resource": self.resource, "gain": self.gain, "basis": self.basis, "second": second, "then": self.then}


@_CLOSED
@dataclass(frozen=True, repr=False)
class Result(_Sums):
    """A run of one network, or of several that take turns or have a core each, on one accelerator.

    Attributes
    ----------
    run_id : SHA-256 over accelerator, trace, options and the hash of the model's sources
    accelerator : the resolved configuration as `Accelerator.dump_yaml` writes it
    trace_name : of several networks their names, joined by ' + '; trace_sha256 : identity of one, or of all in order
    frames : one record per inference, in order; a network's first is its cold start, its last the steady state
    counters : totals of the units by their names in COUNTERS (bytes of channels, DRAM commands, busy cycles, ...)
    choices : the compiler's choices for the whole program
    verdict : the limiting resource, if idealizations of the run were simulated
    trace_directories : where each network was read, '' for one found by its name or made in memory; empty if all were
    cores : each core of a chip with several; empty with one. Cycles and spans in `frames`, and bounds of a core's own
        resources, are then those of the core that ended last, and all other counts sums over the cores
    """

    run_id: str
    accelerator_name: str
    accelerator: str
    clock_hz: Positive
    trace_name: str
    trace_sha256: str
    weights_source: str
    batch: Positive
    frames: Annotated[tuple[FrameResult, ...], Field(min_length=1)]
    counters: Mapping[UnitCounter, Count]
    choices: Mapping[str, str]
    warnings: tuple[str, ...]
    versions: Mapping[str, str]
    schema_version: int = field(default=SCHEMA_VERSION)
    verdict: Verdict | None = None
    trace_directories: tuple[str, ...] = ()
    cores: tuple[CoreResult, ...] = ()

    def __repr__(self) -> str:
        where = f"{self.accelerator_name}:{self.trace_name}"
        return f"<Result {where}: {self.total_cycles:,} cycles, {self.milliseconds:.4g} ms, {len(self.layers)} layers>"

    @property
    def milliseconds(self) -> float:
        return 1e3 * self.total_cycles / self.clock_hz

    @cached_property
    def traffic(self) -> dict[Traffic, int]:
        """(operand, memory, direction) as a Traffic with bits 0 -> bits, over all layers."""
        total: Counter[tuple[str, str, bool]] = Counter()
        for layer in self.layers:
            for item in layer.traffic:
                total[item.operand, item.memory, item.write] += item.bits
        return {Traffic(*key, 0): bits for key, bits in total.items()}

    @property
    def bus_bytes(self) -> int:
        """Bytes on all memory channels, whole bursts."""
        return sum(self.traffic.values()) // 8

    @property
    def useful_bytes(self) -> int:
        """Useful bytes on all memory channels: without padding and burst rounding."""
        return sum(bits for key, bits in self.traffic.items() if key.operand not in ("padding", "burst_rounding")) // 8

    @cached_property
    def bounds(self) -> dict[str, int]:
        """Resource -> least core cycles, summed over layers (layers that overlap can use a resource together)."""
        total: Counter[str] = Counter()
        for layer in self.layers:
            total.update(layer.bounds)
        return dict(total)

    @property
    def utilization(self) -> float:
        """Useful MACs over MAC slots of all cycles, of all cores."""
        return sum(core.utilization for core in self.of_cores) / len(self.of_cores)

    @cached_property
    def core_of_frames(self) -> tuple[int, ...]:
        """The core that runs each inference, where every one has a core of its own; empty where cores share one, or there is one core."""
        found = []
        for frame in range(len(self.frames)):
            at_work = [number for number, core in enumerate(self.cores) if core.frames[frame].works]
            if len(at_work) != 1:
                return ()
            found.append(at_work[0])
        return tuple(found)

    @property
    def at_once(self) -> bool:
        """Whether networks run at the same time, on cores of their own: the time of the run is then that of none of them."""
        return len(set(self.core_of_frames)) > 1

    @cached_property
    def own_frames(self) -> tuple[FrameResult, ...]:
        """`frames`; of networks on cores of their own each as its core saw it, up to its own end."""
        places = enumerate(self.core_of_frames)
        return tuple(self.cores[core].frames[frame].until_its_end() for frame, core in places) or self.frames

    def networks_of(self, core: int) -> tuple[str, ...]:
        """Names of the networks that a core runs, where each inference has a core of its own."""
        found = (frame.trace for frame, own in zip(self.frames, self.core_of_frames, strict=False) if own == core)
        return tuple(dict.fromkeys(found))

    @property
    def own_layers(self) -> tuple[LayerResult, ...]:
        """The layers of `own_frames`, in the order of `layers`."""
        return tuple(layer for frame in self.own_frames for layer in frame.layers)

    @cached_property
    def of_cores(self) -> tuple[CoreResult, ...]:
        """Each core; of one core, the run."""
        return self.cores or (CoreResult(self.frames),)

    def to_dict(self) -> dict[str, Any]:
        """The whole record as plain data, without what it has not: a verdict, directories, figures of other mappings."""
        fields = asdict(self)
        frames = [*fields["frames"], *(frame for core in fields["cores"] for frame in core["frames"])]
        for layer in (layer for frame in frames for layer in frame["layers"]):
            for name in FIGURES:
                if layer[name] is None:
                    del layer[name]
        absent = {name for name in ("verdict", "trace_directories", "cores") if not getattr(self, name)}
        return {name: value for name, value in fields.items() if name not in absent}

    def to_json(self) -> str:
        """The whole record as JSON text, which `stored_result.parse_result` reads."""
        return json.dumps(self.to_dict(), indent=1)


# Each category of a cycle by the resource that an architect could enlarge; `what_if` has an idealization for each resource.
RESOURCES: Mapping[str, tuple[str, ...]] = {
    "memory": ("dram", "codebook_load", "dram_activation"),
    "L2 port": ("l2",),
    "decoder": ("decode", "bank_conflict", "codebook_port"),
    "weight buffer width": ("buffer_width",),
    "MAC array": ("busy", "fill_drain"),
    "vector unit": ("vector",),
    "buffer capacity": ("buffer_full",),
    "accumulators": ("accumulator",),
    "accumulator ports": ("accumulator_read",),
    "shadow weights": ("swap",),
    "activation buffer ports": ("port",),
    "control": ("issue",),
    "other cores": ("dependency",),
    "launch overhead": ("launch",),
}


# The resource behind each bound.
BOUND_RESOURCES: Mapping[str, str] = {
    "array": "MAC array",
    "dram": "memory",
    "flash": "memory",
    "l2": "L2 port",
    "decode": "decoder",
    "rom": "decoder",
    "buffer_width": "weight buffer width",
    "vector": "vector unit",
}

# A run of at most so many cycles, which bound its tiles and bursts, gets its idealizations simulated wherever its verdict is asked for.
CHEAP_CYCLES = 2_000_000


def own_cycles(cycles: Mapping[str, int], resource: str) -> int:
    """Cycles of the categories of `resource`."""
    return sum(cycles.get(category, 0) for category in RESOURCES[resource])


def total(items: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sum of mappings, key by key."""
    out: dict[str, int] = {}
    for item in items:
        for name, value in item.items():
            out[name] = out.get(name, 0) + value
    return out
