"""The path of a record through the decoder: its parts in order, and the form of the record that follows from them.

The record layout is the core's own: the index in the lowest bits, then signs or mask numbers; raw lanes are consecutive.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal, TypeVar

from accelsim.errors import FormatError
from accelsim.formats.entropy_code import EntropyCode
from accelsim.formats.parts import Lookup, Mask, Offset, ParityShift, Part, Raw, Scale, Signs

_Kind = TypeVar("_Kind", bound=Part)


@dataclass(frozen=True)
class DecodePath:
    """The parts that a record passes, at most one of a kind except for scales and offsets.

    Attributes
    ----------
    parts
        An `EntropyCode`, if there is one; a `Lookup` or a `Raw`; then what is applied to its integers.
    axis
        0: a codeword lies along N (outputs); 1: along K (reduction). Raw values take either order.
    """

    parts: tuple[Part, ...]
    axis: Literal[0, 1] = 0

    def __post_init__(self) -> None:
        if (self.lookup is None) == (self.raw is None):
            raise FormatError(f"a decode path has either a lookup or raw fields; given: {[part.words for part in self.parts]}")

    def _part(self, kind: type[_Kind]) -> _Kind | None:
        for part in self.parts:  # asked often: a generator takes twice as long
            if isinstance(part, kind):
                return part
        return None

    @property
    def lookup(self) -> Lookup | None:
        """The lookup; None for raw fields."""
        return self._part(Lookup)

    @property
    def raw(self) -> Raw | None:
        """The raw fields; None with a lookup."""
        return self._part(Raw)

    @property
    def entropy(self) -> EntropyCode | None:
        """The entropy decoder in front; None for records of fixed width."""
        return self._part(EntropyCode)

    @property
    def signs(self) -> Signs | None:
        """The sign bits, if weights have any."""
        return self._part(Signs)

    @property
    def parity_shift(self) -> ParityShift | None:
        """The shift by the parity of signs, if there is one."""
        return self._part(ParityShift)

    @property
    def decode(self) -> bool:
        """A record is an index (and sign bits); otherwise raw values, one per lane."""
        return self.lookup is not None

    @property
    def sign(self) -> bool:
        """Records hold sign bits (1 = negate)."""
        return self.signs is not None

    @property
    def codewords(self) -> int:
        """Entries of a codebook; 0 for raw values."""
        return self.lookup.codewords if self.lookup else 0

    @property
    def entries(self) -> int:
        """Entries of all codebooks of a layer, or of a block; 0 for raw values."""
        return self.lookup.entries if self.lookup else 0

    def entries_of_tile(self, rows: int, cols: int) -> int:
        """Entries that a chip with tiles of `rows` x `cols` holds at a time: those of a layer or of a tile; 0 for raw values."""
        return self.lookup.entries_of_tile(rows, cols) if self.lookup else 0

    @property
    def d(self) -> int:
        """Weights per codeword; 0 for raw values, which take the chip's number of lanes."""
        return self.lookup.d if self.lookup else 0

    @property
    def raw_bits(self) -> int | Fraction:
        """Bits of a raw value, entropy-coded ones on average; 0 with a lookup."""
        return self.raw.bits * self.entropy.rate if self.raw and self.entropy else self.raw.bits if self.raw else 0

    @property
    def odd(self) -> bool:
        """A raw value u stands for the odd integer 2u + 1."""
        return self.raw is not None and self.raw.odd

    @property
    def less(self) -> int:
        """Amount by which raw values are lessened on their way to the array, and which group sums get back: see `Raw`."""
        return self.raw.less if self.raw is not None else 0

    @property
    def mask(self) -> tuple[int, int] | None:
        """(N, M): N of each M lanes are kept, by the pattern number after the index; None: all are."""
        mask = self._part(Mask)
        return None if mask is None else (mask.keep, mask.of)

    @property
    def lane_bits(self) -> int:
        """Bits of an integer that the array multiplies."""
        return self.lookup.lane_bits if self.lookup else self.raw.lane_bits if self.raw else 0

    @property
    def index_bits(self) -> int:
        """Bits of an index: max(1, ceil(log2 codewords)); 0 for raw values."""
        return self.lookup.index_bits if self.lookup else 0

    @property
    def mask_bits(self) -> int:
        """Bits of the pattern numbers of a record; 0 without a mask."""
        mask = self._part(Mask)
        return 0 if mask is None else int(mask.record_bits(self.d)["masks"])

    @property
    def sign_bits(self) -> Fraction:
        """Sign bits per weight: 0 without signs, less than 1 where a parity replaces some."""
        return self.signs.bits if self.signs else Fraction(0)

    @property
    def scale_levels(self) -> tuple[tuple[int, int], ...]:
        """(weights of a group along the reduction, bits of its scales and offsets), finest first; none if scales are per channel.

        Offsets of finer groups than any scale are counted with the finest scale.
        """
        finest = min((part.group for part in self.group_parts if isinstance(part, Scale)), default=0)
        bits = dict.fromkeys(sorted({part.group for part in self.group_parts if isinstance(part, Scale)}), 0)
        for part in self.group_parts:
            over = max(part.group, finest)
            bits[over] += part.bits * over // part.group
        return tuple(bits.items())

    @property
    def group_parts(self) -> tuple[Scale | Offset, ...]:
        """The scales and offsets of groups."""
        return tuple(part for part in self.parts if isinstance(part, Scale | Offset) and isinstance(part.over, int))

    @property
    def beyond_core(self) -> tuple[Part, ...]:
        """The parts that the core of the RTL does not have."""
        return tuple(part for part in self.parts if not part.in_core)

    def stream_bits(self, weights: int) -> dict[str, int]:
        """Stream -> bits that the records of `weights` weights hold of it, under the names that every format gives its records."""
        return {name: ceil(bits) for name, bits in self._record_bits(weights).items() if bits}

    def _record_bits(self, weights: int) -> dict[str, Fraction | int]:
        """Stream -> bits, entropy-coded ones on average."""
        bits = {name: bits for part in self.parts for name, bits in part.record_bits(weights).items()}
        code = self.entropy
        return bits if code is None else {**bits, code.stream: bits[code.stream] * code.rate}

    def record_bits(self, d_chip: int) -> int:
        """Bits of a record on a chip with `d_chip` lanes per record.

        Raises
        ------
        FormatError
            The codeword length differs from the chip's lanes.
        """
        if self.decode and d_chip != self.d:
            raise FormatError(f"codewords of d={self.d} weights do not fit records of {d_chip} lanes; allowed: a chip with d={self.d}")
        return ceil(sum(self._record_bits(d_chip).values()))


def raw_path(bits: int, *scales: Part, odd: bool = False) -> DecodePath:
    """The path of plain integers of `bits` bits."""
    return DecodePath((Raw(bits, odd=odd), *scales))
