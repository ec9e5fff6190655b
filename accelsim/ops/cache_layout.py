"""A cache of keys or values in DRAM: token after token, a head's elements of a token side by side.

Disputable assumptions: an 8-bit cache has one static scale, which costs no byte; a 4-bit cache has a scale of 16 bits per token and head,
those of a head ahead of its elements; a 16-bit cache is rounded to 8 bits on its way to the array, whose operands have 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CacheBits = Literal[4, 8, 16]
CACHE_BITS: tuple[CacheBits, ...] = (4, 8, 16)
SCALE_BITS = 16


@dataclass(frozen=True)
class CacheLayout:
    """Bits per element, and elements of a token in a head."""

    bits: CacheBits
    head_width: int

    @property
    def scaled(self) -> bool:
        """Whether each token has a scale of its own in each head."""
        return self.bits == 4

    @property
    def append_passes(self) -> int:
        """Passes of the vector unit over what is appended, besides those that make it: a largest magnitude, then levels."""
        return 2 if self.scaled else 0

    def scale_bits(self, tokens: int) -> int:
        """Bits of the scales of so many tokens of a head."""
        return SCALE_BITS * tokens if self.scaled else 0

    def bytes(self, tokens: int, heads: int) -> int:
        """Bytes of so many tokens of so many heads."""
        return heads * (tokens * self.head_width * self.bits + self.scale_bits(tokens)) // 8
