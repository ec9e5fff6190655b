"""Weights that leave the decoder per cycle: X of a format's records on a chip.

Disputable assumption: a cycle takes whole vectors, so a format of several lookups per vector leaves the ports of a last part unused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup

Additive = Literal["sum", "passes"]


@dataclass(frozen=True)
class DecodeWidth:
    """The width of a chip's decoder; every count of records or weights per cycle comes from here.

    Attributes
    ----------
    ports : codebook lookups per cycle, P
    codeword_length : elements of an entry, and of a raw record, D
    raw : raw weights per cycle, in whole records
    activations : activations per cycle that are loaded as weights, in whole records
    tile : weights of a tile, R x C: no cycle takes more
    symbols : entropy-coded symbols per cycle; None: as many as the rest takes
    additive : "passes": a vector of several lookups leaves as often, with one codeword each time; "sum": once, with the sum
    """

    ports: int
    codeword_length: int
    raw: int
    activations: int
    tile: int
    symbols: int | None = None
    additive: Additive = "sum"

    def length(self, path: DecodePath) -> int:
        """Weights of a record: of a codeword, or of a raw record, which entropy decoders slower than the chip's records shorten."""
        if path.lookup is not None:
            return path.d
        most = self._symbols(path) or self.codeword_length
        return max(length for length in range(1, self.codeword_length + 1) if self.codeword_length % length == 0 and length <= most)

    def records(self, path: DecodePath) -> int:
        """Vectors, or raw records, of a format per cycle; 0 where a vector has more lookups, or symbols, than a cycle takes."""
        length, symbols = self.length(path), self._symbols(path)
        if path.lookup is None:
            return self._whole_records(self.raw if symbols is None else min(self.raw, symbols), length)
        vectors = self.ports // self.lookups(path.lookup)
        most = vectors if symbols is None else symbols // self.vector_symbols(path.lookup)
        return self._whole_records(min(vectors, most) * length, length)

    def lookups(self, lookup: Lookup) -> int:
        """Lookups of a vector at a time."""
        return 1 if self.additive == "passes" else lookup.lookups

    def vector_symbols(self, lookup: Lookup) -> int:
        """Entropy-coded indices of a vector at a time."""
        return 1 if self.additive == "passes" else lookup.books

    def weights(self, path: DecodePath) -> int:
        """Weights of a format per cycle."""
        return self.records(path) * self.length(path)

    def _symbols(self, path: DecodePath) -> int | None:
        """The bound on the symbols of a format per cycle; None: there is none."""
        return None if path.entropy is None else self.symbols

    @property
    def activation_records(self) -> int:
        """Raw records of activations per cycle."""
        return self._whole_records(self.activations, self.codeword_length)

    @property
    def coded(self) -> int:
        """Weights per cycle of a format whose vectors are codewords of the chip's length, one lookup each: the most of any coded format."""
        return self.ports * self.codeword_length

    @property
    def widest(self) -> int:
        """Weights per cycle for which both paths are built; a tile may have fewer."""
        return max(self.coded, self.raw)

    @property
    def most(self) -> int:
        """Weights per cycle of any format, at most."""
        return min(self.widest, self.tile)

    def group_bits(self, record_bits: int) -> int:
        """Bits per cycle for which both paths are built: of raw weights at 8 bits, or of a record of so many bits per port."""
        return max(8 * self.raw, self.ports * record_bits)

    def with_ports(self, ports: int) -> DecodeWidth:
        """The width with another number of lookups per cycle."""
        return replace(self, ports=ports)

    def lookups_for(self, path: DecodePath, weights: int) -> int:
        """Lookups that give so many weights of a format, whole codewords; raw ones come in records as long as the chip's codewords."""
        return weights // self.codeword_length if path.lookup is None else self.lookups(path.lookup) * weights // path.d

    def _whole_records(self, weights: int, length: int) -> int:
        return min(weights, self.tile) // length
