"""The expected integers and factors of GGUF's blocks, computed independently of the machine: `numpy.unpackbits` and plain indexing.

It shares the table of layouts and the grids with the code that it checks, as data, and no unpacking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.formats.block_decoding import grid_of
from accelsim.formats.gguf import GgufFormat
from accelsim.formats.gguf_blocks import BlockLayout
from accelsim.formats.weight_format import WeightFormat

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GroupFactors:
    """Scales of groups of `over` inputs: weight = scale * (integer * sub-scale) + minimum * sub-minimum.

    Attributes
    ----------
    scales, minima : float64 (groups, N); no minima: None
    sub_scales, sub_minima : int64 (finer groups, N); None: 1
    """

    over: int
    scales: Float64
    sub_scales: tuple[int, Int64] | None
    minima: Float64 | None
    sub_minima: tuple[int, Int64] | None

    def of(self, outputs: slice) -> GroupFactors:
        """Those of some outputs."""
        finer = [None if item is None else (item[0], item[1][:, outputs]) for item in (self.sub_scales, self.sub_minima)]
        minima = None if self.minima is None else self.minima[:, outputs]
        return GroupFactors(self.over, self.scales[:, outputs], finer[0], minima, finer[1])


@dataclass(frozen=True)
class Blocks:
    """`integers` int64 (K, N), and their factors."""

    integers: Int64
    factors: GroupFactors


def spread(finer: tuple[int, Int64] | None, k: int) -> Int64:
    """One integer per input, (K, N); 1 without any, (K, 1)."""
    return np.ones((k, 1), np.int64) if finer is None else np.repeat(finer[1], finer[0], axis=0)[:k]


def block_layout(weight_format: WeightFormat) -> BlockLayout:
    """The layout of a format whose one stream is `blocks`."""
    assert isinstance(weight_format, GgufFormat)  # the only one with that stream
    return weight_format.layout


def read_blocks(data: npt.NDArray[np.uint8], layout: BlockLayout, outputs: int) -> Blocks:
    """Decode the stream `blocks` of a matrix with so many outputs."""
    octets = data.reshape(outputs, -1, layout.bytes)
    bits = np.unpackbits(octets, axis=2, bitorder="little").astype(np.int64)
    integers = _digits(octets, layout) if layout.trits else _codewords(bits, layout) if layout.grid else _field(bits, layout, "weights")
    if layout.trits or (not layout.grid and layout.levels is not None):
        integers = np.array(layout.levels)[integers]
    elif not layout.grid:
        integers = integers - 256 * (integers > 127)  # Q8_0
    scales = _floats(_field(bits, layout, "scales"), layout.scale_code) * float(layout.unit)
    minima = None
    if "minima" in layout.fields:
        minima = _floats(_field(bits, layout, "minima"), "float") * (1 if layout.add_minima else -1)
    factors = GroupFactors(
        over=layout.weights // layout.fields["scales"].count,
        scales=_by_input(scales),
        sub_scales=_sub_scales(bits, layout),
        minima=None if minima is None else _by_input(minima),
        sub_minima=_finer(_field(bits, layout, "sub_minima"), layout) if "sub_minima" in layout.fields else None,
    )
    return Blocks(_by_input(integers), factors)


def _by_input(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(outputs, blocks, values) -> (values along the reduction, outputs)."""
    return values.reshape(values.shape[0], -1).T


def _field(bits: Int64, layout: BlockLayout, name: str) -> Int64:
    """(outputs, blocks, values) of a field: each piece adds its bits above those of the pieces before."""
    values, above = np.zeros((*bits.shape[:2], layout.fields[name].count), np.int64), 0
    for piece in layout.fields[name].pieces:
        places = np.array([piece.first])
        for count, stride in piece.loops:
            places = (places[:, None] + stride * np.arange(count)).reshape(-1)
        for bit in range(piece.width):
            values += bits[:, :, places + bit] << above + bit
        above += piece.width
    return values


def _digits(octets: npt.NDArray[np.uint8], layout: BlockLayout) -> Int64:
    """Base-3 digits: a byte b holds the fraction b / 256; digit p is the integer part of three times what is left of 3^p b / 256."""
    runs = []
    for first, length, digits in layout.trits:
        own = octets[:, :, first : first + length].astype(np.int64)
        runs += [own * 3**digit % 256 * 3 // 256 for digit in range(digits)]
    return np.concatenate(runs, axis=2)


def _codewords(bits: Int64, layout: BlockLayout) -> Int64:
    """Codewords of the grid, shifted by an eighth and counted in eighths, or with their signs."""
    grid = grid_of(layout.grid).astype(np.int64)
    lanes = grid[_field(bits, layout, "indices")].reshape(*bits.shape[:2], -1)
    if "shifts" in layout.fields:
        shifts = _field(bits, layout, "shifts")
        return 8 * lanes + 1 - 2 * np.repeat(shifts, layout.weights // shifts.shape[2], axis=2)
    fields = _field(bits, layout, "signs")
    negative = fields[..., None] >> np.arange(8) & 1
    if layout.parity:
        negative[..., 7] = negative[..., :7].sum(axis=-1) % 2
    return np.where(negative.reshape(lanes.shape) == 1, -lanes, lanes)


def _sub_scales(bits: Int64, layout: BlockLayout) -> tuple[int, Int64] | None:
    """(weights of a group, integers of the sub-scales)."""
    if "sub_scales" not in layout.fields:
        return None
    stored = _field(bits, layout, "sub_scales")
    if layout.signed_sub_scale:
        stored = stored - (1 << layout.fields["sub_scales"].bits) * (stored >> layout.fields["sub_scales"].bits - 1)
    return _finer(layout.sub_scale[0] * stored + layout.sub_scale[1], layout)


def _finer(values: Int64, layout: BlockLayout) -> tuple[int, Int64]:
    return layout.weights // values.shape[2], _by_input(values)


def _floats(codes: Int64, number: str) -> Float64:
    """binary16; 2^(e - 127) halved (e8m0); or 4 bits of exponent, bias 7, and 3 of fraction, halved, 0x7F being 0 (ue4m3)."""
    if number == "float":
        return codes.astype("<u2").view("<f2").astype(np.float64)
    if number == "e8m0":
        return np.ldexp(np.ones(codes.shape), codes - 128)
    exponent, fraction = codes // 8 % 16, codes % 8
    values: Float64 = np.where(exponent == 0, np.ldexp(fraction.astype(np.float64), -9), np.ldexp(8.0 + fraction, exponent - 10))
    return np.where(codes == 0x7F, np.float64(0), values * 0.5)
