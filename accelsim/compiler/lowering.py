"""From planned operations to the arrays of the compute kernel: runs, tasks, dependencies.

A product is one run over all its N-stripes while its rows fit the accumulators; with more rows it is one run a stripe and
M-chunk, and the stripe's weights stay in the weight buffer over its chunks if they fit (else they are read again).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from accelsim.accelerator import Accelerator
from accelsim.compiler.access import row_accesses
from accelsim.compiler.allocation import Allocation, Residency
from accelsim.compiler.geometry import activation_geometry, weight_geometry
from accelsim.compiler.plan import Op, Plan, Tensor, TensorId
from accelsim.compiler.streams import Stream, StreamBuilder, layer_batches
from accelsim.errors import CompileError
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels import compute_state
from accelsim.program import ActivationJob
from accelsim.trace.layers import (
    AddLayer,
    ConvLayer,
    EmbedLayer,
    GeluLayer,
    GemmLayer,
    Layer,
    LayerNormLayer,
    MatmulLayer,
    SoftmaxLayer,
    WeightedLayer,
)

SCALE_BIAS_BYTES = 8  # a channel: float32 scale and int32 bias
Record = dict[str, int]
Bits = Counter[tuple[str, str, bool]]


@dataclass
class LayerBuild:
    """What is gathered about a layer of one frame while it is lowered."""

    layer: Layer
    frame: int
    bits: Bits = field(default_factory=Counter)
    bounds: Counter[str] = field(default_factory=Counter)
    vector_cycles: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass
class Lowering:
    """Growing arrays of a program; `lower` appends one frame."""

    accelerator: Accelerator
    streams: StreamBuilder
    weight_memory: str
    burst_bytes: dict[str, int]
    activation_address: int = 0
    runs: list[Record] = field(default_factory=list)
    tasks: list[Record] = field(default_factory=list)
    drains: list[int] = field(default_factory=list)
    row_tasks: list[int] = field(default_factory=list)
    cb_runs: list[int] = field(default_factory=list)
    cb_words: list[int] = field(default_factory=list)
    jobs: list[ActivationJob] = field(default_factory=list)
    layers: list[LayerBuild] = field(default_factory=list)
    loads: int = 0
    units: int = 0
    tiles: int = 0
    pinned: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # weight layer -> its stream, loaded in the first frame

    def lower(self, plan: Plan, allocation: Allocation, frame: int) -> None:
        """Append one inference."""
        _Frame(self, plan, allocation, frame).run()

    # -- pieces shared by products and row functions

    def task(self, **fields: int) -> int:
        """Append a task and its units; return its index."""
        nothing = dict.fromkeys(("chunk", "dep0", "dep1", "after0", "after1", "after2"), -1)
        record = {**nothing, "offset": self.units, **fields}
        self.units += record["units"]
        self.tasks.append(record)
        return len(self.tasks) - 1

    def vector_accesses(self, reads: int) -> int:
        """Activation SRAM accesses a cycle while the lanes write one result and read `reads` operands from there."""
        lanes = self.accelerator.vector_unit.lanes
        return self.accelerator.activation_buffer.accesses(lanes) * (1 + reads) if lanes else 0


class _Frame:
    def __init__(self, low: Lowering, plan: Plan, allocation: Allocation, frame: int) -> None:
        self.low, self.plan, self.allocation, self.frame = low, plan, allocation, frame
        self.accelerator = low.accelerator
        self.layer_index: dict[str, int] = {}
        self.task_of: dict[int, int] = {}  # operation -> its drain or row task
        self.writers: dict[TensorId, list[int]] = {}  # tensor -> tasks that wrote it
        self.loaded: dict[tuple[TensorId, int], int] = {}  # (tensor, first operation of the stay) -> load task
        self.address_of: dict[TensorId, int] = {}
        self.stores: dict[TensorId, int] = {}  # tensor -> job that writes it
        self.tokens: list[tuple[Residency, int]] = []  # stays that leave for DRAM, and the task whose unit 0 says they have
        self.context_tasks: dict[str, int] = {}  # layer -> first of the consecutive drain tasks of its heads

    def run(self) -> None:
        low, plan = self.low, self.plan
        for op in plan.ops:
            for layer in (op.layer, *op.fused):
                if layer.name not in self.layer_index:
                    self.layer_index[layer.name] = len(low.layers)
                    low.layers.append(LayerBuild(layer, self.frame))
        starts: dict[int, list[Residency]] = {}
        for stay in self.allocation.residencies:
            if stay.loaded:
                starts.setdefault(stay.first, []).append(stay)
        for op in plan.ops:
            for stay in starts.get(op.index, ()):
                self._load(stay, op)
            if op.on_array:
                self._product(op)
            else:
                self._row_op(op)
            self._stores_after(op)

    # -- activations that cross the memory

    def _address(self, tensor: Tensor) -> int:
        if tensor.id not in self.address_of:
            self.address_of[tensor.id] = self.low.activation_address
            self.low.activation_address += -(-tensor.bytes // 4096) * 4096
        return self.address_of[tensor.id]

    def _traffic(self, layer: str, operand: str, memory: str, write: bool, size: int, address: int) -> None:
        """Book `size` useful bytes at `address`, and what whole bursts add."""
        burst = self.low.burst_bytes[memory]
        bus = (-(-(address + size) // burst) - address // burst) * burst
        bits = self.low.layers[self.layer_index[layer]].bits
        bits[operand, memory, write] += 8 * size
        if bus > size:
            bits["burst_rounding", memory, write] += 8 * (bus - size)

    def _load(self, stay: Residency, op: Op) -> None:
        """A stay that begins with a read from DRAM: a load task, and the job that fills it."""
        low, tensor = self.low, self.plan.tensors[stay.tensor]
        if self.accelerator.placement.activations == "none" and not tensor.is_input:
            raise CompileError(f"layer {op.layer.name!r}: {tensor.id.name!r} would be read back, but placement.activations = 'none'")
        row_bytes = max(1, tensor.bytes // tensor.rows)
        task = low.task(kind=compute_state.LOAD, ordinal=low.loads, units=tensor.rows, rows=tensor.rows)
        before = [item for item in self.plan.ops[: stay.first] if item.index in self.task_of]
        after = tuple(
            self.task_of[max(item.index for item in before if item.on_array is kind)]
            for kind in (True, False)
            if any(item.on_array is kind for item in before)
        )
        for index in after:
            low.tasks[index]["notify"] = 1
        address = self._address(tensor)
        operand = "activations_in" if tensor.is_input else "spill_in"
        reader = self.plan.ops[stay.readers[0]] if stay.readers else op
        layer = self.layer_index[reader.layer.name]
        if self.accelerator.placement.activations == "dram":
            low.jobs.append(
                ActivationJob(
                    False, address, tensor.bytes, row_bytes, tensor.rows, low.loads, after, self.stores.get(tensor.id, -1), operand, layer
                )
            )
            self._traffic(reader.layer.name, operand, "dram", False, tensor.bytes, address)
        else:  # without a memory for activations the host has put the input into the buffer
            low.jobs.append(ActivationJob(False, -1, tensor.bytes, row_bytes, tensor.rows, low.loads, (), -1, operand, layer))
        self.loaded[stay.tensor, stay.first] = task
        low.loads += 1

    def _stores_after(self, op: Op) -> None:
        """Jobs that write what `op` completed to DRAM: spills, and the outputs of the model."""
        low = self.low
        tensor = self.plan.tensors[op.writes]
        if op.index != tensor.producers[-1] or self.accelerator.placement.activations == "none":
            return
        stay = self.allocation.of(op.writes)[0]
        if not stay.stored:
            return
        address = self._address(tensor)
        last = self.task_of[op.index]
        low.tasks[last]["notify"] = 1
        operand = "activations_out" if tensor.is_output else "spill_out"
        token = low.task(kind=compute_state.LOAD, ordinal=low.loads, units=1, rows=1)
        low.jobs.append(
            ActivationJob(
                True, address, tensor.bytes, tensor.bytes, 1, low.loads, (last,), -1, operand, self.layer_index[op.layer.name]
            )
        )
        low.loads += 1
        self.stores[op.writes] = len(low.jobs) - 1
        self.tokens.append((stay, token))
        self._traffic(op.layer.name, operand, "dram", True, tensor.bytes, address)

    def _place_is_free(self, op: Op) -> Record:
        """What must have ended before `op` may write its place, beyond what the program's order already says.

        The newest of each kind will do: writes to DRAM, drains and row functions each end in order.
        """
        here = next((stay for stay in self.allocation.of(op.writes) if stay.first <= op.index <= stay.last), None)
        if here is None:
            return {}
        end = here.offset + here.bytes
        tokens = [token for stay, token in self.tokens if stay.last < here.first and stay.offset < end and here.offset < stay.offset + stay.bytes]
        readers = self.allocation.barriers.get(op.index, ())
        drains = [reader for reader in readers if self.plan.ops[reader].on_array]
        rows = [reader for reader in readers if not self.plan.ops[reader].on_array]
        return {
            "after0": tokens[-1] if tokens else -1,
            "after1": self.task_of[max(drains)] if drains else -1,
            "after2": self.task_of[max(rows)] if rows else -1,
        }

    # -- who provides an operand

    def _provider(self, key: TensorId, op: Op) -> tuple[int, bool]:
        """(task that provides `key` to `op`: the last one if several do, whether it was loaded)."""
        for stay in self.allocation.of(key):
            if stay.loaded and op.index in stay.readers:
                return self.loaded[key, stay.first], True
        return self.writers[key][-1], False

    def _last_unit(self, task: int) -> int:
        return self.low.tasks[task]["units"] - 1

    def _by_row(self, key: TensorId, op: Op, rows: int, shift: int = 0) -> Record:
        """Fields (task, base, step) of a dependency of row r on the same row (less `shift`) of `key`, as a whole row."""
        task, _ = self._provider(key, op)
        record = self.low.tasks[task]
        tensor = self.plan.tensors[key]
        apart = len(tensor.producers) > 1 and self.plan.batch > 1  # each image has producers of its own
        if apart or tensor.rows + shift != rows:
            return {"task": task, "base": record["units"] - 1, "step": 0}
        base = (record["units"] // record["rows"] - 1) * record["rows"]
        return {"task": task, "base": base - shift, "step": 1}

    # -- products

    def _product(self, op: Op) -> None:
        low, accelerator, layer = self.low, self.accelerator, op.layer
        array = accelerator.array
        geometry = self._geometry(op)
        groups = layer.bounds.G if isinstance(layer, ConvLayer) else 1
        columns = op.n // groups
        stripes, kt_count = -(-columns // array.cols), -(-op.k // array.rows)
        drain = self._drain(op, stripes * groups)
        chunks = -(-op.m // array.max_m)
        chunk_rows = -(-op.m // chunks)
        per_stripe = chunks > 1
        build = low.layers[self.layer_index[layer.name]]
        common: Record = {
            "layer": self.layer_index[layer.name],
            "k": op.k,
            "kt_count": kt_count,
            "d": geometry.codeword_length,
            "axis": geometry.axis,
            "ports": geometry.ports,
            "pop_bits": geometry.pop_bits,
            "buffer_bits": geometry.buffer_bits,
            "word_bits": geometry.word_bits,
            "out_task": drain,
            "out_rows": op.m,
            "row_accesses": row_accesses(accelerator.activation_buffer, layer, array.rows),
            "codebook_load": -1,
            "codebook_release": -1,
            "cost0": -1,
            "chunk0": -1,
            **self._rows_from(op),
            **self._weights_from(op),
        }
        if groups > 1:
            common["in_fixed"] = self._last_unit(common["in_task"]) if common["in_task"] >= 0 else -1
        weighted = isinstance(layer, WeightedLayer)
        loads_codebook = weighted and geometry.decode and accelerator.codebook.store == "ram"
        image_bits = 0
        hold = True
        for group in range(groups):
            for first_stripe in range(0, stripes, 1 if per_stripe else stripes):
                count = 1 if per_stripe else stripes
                words = geometry.words(op.k, count)
                stream = Stream(
                    layer=common["layer"],
                    header_bytes=self._header_bytes(op) if weighted and group == 0 and first_stripe == 0 else 0,
                    word_bytes=geometry.word_bits // 8,
                    words=words,
                    batch_words=(words,),
                    gates=(0,),
                    buffered=accelerator.weight_buffer.residency == "stream",
                )
                hold = not per_stripe or stream.bytes <= accelerator.weight_buffer.capacity
                place: Record = {}
                for chunk in range(chunks):
                    if weighted and (chunk == 0 or not hold):
                        if chunk:
                            stream = replace(stream, header_bytes=0)
                        place = self._stream(op, stream, geometry, kt_count * count, f"{group}.{first_stripe}.{chunk}")
                        image_bits += place.pop("fetched") * words * geometry.word_bits
                    m0 = chunk * chunk_rows
                    run = {
                        **common,
                        "m": min(chunk_rows, op.m - m0),
                        "m0": m0,
                        "nt0": group * stripes + first_stripe,
                        "nt_count": count,
                        "words": words,
                        **place,
                        "frees": int(weighted and stream.buffered and (not hold or chunk == chunks - 1)),
                    }
                    if loads_codebook:
                        run["codebook_load"] = len(low.cb_runs) - (0 if group == first_stripe == chunk == 0 else 1)
                        if group == first_stripe == chunk == 0:
                            low.cb_runs.append(len(low.runs))
                            low.cb_words.append(geometry.codewords)
                    low.runs.append(run)
                    low.tiles += kt_count * count
        if loads_codebook:
            low.runs[-1]["codebook_release"] = len(low.cb_runs) - 1
        if chunks > 1:
            what = "held over" if hold else "read again for"
            build.notes.append(f"{chunks} M-chunks of {chunk_rows} rows, stripe {what} them")
        self._bounds(op, geometry, stripes * groups, kt_count, chunks)
        if weighted:
            self._weight_traffic(op, geometry, image_bits, 1 if hold else chunks)
        self.task_of[op.index] = drain
        self.writers.setdefault(op.writes, []).append(drain)

    def _geometry(self, op: Op) -> CoreGeometry:
        layer = op.layer
        if isinstance(layer, WeightedLayer):
            return weight_geometry(self.accelerator, layer)
        assert isinstance(layer, MatmulLayer)  # the plan makes products of these two only
        for key, _ in op.reads:
            if self.plan.tensors[key].bits != 8:
                raise CompileError(f"layer {layer.name!r}: operand {key.name!r} has {self.plan.tensors[key].bits} bits; the array takes 8")
        return activation_geometry(self.accelerator, layer.transposed_b)

    def _header_bytes(self, op: Op) -> int:
        layer = op.layer
        assert isinstance(layer, WeightedLayer)
        codebook = layer.weight.format.codebook_bytes(op.k, layer.weight.n) if self.accelerator.codebook.store == "ram" else 0
        return SCALE_BIAS_BYTES * layer.weight.n + codebook

    def _stream(self, op: Op, stream: Stream, geometry: CoreGeometry, tiles: int, part: str) -> Record:
        """Place one stream; fields of the runs that read it."""
        low, accelerator = self.low, self.accelerator
        key = f"{op.layer.name}/{part}"
        if key in low.pinned:
            chunk0, count, base = low.pinned[key]
            return {
                "chunk0": chunk0, "chunk_count": count, "base_bytes": base, "header_bytes": stream.header_bytes,
                "stream_bytes": stream.bytes, "fetched": 0,
            }  # fmt: skip
        if accelerator.control.overlap != "prefetch":
            stream = self._gated(stream, geometry, op.k, tiles)
        base = low.streams.buffered_bytes
        if stream.buffered and stream.header_bytes + accelerator.dma.transfer > accelerator.weight_buffer.capacity:
            short = stream.header_bytes + accelerator.dma.transfer - accelerator.weight_buffer.capacity
            raise CompileError(
                f"layer {op.layer.name!r}: codebook, scales and biases ({stream.header_bytes} B) and one transfer do not fit "
                f"weight_buffer.capacity = {accelerator.weight_buffer.capacity} B: short by {short} B"
            )
        chunk0, count, bus = low.streams.add(stream, f"layer {op.layer.name!r}")
        if bus > stream.bytes:
            low.layers[stream.layer].bits["burst_rounding", low.weight_memory, False] += 8 * (bus - stream.bytes)
        if accelerator.weight_buffer.residency == "pinned":
            low.pinned[key] = (chunk0, count, base)
        return {
            "chunk0": chunk0, "chunk_count": count, "base_bytes": base, "header_bytes": stream.header_bytes,
            "stream_bytes": stream.bytes, "fetched": 1,
        }  # fmt: skip

    def _gated(self, stream: Stream, geometry: CoreGeometry, k: int, tiles: int) -> Stream:
        """`stream` in batches that load before they compute: a layer (or what fits of it), or a tile."""
        kt_count = -(-k // geometry.rows)
        groups = 0
        tile_words: list[int] = []
        for tile in range(tiles):
            groups += geometry.tile_groups(k, tile % kt_count)
            tile_words.append(min(stream.words, -(-groups * geometry.pop_bits // geometry.word_bits)))
        ends = layer_batches(
            tile_words, stream.words, stream.header_bytes, stream.word_bytes, self.accelerator.weight_buffer.capacity,
            self.accelerator.control.overlap == "none",
        )  # fmt: skip
        gates: list[int] = []
        before = 0
        for end in ends:
            gates.append(self.low.tiles + (tile_words.index(before) + 1 if before else 0))
            before = end
        return Stream(stream.layer, stream.header_bytes, stream.word_bytes, stream.words, ends, tuple(gates), stream.buffered)

    def _drain(self, op: Op, stripes: int) -> int:
        """The task that requantizes what the array puts out, with the fused functions' passes."""
        low, vector = self.low, self.accelerator.vector_unit
        passes = vector.passes.requantize + sum(self._passes(layer) for layer in op.fused)
        operands = [key for key, role in op.reads if role == "operand"]
        fields: Record = {}
        for number, key in enumerate(operands):
            row = self._by_row(key, op, op.m)
            fields |= {f"dep{number}": row["task"], f"dep{number}_base": row["base"], f"dep{number}_step": row["step"]}
        fields |= self._place_is_free(op)
        cols = self.accelerator.array.cols
        task = low.task(
            kind=compute_state.DRAIN, ordinal=len(low.drains), units=op.m * stripes, rows=op.m, tile_cols=cols, width=op.n,
            passes=passes, latency=vector.latency, accesses=low.vector_accesses(len(operands)), **fields,
        )  # fmt: skip
        low.drains.append(task)
        full, rest = divmod(op.n, cols)
        per_row = full * vector.row_cycles(cols, 1) + (vector.row_cycles(rest, 1) if rest else 0)
        for layer, count in ((op.layer, vector.passes.requantize), *((item, self._passes(item)) for item in op.fused)):
            build = low.layers[self.layer_index[layer.name]]
            build.vector_cycles += op.m * per_row * count
            build.bounds["vector"] += op.m * per_row * count
            if layer is not op.layer:
                build.notes.append(f"fused into {op.layer.name}")
        return task

    def _rows_from(self, op: Op) -> Record:
        """Where the rows of A come from."""
        layer = op.layer
        key = next(key for key, role in op.reads if role == "rows")
        tensor = self.plan.tensors[key]
        task, was_loaded = self._provider(key, op)
        record = self.low.tasks[task]
        fields: Record = {"in_task": task, "in_rows": record["rows"], "in_cols": op.k, "in_fixed": -1, "in_tile_cols": 0}
        if record["kind"] == compute_state.DRAIN:
            fields["in_tile_cols"] = self.accelerator.array.cols
        several = len(tensor.producers) > 1 and not was_loaded
        if isinstance(layer, ConvLayer):
            fields |= self._image_rows(layer, tensor)
            if self.plan.batch > 1:
                fields["in_fixed"] = self._last_unit(task)
        elif isinstance(layer, MatmulLayer):
            if layer.a.split == "columns":
                fields["in_col0"] = (op.head % layer.heads) * op.k
                fields["in_row0"] = op.image * layer.m
        elif isinstance(layer, GemmLayer) and layer.input_row is not None:
            fields["in_row0"] = layer.input_row
            if self.plan.batch > 1:
                fields["in_fixed"] = self._last_unit(task)
        if several:
            first = self.writers[key][0]
            consecutive = self.writers[key] == list(range(first, first + len(self.writers[key])))
            if consecutive and self.plan.batch == 1:
                fields |= {"in_task": first, "in_task_cols": tensor.columns_of_producer}
            else:
                fields["in_fixed"] = self._last_unit(task)
        return fields

    def _image_rows(self, layer: ConvLayer, tensor: Tensor) -> Record:
        """Which line of the input image an output position waits for."""
        height, width = layer.image
        reach = layer.dilation[0] * (layer.bounds.FY - 1) - layer.padding[0]
        fields: Record = {"in_ox": layer.bounds.OX, "in_stride": layer.strides[0], "in_reach": max(0, reach)}
        if layer.input_layout == "planar":  # the lines of the last plane arrive last
            planes = tensor.rows // (height * self.plan.batch)
            return {**fields, "in_rows": height, "in_ix": 1, "in_row0": (planes - 1) * height}
        return {**fields, "in_rows": height * width, "in_ix": width, "in_cols": layer.input_channels}

    def _weights_from(self, op: Op) -> Record:
        """Where the weights come from: the stream of a layer, or a whole operand of an attention product."""
        key = next((key for key, role in op.reads if role == "weights"), None)
        if key is None:
            return {"w_task": -1, "from_activations": 0}
        task, _ = self._provider(key, op)
        record = self.low.tasks[task]
        layer = op.layer
        assert isinstance(layer, MatmulLayer)
        unit = record["units"] - 1
        tensor = self.plan.tensors[key]
        if layer.b.split == "columns" and len(tensor.producers) == 1 and record["kind"] == compute_state.DRAIN:
            width = tensor.width // layer.heads
            tile = ((op.head % layer.heads + 1) * width - 1) // self.accelerator.array.cols
            rows = tensor.rows // self.plan.batch
            unit = tile * record["rows"] + (op.image + 1) * rows - 1
        return {"w_task": task, "w_unit": unit, "from_activations": 1}

    def _bounds(self, op: Op, geometry: CoreGeometry, stripes: int, kt_count: int, chunks: int) -> None:
        """Least cycles of each resource of the core for this product."""
        build = self.low.layers[self.layer_index[op.layer.name]]
        groups = geometry.stripe_groups(op.k) * stripes * chunks
        build.bounds["array"] += op.m * stripes * kt_count
        build.bounds["decode"] += groups
        build.bounds["buffer_width"] += -(-groups * geometry.pop_bits // geometry.word_bits)

    def _weight_traffic(self, op: Op, geometry: CoreGeometry, image_bits: int, fetches: int) -> None:
        """Split the bits of the fetched image by operand; what the packed records do not need is padding."""
        if not image_bits:
            return
        layer, low = op.layer, self.low
        assert isinstance(layer, WeightedLayer)
        k, n = layer.weight.k, layer.weight.n
        useful: dict[str, int] = {}
        if geometry.decode:
            useful["indices"] = k * n // geometry.codeword_length * geometry.index_bits
            if geometry.sign:
                useful["signs"] = k * n
        else:
            useful["raw_weights"] = k * n * geometry.raw_bits
        bits, memory = low.layers[self.layer_index[layer.name]].bits, low.weight_memory
        for name, count in useful.items():
            bits[name, memory, False] += count * fetches
        bits["padding", memory, False] += image_bits - sum(useful.values()) * fetches
        bits["scales_bias", memory, False] += 8 * SCALE_BIAS_BYTES * n
        bits["codebook", memory, False] += 8 * (self._header_bytes(op) - SCALE_BIAS_BYTES * n)

    # -- row functions

    def _passes(self, layer: Layer) -> int:
        """Passes over its data that the vector unit makes for a layer."""
        passes = self.accelerator.vector_unit.passes
        table: dict[type, int] = {
            SoftmaxLayer: passes.softmax,
            LayerNormLayer: passes.layernorm,
            GeluLayer: passes.gelu,
            AddLayer: passes.add,
            EmbedLayer: passes.add,
        }
        return table[type(layer)]

    def _row_op(self, op: Op) -> None:
        low, vector, layer = self.low, self.accelerator.vector_unit, op.layer
        tensor = self.plan.tensors[op.writes]
        fields: Record = {}
        for number, (key, _) in enumerate(op.reads):
            shift = layer.prepended_rows if isinstance(layer, EmbedLayer) and self.plan.batch == 1 else 0
            row = self._by_row(key, op, tensor.rows, shift)
            fields |= {f"dep{number}": row["task"], f"dep{number}_base": row["base"], f"dep{number}_step": row["step"]}
        if layer.parameter_bytes:
            fields["chunk"] = self._parameters(op)
        fields |= self._place_is_free(op)
        passes = self._passes(layer)
        task = low.task(
            kind=compute_state.ROW, ordinal=len(low.row_tasks), units=tensor.rows, rows=tensor.rows, width=tensor.width,
            passes=passes, latency=vector.latency, accesses=low.vector_accesses(len(op.reads)), **fields,
        )  # fmt: skip
        low.row_tasks.append(task)
        self.task_of[op.index] = task
        self.writers.setdefault(op.writes, []).append(task)
        build = low.layers[self.layer_index[layer.name]]
        build.vector_cycles += tensor.rows * vector.row_cycles(tensor.width, passes)
        build.bounds["vector"] += tensor.rows * vector.row_cycles(tensor.width, passes)

    def _parameters(self, op: Op) -> int:
        """Fetch what a row function reads besides its rows; the transfer that ends it."""
        low, layer = self.low, op.layer
        key = f"{layer.name}/parameters"
        if key in low.pinned:
            return low.pinned[key][0] + low.pinned[key][1] - 1
        index = self.layer_index[layer.name]
        gate = low.tiles if self.accelerator.control.overlap != "prefetch" else 0
        stream = Stream(index, layer.parameter_bytes, 1, 0, (0,), (gate,), False)
        chunk0, count, bus = low.streams.add(stream, f"layer {layer.name!r}")
        bits = low.layers[index].bits
        bits["parameters", low.weight_memory, False] += 8 * layer.parameter_bytes
        if bus > layer.parameter_bytes:
            bits["burst_rounding", low.weight_memory, False] += 8 * (bus - layer.parameter_bytes)
        if self.accelerator.weight_buffer.residency == "pinned":
            low.pinned[key] = (chunk0, count, 0)
        return chunk0 + count - 1


def as_array(records: list[Record], dtype: np.dtype[np.void]) -> np.ndarray:
    """Records as one structured array; fields that a record leaves out are 0."""
    names = dtype.names or ()
    return np.array([tuple(record.get(name, 0) for name in names) for record in records], dtype)
