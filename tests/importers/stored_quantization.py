"""Quantized modules written field by field, as the packages document their layouts: integers, and the weights that they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray]
Module = tuple[Tensors, np.ndarray]  # by the last part of the name; weights (K, N), exact in float64
Writer = Callable[[int, int, np.random.Generator], Module]


def _scales(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.uniform(0.001, 0.1, shape).astype(np.float16)


def _int32(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


def _stream(fields: list[int], bits: int) -> list[int]:
    """Words of one long number, whose lowest bits are the first field."""
    number = sum(value << bits * place for place, value in enumerate(fields))
    return [number >> 32 * word & 0xFFFFFFFF for word in range(-(-len(fields) * bits // 32))]


def _whole(fields: list[int], bits: int) -> list[int]:
    """Words of as many whole fields as fit."""
    fit = 32 // bits
    return [sum(value << bits * place for place, value in enumerate(fields[at : at + fit])) for at in range(0, len(fields), fit)]


def _spread(values: np.ndarray, group: int, k: int) -> np.ndarray:
    return np.repeat(values.astype(np.float64), group, axis=0)[:k]


def gptq(bits: int, group: int, symmetric: bool, less: int = 1, ordered: bool = False) -> Writer:
    """`qweight` along the inputs, `qzeros` along the outputs and short of `less`; `ordered`: an input is of any group."""

    def write(k: int, n: int, rng: np.random.Generator) -> Module:
        size = group if group > 0 else k
        groups = -(-k // size)
        q = rng.integers(0, 1 << bits, (k, n))
        z = np.full((groups, n), 1 << bits - 1) if symmetric else rng.integers(less, 1 << bits, (groups, n))
        s = _scales(rng, groups, n)
        columns = [[_int32(word) for word in _stream(q[:, column].tolist(), bits)] for column in range(n)]
        zeros = [[_int32(word) for word in _stream((z[row] - less).tolist(), bits)] for row in range(groups)]
        stored = {
            "qweight": np.array(columns, np.int32).T.copy(), "qzeros": np.array(zeros, np.int32), "scales": s,
            "g_idx": np.array([row // size for row in range(k)], np.int32),
        }  # fmt: skip
        if ordered:
            own = stored["g_idx"] = rng.permutation(stored["g_idx"])
            return stored, np.array([s[own[row]].astype(np.float64) * (q[row] - z[own[row]]) for row in range(k)])
        return stored, _spread(s, size, k) * (q - _spread(z, size, k))

    return write


def awq(group: int) -> Writer:
    """Word w of a row holds outputs 8w + 0, 2, 4, 6, 1, 3, 5, 7 from its lowest bits up."""
    order = (0, 2, 4, 6, 1, 3, 5, 7)

    def rows(values: np.ndarray) -> np.ndarray:
        words = [
            [_int32(sum(int(row[at + output]) << 4 * place for place, output in enumerate(order))) for at in range(0, len(row), 8)]
            for row in values
        ]
        return np.array(words, np.int32)

    def write(k: int, n: int, rng: np.random.Generator) -> Module:
        groups = -(-k // group)
        q, z, s = rng.integers(0, 16, (k, n)), rng.integers(0, 16, (groups, n)), _scales(rng, groups, n)
        return {"qweight": rows(q), "qzeros": rows(z), "scales": s}, _spread(s, group, k) * (q - _spread(z, group, k))

    return write


def packed(bits: int, group: int, symmetric: bool, packed_zeros: bool = True, ordered: bool = False) -> Writer:
    """compressed-tensors: signed values plus 2^(bits-1), outputs outermost; zero points packed along the outputs, or bytes.

    `ordered`: an input is of any group.
    """
    middle = 1 << bits - 1

    def write(k: int, n: int, rng: np.random.Generator) -> Module:
        size = group or k
        groups = -(-k // size)
        q = rng.integers(-middle, middle, (n, k))
        z = rng.integers(-middle, middle, (n, groups)) * (not symmetric)
        s = _scales(rng, n, groups)
        words = [[_int32(word) for word in _whole((row + middle).tolist(), bits)] for row in q]
        stored: Tensors = {"weight_packed": np.array(words, np.int32), "weight_scale": s, "weight_shape": np.array([n, k], np.int64)}
        if not symmetric:
            columns = [[_int32(word) for word in _whole((z[:, part] + middle).tolist(), bits)] for part in range(groups)]
            stored["weight_zero_point"] = np.array(columns, np.int32).T.copy() if packed_zeros else z.astype(np.int8)
        if ordered:
            own = stored["weight_g_idx"] = rng.permutation(np.array([row // size for row in range(k)], np.int32))
            return stored, np.array([s[:, own[row]].astype(np.float64) * (q[:, row] - z[:, own[row]]) for row in range(k)])
        return stored, _spread(s.T, size, k) * (q.T - _spread(z.T, size, k))

    return write


def bytes_of(per_tensor: bool) -> Writer:
    """compressed-tensors' int-quantized bytes."""

    def write(k: int, n: int, rng: np.random.Generator) -> Module:
        q = rng.integers(-128, 128, (n, k)).astype(np.int8)
        s = rng.uniform(0.001, 0.1, 1 if per_tensor else (n, 1)).astype(np.float32)
        return {"weight": q, "weight_scale": s}, (q * s.astype(np.float64)).T

    return write


def mlx(bits: int, group: int) -> Writer:
    """Scales of either sign, and minima."""

    def write(k: int, n: int, rng: np.random.Generator) -> Module:
        q = rng.integers(0, 1 << bits, (n, k))
        s = _scales(rng, n, k // group) * rng.choice([-1, 1], (n, k // group)).astype(np.float16)
        b = rng.normal(size=(n, k // group)).astype(np.float16)
        stored = {"weight": np.array([_stream(row.tolist(), bits) for row in q], np.uint32), "scales": s, "biases": b}
        return stored, _spread(s.T, group, k) * q.T + _spread(b.T, group, k)

    return write


NF4 = (  # appendix E of arXiv 2305.14314
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


def nf4(block: int, double: bool) -> Writer:
    """bitsandbytes: numbers of one output after the other, the earlier of two in a byte's upper half; the weights of levels in 127ths."""

    def write(k: int, n: int, rng: np.random.Generator) -> Module:
        numbers = rng.integers(0, 16, n * k)
        octets = [16 * int(first) + int(second) for first, second in zip(numbers[::2], numbers[1::2], strict=True)]
        state = {"quant_type": "nf4", "blocksize": block, "dtype": "float16", "shape": [n, k]}
        magnitudes = rng.uniform(0.01, 0.1, n * k // block).astype(np.float32)
        stored = {"weight": np.array(octets, np.uint8)[:, None], "weight.quant_map": np.array(NF4, np.float32)}
        if double:
            levels, codes = np.linspace(-1, 1, 256, dtype=np.float32), rng.integers(0, 256, magnitudes.size).astype(np.uint8)
            outer = rng.uniform(0.01, 0.02, -(-magnitudes.size // 256)).astype(np.float32)
            state |= {"nested_blocksize": 256, "nested_offset": 0.0625, "nested_dtype": "float32"}
            magnitudes = np.array([levels[code] * outer[place // 256] + np.float32(0.0625) for place, code in enumerate(codes)])
            stored |= {"weight.absmax": codes, "weight.nested_absmax": outer, "weight.nested_quant_map": levels}
        else:
            stored["weight.absmax"] = magnitudes
        stored["weight.quant_state.bitsandbytes__nf4"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
        levels_of = [round(127 * NF4[number]) / 127 * float(magnitudes[place // block]) for place, number in enumerate(numbers)]
        return stored, np.array(levels_of).reshape(n, k).T

    return write


def aqlm(books: int, bits: int, d: int) -> Writer:
    """Codewords of integers times one power of two, which codebooks of few bits hold exactly; indices as signed bytes or words."""
    top = (1 << 8 - (books - 1).bit_length() - 1) - 1

    def write(k: int, n: int, rng: np.random.Generator) -> Module:
        levels = rng.integers(-top, top + 1, (books, 1 << bits, 1, d))
        levels[0, 0, 0, 0] = top
        codes = rng.integers(0, 1 << bits, (n, k // d, books))
        s = _scales(rng, n, 1, 1, 1)
        kind: Any = np.int8 if bits <= 8 else np.int16
        stored = {"codes": codes.astype(kind), "codebooks": (levels / 64).astype(np.float16), "scales": s}
        sums = [
            [sum(levels[book, codes[output, row // d, book], 0, row % d] for book in range(books)) for output in range(n)]
            for row in range(k)
        ]
        return stored, np.array(sums, np.float64) / 64 * s.reshape(-1).astype(np.float64)

    return write


def vptq(
    main: int, residual: int, d: int, *, groups: int = 1, outliers: int = 0, ordered: bool = True, scaled: bool = True, packed: bool = True
) -> Writer:
    """VPTQ's vectors of `d` outputs: books of 2^main and 2^residual codewords, those of outliers of 16 codewords of 4 outputs.

    Codebooks are integers times one power of two, and biases of inputs are 127 steps at most, which integers of 8 bits hold exactly.
    """
    unit = 64 if residual else 128

    def book(rng: np.random.Generator, count: int, length: int, unit: int) -> np.ndarray:
        levels = rng.integers(1 - unit, unit, (count, length))
        levels[0, 0] = unit - 1
        return levels

    def words(rows: np.ndarray, bits: int) -> np.ndarray:
        return np.array([[_int32(word) for word in _stream(row.tolist(), bits)] for row in rows], np.int32)

    def write(k: int, n: int, rng: np.random.Generator) -> Module:
        inputs = (k - outliers) // groups
        order = rng.permutation(k) if ordered else np.arange(k)
        columns: list[list[float]] = []  # the weights of each stored place
        stored: Tensors = {}
        if outliers:
            levels, codes = book(rng, 16, 4, 128), rng.integers(0, 16, (n // 4, outliers))
            stored["outlier_centroids.weight"] = (levels / 128).reshape(1, -1).astype(np.float16)
            stored["outlier_indices"] = codes[None].astype(np.int16)
            columns += [[levels[codes[out // 4, place], out % 4] / 128 for out in range(n)] for place in range(outliers)]
        books, extras, firsts, seconds = [], [], [], []
        for _ in range(groups):
            levels, more = book(rng, 1 << main, d, unit), book(rng, 1 << residual, d, unit) * bool(residual)
            codes, rest = rng.integers(0, 1 << main, (n // d, inputs)), rng.integers(0, 1 << residual, (n // d, inputs))
            books.append((levels / unit).reshape(-1))
            extras.append((more / unit).reshape(-1))
            firsts.append(codes)
            seconds.append(rest)
            columns += [
                [(levels[codes[out // d, place], out % d] + more[rest[out // d, place], out % d]) / unit for out in range(n)]
                for place in range(inputs)
            ]
        stored["centroids.weight"] = np.array(books).astype(np.float16)
        if residual:
            stored["res_centroids.weight"] = np.array(extras).astype(np.float16)
        if packed:
            both = [first + (second << main) for first, second in zip(firsts, seconds, strict=True)]
            stored["indices"] = np.array([words(rows, main + residual) for rows in both])
        else:
            stored["indices"] = np.array(firsts, np.uint16).view(np.int16)
            if residual:
                stored["res_indices"] = np.array(seconds, np.uint16).view(np.int16)
        weights = np.empty((k, n))
        for place, own in enumerate(order.tolist()):
            weights[own] = columns[place]
        if ordered:
            stored["perm"] = order.astype(np.uint16).view(np.int16) if packed else order.astype(np.int64)
        if scaled:
            s, b = rng.uniform(0.5, 2.0, k).astype(np.float16), rng.integers(-127, 128, k)
            b[0] = 127
            stored |= {"weight_scale": s, "weight_bias": (b / 256).astype(np.float16)}
            weights = weights * s.astype(np.float64)[:, None] + (b / 256)[:, None]
        return stored, weights

    return write


def vptq_settings(k: int, n: int, main: int, residual: int, d: int, groups: int = 1, outliers: int = 0, **fields: Any) -> dict[str, Any]:
    """The object of a module in the configuration, by the parameters that `vptq` takes."""
    return {
        "bias": False, "enable_norm": True, "enable_perm": True, "group_num": groups, "group_size": (k - outliers) // groups,
        "in_features": k, "indices_as_float": False, "is_indice_packed": True, "outlier_size": outliers, "out_features": n,
        "num_centroids": [16 if outliers else -1, 1 << main], "num_res_centroids": [-1, 1 << residual if residual else -1],
        "vector_lens": [4 if outliers else -1, d], **fields,
    }  # fmt: skip


def quip(parts: int) -> Callable[[int, int, np.random.Generator], Tensors]:
    """QuIP#'s tensors of a module, of which `parts` matrices are joined: random words, signs and factors."""

    def write(k: int, n: int, rng: np.random.Generator) -> Tensors:
        stored = {
            "Qidxs": rng.integers(-(1 << 63), 1 << 63, (n, k // 32), np.int64),
            "SU": rng.choice([-1, 1], k).astype(np.float16), "SV": rng.normal(size=n).astype(np.float16),
            "Wscale": np.array(rng.uniform(0.01, 0.1), np.float32), "codebook_id": np.array(7, np.int64),
        }  # fmt: skip
        return stored if parts == 1 else {**stored, "fuse_scales": rng.uniform(0.5, 2, parts).astype(np.float32)}

    return write


def quip_code(words: np.ndarray, output: int, vector: int) -> tuple[int, list[int]]:
    """(index, sign of each of 8 weights) of a vector of 8 inputs, found from its place among those that are packed together."""
    group, rest = divmod(output, 16)  # of 16 outputs by 8 vectors: 8 pairs of outputs, four pairs of vectors each
    block, inner = divmod(vector, 8)
    pair, place = rest // 2, rest % 2 + 2 * (inner % 2)
    flat = ((group * (words.shape[1] * 4 // 8) + block) * 8 + pair) * 4 + inner // 2
    word = int(words.reshape(-1)[flat]) & (1 << 64) - 1
    bits = [word >> 32 + 4 * bit + place & 1 for bit in range(8)]
    signs = [0] * 8
    for bit, weight in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
        signs[weight] = bits[bit]
    return word >> 8 * place & 255, signs
