"""The expected products of a trace, computed independently of the machine: packed streams, plain indexing, exact sums.

It shares neither the image nor any unpacking with the code it checks: bits come from `numpy.unpackbits`, products from float64
matrices, which are exact for int8 and int16 as long as a sum stays below 2^53, and integer ones for wider rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import TraceError
from accelsim.formats.nf4 import VALUES as NF4
from accelsim.functional_twin.blocks import GroupFactors, block_layout, read_blocks, spread
from accelsim.functional_twin.codes import CODE_TABLES, coded_symbols
from accelsim.functional_twin.lattice import lattice_weights
from accelsim.trace.layers import ConvLayer, WeightedLayer
from accelsim.trace.trace import Trace

Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]
_ROWS = 4096  # of a product at a time
_FLOAT_BYTES = 2  # of an activation, up to which float64 holds every sum


def weights(trace: Trace, layer: WeightedLayer) -> Int64:
    """Wt[K,N] of a layer, int64, out of its packed streams.

    Raises
    ------
    TraceError
        Streams that the twin cannot decode.
    """
    record = layer.weight
    k, n = record.k, record.n
    known = set(record.streams) - {"scales", "minima", *CODE_TABLES}
    if known == {"blocks"}:
        return read_blocks(trace.stream(layer.name, "blocks"), block_layout(record.format), n).integers
    if known == {"indices", "signs"}:
        codes = {name: _integers(trace, layer, name, k // 8 * n, signed=False).reshape(k // 8, n) for name in known}
        return lattice_weights(codes["indices"], codes["signs"])
    row, column = np.arange(k)[:, None], np.arange(n)[None, :]
    if known == {"weights", "zeros"}:
        group = record.format.decode_path().scale_levels[0][0]
        raw = _integers(trace, layer, "weights", k * n, signed=False).reshape(k, n)
        return raw - _integers(trace, layer, "zeros", -(-k // group) * n, signed=False).reshape(-1, n)[row // group, column]
    if record.format.kind == "nf4":
        levels: Int64 = np.rint(127 * np.array(NF4)).astype(np.int64)
        return levels.take(_integers(trace, layer, "weights", k * n, signed=False).reshape(k, n))
    if known == {"weights"}:
        raw = _integers(trace, layer, "weights", k * n, signed="minima" not in record.streams).reshape(k, n)
        return 2 * raw + 1 if record.format.decode_path().odd else raw
    if known == {"indices", "residuals", "codebook"}:
        return _residual_weights(trace, layer)
    if known - {"signs", "masks"} != {"indices", "codebook"}:
        raise TraceError(f"layer {layer.name!r}: the functional check cannot read the streams {sorted(known)} of {record.format.kind!r}")
    path = record.format.decode_path()
    d, lookup = path.d, path.lookup
    assert lookup is not None  # indices are looked up
    if lookup.block is not None:
        return _block_weights(trace, layer, lookup.block)
    codebook = _integers(trace, layer, "codebook", path.entries * d, signed=True).reshape(lookup.tables, lookup.books, path.codewords, d)
    indices = _integers(trace, layer, "indices", k * n // d * lookup.books, signed=False)
    table, values = column // (n // lookup.tables), np.zeros((k, n), np.int64)
    for book in range(lookup.books):
        if path.axis == 0:
            values += codebook[table, book, indices.reshape(k, n // d, -1)[row, column // d, book], column % d]
        else:
            values += codebook[table, book, indices.reshape(k // d, n, -1)[row // d, column, book], row % d]
    if "signs" in known:
        negative = _integers(trace, layer, "signs", k * n, signed=False).reshape(k, n)
        values = np.where(negative == 1, -values, values)
    if path.mask is not None:
        table = _kept_lanes(*path.mask)
        of = table.shape[1]
        numbers = _integers(trace, layer, "masks", k * n // of, signed=False)
        if path.axis == 0:
            values = values * table[numbers.reshape(k, n // of)[row, column // of], column % of]
        else:
            values = values * table[numbers.reshape(k // of, n)[row // of, column], row % of]
    return values


def _block_weights(trace: Trace, layer: WeightedLayer, block: tuple[int, int]) -> Int64:
    """Entries of the table of each weight's block; blocks are counted down the reduction, then over the outputs."""
    record, path = layer.weight, layer.weight.format.decode_path()
    row, column = np.arange(record.k)[:, None], np.arange(record.n)[None, :]
    down, across = -(-record.k // block[0]), -(-record.n // block[1])
    tables = _integers(trace, layer, "codebook", across * down * path.codewords * path.d, signed=True).reshape(-1, path.codewords, path.d)
    own = column // block[1] * down + row // block[0]
    indices = _integers(trace, layer, "indices", record.k * record.n // path.d, signed=False)
    across_vector = path.axis == 0
    chosen = indices.reshape(record.k, -1)[row, column // path.d] if across_vector else indices.reshape(-1, record.n)[row // path.d, column]
    values: Int64 = tables[own, chosen, (column if across_vector else row) % path.d]
    return values


def _residual_weights(trace: Trace, layer: WeightedLayer) -> Int64:
    """Sums of a codeword of the main codebook and of one of the residual's, which follows it."""
    record = layer.weight
    path, vectors = record.format.decode_path(), record.k * record.n // record.format.decode_path().d
    book = _integers(trace, layer, "codebook", path.entries * path.d, signed=True).reshape(-1, path.d)
    row, column = np.arange(record.k)[:, None], np.arange(record.n)[None, :]
    down, across, element = (row, column // path.d, column % path.d) if path.axis == 0 else (row // path.d, column, row % path.d)
    main, residual = (
        _integers(trace, layer, name, vectors, signed=False).reshape(int(down.max()) + 1, -1)[down, across]
        for name in ("indices", "residuals")
    )
    return book[main, element] + book[path.codewords + residual, element]


def factors(trace: Trace, layer: WeightedLayer) -> GroupFactors:
    """The scales and minima of a layer with groups, out of its packed streams."""
    record = layer.weight
    if set(record.streams) == {"blocks"}:
        return read_blocks(trace.stream(layer.name, "blocks"), block_layout(record.format), record.n).factors
    over = record.format.decode_path().scale_levels[0][0]
    found = {
        name: np.frombuffer(trace.stream(layer.name, name).tobytes(), "<f2").reshape(-1, record.n).astype(np.float64)
        for name in ("scales", "minima")
        if name in record.streams and record.format.kind != "nf4"
    }
    if record.format.kind == "nf4":  # levels are 127ths of the largest magnitude; what multiplies a sum is a float32
        largest = np.frombuffer(trace.stream(layer.name, "scales").tobytes(), "<f4").reshape(-1, record.n)
        found["scales"] = (largest.astype(np.float64) / 127).astype(np.float32).astype(np.float64)
    return GroupFactors(over, found["scales"], None, found.get("minima"), None)


def scaled_product(a: npt.NDArray[Any], integers: Int64, groups: GroupFactors) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """(sums (M, N) in float32, the same in float64) of weights with scales per group of inputs.

    The inputs of a group times the integers and their sub-scales are an exact sum; it is multiplied by the float scale and added, then the
    sum of the inputs times sub-minima by the minimum, each result rounded to float32. K ascends. Sums beyond float32 are infinite or NaN.

    Parameters
    ----------
    a, integers : activations (M, K) and weights before their scales (K, N)
    """
    k = integers.shape[0]
    total, wide = np.zeros((a.shape[0], integers.shape[1]), np.float32), np.zeros((a.shape[0], integers.shape[1]))
    inputs = a.astype(np.float64)
    weighted = integers * spread(groups.sub_scales, k)
    lowest = np.broadcast_to(spread(groups.sub_minima, k), (k, integers.shape[1])).astype(np.float64)
    for place, first in enumerate(range(0, k, groups.over)):
        own = slice(first, first + groups.over)
        terms = [inputs[:, own] @ weighted[own].astype(np.float64) * groups.scales[place]]
        if groups.minima is not None:
            terms.append(inputs[:, own] @ lowest[own] * groups.minima[place])
        for exact in terms:
            with np.errstate(over="ignore", invalid="ignore"):  # scales may be too large for float32; the comparison says so
                total = total + exact.astype(np.float32)
            wide += exact
    return total, wide


def _kept_lanes(keep: int, of: int) -> Int64:
    """1 where a pattern keeps a lane, (C(of, keep), of), its number in the combinatorial number system: the sum of C(lane_i, i + 1)."""
    table = np.zeros((comb(of, keep), of), np.int64)
    for lanes in combinations(range(of), keep):
        table[sum(comb(lane, place + 1) for place, lane in enumerate(lanes)), list(lanes)] = 1
    return table


def _integers(trace: Trace, layer: WeightedLayer, stream: str, count: int, *, signed: bool) -> Int64:
    """`count` integers of a stream, each of the width that the manifest implies, least significant first."""
    found = coded_symbols(trace, layer, stream, count, signed=signed)
    if found is not None:
        return found
    width = layer.weight.streams[stream].bits // count
    bits = np.unpackbits(trace.stream(layer.name, stream), bitorder="little")[: count * width].reshape(count, width)
    places = np.int64(1) << np.arange(width, dtype=np.int64)
    if signed:
        places[-1] = -places[-1]
    values = np.zeros(count, np.int64)
    for place in range(width):
        values += bits[:, place] * places[place]
    return values


def patches(layer: ConvLayer, planes: Int8, group: int) -> Int8:
    """Rows of a convolution as a product: (OY*OX, C*FY*FX), C slowest, from `planes` (channels of all groups, height, width)."""
    bounds, (dy, dx), (sy, sx) = layer.bounds, layer.dilation, layer.strides
    own = planes[group * bounds.C : (group + 1) * bounds.C]
    padded = np.pad(own, ((0, 0), *zip(layer.padding, layer.far_padding, strict=True)))
    spans = (dy * (bounds.FY - 1) + 1, dx * (bounds.FX - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(1, 2))[:, ::sy, ::sx, ::dy, ::dx]
    return windows.transpose(1, 2, 0, 3, 4).reshape(bounds.OY * bounds.OX, bounds.k)


def diagonal(blocks: Sequence[Int64], places: int) -> Int64:
    """Blocks (K, N) on the diagonal of a matrix whose rows have room for `places` of them, zeros elsewhere."""
    zeros = np.zeros_like(blocks[0])
    return np.vstack([np.hstack([block if at == place else zeros for at, block in enumerate(blocks)]) for place in range(places)])


def product(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Int64:
    """a x b in exact integers, whatever width an accumulator has: (M, K), (K, N) -> int64 (M, N)."""
    exact = np.float64 if a.itemsize <= _FLOAT_BYTES else np.int64  # 31 bits times 7 leave float64 room for 2^15 products
    right = b.astype(exact)
    out = np.empty((a.shape[0], b.shape[1]), np.int64)
    for start in range(0, a.shape[0], _ROWS):
        out[start : start + _ROWS] = (a[start : start + _ROWS].astype(exact) @ right).astype(np.int64)
    return out
