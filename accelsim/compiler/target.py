"""The fields of an accelerator that the compiler reads, as one narrow record.

The compiler is given this record and not the accelerator, so equal targets have equal programs whatever else differs: a circuit, the
psum width, a DRAM's page policy. A field that the compiler is to read has to be put here first, and is then part of a program's key.
Memories are reduced to what bounds and addresses need, in core cycles, so no clock and no device file is left to be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any, Literal, TypeVar

from accelsim.accelerator import Accelerator, Placement
from accelsim.compiler.in_flight import in_flight_shortage
from accelsim.formats.codebook_elements import ElementCode, stored_bits
from accelsim.formats.weight_format import built_in_entries
from accelsim.hw.channel import burst_bytes, capacity_bytes, peak_bytes_per_s, read_latency_ps
from accelsim.hw.control import CoreSplit, PrefetchDepth
from accelsim.hw.core_spec import Dataflow, Depthwise, MaskDecoder
from accelsim.hw.decode_width import DecodeWidth
from accelsim.hw.l2 import L2, Bypass
from accelsim.hw.sram import ActivationBufferSpec
from accelsim.hw.vector_unit import VectorUnitSpec
from accelsim.quantities import cycle_at
from accelsim.trace.trace import Trace


@dataclass(frozen=True)
class TargetArray:
    """See `ArraySpec`; of sparse tiles the `dense_cols` are left, fewer than `cols`, and of a dataflow the weights that a PE holds."""

    rows: int
    cols: int
    max_m: int
    accumulator_banks: int
    accumulator_rule: Literal["predicted", "simple"]
    accumulator_read: Literal["second_port", "deskew", "stall"]
    shadow_sets: int
    dense_cols: int
    rows_per_cycle: int
    dataflow: Dataflow
    may_hold_outputs: bool
    holds_inputs: bool
    may_hold_inputs: bool
    depthwise: Depthwise
    column_feed: int | None
    scale_at: Literal["channel", "weight", "group"]
    scale_taps: int | None
    weight_bits: int
    activation_bits: int
    row_bits: int | None
    macs_16bit: int | None
    held_weights: int
    mapping: Literal["tiles", "gemv", "cheapest"]
    few_rows: int

    def row_cycles(self, bits: int) -> int:
        """Cycles in which a row of elements of `bits` bits enters; an array that is imagined ideal takes all of it at once."""
        if self.rows_per_cycle > 1:
            return 1
        if bits == 16 and self.macs_16bit is not None:
            return -(-self.rows * self.cols // self.macs_16bit)
        return -(-bits // 8)

    @property
    def has_sparse_tiles(self) -> bool:
        """True if columns share multipliers."""
        return self.dense_cols < self.cols

    @property
    def drain_stages(self) -> int:
        """See `ArraySpec`."""
        return int((self.scale_taps or 1) > 1)


@dataclass(frozen=True)
class TargetCodebook:
    """See `CodebookSpec`; entries beyond the codebooks of the traces are left out of `codewords`, wider elements of `element_bits`."""

    store: Literal["ram", "rom"]
    ports: int
    banks: int | None
    sets: int
    latency: int
    codewords: int
    index_field: Literal["exact", "padded"]
    codeword_length: int
    element_bits: int
    element_code: ElementCode
    mask: MaskDecoder | None
    shared_ports: int | None


@dataclass(frozen=True)
class TargetWeightBuffer:
    """See `WeightBufferSpec`; `room_bytes` is how far transfers run ahead of what was taken, the capacity but in idealizations."""

    capacity: int
    room_bytes: int
    word_bits: int
    residency: Literal["stream", "pinned"]


@dataclass(frozen=True)
class TargetLaunch:
    """Cycles of each launch; see `OverheadSpec`."""

    network: int
    layer: int
    token: int


@dataclass(frozen=True)
class TargetControl:
    """See `ControlSpec`; its overhead in core cycles."""

    overlap: Literal["prefetch", "layer", "none"]
    prefetch: PrefetchDepth
    runs: Literal["chained", "isolated"]
    issue_overhead_cycles: int
    launch: TargetLaunch
    core_split: CoreSplit
    core_sync: Literal["awaited", "free"]
    weight_broadcast: bool


@dataclass(frozen=True)
class TargetDma:
    """See `DmaSpec`."""

    transfer: int


@dataclass(frozen=True)
class TargetExchange:
    """The way from core to core through the memory of activations, of a chip whose shares are ranked.

    Attributes
    ----------
    latency_cycles : of a read that nothing else delays
    places : transfers that a core has in flight at most
    """

    latency_cycles: int
    places: int


@dataclass(frozen=True)
class TargetMemory:
    """A memory, or the absence of one.

    Attributes
    ----------
    burst_bytes : smallest transfer; 1 if it has no bursts
    capacity_bytes : None if unbounded or absent
    bytes_per_cycle : peak, per cycle of the core; None if infinite or absent
    """

    burst_bytes: int
    capacity_bytes: int | None
    bytes_per_cycle: Fraction | None


@dataclass(frozen=True)
class TargetL2:
    """See `L2Spec`; `room_bytes` are left when as many transfers as may be pass through, `bytes_per_cycle` are of the core."""

    room_bytes: int
    bytes_per_cycle: Fraction
    bypass: Bypass


@dataclass(frozen=True)
class Target:
    """An accelerator as the compiler sees it; attributes are named as in `Accelerator`.

    Attributes
    ----------
    name : for error messages, which no program contains; not compared
    wide_rows : whether rows of some product with weights have elements of more than 8 bits
    warnings : about the accelerator alone, whatever it runs
    exchange : between cores whose shares are ranked
    ranked_by : the target by whose costs head orders and mappings are ranked, of a chip that is idealized the chip itself; None: this one
    """

    name: str = field(compare=False)
    cores: int
    array: TargetArray
    codebook: TargetCodebook
    decode_width: DecodeWidth
    weight_buffer: TargetWeightBuffer
    activation_buffer: ActivationBufferSpec
    vector_unit: VectorUnitSpec
    dma: TargetDma
    control: TargetControl
    dram: TargetMemory
    flash: TargetMemory
    l2: TargetL2 | None
    placement: Placement
    warnings: tuple[str, ...]
    exchange: TargetExchange
    wide_rows: bool
    ranked_by: Target | None = None

    @property
    def splits_layers(self) -> bool:
        """Whether several cores share each layer."""
        return self.cores > 1 and self.control.core_split != "networks"

    @property
    def ranks_shares(self) -> bool:
        """Whether several cores share layers as an estimate says."""
        return self.cores > 1 and self.control.core_split == "cheapest"

    @property
    def ranking(self) -> Target:
        """The target by whose costs head orders and mappings are ranked."""
        return self.ranked_by or self

    def planned_as(self, real: Target) -> Target:
        """This target in the plan of `real`: its orders, mappings and tiles. Larger buffers are only room for transfers ahead."""
        weights = replace(self.weight_buffer, capacity=real.weight_buffer.capacity)
        activations = self.activation_buffer.with_fields(capacity=real.activation_buffer.capacity)
        return replace(self, weight_buffer=weights, activation_buffer=activations, ranked_by=real)

    def memory(self, name: str) -> TargetMemory:
        """The memory `dram`, `flash` or `l2`; the last has neither bursts nor a bound of its own but its port."""
        if name == L2:
            return TargetMemory(1, self.l2.room_bytes if self.l2 else None, None)
        return self.flash if name == "flash" else self.dram

    def transfer_cycles(self, memory: str, size: int) -> Fraction:
        """Least cycles that bytes take through the port of a memory."""
        rate = self.l2.bytes_per_cycle if memory == L2 and self.l2 is not None else self.memory(memory).bytes_per_cycle
        return size / rate if rate else Fraction(0)


def target_of(accelerator: Accelerator, traces: Iterable[Trace]) -> Target:
    """The target of `accelerator` for compiling `traces`."""
    traces = tuple(traces)
    formats = {layer.weight.format for trace in traces for layer in trace.weighted_layers()}
    array = accelerator.array
    own = (item.decode_path().entries_of_tile(array.rows, array.dense_cols) for item in formats)
    needed = max([sum(built_in_entries(formats).values()), *own])
    entries = min(accelerator.codebook.codewords, needed)  # a larger codebook compiles to the same program
    own_width, stored = accelerator.codebook.element_bits, stored_bits(formats, accelerator.codebook.element_code)
    width = own_width if stored is None else min(own_width, stored)
    shortage = in_flight_shortage(accelerator)
    return Target(
        name=accelerator.name,
        cores=accelerator.cores,
        array=_part(TargetArray, array),
        codebook=_part(TargetCodebook, accelerator.codebook, codewords=entries, element_bits=width),
        decode_width=accelerator.decode_width,
        weight_buffer=_part(TargetWeightBuffer, accelerator.weight_buffer, room_bytes=accelerator.weight_buffer.capacity),
        activation_buffer=accelerator.activation_buffer,
        vector_unit=accelerator.vector_unit,
        dma=_part(TargetDma, accelerator.dma),
        control=_control(accelerator),
        dram=_memory(accelerator, "dram"),
        flash=_memory(accelerator, "flash"),
        l2=_l2(accelerator),
        placement=accelerator.placement,
        warnings=(shortage,) if shortage else (),
        exchange=_exchange(accelerator),
        wide_rows=_wide_rows(accelerator, traces),
    )


_Part = TypeVar("_Part", TargetArray, TargetCodebook, TargetWeightBuffer, TargetDma)


def _part(kind: type[_Part], spec: Any, **normalized: int) -> _Part:
    """The fields of `spec` that `kind` has; some of them `normalized`, or no field of `spec`."""
    taken: dict[str, Any] = {item.name: getattr(spec, item.name) for item in fields(kind) if item.name not in normalized} | normalized
    return kind(**taken)


def _control(accelerator: Accelerator) -> TargetControl:
    control, clock = accelerator.control, accelerator.clock
    network, layer, token = (cycle_at(time, clock) for time in (control.overhead.network, control.overhead.layer, control.overhead.token))
    launch = TargetLaunch(network, layer, token)
    return TargetControl(
        control.overlap, control.prefetch, control.runs, control.issue_overhead_cycles, launch, control.core_split, control.core_sync,
        control.weight_broadcast,
    )  # fmt: skip


def _exchange(accelerator: Accelerator) -> TargetExchange:
    if accelerator.cores == 1 or accelerator.control.core_split != "cheapest":
        return TargetExchange(0, 1)  # nobody asks, so chips that differ in it alone have one program
    memory, latency_ps = accelerator.placement.activations, 0
    if memory == "dram" and accelerator.dram is not None:
        latency_ps = read_latency_ps(accelerator.dram) + accelerator.dma.fabric_latency
    return TargetExchange(cycle_at(latency_ps, accelerator.clock), accelerator.dma.max_transfers)


def _wide_rows(accelerator: Accelerator, traces: Iterable[Trace]) -> bool:
    """Whether a product with weights reads wide elements; false where nobody asks, so that such networks have one program."""
    if not accelerator.array.may_hold_inputs:
        return False
    return any(trace.shapes[layer.inputs[0]].bits > 8 for trace in traces for layer in trace.weighted_layers())


def _l2(accelerator: Accelerator) -> TargetL2 | None:
    spec = accelerator.l2
    return None if spec is None else TargetL2(spec.capacity - accelerator.l2_transit_bytes, accelerator.l2_bytes_per_cycle, spec.bypass)


def _memory(accelerator: Accelerator, name: str) -> TargetMemory:
    spec = accelerator.memory(name)
    rate = peak_bytes_per_s(spec)
    return TargetMemory(burst_bytes(spec), capacity_bytes(spec), None if rate is None else rate / accelerator.clock)
