"""Requirements of a format on the decode-and-MAC core: an index, signs and a codebook, or raw values that bypass both.

The record layout is the core's own: the index in the lowest bits, then one sign bit per lane; raw lanes are consecutive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accelsim.errors import FormatError
from accelsim.formats.masks import pattern_bits


@dataclass(frozen=True)
class DecodePath:
    """The path of one record through the core.

    Attributes
    ----------
    decode
        True: a record is an index (and sign bits). False: a record is raw values, one per lane.
    sign
        True: each lane has a sign bit (1 = negate). Only with `decode`.
    codewords
        Entries of the codebook; 0 without `decode`.
    d
        Weights per codeword; 0 without `decode`: raw values take the chip's number of lanes.
    raw_bits
        Bits of a raw value; 0 with `decode`.
    axis
        0: a codeword lies along N (outputs); 1: along K (reduction). Raw values take either order.
    odd
        True: a raw value u stands for the odd integer 2u + 1. Only without `decode`.
    mask
        (N, M): N of each M lanes are kept, selected by the pattern number after the index; None: all are. Only with `decode`.
    """

    decode: bool
    sign: bool
    codewords: int
    d: int
    raw_bits: int
    axis: Literal[0, 1] = 0
    odd: bool = False
    mask: tuple[int, int] | None = None

    @property
    def lane_bits(self) -> int:
        """Bits of an integer that the array multiplies: an odd integer is its raw value with a 1 below; codewords are int8."""
        return 8 if self.decode else self.raw_bits + self.odd

    @property
    def index_bits(self) -> int:
        """Bits of an index: max(1, ceil(log2 codewords)); 0 for raw values."""
        return max(1, (self.codewords - 1).bit_length()) if self.decode else 0

    @property
    def mask_bits(self) -> int:
        """Bits of the pattern numbers of a record; 0 without a mask."""
        if self.mask is None:
            return 0
        keep, of = self.mask
        return self.d // of * pattern_bits(keep, of)

    def stream_bits(self, weights: int) -> dict[str, int]:
        """Stream -> bits that the records of so many weights hold of it, under the names that every format gives its records."""
        if not self.decode:
            return {"weights": weights * self.raw_bits}
        records = weights // self.d
        bits = {"indices": records * self.index_bits, "signs": weights if self.sign else 0, "masks": records * self.mask_bits}
        return {name: count for name, count in bits.items() if count}

    def record_bits(self, d_chip: int) -> int:
        """Bits of a record on a chip with `d_chip` lanes per record.

        Raises
        ------
        FormatError
            The codeword length differs from the chip's lanes.
        """
        if not self.decode:
            return self.raw_bits * d_chip
        if d_chip != self.d:
            raise FormatError(f"codewords of d={self.d} weights do not fit records of {d_chip} lanes; allowed: a chip with d={self.d}")
        return self.index_bits + (d_chip if self.sign else 0) + self.mask_bits
