"""Parts of a decoder: what turns the bits of a record into the integers that the array multiplies, and what scales them.

A part states the bits that a record holds for it, its lookups, what its bits stand for, and whether the core of the RTL has it.
Disputable assumption: every part is pipelined. Signs, fields, masks and scales cost no cycles, and a vector takes one cycle of as many
codebook ports as it has lookups.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelsim.formats.masks import pattern_bits
from accelsim.formats.numbers import NumberFormat, read_numbers

Scope = Literal["layer", "shared"]


@dataclass(frozen=True)
class Part(ABC):
    """Base of all parts; by default one that leaves records alone."""

    def record_bits(self, weights: int) -> Mapping[str, Fraction | int]:
        """Stream -> bits that the records of `weights` weights hold for this part."""
        return {}

    @property
    def in_core(self) -> bool:
        """The core of the RTL has this part, record by record; others read units of neighbours (`compiler/unit_image.py`)."""
        return False

    @property
    @abstractmethod
    def words(self) -> str:
        """A phrase for lists and messages."""


@dataclass(frozen=True)
class Lookup(Part):
    """Codewords by index; those of several books are added up.

    Attributes
    ----------
    codewords, d : entries of a book, elements of an entry
    books : lookups per vector, each in a book of its own
    tables : sets of books, one for each equal share of the outputs
    element_bits : bits of an element
    scope : "layer": loaded for each layer; "shared": one for all layers and networks, in ROM
    residual : entries of one more book, of a size of its own, whose codeword is added and named by the stream `residuals`; 0: none
    block : (inputs, outputs) that share a table, which a chip reads ahead of the tiles with its weights; None: `tables` shares
    """

    codewords: int
    d: int
    books: int = 1
    tables: int = 1
    element_bits: int = 8
    scope: Scope = "layer"
    residual: int = 0
    block: tuple[int, int] | None = None

    @property
    def lookups(self) -> int:
        """Lookups per vector."""
        return self.books + bool(self.residual)

    @property
    def residual_bits(self) -> int:
        """Bits of an index into the residual book; 0 without one."""
        return max(1, (self.residual - 1).bit_length()) if self.residual else 0

    @property
    def index_bits(self) -> int:
        """Bits of an index: max(1, ceil(log2 codewords))."""
        return max(1, (self.codewords - 1).bit_length())

    @property
    def entries(self) -> int:
        """Codewords of all books and tables; of one table where each block has its own."""
        return self.codewords * self.books * self.tables + self.residual

    def entries_of_tile(self, rows: int, cols: int) -> int:
        """Codewords of all books and tables that weights of a tile of `rows` x `cols` are looked up in."""
        if self.block is None:
            return self.entries
        return self.entries * max(1, rows // self.block[0]) * max(1, cols // self.block[1])

    @property
    def lane_bits(self) -> int:
        """Bits of a sum of one element of each book."""
        return self.element_bits + (self.lookups - 1).bit_length()

    def record_bits(self, weights: int) -> Mapping[str, Fraction | int]:
        """The indices."""
        vectors = weights // self.d
        return {"indices": vectors * self.books * self.index_bits, "residuals": vectors * self.residual_bits}

    @property
    def in_core(self) -> bool:
        """One int8 codebook per layer."""
        return self.lookups == self.tables == 1 and self.element_bits == 8 and self.block is None

    @property
    def words(self) -> str:
        """'lookup of 8 x 8 bits by an index of 4 (16 codewords, per layer)'."""
        summed = f"{self.books} lookups, summed," if self.books > 1 else "lookup"
        tables = f"{self.tables} tables per layer" if self.tables > 1 else "per layer"
        place = "ROM" if self.scope == "shared" else tables if self.block is None else "per block of {} x {} weights".format(*self.block)
        one = f"{summed} of {self.d} x {self.element_bits} bits by an index of {self.index_bits} ({self.codewords} codewords, {place})"
        return f"{one} and a residual's of {self.residual_bits} ({self.residual} codewords)" if self.residual else one


@dataclass(frozen=True)
class Signs(Part):
    """A sign bit per weight, or one less for each `group` of weights, whose last sign makes the number of negative ones even.

    Attributes
    ----------
    group : weights that share a parity; 0: every weight has its own bit
    """

    group: int = 0

    @property
    def bits(self) -> Fraction:
        """Bits per weight."""
        return Fraction(self.group - 1, self.group) if self.group else Fraction(1)

    def record_bits(self, weights: int) -> Mapping[str, Fraction | int]:
        """The sign bits."""
        return {"signs": weights * self.bits}

    @property
    def in_core(self) -> bool:
        """A bit per weight."""
        return not self.group

    @property
    def words(self) -> str:
        """'7 signs and their parity for 8 weights'."""
        return f"{self.group - 1} signs and their parity per {self.group} weights" if self.group else "a sign per weight"


@dataclass(frozen=True)
class ParityShift(Part):
    """An odd number of negative signs among `group` weights turns the first sign around and takes 1 from each; an even one adds 1."""

    group: int

    @property
    def words(self) -> str:
        """'shift by the parity of 8 signs'."""
        return f"shift by the parity of {self.group} signs"


@dataclass(frozen=True)
class Mask(Part):
    """N of each M lanes are kept, by the number of their pattern."""

    keep: int
    of: int

    def record_bits(self, weights: int) -> Mapping[str, Fraction | int]:
        """The numbers of the patterns."""
        return {"masks": weights // self.of * pattern_bits(self.keep, self.of)}

    @property
    def in_core(self) -> bool:
        """Zeros where a lane is dropped."""
        return True

    @property
    def words(self) -> str:
        """'mask of 2:4'."""
        return f"mask of {self.keep}:{self.of}"


@dataclass(frozen=True)
class Raw(Part):
    """A field per weight: two's complement, an odd integer, or the number of a level.

    Attributes
    ----------
    bits : bits of a field; a fraction where several weights are packed into common bits (five ternary ones into a byte)
    odd : a field u stands for 2u + 1
    levels : the integer of each number; None: the field itself, in two's complement. A fraction of bits packs numbers in base len(levels)
    packing : a phrase for a packing other than one field after the other
    less : subtracted from a level on its way to the array, which would need a bit more for it: a group's sum gets it back, less the
        group's zero point, times the sum of the group's activations
    """

    bits: int | Fraction
    odd: bool = False
    levels: tuple[int, ...] | None = None
    packing: str = ""
    less: int = 0

    @property
    def multiplied(self) -> tuple[int, ...] | None:
        """The integer that the array multiplies for each number of a level; None: as `levels`."""
        return None if self.levels is None else tuple(level - self.less for level in self.levels)

    @property
    def lane_bits(self) -> int:
        """Bits of an integer that the array multiplies, in two's complement."""
        multiplied = self.multiplied
        if multiplied is not None:
            return max(level.bit_length() if level >= 0 else (-level - 1).bit_length() for level in multiplied) + 1
        return int(self.bits) + self.odd

    def record_bits(self, weights: int) -> Mapping[str, Fraction | int]:
        """The fields."""
        return {"weights": weights * self.bits}

    @property
    def in_core(self) -> bool:
        """Two's complement and odd integers."""
        return self.levels is None

    @property
    def words(self) -> str:
        """'field of 4 bits, -8 to 7'."""
        bits = f"{float(self.bits):g}"
        if self.levels is None:
            return f"{'odd integer' if self.odd else 'integer'} of {bits} bits"
        low, high = min(self.levels), max(self.levels)
        kind = "integer" if set(self.levels) == set(range(low, high + 1)) else f"one of {len(set(self.levels))} levels"
        less = f", {self.less} less in the array" if self.less else ""
        return f"{kind} from {low} to {high} in {bits} bits{self.packing and ', ' + self.packing}{less}"


@dataclass(frozen=True)
class Scale(Part):
    """A factor for a tensor, a channel, or a group of weights along the reduction.

    Attributes
    ----------
    over : "tensor", "channel", or the weights of a group
    bits : of a factor
    number : of what is stored
    stream : its name
    times, plus : a stored s stands for times * s + plus
    """

    over: Literal["tensor", "channel"] | int
    bits: int = 32
    number: NumberFormat = "float"
    stream: str = "scales"
    times: Fraction = Fraction(1)
    plus: int = 0

    @property
    def in_core(self) -> bool:
        """Folded into the requantization of a channel."""
        return not isinstance(self.over, int)

    @property
    def words(self) -> str:
        """'scale per 32 weights (float16)'."""
        over = f"{self.over} weights" if isinstance(self.over, int) else self.over
        integer = f"integer of {self.bits} bits"
        written = {"float": f"float{self.bits}", "integer": integer, "signed": integer}
        return f"scale per {over} ({written.get(self.number, self.number)})"

    @property
    def group(self) -> int:
        """Weights of a group; 0 for a tensor or channel."""
        return self.over if isinstance(self.over, int) else 0

    def values(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The factors that stored fields stand for, exact."""
        return read_numbers(codes, self.bits, self.number) * self.times.numerator / self.times.denominator + self.plus


@dataclass(frozen=True)
class Offset(Part):
    """A number added to the weights of a group: an integer zero point ahead of the scale, a shift of codewords, or a minimum after it.

    Attributes
    ----------
    what : "zero point": subtracted from the integers, or from what their `Raw.less` gives the sums; "shift": of codewords, an eighth
        up (0) or down (1); "minimum": added to the weights, a float, which integers of finer groups may multiply
    over : weights of a group along the reduction
    bits : of each
    stream : its name
    number : of what is stored
    times : a stored m stands for times * m
    """

    what: Literal["zero point", "shift", "minimum"]
    over: int
    bits: int
    stream: str
    number: NumberFormat = "integer"
    times: int = 1

    @property
    def group(self) -> int:
        """Weights of a group."""
        return self.over

    def values(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The numbers that stored fields stand for, exact."""
        return read_numbers(codes, self.bits, self.number) * self.times

    @property
    def words(self) -> str:
        """'zero point per 32 weights (4 bits)'."""
        return f"{self.what} per {self.over} weights ({self.bits} bit{'s' if self.bits > 1 else ''})"
