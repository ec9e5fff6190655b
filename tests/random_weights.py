"""Random stored weights: values within the ranges of a format's definition, and blocks whose scales are sane."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.formats.gguf import GgufFormat
from accelsim.formats.gguf_blocks import BlockLayout
from accelsim.formats.weight_format import WeightFormat


def random_blocks(
    layout: BlockLayout, outputs: int, blocks: int, rng: np.random.Generator, scale_code: Mapping[tuple[int, int], int] | None = None
) -> npt.NDArray[np.uint8]:
    """uint8 [outputs, blocks, bytes]: any bits, but binary16 scales and minima of 2^-8 to 2^-4, and exponents whose weights are finite.

    `scale_code` sets the binary16 scales of some blocks.
    """
    data = rng.integers(0, 256, (outputs, blocks, layout.bytes), dtype=np.uint8)
    bits = np.unpackbits(data, axis=-1, bitorder="little")
    for name in ("scales", "minima"):
        field = layout.fields.get(name)
        if field is None:
            continue
        if field.bits == 8:
            data[..., field.pieces[0].first // 8] %= 251
            bits = np.unpackbits(data, axis=-1, bitorder="little")
            continue
        codes = rng.uniform(2.0**-8, 2.0**-4, (outputs, blocks)).astype(np.float16).view(np.uint16)
        if name == "scales":
            for place, code in (scale_code or {}).items():
                codes[place] = code
        place = 0
        for piece in field.pieces:
            for bit in range(piece.width):
                bits[..., piece.first + bit] = codes >> place & 1
                place += 1
    return np.packbits(bits, axis=-1, bitorder="little")


def random_arrays(spec: WeightFormat, k: int, n: int, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Arrays within the ranges that the format's definition allows."""
    if isinstance(spec, GgufFormat):
        return {"blocks": random_blocks(spec.layout, n, k // spec.layout.weights, rng)}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, stream in spec.streams(k, n).items():
        if name == "indices":
            arrays[name] = rng.integers(0, spec.decode_path().codewords, stream.shape)
        elif name == "masks":
            keep, of = spec.decode_path().mask or (0, 0)
            arrays[name] = rng.integers(0, comb(of, keep), stream.shape)
        elif name == "codebook":
            arrays[name] = rng.integers(0, 1 << stream.bits - 1, stream.shape).astype(np.int8)
        elif stream.number == "float":
            arrays[name] = rng.uniform(0.1, 2.0, stream.shape).astype(np.float16 if stream.bits == 16 else np.float32)
        elif stream.number == "signed":
            arrays[name] = rng.integers(-(1 << stream.bits - 1), 1 << stream.bits - 1, stream.shape)
        else:
            arrays[name] = rng.integers(0, 1 << stream.bits, stream.shape)
    return arrays
