"""Products of the array: their runs, the weights of each, and the drain that requantizes the sums."""

from __future__ import annotations

from accelsim.compiler.access import row_accesses
from accelsim.compiler.geometry import activation_geometry, weight_geometry
from accelsim.compiler.inference import Inference, KernelFields, LayerBuild, Lowering, by_row, passes_of, place_is_free
from accelsim.compiler.plan import Op
from accelsim.compiler.product_operands import rows_from, weights_from
from accelsim.compiler.product_split import Part, ProductSplit, split_product
from accelsim.compiler.product_weights import WeightReuse, book_weights, weight_reuse, weights_of_run
from accelsim.errors import CompileError
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels import compute_state
from accelsim.trace.layers import MacLayer, MatmulLayer, WeightedLayer


def lower_product(inference: Inference, op: Op) -> None:
    """Append the runs of a product, their streams and its drain."""
    low, layer = inference.low, op.layer
    split = split_product(op, _geometry(inference, op), inference.target.array.max_m)
    drain = _drain(inference, op, split.all_stripes, split.columns, split.geometry.cols)
    common = _fields_of_all_runs(inference, op, split, drain)
    conflicts = _bank_conflicts(inference, op, split)
    reuse = weight_reuse(inference, layer, split)
    loads_codebook = _loads_codebook(inference, op, split)
    fetches = 0
    for part in split.parts():
        run = {**common, **_fields_of_run(split, part), "cost0": -1}
        if conflicts >= 0:
            run["cost0"] = conflicts + split.nt0(part) * split.geometry.stripe_groups(split.k)
        if isinstance(layer, WeightedLayer):
            weights, fetched = weights_of_run(inference, layer, split, reuse, part)
            run |= weights
            fetches += fetched
        if loads_codebook:
            run["codebook_load"] = _codebook_load(low, split, part)
        low.runs.append(run)
        low.tiles += split.kt_count * split.run_stripes
    if loads_codebook and split.row_tile.index == split.row_tile.count - 1:
        low.runs[-1]["codebook_release"] = len(low.cb_runs) - 1
    build = low.layers[inference.layer_index[layer.name]]
    _note(build, split, reuse, inference.target.array.cols)
    _bound(build, split, inference.target.array.rows_per_cycle)
    if isinstance(layer, WeightedLayer):
        book_weights(inference, layer, split, fetches // split.stream_count)
    inference.task_of[op.index] = drain
    inference.writers.setdefault(op.writes, []).append(drain)


def _geometry(inference: Inference, op: Op) -> CoreGeometry:
    layer = op.layer
    if isinstance(layer, WeightedLayer):
        return weight_geometry(inference.target, layer)
    assert isinstance(layer, MatmulLayer)  # the plan makes products of these two only
    for key, _ in op.reads:
        if inference.plan.tensors[key].bits != 8:
            raise CompileError(f"layer {layer.name!r}: operand {key.name!r} has {inference.plan.tensors[key].bits} bits; the array takes 8")
    return activation_geometry(inference.target, layer.transposed_b)


def _fields_of_all_runs(inference: Inference, op: Op, split: ProductSplit, drain: int) -> KernelFields:
    """Fields that the runs of a product have in common; without a codebook and a stream of weights, which a run may add."""
    target, geometry, layer = inference.target, split.geometry, op.layer
    assert isinstance(layer, MacLayer)  # the plan puts nothing else on the array
    return {
        "layer": inference.layer_index[layer.name],
        "k": op.k,
        "kt_count": split.kt_count,
        "d": geometry.codeword_length * (target.array.cols // geometry.cols),  # as the kernel counts records: over all columns
        "axis": geometry.axis,
        "ports": geometry.ports,
        "pop_bits": geometry.pop_bits,
        "buffer_bits": geometry.buffer_bits,
        "word_bits": geometry.word_bits,
        "out_task": drain,
        "out_rows": op.m,
        "row_accesses": row_accesses(target.activation_buffer, layer, target.array.rows),
        "codebook_load": -1,
        "codebook_release": -1,
        "chunk0": -1,
        "frees": 0,
        **rows_from(inference, op),
        **weights_from(inference, op),
    }


def _fields_of_run(split: ProductSplit, part: Part) -> KernelFields:
    """Rows, stripes and words of one run."""
    first_row, rows = split.rows_of(part)
    return {
        "m": rows,
        "m0": first_row,
        "nt0": split.nt0(part),
        "nt_count": split.run_stripes,
        "columns": split.run_columns(part),
        "words": split.stream_words,
    }


def _bank_conflicts(inference: Inference, op: Op, split: ProductSplit) -> int:
    """First of the layer's entries among the decode cycles of all groups of lookups; -1 where no bank can conflict."""
    low, layer = inference.low, op.layer
    if not isinstance(layer, WeightedLayer):
        return -1
    first = low.conflicts.start(inference.trace, layer, split.geometry, split.packing)
    if first >= 0:
        low.layers[inference.layer_index[layer.name]].notes.append(low.conflicts.note(inference.trace, layer))
    return first


def _loads_codebook(inference: Inference, op: Op, split: ProductSplit) -> bool:
    """Whether the runs decode with a codebook that is loaded for their layer."""
    return isinstance(op.layer, WeightedLayer) and split.geometry.decode and inference.target.codebook.store == "ram"


def _codebook_load(low: Lowering, split: ProductSplit, part: Part) -> int:
    """Number of the codebook that a run decodes with; the first run of a layer loads it."""
    if part.first and split.row_tile.index == 0:
        low.cb_runs.append(len(low.runs))
        low.cb_words.append(split.geometry.codewords * split.geometry.tables)
    return len(low.cb_runs) - 1


def _drain(inference: Inference, op: Op, stripes: int, columns: int, cols: int) -> int:
    """The task that requantizes what the array puts out (`columns` of each group, `cols` a stripe), with the fused functions' passes."""
    low, vector = inference.low, inference.target.vector_unit
    passes = vector.passes.requantize + sum(passes_of(inference, layer, True) for layer in op.fused)
    operands = [key for key, role in op.reads if role == "operand"]
    fields: KernelFields = {}
    for number, key in enumerate(operands):
        row = by_row(inference, key, op, op.m)
        fields |= {f"dep{number}": row["task"], f"dep{number}_base": row["base"], f"dep{number}_step": row["step"]}
    fields |= place_is_free(inference, op)
    pieces = [min(cols, columns) * inference.plan.tensors[key].bits // 8 for key in (op.writes, *operands)]
    accesses = low.vector_accesses(pieces, vector.row_cycles(min(cols, columns), passes))
    task = low.task(
        kind=compute_state.DRAIN, ordinal=len(low.drains), units=op.m * stripes, rows=op.m, tile_cols=cols, width=columns,
        passes=passes, latency=vector.latency, accesses=accesses, layer=inference.layer_index[op.layer.name], **fields,
    )  # fmt: skip
    low.drains.append(task)
    full, rest = divmod(columns, cols)
    per_row = op.n // columns * (full * vector.row_cycles(cols, 1) + (vector.row_cycles(rest, 1) if rest else 0))
    for layer, count in ((op.layer, vector.passes.requantize), *((item, passes_of(inference, item, True)) for item in op.fused)):
        build = low.layers[inference.layer_index[layer.name]]
        build.vector_cycles += op.m * per_row * count
        build.bounds["vector"] += op.m * per_row * count
        if layer is not op.layer:
            build.notes.append(f"fused into {op.layer.name}")
    return task


def _note(build: LayerBuild, split: ProductSplit, reuse: WeightReuse, cols: int) -> None:
    """Say how a product was split, for the result."""
    row_tile = split.row_tile
    if split.geometry.cols < cols:
        build.notes.append(f"no masks for the sparse tiles: {split.geometry.cols} of {cols} columns a pass")
    if row_tile.count > 1:
        build.notes.append(f"{row_tile.count} row tiles, weights {'kept over' if reuse.over_row_tiles else 'fetched for each of'} them")
    if split.chunks > 1 and row_tile.index == 0:
        what = "held over" if reuse.over_chunks else "read again for"
        build.notes.append(f"{split.chunks} M-chunks of {split.chunk_rows} rows, stripe {what} them")


def _bound(build: LayerBuild, split: ProductSplit, rows_per_cycle: int) -> None:
    """Add the least cycles of each resource of the core for this product."""
    geometry = split.geometry
    groups = geometry.stripe_groups(split.k) * split.all_stripes * split.chunks
    cycles = sum(-(-min(split.chunk_rows, split.m - first) // rows_per_cycle) for first in range(0, split.m, split.chunk_rows))
    build.bounds["array"] += cycles * split.all_stripes * split.kt_count
    build.bounds["decode"] += groups
    build.bounds["buffer_width"] += -(-groups * geometry.pop_bits // geometry.word_bits)
