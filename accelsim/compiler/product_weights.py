"""The weights of a product's runs: which run fetches them, how long the weight buffer holds them, and when a fetch may begin.

The weights of a stripe stay in the weight buffer over its M-chunks if they fit (else they are read again for each). A product in row
tiles repeats that in each row tile; its weights stay over all row tiles if the buffer holds the whole layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.compiler.image import image_bits
from accelsim.compiler.inference import Inference, KernelFields
from accelsim.compiler.product_split import Part, ProductSplit
from accelsim.compiler.streams import RunStream, layer_batches
from accelsim.compiler.weight_traffic import header_bytes, header_traffic, record_traffic
from accelsim.errors import CompileError
from accelsim.trace.layers import Layer, WeightedLayer


@dataclass(frozen=True)
class WeightReuse:
    """How long the weight buffer holds what a product fetches.

    Attributes
    ----------
    header_bytes : of the layer, ahead of its first records; 0 for a product of two activations
    over_chunks : a stripe's weights serve all of its M-chunks
    over_row_tiles : the layer's weights serve all row tiles
    """

    header_bytes: int
    over_chunks: bool
    over_row_tiles: bool

    def fetches(self, split: ProductSplit, part: Part) -> bool:
        """Whether a run fetches its weights, rather than finds them in the buffer."""
        return (part.chunk == 0 or not self.over_chunks) and not (self.over_row_tiles and split.row_tile.index)

    def frees(self, split: ProductSplit, part: Part) -> bool:
        """Whether a run is the last that needs the weights that it reads."""
        last_chunk, last_row_tile = part.chunk == split.chunks - 1, split.row_tile.index == split.row_tile.count - 1
        return (last_chunk or not self.over_chunks) and (last_row_tile or not self.over_row_tiles)


def weight_reuse(inference: Inference, layer: Layer, split: ProductSplit) -> WeightReuse:
    """How long the weights of a product stay."""
    target = inference.target
    header = 0
    if isinstance(layer, WeightedLayer):
        header = header_bytes(layer.weight, target.vector_unit, target.codebook.store == "rom")
    capacity = target.weight_buffer.capacity
    stream_bytes = split.stream_words * split.geometry.word_bits // 8
    return WeightReuse(
        header_bytes=header,
        over_chunks=not split.per_stripe or header + stream_bytes <= capacity,
        over_row_tiles=split.row_tile.count > 1 and header + split.image_bytes <= capacity,
    )


def weights_of_run(
    inference: Inference, layer: WeightedLayer, split: ProductSplit, reuse: WeightReuse, part: Part
) -> tuple[KernelFields, bool]:
    """(fields of a run that say where its weights are, whether they are fetched anew)."""
    places = inference.kept_weights.setdefault(layer.name, {})
    key, fetched = (part.group, part.stripe), False
    buffered = inference.target.weight_buffer.residency == "stream"
    if reuse.fetches(split, part):
        words = split.stream_words
        stream = RunStream(
            layer=inference.layer_index[layer.name],
            header_bytes=reuse.header_bytes if part.first and split.row_tile.index == 0 else 0,
            word_bytes=split.geometry.word_bits // 8,
            words=words,
            batch_words=(words,),
            gates=(0,),
            buffered=buffered,
        )
        places[key], fetched = _place(inference, layer, split, part, stream)
    return {**places[key], "frees": int(buffered and reuse.frees(split, part))}, fetched


def _place(inference: Inference, layer: WeightedLayer, split: ProductSplit, part: Part, stream: RunStream) -> tuple[KernelFields, bool]:
    """(fields of the runs that read a stream, whether it is fetched: what is pinned is fetched once for all inferences)."""
    low, target = inference.low, inference.target
    row_tile = split.row_tile.index
    name = f"{part.group}.{part.stripe}.{part.chunk}" + (f".{row_tile}" if row_tile else "")
    key = (inference.trace.name, f"{layer.name}/{name}")
    fetched = key not in low.pinned
    if fetched:
        if target.control.overlap != "prefetch":
            stream = _gated(inference, stream, split)
        base = low.streams.buffered_bytes
        _check_header(inference, layer, stream)
        chunk0, count, bus = low.streams.add(stream, f"layer {layer.name!r}")
        if bus > stream.bytes:
            low.layers[stream.layer].bits["burst_rounding", low.weight_memory, False] += 8 * (bus - stream.bytes)
        if target.weight_buffer.residency == "pinned":
            low.pinned[key] = (chunk0, count, base)
    else:
        chunk0, count, base = low.pinned[key]
    return {
        "chunk0": chunk0, "chunk_count": count, "base_bytes": base, "header_bytes": stream.header_bytes, "stream_bytes": stream.bytes,
    }, fetched  # fmt: skip


def _check_header(inference: Inference, layer: WeightedLayer, stream: RunStream) -> None:
    """A header waits in the buffer until the records behind it have begun to come."""
    capacity = inference.target.weight_buffer.capacity
    short = stream.header_bytes + inference.target.dma.transfer - capacity
    if stream.buffered and short > 0:
        raise CompileError(
            f"layer {layer.name!r}: codebook, scales and biases ({stream.header_bytes} B) and one transfer do not fit "
            f"weight_buffer.capacity = {capacity} B: short by {short} B"
        )


def _gated(inference: Inference, stream: RunStream, split: ProductSplit) -> RunStream:
    """`stream` in batches that load before they compute: a layer (or what fits of it), or a tile."""
    geometry, control = split.geometry, inference.target.control
    groups = 0
    tile_words: list[int] = []
    for tile in range(split.kt_count * split.run_stripes):
        groups += geometry.tile_groups(split.k, tile % split.kt_count)
        tile_words.append(min(stream.words, -(-groups * geometry.pop_bits // geometry.word_bits)))
    ends = layer_batches(
        tile_words, stream.words, stream.header_bytes, stream.word_bytes, inference.target.weight_buffer.capacity,
        control.overlap == "none",
    )  # fmt: skip
    gates: list[int] = []
    before = 0
    for end in ends:
        gates.append(inference.low.tiles + (tile_words.index(before) + 1 if before else 0))
        before = end
    return RunStream(stream.layer, stream.header_bytes, stream.word_bytes, stream.words, ends, tuple(gates), stream.buffered)


def book_weights(inference: Inference, layer: WeightedLayer, split: ProductSplit, fetches: int) -> None:
    """Book the image, as often as it is fetched, and the header, which comes with the first fetch alone."""
    if not fetches:
        return
    low, target = inference.low, inference.target
    bits = low.layers[inference.layer_index[layer.name]].bits
    for operand, count in record_traffic(image_bits(split.geometry, layer, split.packing)).items():
        bits[operand, low.weight_memory, False] += count * fetches
    if split.row_tile.index == 0:
        for operand, count in header_traffic(layer.weight, target.vector_unit, target.codebook.store == "rom").items():
            bits[operand, low.weight_memory, False] += count
