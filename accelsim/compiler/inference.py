"""The state of a lowering: the growing arrays of a program, and one inference of it.

Products, row functions and moves of activations append to it; the provider of an operand is found here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from accelsim.compiler.allocation import Allocation
from accelsim.compiler.bank_conflicts import BankConflicts
from accelsim.compiler.code_lengths import CodeLengths
from accelsim.compiler.drain_order import last_units
from accelsim.compiler.fetched_streams import FetchedStreams
from accelsim.compiler.live_slots import LiveRange
from accelsim.compiler.memory_layout import InferenceMemory
from accelsim.compiler.plan import Op, Plan, TensorId
from accelsim.compiler.product_facts import ProductFacts
from accelsim.compiler.record_table import RecordTable
from accelsim.compiler.streams import StreamBuilder
from accelsim.compiler.target import Target
from accelsim.kernels import compute_state
from accelsim.program import ActivationJob, Slot
from accelsim.trace.layers import Layer, VectorLayer
from accelsim.trace.token_step import puts_out_token
from accelsim.trace.trace import Trace

KernelFields = dict[str, int]
Bits = Counter[tuple[str, str, bool]]
_WAITS_FOR_NOTHING: KernelFields = dict.fromkeys(("chunk", "dep0", "dep1", "after0", "after1", "after2"), -1)


@dataclass
class LayerBuild:
    """Data collected on a layer of one inference during lowering."""

    layer: Layer
    frame: int
    trace: str
    macs: int = 0
    bits: Bits = field(default_factory=Counter)
    bounds: Counter[str] = field(default_factory=Counter)
    vector_cycles: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass
class Lowering:
    """Growing arrays of a program."""

    target: Target
    streams: StreamBuilder
    conflicts: BankConflicts
    code_lengths: CodeLengths
    weight_memory: str
    burst_bytes: dict[str, int]
    runs: RecordTable = field(default_factory=lambda: RecordTable(compute_state.RUN))
    tasks: list[KernelFields] = field(default_factory=list)
    drains: list[int] = field(default_factory=list)
    row_tasks: list[int] = field(default_factory=list)
    cb_runs: list[int] = field(default_factory=list)
    cb_words: list[int] = field(default_factory=list)
    jobs: list[ActivationJob] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    layers: list[LayerBuild] = field(default_factory=list)
    loads: int = 0
    units: int = 0
    tiles: int = 0  # and launches, so far: what gates count
    products: dict[tuple[object, ...], ProductFacts] = field(default_factory=dict)  # by `product_key`
    pinned_weights: dict[tuple[str, str, int, int], FetchedStreams] = field(default_factory=dict)  # (network, layer, tiles) -> loaded once
    pinned_parameters: dict[tuple[str, str], int] = field(default_factory=dict)  # (network, layer) -> transfer that ends them

    def task(self, **fields: int) -> int:
        """Append a task and its units; return its index."""
        record = {**_WAITS_FOR_NOTHING, "offset": self.units, **fields}
        self.units += record["units"]
        self.tasks.append(record)
        return len(self.tasks) - 1

    def vector_accesses(self, row_bytes: Iterable[int], cycles: int, rows: int = 1, once: Iterable[int] = (), more: int = 0) -> int:
        """Activation SRAM accesses per cycle while `rows` rows are processed for `cycles` each.

        A row is read and written once, whatever the passes; the bytes of `once` and `more` accesses are for all rows together.
        """
        accesses = self.target.activation_buffer.accesses
        total = rows * sum(map(accesses, row_bytes)) + sum(map(accesses, once)) + more
        return -(-total // (rows * cycles)) if cycles else 0


@dataclass(frozen=True)
class PlacedNetwork:
    """A trace as it was planned and placed, or one core's part of it.

    Attributes
    ----------
    why : the reason for its head order; experts : how they were chosen, if it has any
    layers : those of all cores, in order
    parts : layer -> how several cores share it; split : how many layers they share in each way
    """

    trace: Trace
    plan: Plan
    allocation: Allocation
    why: str
    layers: tuple[Layer, ...]
    experts: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    split: str = ""


class Inference:
    """One inference that is being lowered: the results of its operations so far, and the last tasks of the inference before."""

    def __init__(self, low: Lowering, network: PlacedNetwork, memory: InferenceMemory) -> None:
        self.memory = memory
        self.low, self.trace, self.plan, self.allocation = low, network.trace, network.plan, network.allocation
        self.before = (low.drains[-1] if low.drains else -1, low.row_tasks[-1] if low.row_tasks else -1)
        self.first_drain, self.first_row = len(low.drains), len(low.row_tasks)
        self.target = low.target
        overhead = low.target.control.launch
        self.launch = overhead.network + overhead.token * puts_out_token(network.trace)  # cycles, before its first product
        self.gate = low.tiles + 1 if self.launch else 0  # of all transfers: the end of that launch
        self.launched: set[str] = set()  # layers
        self.fetching = ""  # the layer whose weights were added last
        self.layer_index: dict[str, int] = {}
        self.task_of: dict[int, int] = {}  # operation -> its drain or row task
        self.writers: dict[TensorId, list[int]] = {}  # tensor -> tasks that wrote it
        self.loaded: dict[tuple[TensorId, int], int] = {}  # (tensor, first operation of the live range) -> load task
        self.stores: dict[TensorId, int] = {}  # tensor -> job that writes it
        self.tokens: list[tuple[LiveRange, int]] = []  # live ranges stored to DRAM, and the task whose unit 0 marks completion
        self.kept_weights: dict[tuple[str, int], FetchedStreams] = {}  # (matrix, column tile) -> its streams, for the next row tiles
        self.parameters: dict[str, int] = {}  # layer -> transfer that ends the parameters of its row function
        self.column_sums: dict[tuple[str, int], int] = {}  # (layer, head) -> the task that sums up the columns of its second operand
        self.token_scales: dict[tuple[object, ...], int] = {}  # rows of linear layers -> the task that finds a scale for each
        self.context_tasks: dict[str, int] = {}  # layer -> first of the consecutive drain tasks of its heads


def launch_cycles(inference: Inference, layer: str) -> int:
    """Cycles of the launches ahead of a product: of the inference before its first one, and of the layer before the layer's first one."""
    cycles, inference.launch = inference.launch, 0
    if layer not in inference.launched:
        inference.launched.add(layer)
        cycles += inference.target.control.launch.layer
    return cycles


def provider(inference: Inference, key: TensorId, op: Op) -> tuple[int, bool]:
    """(task that provides `key` to `op`: the last one if several do, whether it was loaded)."""
    for live_range in inference.allocation.of(key):
        if live_range.loaded and op.index in live_range.readers:
            return inference.loaded[key, live_range.first], True
    return inference.writers[key][-1], False


def last_unit(inference: Inference, task: int) -> int:
    return inference.low.tasks[task]["units"] - 1


def by_row(inference: Inference, key: TensorId, op: Op, rows: int, shift: int = 0) -> KernelFields:
    """Fields (task, base, step) of the dependency of row r on the same row (less `shift`) of `key`, as a whole row.

    It waits for all of `key` where that has not `rows` rows.
    """
    task, _ = provider(inference, key, op)
    record = inference.low.tasks[task]
    tensor = inference.plan.tensors[key]
    apart = len(tensor.producers) > 1 and inference.plan.batch > 1  # each image has producers of its own
    apart |= record["kind"] == compute_state.DRAIN and record["rows"] > tensor.rows  # heads that shared a product, head after head
    apart |= tensor.comes_by_blocks
    if apart or inference.plan.in_row_tiles(tensor) or tensor.rows + shift != rows:
        return {"task": task, "base": record["units"] - 1, "step": 0}
    base, step = last_units(record)
    return {"task": task, "base": base - shift * step, "step": step}


def place_is_free(inference: Inference, op: Op) -> KernelFields:
    """Dependencies of `op` before it may write its slot, beyond those implied by program order.

    The newest of each kind suffices: writes to DRAM, drains and row functions each end in order. The slots of the inference before are
    free once it has ended, so the first drain waits for its last row function and the first row function for its last drain.
    """
    drain, row = inference.before
    if not op.on_array or len(inference.low.drains) != inference.first_drain:
        row = -1
    if op.on_array or len(inference.low.row_tasks) != inference.first_row:
        drain = -1
    here = next((live_range for live_range in inference.allocation.of(op.writes) if live_range.first <= op.index <= live_range.last), None)
    if here is None:
        return {"after1": drain, "after2": row}
    end = here.offset + here.bytes
    tokens = (
        token
        for live_range, token in reversed(inference.tokens)
        if live_range.last < here.first and live_range.offset < end and here.offset < live_range.offset + live_range.bytes
    )
    readers = inference.allocation.barriers.get(op.index, ())
    drains = [reader for reader in readers if inference.plan.ops[reader].on_array]
    rows = [reader for reader in readers if not inference.plan.ops[reader].on_array]
    return {
        "after0": next(tokens, -1),
        "after1": inference.task_of[max(drains)] if drains else drain,
        "after2": inference.task_of[max(rows)] if rows else row,
    }


def passes_of(inference: Inference, layer: Layer, fused: bool) -> int:
    """Passes that the vector unit makes for a layer over a row of its result."""
    return vector_layer(layer).passes(inference.target.vector_unit.passes.of, fused)


def vector_layer(layer: Layer) -> VectorLayer:
    """The layer of a row function, or one that is fused into a product."""
    assert layer.vector is not None  # the plan assigns the unit nothing else
    return layer.vector


def as_array(records: list[KernelFields], dtype: np.dtype[np.void]) -> np.ndarray:
    """Records as one structured array; fields that a record leaves out are 0."""
    names = dtype.names or ()
    rows = np.array([list(map(record.get, names, repeat(0))) for record in records], np.int64)
    return rows.reshape(len(records), len(names)).view(dtype).reshape(-1)
