"""Layouts of GGUF's quantized blocks, as a table: where the bits of each field lie, and the integers that they stand for.

Read off llama.cpp's `ggml-common.h` (structs) and the `dequantize_blocks` of the gguf package 0.19.0, which the tests compare weight by
weight. All fields are little-endian. A weight is scale * (value * sub-scale), plus or minus minimum * sub-minimum; everything within
parentheses is an exact integer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Literal

Loop = tuple[int, int]  # count, stride in bits


@dataclass(frozen=True)
class Piece:
    """Some neighbouring bits of each value of a field.

    Attributes
    ----------
    width : bits
    first : first bit in the block
    loops : at most three (count, stride in bits), outermost first; value i takes the i-th place
    """

    width: int
    first: int
    loops: tuple[Loop, ...]

    @property
    def count(self) -> int:
        """Values."""
        return prod(count for count, _ in self.loops)

    @property
    def places(self) -> list[int]:
        """First bit of each value."""
        found = [self.first]
        for count, stride in self.loops:
            found = [place + step * stride for place in found for step in range(count)]
        return found


@dataclass(frozen=True)
class BlockField:
    """A field of a block: pieces of the same values, low bits first."""

    pieces: tuple[Piece, ...]

    @property
    def count(self) -> int:
        """Values per block."""
        return self.pieces[0].count

    @property
    def bits(self) -> int:
        """Bits per value."""
        return sum(piece.width for piece in self.pieces)


@dataclass(frozen=True)
class BlockLayout:
    """A type of block.

    Attributes
    ----------
    weights, bytes : of a block; a block lies along the reduction
    fields : by name. "weights" (a number per weight) or "indices" (one per codeword), "signs" (per 8 weights), "shifts"; "scales" and
        "minima" (one per block, or a scale per group), "sub_scales" and "sub_minima" (per group)
    levels : the integer of each number in "weights"; None: two's complement
    trits : first byte, bytes and digits of each run of base-3 digits in "weights"; none for fields of bits
    grid : file of codewords that "indices" name
    parity : the eighth sign of a "signs" field is the parity of seven
    sub_scale : (a, b): the integer of a sub-scale s is a * s + b
    signed_sub_scale : a sub-scale is in two's complement
    unit : factor of the scale
    scale_code : number format of a scale
    add_minima : minima are added; otherwise they are subtracted, as the k-quants have it
    """

    weights: int
    bytes: int
    fields: Mapping[str, BlockField]
    levels: tuple[int, ...] | None = None
    trits: tuple[tuple[int, int, int], ...] = ()
    grid: str = ""
    parity: bool = False
    sub_scale: tuple[int, int] = (1, 0)
    signed_sub_scale: bool = False
    unit: Fraction = field(default=Fraction(1))
    scale_code: Literal["float", "e8m0", "ue4m3"] = "float"
    add_minima: bool = False

    def weight_of_bit(self, bit: int) -> int:
        """The first weight of a block that a bit of it takes part in."""
        first = 0
        for start, length, digits in self.trits:
            if 0 <= bit // 8 - start < length:
                return first + bit // 8 - start
            first += length * digits
        return next(
            value * (self.weights // field.count)
            for field in self.fields.values()
            for piece in field.pieces
            for value, place in enumerate(piece.places)
            if 0 <= bit - place < piece.width
        )


def _piece(width: int, byte: int, *loops: Loop, bit: int = 0) -> Piece:
    return Piece(width, 8 * byte + bit, loops)


def _field(*pieces: Piece) -> BlockField:
    return BlockField(pieces)


def _half(byte: int) -> BlockField:
    """One binary16."""
    return _field(_piece(16, byte, (1, 16)))


def _nibbles(byte: int, half: int, chunks: int = 1) -> Piece:
    """Chunks of `half` bytes, whose low nibbles hold the first `half` values and the high ones the others."""
    return _piece(4, byte, (chunks, 8 * half), (2, 4), (half, 8))


def _crumbs(byte: int) -> Piece:
    """256 values of 2 bits: chunks of 32 bytes, whose lowest bits hold the first 32 values."""
    return _piece(2, byte, (2, 256), (4, 2), (32, 8))


_HIGH_BITS = ((8, 1), (32, 8))  # bit plane s of 32 bytes holds the highest bits of weights 32 s to 32 s + 31
_FP4 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)  # e2m1, doubled (OCP Microscaling Formats v1.0, table 5)
_NON_LINEAR = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)  # kvalues_iq4nl of ggml-common.h
_TERNARY = (-1, 0, 1)
_EIGHTH, _QUARTER = Fraction(1, 8), Fraction(1, 4)


def _k_scales(byte: int) -> tuple[BlockField, BlockField]:
    """Sub-scales and sub-minima of Q4_K and Q5_K: eight of 6 bits each, in 12 bytes."""
    scales = _field(_piece(4, byte, (2, 64), (4, 8)), _piece(2, byte, (2, 2), (4, 8), bit=4))
    minima = _field(_piece(4, byte + 4, (2, 36), (4, 8)), _piece(2, byte + 4, (2, 2), (4, 8), bit=4))
    return scales, minima


def _k_quant(bytes_: int, weights: BlockField) -> BlockLayout:
    scales, minima = _k_scales(4)
    fields = {"weights": weights, "scales": _half(0), "minima": _half(2), "sub_scales": scales, "sub_minima": minima}
    return BlockLayout(256, bytes_, fields, levels=tuple(range(1 << weights.bits)))


LAYOUTS: Mapping[str, BlockLayout] = {
    "Q4_0": BlockLayout(32, 18, {"weights": _field(_nibbles(2, 16)), "scales": _half(0)}, levels=tuple(range(-8, 8))),
    "Q4_1": BlockLayout(
        32, 20, {"weights": _field(_nibbles(4, 16)), "scales": _half(0), "minima": _half(2)}, levels=tuple(range(16)), add_minima=True
    ),
    "Q5_0": BlockLayout(
        32, 22, {"weights": _field(_nibbles(6, 16), _piece(1, 2, (32, 1))), "scales": _half(0)}, levels=tuple(range(-16, 16))
    ),
    "Q5_1": BlockLayout(
        32,
        24,
        {"weights": _field(_nibbles(8, 16), _piece(1, 4, (32, 1))), "scales": _half(0), "minima": _half(2)},
        levels=tuple(range(32)),
        add_minima=True,
    ),
    "Q8_0": BlockLayout(32, 34, {"weights": _field(_piece(8, 2, (32, 8))), "scales": _half(0)}),
    "Q2_K": BlockLayout(
        256,
        84,
        {
            "weights": _field(_crumbs(16)),
            "scales": _half(80),
            "minima": _half(82),
            "sub_scales": _field(_piece(4, 0, (16, 8))),
            "sub_minima": _field(_piece(4, 0, (16, 8), bit=4)),
        },
        levels=tuple(range(4)),
    ),
    "Q3_K": BlockLayout(
        256,
        110,
        {
            "weights": _field(_crumbs(32), _piece(1, 0, *_HIGH_BITS)),
            "scales": _half(108),
            "sub_scales": _field(_piece(4, 96, (2, 4), (8, 8)), _piece(2, 104, (4, 2), (4, 8))),
        },
        levels=tuple(range(-4, 4)),
        sub_scale=(1, -32),
    ),
    "Q4_K": _k_quant(144, _field(_nibbles(16, 32, 4))),
    "Q5_K": _k_quant(176, _field(_nibbles(48, 32, 4), _piece(1, 16, *_HIGH_BITS))),
    "Q6_K": BlockLayout(
        256,
        210,
        {
            "weights": _field(_nibbles(0, 64, 2), _crumbs(128)),
            "scales": _half(208),
            "sub_scales": _field(_piece(8, 192, (16, 8))),
        },
        levels=tuple(range(-32, 32)),
        signed_sub_scale=True,
    ),
    "TQ1_0": BlockLayout(
        256,
        54,
        {"weights": _field(_piece(8, 0, (52, 8))), "scales": _half(52)},
        levels=_TERNARY,
        trits=((0, 32, 5), (32, 16, 5), (48, 4, 4)),
    ),
    "TQ2_0": BlockLayout(256, 66, {"weights": _field(_crumbs(0)), "scales": _half(64)}, levels=(*_TERNARY, 2)),
    "IQ1_S": BlockLayout(
        256,
        50,
        {
            "indices": _field(_piece(8, 2, (32, 8)), _piece(3, 34, (8, 16), (4, 3))),
            "shifts": _field(_piece(1, 34, (8, 16), bit=15)),
            "scales": _half(0),
            "sub_scales": _field(_piece(3, 34, (8, 16), bit=12)),
        },
        grid="iq1s",
        sub_scale=(2, 1),
        unit=_EIGHTH,
    ),
    "IQ1_M": BlockLayout(
        256,
        56,
        {
            "indices": _field(_piece(8, 0, (32, 8)), _piece(3, 32, (32, 4))),
            "shifts": _field(_piece(1, 32, (32, 4), bit=3)),
            "scales": _field(*(_piece(4, 48 + 2 * part, (1, 16), bit=12) for part in range(4))),
            "sub_scales": _field(_piece(3, 48, (4, 16), (4, 3))),
        },
        grid="iq1s",
        sub_scale=(2, 1),
        unit=_EIGHTH,
    ),
    "IQ2_XXS": BlockLayout(
        256,
        66,
        {
            "indices": _field(_piece(8, 2, (8, 64), (4, 8))),
            "signs": _field(_piece(7, 6, (8, 64), (4, 7))),
            "scales": _half(0),
            "sub_scales": _field(_piece(4, 6, (8, 64), bit=28)),
        },
        grid="iq2xxs",
        parity=True,
        sub_scale=(2, 1),
        unit=_EIGHTH,
    ),
    "IQ2_XS": BlockLayout(
        256,
        74,
        {
            "indices": _field(_piece(9, 2, (8, 64), (4, 16))),
            "signs": _field(_piece(7, 2, (8, 64), (4, 16), bit=9)),
            "scales": _half(0),
            "sub_scales": _field(_piece(4, 66, (16, 4))),
        },
        grid="iq2xs",
        parity=True,
        sub_scale=(2, 1),
        unit=_EIGHTH,
    ),
    "IQ2_S": BlockLayout(
        256,
        82,
        {
            "indices": _field(_piece(8, 2, (32, 8)), _piece(2, 66, (8, 8), (4, 2))),
            "signs": _field(_piece(8, 34, (32, 8))),
            "scales": _half(0),
            "sub_scales": _field(_piece(4, 74, (16, 4))),
        },
        grid="iq2s",
        sub_scale=(2, 1),
        unit=_EIGHTH,
    ),
    "IQ3_XXS": BlockLayout(
        256,
        98,
        {
            "indices": _field(_piece(8, 2, (64, 8))),
            "signs": _field(_piece(7, 66, (8, 32), (4, 7))),
            "scales": _half(0),
            "sub_scales": _field(_piece(4, 66, (8, 32), bit=28)),
        },
        grid="iq3xxs",
        parity=True,
        sub_scale=(2, 1),
        unit=_QUARTER,
    ),
    "IQ3_S": BlockLayout(
        256,
        110,
        {
            "indices": _field(_piece(8, 2, (64, 8)), _piece(1, 66, (8, 8), (8, 1))),
            "signs": _field(_piece(8, 74, (32, 8))),
            "scales": _half(0),
            "sub_scales": _field(_piece(4, 106, (8, 4))),
        },
        grid="iq3s",
        sub_scale=(2, 1),
    ),
    "IQ4_NL": BlockLayout(32, 18, {"weights": _field(_nibbles(2, 16)), "scales": _half(0)}, levels=_NON_LINEAR),
    "IQ4_XS": BlockLayout(
        256,
        136,
        {
            "weights": _field(_nibbles(8, 16, 8)),
            "scales": _half(0),
            "sub_scales": _field(_piece(4, 4, (8, 4)), _piece(2, 2, (8, 2))),
        },
        levels=_NON_LINEAR,
        sub_scale=(1, -32),
    ),
    "MXFP4": BlockLayout(
        32, 17, {"weights": _field(_nibbles(1, 16)), "scales": _field(_piece(8, 0, (1, 8)))}, levels=_FP4, scale_code="e8m0"
    ),
    "NVFP4": BlockLayout(
        64, 36, {"weights": _field(_nibbles(4, 8, 4)), "scales": _field(_piece(8, 0, (4, 8)))}, levels=_FP4, scale_code="ue4m3"
    ),
}
