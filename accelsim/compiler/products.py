"""Products of the array: runs, their streams, the drain that requantizes them.

A product is one run over all its N-stripes while its rows fit the accumulators; with more rows it is one run a stripe and
M-chunk, and the stripe's weights stay in the weight buffer over its chunks if they fit (else they are read again). A product in
row tiles does that in each row tile; its weights stay over all row tiles if the buffer holds the whole layer.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.compiler.access import row_accesses
from accelsim.compiler.geometry import activation_geometry, weight_geometry
from accelsim.compiler.image import Packing, image_bits
from accelsim.compiler.inference import Inference, KernelFields, by_row, passes_of, place_is_free
from accelsim.compiler.plan import Op, RowTile
from accelsim.compiler.product_operands import rows_from, weights_from
from accelsim.compiler.streams import RunStream, layer_batches
from accelsim.errors import CompileError
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels import compute_state
from accelsim.trace.layers import ConvLayer, MacLayer, MatmulLayer, WeightedLayer

SCALE_BIAS_BYTES = 8  # a channel: float32 scale and int32 bias


def lower_product(inference: Inference, op: Op) -> None:
    """Append the runs of a product, their streams and its drain."""
    low, accelerator, layer = inference.low, inference.accelerator, op.layer
    assert isinstance(layer, MacLayer)  # the plan puts nothing else on the array
    array = accelerator.array
    geometry = _geometry(inference, op)
    groups = layer.bounds.G if isinstance(layer, ConvLayer) else 1
    columns = op.n // groups
    stripes, kt_count = -(-columns // geometry.cols), -(-op.k // array.rows)
    drain = _drain(inference, op, stripes * groups, columns, geometry.cols)
    chunks = -(-op.m // array.max_m)
    chunk_rows = -(-op.m // chunks)
    row_tile = op.row_tile or RowTile(0, 1, 0, op.m, op.m)
    per_stripe = row_tile.all_rows > array.max_m
    build = low.layers[inference.layer_index[layer.name]]
    common: KernelFields = {
        "layer": inference.layer_index[layer.name],
        "k": op.k,
        "kt_count": kt_count,
        "d": geometry.codeword_length * (array.cols // geometry.cols),  # as the kernel counts records: over all columns
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
        "chunk0": -1,
        **rows_from(inference, op),
        **weights_from(inference, op),
    }
    weighted = isinstance(layer, WeightedLayer)
    loads_codebook = weighted and geometry.decode and accelerator.codebook.store == "ram"
    packing: Packing = "stripe" if per_stripe else "layer"
    costs = low.conflicts.start(inference.trace, layer, geometry, packing) if isinstance(layer, WeightedLayer) else -1
    if costs >= 0 and isinstance(layer, WeightedLayer):
        build.notes.append(low.conflicts.note(inference.trace, layer))
    fetches = 0
    header = _header_bytes(inference, op) if weighted else 0
    stripe_bytes = header + geometry.words(op.k, 1) * geometry.word_bits // 8  # of the first; one answer for all stripes
    hold = not per_stripe or stripe_bytes <= accelerator.weight_buffer.capacity
    layer_words = groups * (stripes * geometry.words(op.k, 1) if per_stripe else geometry.words(op.k, stripes))
    kept = row_tile.count > 1 and header + layer_words * geometry.word_bits // 8 <= accelerator.weight_buffer.capacity
    places = inference.kept_weights.setdefault(layer.name, {})
    for group in range(groups):
        for first_stripe in range(0, stripes, 1 if per_stripe else stripes):
            count = 1 if per_stripe else stripes
            words = geometry.words(op.k, count)
            stream = RunStream(
                layer=common["layer"],
                header_bytes=header if group == 0 and first_stripe == 0 else 0,
                word_bytes=geometry.word_bits // 8,
                words=words,
                batch_words=(words,),
                gates=(0,),
                buffered=accelerator.weight_buffer.residency == "stream",
            )
            place: KernelFields = places[group, first_stripe] if kept and row_tile.index else {}
            for chunk in range(chunks):
                if weighted and (chunk == 0 or not hold) and not (kept and row_tile.index):
                    if chunk or row_tile.index:
                        stream = replace(stream, header_bytes=0)
                    part = f"{group}.{first_stripe}.{chunk}" + (f".{row_tile.index}" if row_tile.index else "")
                    place = _stream(inference, op, stream, geometry, kt_count * count, part)
                    fetches += place.pop("fetched")
                    places[group, first_stripe] = place
                m0 = chunk * chunk_rows
                run = {
                    **common,
                    "m": min(chunk_rows, op.m - m0),
                    "m0": m0,
                    "nt0": group * stripes + first_stripe,
                    "nt_count": count,
                    "columns": min(columns, (first_stripe + count) * geometry.cols) - first_stripe * geometry.cols,
                    "words": words,
                    **place,
                    "cost0": costs + (group * stripes + first_stripe) * geometry.stripe_groups(op.k) if costs >= 0 else -1,
                    "frees": int(
                        weighted
                        and stream.buffered
                        and (not hold or chunk == chunks - 1)
                        and (not kept or row_tile.index == row_tile.count - 1)
                    ),
                }
                if loads_codebook:
                    run["codebook_load"] = len(low.cb_runs) - (0 if group == first_stripe == chunk == row_tile.index == 0 else 1)
                    if group == first_stripe == chunk == row_tile.index == 0:
                        low.cb_runs.append(len(low.runs))
                        low.cb_words.append(geometry.codewords)
                low.runs.append(run)
                low.tiles += kt_count * count
    if loads_codebook and row_tile.index == row_tile.count - 1:
        low.runs[-1]["codebook_release"] = len(low.cb_runs) - 1
    if geometry.cols < array.cols:
        build.notes.append(f"no masks for the sparse tiles: {geometry.cols} of {array.cols} columns a pass")
    if row_tile.count > 1:
        build.notes.append(f"{row_tile.count} row tiles, weights {'kept over' if kept else 'fetched for each of'} them")
    if chunks > 1 and row_tile.index == 0:
        what = "held over" if hold else "read again for"
        build.notes.append(f"{chunks} M-chunks of {chunk_rows} rows, stripe {what} them")
    _bounds(inference, op, geometry, stripes * groups, kt_count, chunks)
    if weighted:
        _weight_traffic(inference, op, geometry, packing, fetches // (groups * (stripes if per_stripe else 1)))
    inference.task_of[op.index] = drain
    inference.writers.setdefault(op.writes, []).append(drain)


def _geometry(inference: Inference, op: Op) -> CoreGeometry:
    layer = op.layer
    if isinstance(layer, WeightedLayer):
        return weight_geometry(inference.accelerator, layer)
    assert isinstance(layer, MatmulLayer)  # the plan makes products of these two only
    for key, _ in op.reads:
        if inference.plan.tensors[key].bits != 8:
            raise CompileError(f"layer {layer.name!r}: operand {key.name!r} has {inference.plan.tensors[key].bits} bits; the array takes 8")
    return activation_geometry(inference.accelerator, layer.transposed_b)


def _header_bytes(inference: Inference, op: Op) -> int:
    layer = op.layer
    assert isinstance(layer, WeightedLayer)
    codebook = layer.weight.format.codebook_bytes(op.k, layer.weight.n) if inference.accelerator.codebook.store == "ram" else 0
    return SCALE_BIAS_BYTES * layer.weight.n + codebook


def _stream(inference: Inference, op: Op, stream: RunStream, geometry: CoreGeometry, tiles: int, part: str) -> KernelFields:
    """Place one stream; fields of the runs that read it."""
    low, accelerator = inference.low, inference.accelerator
    key = (inference.trace.name, f"{op.layer.name}/{part}")
    if key in low.pinned:
        chunk0, count, base = low.pinned[key]
        return {
            "chunk0": chunk0, "chunk_count": count, "base_bytes": base, "header_bytes": stream.header_bytes,
            "stream_bytes": stream.bytes, "fetched": 0,
        }  # fmt: skip
    if accelerator.control.overlap != "prefetch":
        stream = _gated(inference, stream, geometry, op.k, tiles)
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


def _gated(inference: Inference, stream: RunStream, geometry: CoreGeometry, k: int, tiles: int) -> RunStream:
    """`stream` in batches that load before they compute: a layer (or what fits of it), or a tile."""
    kt_count = -(-k // geometry.rows)
    groups = 0
    tile_words: list[int] = []
    for tile in range(tiles):
        groups += geometry.tile_groups(k, tile % kt_count)
        tile_words.append(min(stream.words, -(-groups * geometry.pop_bits // geometry.word_bits)))
    ends = layer_batches(
        tile_words, stream.words, stream.header_bytes, stream.word_bytes, inference.accelerator.weight_buffer.capacity,
        inference.accelerator.control.overlap == "none",
    )  # fmt: skip
    gates: list[int] = []
    before = 0
    for end in ends:
        gates.append(inference.low.tiles + (tile_words.index(before) + 1 if before else 0))
        before = end
    return RunStream(stream.layer, stream.header_bytes, stream.word_bytes, stream.words, ends, tuple(gates), stream.buffered)


def _drain(inference: Inference, op: Op, stripes: int, columns: int, cols: int) -> int:
    """The task that requantizes what the array puts out (`columns` of each group, `cols` a stripe), with the fused functions' passes."""
    low, vector = inference.low, inference.accelerator.vector_unit
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


def _bounds(inference: Inference, op: Op, geometry: CoreGeometry, stripes: int, kt_count: int, chunks: int) -> None:
    """Least cycles of each resource of the core for this product."""
    build = inference.low.layers[inference.layer_index[op.layer.name]]
    groups = geometry.stripe_groups(op.k) * stripes * chunks
    rows = -(-op.m // chunks)
    cycles = sum(-(-min(rows, op.m - first) // inference.accelerator.array.rows_per_cycle) for first in range(0, op.m, rows))
    build.bounds["array"] += cycles * stripes * kt_count
    build.bounds["decode"] += groups
    build.bounds["buffer_width"] += -(-groups * geometry.pop_bits // geometry.word_bits)


def _weight_traffic(inference: Inference, op: Op, geometry: CoreGeometry, packing: Packing, fetches: int) -> None:
    """Book the image, as often as it is fetched, by operand; scales, biases and codebook come once."""
    layer, low = op.layer, inference.low
    if not fetches or not isinstance(layer, WeightedLayer):
        return
    image = image_bits(geometry, layer, packing)
    bits, memory = low.layers[inference.layer_index[layer.name]].bits, low.weight_memory
    parts = {"indices": image.index, "signs": image.sign, "masks": image.mask, "raw_weights": image.raw, "padding": image.padding}
    for name, count in parts.items():
        bits[name, memory, False] += count * fetches
    scales = SCALE_BIAS_BYTES * layer.weight.n
    if op.row_tile is None or op.row_tile.index == 0:
        bits["scales_bias", memory, False] += 8 * scales
        bits["codebook", memory, False] += 8 * (_header_bytes(inference, op) - scales)
