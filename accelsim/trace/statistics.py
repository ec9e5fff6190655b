"""Statistics of packed weights: uses of each codeword, and the share of negative weights.

Streams are read a piece at a time and counted, so memory is bounded by one codebook per format, however large a trace is. The entropy is
that of single indices; the further gain of a code over neighbours is not estimated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.bits import Integers, unpack_bits
from accelsim.formats.catalog import describe_format
from accelsim.formats.codewords import check_indices
from accelsim.formats.weight_format import Stream
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.payload import Payload
from accelsim.trace.trace import Trace

BARS = 32
_VALUES = 1 << 20  # at a time: a multiple of 8, so that pieces begin and end with whole bytes
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class IndexUse:
    """The use of the codewords of one codebook, or of the codebooks of several layers.

    Attributes
    ----------
    codebooks, codewords
        Number of codebooks, and of codewords in all of them.
    indices
        Number of indices counted.
    index_bits
        Bits of an index as stored.
    entropy_bits
        Entropy of an index in bits: what an ideal code of single indices would take. Over several codebooks: the mean per index.
    unused
        Codewords that no index names.
    most_used, most_used_share
        The most frequent index (the lowest of equals; None over several codebooks), and the largest share that one has of its layer.
    bars
        Mean uses of a codeword, from the most to the least used, in at most 32 groups; over several codebooks added rank by rank.
    """

    codebooks: int
    codewords: int
    indices: int
    index_bits: int
    entropy_bits: float
    unused: int
    most_used: int | None
    most_used_share: float
    bars: tuple[float, ...]


@dataclass(frozen=True)
class LayerStatistics:
    """One layer: its indices (None without any), and the share of sign bits or stored weights that are negative (None without signs)."""

    name: str
    format: str
    indices: IndexUse | None
    negative_share: float | None


@dataclass(frozen=True)
class TraceStatistics:
    """All layers with weights; the use of the codebooks, and the negative share of all weights that have a sign, by format."""

    layers: tuple[LayerStatistics, ...]
    indices: dict[str, IndexUse]
    negative_share: dict[str, float]


class _Sum:
    """Indices of the layers of one format, added up."""

    def __init__(self, shared: bool) -> None:
        self.shared = shared
        self.last: IndexUse | None = None
        self.counts: Counts | int = 0  # by index for a shared codebook, else by rank
        self.codebooks = self.indices = self.unused = 0
        self.entropy_bits = self.share = 0.0

    def add(self, counts: Counts, use: IndexUse) -> None:
        self.counts = self.counts + (counts if self.shared else -np.sort(-counts))
        self.last = use
        self.codebooks += 1
        self.indices += use.indices
        self.unused += use.unused
        self.entropy_bits += use.entropy_bits * use.indices
        self.share = max(self.share, use.most_used_share)

    def use(self, index_bits: int) -> IndexUse:
        counts = np.asarray(self.counts, dtype=np.int64)
        if self.last is not None and self.codebooks == 1:
            return self.last
        if self.shared:
            return index_use(counts, index_bits)
        mean = self.entropy_bits / self.indices
        sizes = (self.codebooks, self.codebooks * counts.size, self.indices)
        return IndexUse(*sizes, index_bits, mean, self.unused, None, self.share, _bars(counts))


def index_use(counts: Counts, index_bits: int) -> IndexUse:
    """The use of one codebook whose codeword i is named `counts[i]` times, at least once in all."""
    whole = int(counts.sum())
    share = counts[counts > 0] / whole
    return IndexUse(
        codebooks=1,
        codewords=counts.size,
        indices=whole,
        index_bits=index_bits,
        entropy_bits=max(0.0, float(-(share * np.log2(share)).sum())),
        unused=int((counts == 0).sum()),
        most_used=int(counts.argmax()),
        most_used_share=float(counts.max() / whole),
        bars=_bars(-np.sort(-counts)),
    )


def trace_statistics(trace: Trace) -> TraceStatistics:
    """Count the indices and signs of a trace's payload.

    Raises
    ------
    TraceError, FormatError
        The trace has no payload, or a stream that its format does not allow.
    """
    layers: list[LayerStatistics] = []
    sums: dict[str, _Sum] = {}
    bits: dict[str, int] = {}
    signs: dict[str, tuple[int, int]] = {}
    for layer in trace.weighted_layers():
        spec = layer.weight.format
        table = spec.quantizer.streams(layer.weight.k, layer.weight.n)
        name, use, share = describe_format(spec), None, None
        try:
            if "indices" in table:
                path = spec.decode_path()
                counts = _index_counts(_pieces(trace, layer, "indices", table["indices"]), spec.kind, path.codewords)
                use, bits[name] = index_use(counts, path.index_bits), path.index_bits
                sums.setdefault(name, _Sum(spec.codebook_scope == "shared")).add(counts, use)
            signed = next((stream for stream in ("signs", "weights") if stream in table), None)
            if signed is not None:
                negative = sum(_negatives(piece) for piece in _pieces(trace, layer, signed, table[signed]))
                share = negative / table[signed].count
                before, of = signs.get(name, (0, 0))
                signs[name] = before + negative, of + table[signed].count
        except FormatError as error:
            raise FormatError(f"trace {trace.name!r}, layer {layer.name!r}: {error}") from None
        layers.append(LayerStatistics(layer.name, name, use, share))
    return TraceStatistics(
        tuple(layers),
        {name: found.use(bits[name]) for name, found in sums.items()},
        {name: negative / of for name, (negative, of) in signs.items()},
    )


def _pieces(trace: Trace, layer: WeightedLayer, name: str, stream: Stream) -> Iterator[Integers]:
    """The values of a stream, some at a time; sign bits are 1 for negative."""
    payload: Payload = trace.required_payload(layer.name)
    if layer.weight.format.quantizer is not layer.weight.format:  # no part of a coded stream can be read alone
        values = trace.arrays(layer.name)[name].reshape(-1)
        yield -values.astype(np.int8) if name == "signs" else values
        return
    tensor = layer.weight.streams[name].tensor
    for start in range(0, stream.count, _VALUES):
        count = min(_VALUES, stream.count - start)
        first = start * stream.bits // 8
        data = payload.read_part(tensor, first, first + -(-count * stream.bits // 8))
        if stream.number == "float":
            yield np.frombuffer(data.tobytes(), dtype="<f4")
            continue
        values = unpack_bits(data, count, stream.bits, signed=stream.number == "signed")
        yield -values.astype(np.int8) if name == "signs" else values


def _index_counts(pieces: Iterator[Integers], kind: str, codewords: int) -> Counts:
    counts = np.zeros(codewords, dtype=np.int64)
    for piece in pieces:
        check_indices(kind, piece, codewords)
        counts += np.bincount(piece, minlength=codewords)
    return counts


def _negatives(values: Integers) -> int:
    return int((values < 0).sum())


def _bars(ranked: Counts) -> tuple[float, ...]:
    """Means of at most `BARS` groups of neighbours of nearly equal size."""
    groups = min(BARS, ranked.size)
    edges = np.arange(groups + 1) * ranked.size // groups
    return tuple((np.add.reduceat(ranked, edges[:-1]) / np.diff(edges)).tolist())
