"""QuIP#'s E8P lattice codebook (arXiv 2402.04396, section 4 and appendix C.1): 16 bits for 8 weights along the reduction.

Eight bits name one of 256 vectors of half-integers, eight are signs. The parity of the signs flips the first of them and moves all eight
weights a quarter down, else up: 65,536 points of E8 + 1/4. Disputable assumptions: sign bit e is that of weight e, where QuIP#'s kernels
have an order of their own; and the matrix is the one between QuIP#'s two transforms, which a trace states as layers of op `hadamard`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.block_decoding import grid_of, values_of
from accelsim.formats.codewords import codebook_stream
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, ParityShift, Scale, Signs
from accelsim.formats.weight_format import CODEBOOK, Arrays, Stream, WeightFormat, scale_stream

KIND = "quip_e8p"
EXAMPLES = ("quip_e8p",)
GRID = "e8p"  # of quarters
_D = 8


class QuipE8pFormat(WeightFormat):
    """Streams: indices [K/8,N], signs [K/8,N] (bit e negates weight e), scales [1]; the grid of quarters is the chip's."""

    kind: Literal["quip_e8p"] = "quip_e8p"

    def _lookup(self) -> Lookup:
        return Lookup(256, _D, element_bits=5, scope="shared")

    @property
    def built_in_codebook(self) -> str:
        """The grid of quarters."""
        return GRID

    @property
    def element_values(self) -> tuple[int, ...]:
        """Even quarters."""
        return values_of(GRID)

    def decode_path(self) -> DecodePath:
        """Grid, signs, and the shift by their parity."""
        return DecodePath((self._lookup(), Signs(), ParityShift(_D), Scale("tensor")), axis=1)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """8 must divide K."""
        if k % _D:
            raise FormatError(f"quip_e8p: vectors of {_D} weights do not fill K={k}; allowed: a multiple of {_D}")
        codes = Stream(shape=(k // _D, n), bits=8, number="unsigned", place="record", in_paper_count=True)
        return {"indices": codes, "signs": codes, "scales": scale_stream("tensor", n)}

    def chip_streams(self, k: int, n: int) -> dict[str, Stream]:
        """The streams, and the grid in ROM."""
        return {**self.streams(k, n), CODEBOOK: codebook_stream(self._lookup())}

    def chip_arrays(self, arrays: Arrays, k: int, n: int) -> dict[str, npt.NDArray[Any]]:
        """The values of `chip_streams`."""
        return {**arrays, CODEBOOK: grid_of(GRID)}

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: weights in quarters of the scale, odd, -11 to 11."""
        flips, shifts = (table.take(arrays["signs"]).view(np.int8) for table in _lanes_of_signs())
        lanes = grid_of(GRID).view(np.uint64).reshape(-1).take(arrays["indices"]).view(np.int8)
        points: npt.NDArray[np.int8] = (lanes ^ flips) + shifts  # two's complement, and the quarter
        return points.reshape(k // _D, n, _D).transpose(0, 2, 1).reshape(k, n)

    def column_scales(self, arrays: Arrays, n: int) -> npt.NDArray[np.float64]:
        """A quarter of the scale."""
        return super().column_scales(arrays, n) / 4


@cache
def _lanes_of_signs() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Eight lanes per field of signs: ones in all bits where a weight is negated; and what is added, with the 1 that negation takes."""
    flips = np.arange(256, dtype=np.uint8)[:, None] >> np.arange(_D, dtype=np.uint8) & 1
    odd = flips.sum(axis=1, dtype=np.uint8)[:, None] & 1
    flips[:, :1] ^= odd
    quarters = flips.astype(np.int8) + 1 - 2 * odd.astype(np.int8)
    return (-flips.astype(np.int8)).view(np.uint64).reshape(-1), quarters.view(np.uint64).reshape(-1)


SPEC = QuipE8pFormat
