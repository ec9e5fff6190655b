"""Decoders of units of records, and sums of groups with scales: exact integers up to the float scale, then float32, K ascending.

A group's sum, its integer sub-scales included, is an exact integer until the group of the float scale ends; the product with the scale is
rounded to float32, and so is each addition, the minimum's after the scale's. Sums therefore depend neither on the array's size nor on
`array.scale_at`. Disputable assumption: where a group spans several K-tiles, its integer sum is kept beside the float32 total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.compiler.accumulator_range import FLOAT_BITS, group_bits
from accelsim.compiler.image import LayerImage
from accelsim.compiler.tile_tables import TileTables
from accelsim.compiler.unit_image import RecordUnit, level_parts, record_unit
from accelsim.errors import CompileError
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Offset, Scale
from accelsim.functional.row_passes import summed_passes
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels.decode import Words
from accelsim.kernels.group_sums import add_scaled, read_fields
from accelsim.kernels.stripe import Float32
from accelsim.trace.layers import WeightedLayer

Int64 = npt.NDArray[np.int64]
Factors = Mapping[str, npt.NDArray[np.float64]]
_BYTE_SIGNS = 8  # weights per field of signs


def check_sum_width(psum_bits: int, layer: WeightedLayer, input_bits: int) -> None:
    """CompileError if accumulators hold neither float32 nor every exact sum of a group of inputs with its integer scales."""
    needed = max(FLOAT_BITS, group_bits(layer.weight.format, layer.k, input_bits))
    if psum_bits < needed:
        raise CompileError(
            f"layer {layer.name!r}: sums of scaled groups are float32, which array.psum_bits = {psum_bits} does not hold; "
            f"allowed: at least {needed} bits"
        )


@dataclass(frozen=True)
class HeldTables:
    """Tables that the codebook RAM holds: int64 (blocks, codewords, d), row by row of the tile's blocks from row of blocks `first` on."""

    first: int
    blocks: TileTables
    tables: Int64

    def entries(self, indices: Int64, row: int, unit: RecordUnit, width: int) -> Int64:
        """(units, units, rows, columns of a unit) weights of indices (units, units, 1, 1, 1) of a tile that begins with `row`."""
        down, right = (np.arange(size) for size in indices.shape[:2])
        block = (row + down * unit.rows) // self.blocks.rows - self.first
        table = block[:, None] * (width // self.blocks.cols) + right * unit.cols // self.blocks.cols
        lanes: Int64 = self.tables[table, indices.reshape(table.shape)].reshape(*table.shape, unit.rows, unit.cols)
        return lanes


@dataclass(frozen=True)
class UnitDecoder:
    """Reads the units of a layer out of its image, by the parts of its format's decode path.

    Attributes
    ----------
    unit : form of the records
    outputs, groups : outputs of each group of the layer, and groups
    first_output : output that the image begins with, where it holds some of a layer's alone
    """

    geometry: CoreGeometry
    path: DecodePath
    unit: RecordUnit
    outputs: int
    groups: int
    first_output: int = 0

    @classmethod
    def of(cls, geometry: CoreGeometry, layer: WeightedLayer) -> UnitDecoder | None:
        """The decoder of a layer; None where the core's own kernel decodes its records."""
        path = layer.weight.format.decode_path()
        if not path.beyond_core:
            return None
        return cls(geometry, path, record_unit(geometry, layer), layer.n, layer.bounds.G)

    def decode(self, image: LayerImage, words: Words, stripes: list[int], k: int) -> tuple[Float32, Factors]:
        """(integers (K, columns), factors of groups by stream, (groups, columns)) of some stripes."""
        cols = self.geometry.cols
        panel = np.zeros((k, len(stripes) * cols), np.float32)
        factors = {
            part.stream: np.empty((-(-k // part.over), panel.shape[1])) for part in self.path.group_parts if isinstance(part.over, int)
        }
        blocks = TileTables.of(self.path.lookup, cols)
        for place, stripe in enumerate(stripes):
            own = slice(place * cols, (place + 1) * cols)
            held = None
            for kt in range(self.geometry.tile_count(k)):
                rows, bit = self.geometry.tile_rows(k, kt), int(image.first_bits[stripe, kt])
                if blocks is None:
                    self._read_header(words, bit, rows, {name: values[:, own] for name, values in factors.items()})
                else:
                    held = self._read_tables(words, bit, rows, blocks, held)
                bit += self.geometry.scale_pops(k, kt) * self.geometry.pop_bits
                panel[rows.start : rows.stop, own] += self._integers(image, words, bit, rows, stripe, kt % self.geometry.passes, held)
            _shift(self.path, panel[:, own], {name: values[:, own] for name, values in factors.items()})
        return panel, factors

    def _read_header(self, words: Words, bit: int, rows: range, factors: Factors) -> None:
        """Write the factors of the groups that begin in a tile."""
        cols = self.geometry.cols
        for over, parts in level_parts(self.geometry, self.path.group_parts).items():
            begun = range(-(-rows.start // over), -(-rows.stop // over))
            step = sum(part.bits * count for part, count in parts)
            at = bit
            for part, count in parts:
                for value in range(count):
                    codes = read(words, at, step, part.bits, len(begun) * cols)
                    factors[part.stream][begun.start * count + value : begun.stop * count : count] = part.values(codes).reshape(-1, cols)
                    at += part.bits
            bit += step * len(begun) * cols

    def _read_tables(self, words: Words, bit: int, rows: range, blocks: TileTables, before: HeldTables | None) -> HeldTables:
        """The tables of blocks that begin in a tile; those `before`, where none does."""
        begun, across = blocks.begun(rows), self.geometry.cols // blocks.cols
        if not begun:
            assert before is not None  # a block begins in the first tile
            return before
        shape = (len(begun) * across, blocks.codewords, blocks.d)
        codes = read(words, bit, blocks.element_bits, blocks.element_bits, shape[0] * blocks.codewords * blocks.d).reshape(shape)
        return HeldTables(begun.start, blocks, codes - (codes >> blocks.element_bits - 1 << blocks.element_bits))

    def _integers(self, image: LayerImage, words: Words, bit: int, rows: range, stripe: int, number: int, held: HeldTables | None) -> Int64:
        """(rows, C) integers of a tile of a pass, ahead of shifts and zero points."""
        unit, across = self.unit, self.geometry.cols // self.unit.cols
        shape, fields = (-(-len(rows) // unit.rows), across), {}
        for field in unit.fields:
            values = np.empty((*shape, field.values), np.int64)
            for place in range(field.values):
                values[..., place] = read(words, bit, unit.bits, field.bits, shape[0] * across).reshape(shape)
                bit += field.bits
            fields[field.stream] = values.reshape(*shape, field.down, field.across, field.books)
        if held is not None:
            lanes = held.entries(fields["indices"], rows.start, unit, self.geometry.cols)
        elif self.path.decode:
            lanes = self._codewords(image, fields, stripe, number)
        else:
            lanes = self._levels(fields["weights"][..., 0, 0, 0])
        if "signs" in fields:
            negative, shifts = self._negative(fields["signs"])
            lanes = np.where(negative, -lanes, lanes) + shifts
        return lanes.transpose(0, 2, 1, 3).reshape(shape[0] * unit.rows, -1)[: len(rows)]

    def _levels(self, codes: Int64) -> Int64:
        """(units, units, rows, 1) integers of raw fields, (units, units)."""
        raw = self.path.raw
        assert raw is not None  # a path without a lookup
        if raw.levels is None:
            width = int(raw.bits)
            return (codes - (codes >> width - 1 << width))[..., None, None]
        levels = np.array(raw.multiplied, np.int64)
        digits = codes if self.unit.rows == 1 else codes[..., None] // levels.size ** np.arange(self.unit.rows) % levels.size
        values: Int64 = levels[digits].reshape(*codes.shape, self.unit.rows, 1)
        return values

    def _codewords(self, image: LayerImage, fields: Mapping[str, Int64], stripe: int, number: int) -> Int64:
        """(units, units, rows, columns of a unit) sums of the codewords of all books, or those of the pass's own."""
        lookup, unit = self.path.lookup, self.unit
        assert lookup is not None  # a path that decodes
        indices = fields["indices"]
        per_group = -(-self.outputs // self.geometry.cols)
        first = self.first_output + stripe // per_group * self.outputs + stripe % per_group * self.geometry.cols
        columns = first + np.arange(indices.shape[1]) * unit.cols
        share = self.outputs * self.groups // lookup.tables
        tables = np.minimum(columns // share, lookup.tables - 1)  # columns past the last output hold padding
        passes = self.geometry.passes
        books = np.arange(lookup.books) if passes == 1 else np.array([number])  # the residual's codewords follow those of the others
        book = (tables[:, None] * lookup.books + books) * lookup.codewords
        lanes: Int64 = image.codebook.astype(np.int64)[indices + book[:, None, None]].sum(axis=4)  # (.., down, across, d)
        if lookup.residual and passes == 1:
            lanes = lanes + image.codebook.astype(np.int64)[fields["residuals"] + lookup.entries - lookup.residual].sum(axis=4)
        return lanes.reshape(*indices.shape[:2], unit.rows, unit.cols)

    def _negative(self, signs: Int64) -> tuple[npt.NDArray[np.bool_], Int64]:
        """(units, units, rows, 1): the weights that a field of signs, or its parity, negates; and what the parity adds to each."""
        own = self.path.signs
        assert own is not None  # a path with fields of signs
        stored = (own.group or _BYTE_SIGNS) - bool(own.group)
        bits: Int64 = signs.reshape(*signs.shape[:2], -1)[..., None] >> np.arange(stored) & 1
        if own.group:
            bits = np.concatenate([bits, bits.sum(axis=-1, keepdims=True) & 1], axis=-1)
        shifts = np.zeros_like(bits)
        if self.path.parity_shift:
            parity = bits.sum(axis=-1, keepdims=True) & 1
            bits[..., :1] ^= parity
            shifts += 1 - 2 * parity
        shape = (*signs.shape[:2], -1, 1)
        return bits.reshape(shape).astype(np.bool_), shifts.reshape(shape)


def read(words: Words, first_bit: int, step: int, width: int, count: int) -> Int64:
    """`count` unsigned integers of `width` bits, `step` bits apart."""
    out = np.empty((count, 2), np.int64)
    out[:, 0] = width
    if count:
        read_fields(words, first_bit, step, out)
    return out[:, 1]


def _shift(path: DecodePath, panel: Float32, factors: Factors) -> None:
    """Subtract zero points that are not left to the sums, and add the eighths of shifts, in place."""
    for part in path.group_parts:
        if not isinstance(part, Offset) or part.what == "minimum" or (part.what == "zero point" and path.less):
            continue
        codes = np.repeat(factors[part.stream], part.over, axis=0)[: panel.shape[0]]
        panel[:] = panel - codes if part.what == "zero point" else 8 * panel + 1 - 2 * codes


def scaled_sums(path: DecodePath, passes: list[Float32], panel: Float32, factors: Factors) -> Float32:
    """float32 (M, columns): sums of groups of rows, given as `byte_passes`, scaled and added one after the other."""
    k, shape = panel.shape[0], (passes[0].shape[0], panel.shape[1])
    sums = np.zeros(shape, np.float32)
    scales = sorted((part for part in path.group_parts if isinstance(part, Scale)), key=lambda part: part.number in ("integer", "signed"))
    minima = sorted(
        (part for part in path.group_parts if isinstance(part, Offset) and part.what == "minimum"),
        key=lambda part: part.number == "integer",
    )
    ends = [*(part.group for part in scales), *(part.group for part in minima)]
    coarse, fine = max(ends), min(ends)
    lacking = _left_to_sums(path, k, factors) if path.less else np.zeros((k, 1), np.int64)
    for first in range(0, k, coarse):
        total, lowest = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for start in range(first, min(first + coarse, k), fine):
            own = slice(start, min(start + fine, k))
            inputs = [np.ascontiguousarray(part[:, own]) for part in passes]
            of_group: Int64 = summed_passes(inputs, panel[own]).astype(np.int64)
            if minima or path.less:
                activations = summed_passes(inputs, np.ones((inputs[0].shape[1], 1), np.float32)).astype(np.int64)
                of_group += activations * lacking[start]
                lowest += activations * _integer_factor(minima, start, factors) if minima else 0
            total += of_group * _integer_factor(scales, start, factors)
        group = first // coarse
        add_scaled(total, factors[scales[0].stream][group].astype(np.float32), sums)
        if minima:
            add_scaled(lowest, factors[minima[0].stream][group].astype(np.float32), sums)
    return sums


def completed(path: DecodePath, panel: Float32, factors: Factors) -> Float32:
    """The integers of weights (K, columns): those that the array multiplies, and what the sums of their groups add to them."""
    return (panel + _left_to_sums(path, panel.shape[0], factors)).astype(np.float32) if path.less else panel


def _left_to_sums(path: DecodePath, k: int, factors: Factors) -> Int64:
    """Amount that each weight lacks in the array: `Raw.less`, less its group's zero point; (K, columns), or (K, 1) without zero points."""
    for part in path.group_parts:
        if isinstance(part, Offset) and part.what == "zero point":
            return path.less - np.repeat(factors[part.stream].astype(np.int64), part.group, axis=0)[:k]
    return np.full((k, 1), path.less, np.int64)


def _integer_factor(parts: list[Scale] | list[Offset], row: int, factors: Factors) -> Int64 | int:
    """The integer of a group behind the float of its block, per column; 1 without one."""
    if len(parts) == 1:
        return 1
    values: Int64 = factors[parts[1].stream][row // parts[1].group].astype(np.int64)
    return values
