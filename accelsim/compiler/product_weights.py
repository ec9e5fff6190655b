"""The weights of a product's runs: which run fetches them, how long the weight buffer holds them, and when a fetch may begin.

The weights of a stripe remain in the weight buffer over its M-chunks if they fit (else they are read again for each). A product in row
tiles repeats that in each row tile; its weights remain over all row tiles if the buffer holds the whole layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from accelsim.compiler.fetched_streams import FetchedStreams
from accelsim.compiler.inference import Inference
from accelsim.compiler.plan import Op
from accelsim.compiler.product_facts import ProductFacts
from accelsim.compiler.product_split import ProductSplit
from accelsim.compiler.program_size import check_tiles
from accelsim.compiler.record_table import Fields
from accelsim.compiler.streams import RunStream, layer_batches
from accelsim.errors import CompileError
from accelsim.trace.layers import Layer


def weights_of_runs(inference: Inference, op: Op, matrix: str, facts: ProductFacts) -> tuple[Fields, int]:
    """(fields of all runs that say where their weights are, how often the whole image is fetched); `matrix` is one of the layer's."""
    fetches = 0
    key = (matrix, facts.split.column_tile.index)
    if facts.reuse.fetches(facts.split):
        inference.kept_weights[key], fetched = _fetch(inference, op, key, facts)
        fetches = fetched * facts.split.chunks // facts.reuse.runs_per_fetch(facts.split)
    return inference.kept_weights[key].of_runs(facts.streams), fetches


def _fetch(inference: Inference, op: Op, key: tuple[str, int], facts: ProductFacts) -> tuple[FetchedStreams, bool]:
    """(the streams, whether they are fetched: what is pinned is fetched once for all inferences)."""
    low, split, reuse, layer = inference.low, facts.split, facts.reuse, op.layer.name
    pinned = inference.target.weight_buffer.residency == "pinned"
    pinned_key = (inference.trace.name, *key, op.row_tile.index if op.row_tile else 0)
    if pinned and pinned_key in low.pinned_weights:
        return low.pinned_weights[pinned_key], False
    header = reuse.header_bytes if split.row_tile.index == 0 else 0
    if inference.target.control.overlap != "prefetch":
        check_tiles(f"layer {layer!r}", split.run_stripes * split.kt_count)
    first = RunStream(
        header_bytes=header,
        word_bytes=split.geometry.word_bits // 8,
        words=split.stream_words,
        batch_words=np.array([split.stream_words]),
        gates=np.array([inference.gate]),
        buffered=not pinned,
    )
    if first.buffered:
        _check_header(inference, layer, header)
    image = (*key, split.column_tile.first_of_all, split.geometry, split.packing)
    known = image in inference.memory.images  # the image is in the memory once, however often it is read
    start = inference.memory.images[image] + reuse.header_bytes - header if known else None
    streams = [_gated(inference, first, split, split.run_stripes)]
    index = inference.layer_index[layer]
    placed = [low.streams.add(streams[0], f"layer {layer!r}", index, start)]
    if not known:
        inference.memory.images[image] = placed[0].address
    address = placed[0].address + header  # of its first words
    reads = 1 if reuse.over_chunks else split.chunks
    later = None  # address of what follows the first stream, where it is in the memory already
    if known:
        later = address - reuse.header_bytes + low.streams.stride(replace(first, header_bytes=reuse.header_bytes))
    tiles = reuse.runs_per_fetch(split) * split.kt_count  # that one fetch of an N-stripe serves
    ahead = tiles * split.run_stripes
    again = (split.stream_words, reads - 1, split.run_stripes)
    for number, (words, copies, stripes) in enumerate((again, *_others(split, reads))):
        if not copies:
            continue
        of_first = number == 0
        end = np.array([words])
        more = replace(first, header_bytes=0, words=words, batch_words=end, copies=copies, reads=copies if of_first else reads)
        streams.append(_gated(inference, more, split, stripes, tiles * stripes, ahead))
        placed.append(low.streams.add(streams[-1], f"layer {layer!r}", index, address if of_first else later))
        ahead += more.copies * tiles * stripes
        if later is not None and not of_first:
            later += more.copies // reads * low.streams.stride(more)
    rounding = sum(place.bus_bytes - stream.copies * stream.bytes for place, stream in zip(placed, streams, strict=True))
    if rounding:
        low.layers[index].bits["burst_rounding", low.weight_memory, False] += 8 * rounding
    full = -2 if split.has_short_streams and len(streams) > 2 else -1  # after the first, the streams of a group's whole folds
    found = FetchedStreams(
        chunk0=placed[0].first,
        base_bytes=placed[0].base,
        header_bytes=header,
        stream_bytes=first.bytes,
        words_bytes=streams[full].bytes,
        chunk_count=placed[0].count,
        words_chunk_count=placed[full].count,
        buffered=first.buffered,
        group=split.streams_of_group * reads,
        short=reads * split.has_short_streams,
        short_bytes=streams[full].bytes - streams[-1].bytes,
        short_chunks=placed[full].count - placed[-1].count,
    )
    if pinned:
        low.pinned_weights[pinned_key] = found
    return found, True


def _others(split: ProductSplit, reads: int) -> Iterator[tuple[int, int, int]]:
    """(words, copies, N-stripes) of all streams but the first, each read `reads` times; the shorter last one of a group apart."""
    if not split.has_short_streams:
        yield split.stream_words, (split.stream_count - 1) * reads, split.run_stripes
        return
    last = split.geometry.words(split.k, split.last_stripes)
    for group in range(split.groups):
        yield split.stream_words, (split.streams_of_group - 1 - (group == 0)) * reads, split.run_stripes
        yield last, reads, split.last_stripes


def _check_header(inference: Inference, layer: str, header: int) -> None:
    """A header waits in the buffer until the records behind it have begun to come."""
    capacity = inference.target.weight_buffer.capacity
    short = header + inference.target.dma.transfer - capacity
    if short > 0:
        raise CompileError(
            f"layer {layer!r}: codebook, scales and biases ({header} B) and one transfer do not fit "
            f"weight_buffer.capacity = {capacity} B: short by {short} B"
        )


def _gated(inference: Inference, stream: RunStream, split: ProductSplit, stripes: int, step: int = 0, ahead: int = 0) -> RunStream:
    """`stream` in batches that load before they compute, unless weights are prefetched: a layer (or what fits of it), or a fold.

    It holds `stripes` N-stripes; `step` tiles lie between the gates of one copy and the next, and `ahead` before those of the first.
    """
    geometry, overlap = split.geometry, inference.target.control.overlap
    if overlap == "prefetch":
        return stream
    held = np.repeat(geometry.folds(stripes), split.kt_count)  # N-tiles of each fold: of a tile, where PEs hold one weight
    pops = np.resize(geometry.tile_pops(split.k), held.size) * held
    if geometry.mapping.whole_stripes:
        held, pops = (counts.reshape(-1, split.kt_count).sum(axis=1) for counts in (held, pops))
    fold_words = np.minimum(stream.words, -(-np.cumsum(pops) * geometry.pop_bits // geometry.word_bits))
    capacity = inference.target.weight_buffer.capacity
    ends = layer_batches(fold_words, stream.words, stream.header_bytes, stream.word_bytes, capacity, overlap == "none")
    tiles = np.append(0, np.cumsum(held))
    done = np.append(0, tiles[np.searchsorted(fold_words, ends[:-1]) + 1])  # tiles of this stream before each batch
    return replace(stream, batch_words=ends, gates=inference.low.tiles + ahead + done, gate_step=step)


def book_weights(inference: Inference, layer: Layer, facts: ProductFacts, fetches: int) -> None:
    """Book the image, as often as it is fetched, and each column tile's header, which comes with its first fetch alone."""
    if not fetches:
        return
    memory = inference.low.weight_memory
    bits = inference.low.layers[inference.layer_index[layer.name]].bits
    for operand, count in facts.records.items() if facts.split.column_tile.index == 0 else ():  # of all column tiles together
        bits[operand, memory, False] += count * fetches
    if facts.split.row_tile.index == 0:
        for operand, count in facts.header.items():
            bits[operand, memory, False] += count
