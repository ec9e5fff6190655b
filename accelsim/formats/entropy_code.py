"""The entropy decoder in front of a decode path: symbols of one stream have codes of variable length."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from accelsim.formats.parts import Part

_WORDS = {"huffman": "canonical Huffman code", "rice": "Golomb-Rice code"}
OFFSET_BITS = 32  # of the place in the image where a K-tile's codes begin


@dataclass(frozen=True)
class EntropyCode(Part):
    """Codes of variable length in place of the fields of a stream.

    Attributes
    ----------
    code : of Huffman or Golomb and Rice
    stream : that is coded
    symbol_bits : of a symbol of fixed width
    alphabet : symbols that there are
    mean : bits of a code, on average over a matrix; None: not coded yet
    """

    code: Literal["huffman", "rice"]
    stream: str
    symbol_bits: int
    alphabet: int
    mean: Fraction | None = None

    @property
    def rate(self) -> Fraction:
        """Bits of a code over those of a symbol of fixed width."""
        return Fraction(1) if self.mean is None else self.mean / self.symbol_bits

    @property
    def words(self) -> str:
        """'canonical Huffman code of 16 symbols (2.31 bits on average)'."""
        mean = "lengths by the values" if self.mean is None else f"{float(self.mean):.3g} bits on average"
        return f"{_WORDS[self.code]} of {self.alphabet} symbols ({mean})"
