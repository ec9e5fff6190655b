"""Decode fixed-size blocks by their layout: fields, the integers that the array multiplies, scales, and float32 weights.

Integers come from compiled loops over the bytes as stored. A float32 weight is rounded once: scales times integers are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.formats.gguf_blocks import BlockField, BlockLayout, Loop, Piece
from accelsim.formats.numbers import read_floats

Bytes = npt.NDArray[np.uint8]
Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]
_GRIDS = Path(__file__).parent / "grids"
_LANES = 8  # of a word that is decoded at once, and weights per field of signs
_WINDOW = 64  # bits that a compiled loop reads at once


@dataclass(frozen=True)
class BlockScales:
    """Factors of the integers of blocks: weight = scale * (integer * sub_scale) + minimum * sub_minimum.

    Attributes
    ----------
    scales, minima : float32 (blocks, values per block); no minima: (blocks, 0); negative where they are subtracted
    sub_scales, sub_minima : int32 (blocks, groups of a block); a single 1 per block without sub-scales
    """

    scales: Float32
    minima: Float32
    sub_scales: npt.NDArray[np.int32]
    sub_minima: npt.NDArray[np.int32]


@cache
def grid_of(name: str) -> Int8:
    """The codewords of a grid: int8 (codewords, elements), read-only."""
    first, *rows = (_GRIDS / f"{name}.txt").read_text(encoding="ascii").split("\n")[:-1]
    levels = np.array([int(text) for text in first.split()[1:]], np.int8)
    grid: Int8 = levels[np.array([[int(digit) for digit in row] for row in rows])]
    grid.flags.writeable = False
    return grid


@cache
def values_of(name: str) -> tuple[int, ...]:
    """The integers that elements of a grid's codewords take, ascending."""
    return tuple(np.unique(grid_of(name)).tolist())


def read_field(data: Bytes, layout: BlockLayout, name: str) -> npt.NDArray[Any]:
    """One field of every block: uint8 or uint16 (blocks, values), from uint8 (blocks, bytes)."""
    from accelsim.kernels.block_fields import gather_lanes, gather_values  # loading Numba takes longer than reading a manifest
    from accelsim.kernels.decode import stream_words

    field, words = layout.fields[name], stream_words(data.reshape(-1))
    values = np.empty((data.shape[0], field.count), np.uint8 if field.bits <= 8 else np.uint16)
    if _in_lanes(field):
        gather_lanes(words, layout.bytes, _piece_rows(field), values.view(np.uint64))
    else:
        gather_values(words, layout.bytes, _piece_rows(field), values)
    return values


def read_integers(data: Bytes, layout: BlockLayout) -> Int8:
    """The integers that the array multiplies: int8 (blocks, weights)."""
    from accelsim.kernels.block_fields import take_levels, unpack_trits

    if layout.grid:
        return _from_grid(data, layout)
    if layout.trits:
        numbers = np.empty((data.shape[0], layout.weights), np.uint8)
        unpack_trits(data.reshape(-1), layout.bytes, np.array(layout.trits, np.int64), numbers)
    else:
        numbers = read_field(data, layout, "weights")
    if layout.levels is None:
        return numbers.view(np.int8)
    low, high = min(layout.levels), max(layout.levels)
    if layout.levels == tuple(range(low, high + 1)):
        integers = numbers.view(np.int8)
        integers += np.int8(low)
        return integers
    integers = np.empty(numbers.shape, np.int8)
    levels = np.zeros(256, np.int8)
    levels[: len(layout.levels)] = layout.levels
    take_levels(numbers.reshape(-1), levels, integers.reshape(-1))
    return integers


def _from_grid(data: Bytes, layout: BlockLayout) -> Int8:
    """Codewords with their signs, or shifted by an eighth up or down."""
    from accelsim.kernels.block_fields import take_codewords

    blocks = data.shape[0]
    grid, indices = grid_of(layout.grid), read_field(data, layout, "indices").astype(np.uint16, copy=False)
    signs, sign_bytes = np.zeros(0, np.uint8), np.zeros(1, np.uint8)
    if "signs" in layout.fields:
        signs, sign_bytes = read_field(data, layout, "signs").reshape(-1), _sign_bytes(layout.parity)
    if "shifts" in layout.fields:  # an eighth: codewords times 8, one more or less
        shifts = read_field(data, layout, "shifts").astype(np.uint16)
        indices = indices | np.repeat(shifts, indices.shape[1] // shifts.shape[1], axis=1) * np.uint16(grid.shape[0])
        grid = np.concatenate([8 * grid + 1, 8 * grid - 1])
    lanes = np.zeros((grid.shape[0], _LANES), np.int8)
    lanes[:, : grid.shape[1]] = grid
    out = np.empty((blocks, layout.weights), np.int8)
    words = out.reshape(-1).view(np.uint64)
    take_codewords(indices.reshape(-1), lanes.view(np.uint64).reshape(-1), _LANES // grid.shape[1], signs, sign_bytes, words)
    return out


def read_scales(data: Bytes, layout: BlockLayout) -> BlockScales:
    """The factors of the integers of every block."""
    blocks = data.shape[0]
    sub_scales = sub_minima = np.ones((blocks, 1), np.int32)
    if "sub_scales" in layout.fields:
        stored = read_field(data, layout, "sub_scales")
        factor, offset = layout.sub_scale
        sub_scales = factor * (stored.view(np.int8) if layout.signed_sub_scale else stored).astype(np.int32) + offset
    if "sub_minima" in layout.fields:
        sub_minima = read_field(data, layout, "sub_minima").astype(np.int32)
    scales = read_floats(read_field(data, layout, "scales"), layout.scale_code) * np.float32(float(layout.unit))
    minima = np.zeros((blocks, 0), np.float32)
    if "minima" in layout.fields:
        minima = read_floats(read_field(data, layout, "minima"), "float") * np.float32(1 if layout.add_minima else -1)
    return BlockScales(scales, minima, sub_scales, sub_minima)


def weights_of(integers: Int8, factors: BlockScales) -> Float32:
    """float32 weights (blocks, weights)."""
    from accelsim.kernels.block_fields import scale_groups

    steps = factors.scales * factors.sub_scales.astype(np.float32)  # exact: 11 bits times at most 8
    offsets = factors.minima * factors.sub_minima.astype(np.float32) if factors.minima.size else factors.minima
    weights = np.empty(integers.shape, np.float32)
    groups = (steps.size, integers.size // max(1, steps.size))
    scale_groups(integers.reshape(groups), steps.reshape(-1), offsets.reshape(-1), weights.reshape(groups))
    return weights


@cache
def _sign_bytes(parity: bool) -> Bytes:
    """The lanes that a field of signs negates; with `parity`, seven signs and an eighth that makes their number even."""
    fields = np.arange(128 if parity else 256, dtype=np.uint8)
    return (fields | (np.bitwise_count(fields) & 1) << 7).astype(np.uint8) if parity else fields


@cache
def _piece_rows(field: BlockField) -> npt.NDArray[np.int64]:
    """The pieces of a field as the compiled loops take them."""
    rows = []
    place = 0
    for piece in field.pieces:
        loops = piece.loops if _in_lanes(field) else _within_window(piece)
        padded = [(1, 0)] * (3 - len(loops)) + list(loops)
        rows.append([piece.width, place, piece.first, *(number for loop in padded for number in loop)])
        place += piece.width
    return np.array(rows, np.int64)


@cache
def _in_lanes(field: BlockField) -> bool:
    """Eight values at a time can be read: from neighbouring bytes, or a bit plane."""
    if field.bits > 8:
        return False
    return all(
        count % _LANES == 0 and (step == 8 or step == piece.width == 1) for piece in field.pieces for count, step in piece.loops[-1:]
    )


def _within_window(piece: Piece) -> tuple[Loop, ...]:
    """The loops of a piece, the innermost one in parts that 64 bits hold."""
    *outer, (count, step) = piece.loops
    part = next(part for part in range(count, 0, -1) if count % part == 0 and (part - 1) * step + piece.width <= _WINDOW)
    return (*outer, (count, step)) if part == count else (*outer, (count // part, part * step), (part, step))
