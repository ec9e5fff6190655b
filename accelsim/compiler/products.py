"""Products of the array: their runs, the weights of each, and the drain that requantizes the sums."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.inference import Inference, KernelFields, LayerBuild, Lowering, by_row, launch_cycles, passes_of, place_is_free
from accelsim.compiler.operand_sums import lower_operand_sums
from accelsim.compiler.plan import Op
from accelsim.compiler.product_facts import ProductFacts, WeightReuse, product_facts, product_key
from accelsim.compiler.product_operands import rows_from, weights_from
from accelsim.compiler.product_split import ProductSplit
from accelsim.compiler.product_weights import book_weights, weights_of_runs
from accelsim.compiler.program_size import check_runs
from accelsim.compiler.record_table import Fields
from accelsim.compiler.target import TargetArray
from accelsim.compiler.token_scales import rows_scaled
from accelsim.errors import CompileError
from accelsim.hw.row_accesses import row_accesses
from accelsim.kernels import compute_state
from accelsim.trace.layers import Layer, WeightedLayer

_NO_STREAM = {"chunk0": -1, "codebook_load": -1, "codebook_release": -1, "cost0": -1}  # a product of two activations


def lower_product(inference: Inference, op: Op) -> None:
    """Append the runs of a product, their streams and its drain."""
    low, layer, target = inference.low, op.layer.product, inference.target
    assert layer is not None  # the plan puts nothing else on the array
    facts = _facts(inference, op)
    split = facts.split
    check_runs(f"layer {layer.name!r}", low.runs.rows + split.runs)
    mapping = split.geometry.mapping
    drain = _drain(inference, op, split)
    fields = {
        **facts.fields,
        **_NO_STREAM,
        "layer": inference.layer_index[layer.name],
        "out_task": drain,
        "out_rows": op.m,
        "row_accesses": _row_accesses(inference, op, split),
        **mapping.read_fields(target.activation_buffer, layer, split, target.array.rows_per_cycle),
        **rows_from(inference, op),
        **rows_scaled(inference, op),
        **weights_from(inference, op),
    }
    fields |= _launch(inference, layer.name, split)
    fetches = 0
    if layer.weighted is not None:
        _begin_layer(inference, layer.name)
        fields |= _bank_conflicts(inference, layer, facts)
        _note_code_lengths(inference, layer, facts)
        fields |= _codebook(low, split) if split.geometry.decode and target.codebook.store == "ram" else {}
        weights, fetches = weights_of_runs(inference, op, layer.name, facts)
        fields |= weights
    elif layer.from_cache:
        _check_cache(inference, layer.name)
        _begin_layer(inference, layer.name)
        weights, fetches = weights_of_runs(inference, op, f"{layer.name}[{op.head}]", facts)
        fields |= weights
    low.runs.append(split.runs, fields)
    low.tiles += split.all_tiles * split.chunks
    build = low.layers[inference.layer_index[layer.name]]
    build.macs += op.m * op.k * op.n
    if (passes := split.geometry.passes * op.row_bytes) > 1:
        build.figures["multiplies"] += passes * op.m * op.k * op.n
    if op.row_bytes > 1 and not (op.row_bits == 16 and target.array.macs_16bit):
        build.figures["shifted_sums"] += op.row_bytes * op.m * split.all_tiles * split.geometry.cols
    if target.array.depthwise != "column" and layer.tile_groups > 1:
        build.notes.append(mapping.group_name)
    if target.array.mapping != "tiles" or target.array.may_hold_outputs or target.array.may_hold_inputs:
        build.notes.append(mapping.name(split.geometry))
    for name, figure in mapping.figures(target.activation_buffer, layer, split).items():
        build.figures[name] += figure
    groups = split.stripe_groups * split.all_stripes * split.chunks
    build.figures["decoded_weights"] += groups * split.geometry.group_weights
    build.figures["lookups"] += groups * split.geometry.group_lookups
    _note(build, op, split, facts.reuse, target.array)
    for resource, cycles in facts.bounds.items():
        build.bounds[resource] += cycles
    book_weights(inference, layer, facts, fetches)
    inference.task_of[op.index] = drain
    inference.writers.setdefault(op.writes, []).append(drain)


def _row_accesses(inference: Inference, op: Op, split: ProductSplit) -> int:
    """Accesses of the activation SRAM in each cycle in which a row enters; one of wide elements takes as many for each of their bytes."""
    layer, mapping, geometry = op.layer.product, split.geometry.mapping, split.geometry
    assert layer is not None  # the plan puts nothing else on the array
    of_bytes = row_accesses(inference.target.activation_buffer, layer.merged(mapping.merged), mapping.row_elements(geometry))
    return -(-of_bytes * op.row_bytes // geometry.row_passes)


def _facts(inference: Inference, op: Op) -> ProductFacts:
    """The facts of a product, computed once for all that are equal."""
    if op.layer.head_product is not None:
        _check_operands(inference, op)
    known, key = inference.low.products, product_key(op)
    if key not in known:
        known[key] = product_facts(inference.target, op)
    return known[key]


def _check_operands(inference: Inference, op: Op) -> None:
    for key, role in op.reads:
        bits = inference.plan.tensors[key].bits
        cache = op.layer.cache
        rounded = role == "weights" and cache is not None and cache.bits == bits
        if role == "weights" and bits not in (8, 16) and not rounded:
            raise CompileError(
                f"layer {op.layer.name!r}: operand {key.name!r} has {bits} bits, but is loaded as weights of 8; allowed: 8 bits, or 16, "
                "which are rounded"
            )


def _check_cache(inference: Inference, name: str) -> None:
    """A cache lies in DRAM, and is longer than a pinned weight buffer may hold."""
    target = inference.target
    if target.placement.weights != "dram" or target.placement.activations != "dram":
        raise CompileError(
            f"layer {name!r}: its cache of keys or values lies in DRAM; allowed: placement.weights = 'dram' and "
            f"placement.activations = 'dram' of {target.name!r}"
        )
    if target.weight_buffer.residency == "pinned":
        raise CompileError(f"layer {name!r}: reads a cache; allowed: weight_buffer.residency = 'stream' of {target.name!r}")


def _launch(inference: Inference, name: str, split: ProductSplit) -> Fields:
    """Cycles of the launch ahead of the first run; to the gates of the transfers behind it, a launch is one more tile."""
    cycles = launch_cycles(inference, name)
    if not cycles:
        return {}
    inference.low.tiles += 1
    if split.runs == 1:
        return {"launch": cycles}
    launch = np.zeros(split.runs, np.int64)
    launch[0] = cycles
    return {"launch": launch}


def _begin_layer(inference: Inference, name: str) -> None:
    """Say that weights of another layer follow, unless this is the next head of one."""
    if inference.fetching != name:
        inference.fetching = name
        inference.low.streams.begin_layer(inference.low.tiles)


def _bank_conflicts(inference: Inference, layer: Layer, facts: ProductFacts) -> Fields:
    """First of each run's entries among the decode cycles of all groups of lookups; none where no bank can conflict."""
    low = inference.low
    whole = _of_all_cores(inference, layer)
    first = low.conflicts.start(inference.trace, whole, facts.split.geometry, facts.split.packing)
    if first < 0:
        return {}
    low.layers[inference.layer_index[layer.name]].notes.append(low.conflicts.note(inference.trace, whole))
    return {"cost0": first + facts.first_group}


def _of_all_cores(inference: Inference, layer: Layer) -> WeightedLayer:
    """The layer whose weights the trace holds, where `layer` may be one core's part of it."""
    whole = inference.low.layers[inference.layer_index[layer.name]].layer.weighted
    assert whole is not None
    return whole


def _note_code_lengths(inference: Inference, layer: Layer, facts: ProductFacts) -> None:
    """How evenly the codes of a layer lie over its tiles."""
    note = inference.low.code_lengths.note(inference.trace, _of_all_cores(inference, layer), facts.split.geometry)
    if note:
        inference.low.layers[inference.layer_index[layer.name]].notes.append(note)


def _codebook(low: Lowering, split: ProductSplit) -> Fields:
    """The codebook that the runs decode with: the first run of a layer loads it, and the last one releases it."""
    if split.row_tile.index == split.column_tile.index == 0:
        low.cb_runs.append(low.runs.rows)
        low.cb_words.append(split.geometry.codebook_words)
    number = len(low.cb_runs) - 1
    if split.row_tile.index < split.row_tile.count - 1 or split.column_tile.index < split.column_tile.count - 1:
        return {"codebook_load": number, "codebook_release": -1}
    if split.runs == 1:
        return {"codebook_load": number, "codebook_release": number}
    release = np.full(split.runs, -1)
    release[-1] = number
    return {"codebook_load": number, "codebook_release": release}


def _drain(inference: Inference, op: Op, split: ProductSplit) -> int:
    """The task that requantizes the array's sums, with the fused functions' passes."""
    mapping = split.geometry.mapping
    rows, columns, cols = (split.columns, op.m, split.chunk_rows) if mapping.turned else (op.m, split.columns, split.stripe_columns)
    low, vector, product = inference.low, inference.target.vector_unit, op.layer.product
    assert product is not None  # the plan puts nothing else on the array
    multiplying = mapping.lane_passes(split.k)
    own = multiplying + vector.passes.requantize + inference.plan.tensors[op.writes].extra_passes
    passes = own + sum(passes_of(inference, layer, True) for layer in op.fused)
    operands = [key for key, role in op.reads if role == "operand"]
    fields: KernelFields = {}
    for number, key in enumerate(operands):
        row = by_row(inference, key, op, op.m)
        base, step = (row["base"] + row["step"] * (op.m - 1), 0) if mapping.turned else (row["base"], row["step"])
        fields |= {f"dep{number}": row["task"], f"dep{number}_base": base, f"dep{number}_step": step}
    fields |= place_is_free(inference, op) | lower_operand_sums(inference, op, mapping.turned)
    together = rows if mapping.packed == 1 else 1  # rows that are drained without a gap
    apart = min(cols, columns) if mapping.turned else 1  # elements of a drained row that lie in rows of their own
    pieces = [min(cols, columns) // apart * inference.plan.tensors[key].bits // 8 for key in (op.writes, *operands)] * apart * together
    reads = together * mapping.lane_accesses(inference.target.activation_buffer, product, min(cols, columns))
    accesses = low.vector_accesses(pieces, vector.row_cycles(together * min(cols, columns), passes), more=reads)
    task = low.task(
        kind=compute_state.DRAIN, ordinal=len(low.drains), units=rows * -(-columns // cols) * split.groups, rows=rows,
        tile_cols=cols, file=1 if mapping.turned else split.file, turned=split.file * split.stripe_columns if mapping.turned else 0,
        packed=mapping.packed, width=columns, passes=passes,
        latency=vector.latency, accesses=accesses, layer=inference.layer_index[op.layer.name], **fields,
    )  # fmt: skip
    low.drains.append(task)
    full, rest = divmod(columns, cols)
    pass_cycles = full * vector.row_cycles(together * cols, 1) + (vector.row_cycles(together * rest, 1) if rest else 0)
    pass_cycles *= rows // together * (op.n // split.columns)
    if multiplying:
        low.layers[inference.layer_index[op.layer.name]].figures["lane_mac_cycles"] += pass_cycles * multiplying
    for layer, count in ((op.layer, own), *((item, passes_of(inference, item, True)) for item in op.fused)):
        build = low.layers[inference.layer_index[layer.name]]
        build.vector_cycles += pass_cycles * count
        build.bounds["vector"] += pass_cycles * count
        if layer is not op.layer:
            build.notes.append(f"fused into {op.layer.name}")
    return task


def _note(build: LayerBuild, op: Op, split: ProductSplit, reuse: WeightReuse, array: TargetArray) -> None:
    """Say how a product was split, for the result."""
    row_tile = split.row_tile
    if array.held_weights > 1:
        build.figures["row_reads"] += split.row_reads
        build.notes.append(f"enhanced weight stationary, folds of {split.file} tiles")
    if op.row_bits == 16 and array.macs_16bit:
        build.notes.append(f"rows of 16 bits, {array.macs_16bit} MACs per cycle")
    elif split.geometry.row_passes > 1:
        build.notes.append(f"rows of {op.row_bits} bits, {op.row_bytes} passes of 8 each")
    if split.geometry.raw_bits == 16 and not split.geometry.decode:
        build.notes.append("operand of 16 bits rounded to 8 as it is loaded")
    if split.geometry.passes > 1:
        build.notes.append(f"{split.geometry.passes} passes of each K-tile, one per codebook")
    if split.geometry.cols < array.cols:
        build.notes.append(f"no masks for the sparse tiles: {split.geometry.cols} of {array.cols} columns per pass")
    if row_tile.count > 1:
        build.notes.append(f"{row_tile.count} row tiles, weights {'kept over' if reuse.over_row_tiles else 'fetched for each of'} them")
    if split.column_tile.count > 1:
        build.notes.append(f"{split.column_tile.count} column tiles, scales and biases loaded with each")
    if split.chunks > 1 and row_tile.index == 0:
        what = "held over" if reuse.over_chunks else "read again for"
        build.notes.append(f"{split.chunks} M-chunks of {split.chunk_rows} rows, stripe {what} them")
