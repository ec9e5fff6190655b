"""Additive quantization (AQLM, arXiv 2401.06118): a vector of d inputs is the sum of one codeword of each of M codebooks.

AQLM keeps codebooks in binary16, per matrix. An integer array needs one scale for all of them, so elements are integers of
`element_bits`, and a sum has ceil(log2 M) bits more: disputable, since the published weights are another quantization away.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy.typing as npt
from pydantic import Field

from accelsim.formats.codewords import codebook_stream, index_stream, look_up_sum
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat, scale_stream
from accelsim.quantities import unit

KIND = "aqlm"
EXAMPLES = ("aqlm:books=2,bits=8", "aqlm:books=1,bits=8,element_bits=8", "aqlm:books=4,bits=4,d=4,element_bits=6")


class AqlmFormat(WeightFormat):
    """Streams: indices [K/d,N] or, of several books, [K/d,N,books]; codebook [books*2^bits,d]; scales [N], one per output."""

    kind: Literal["aqlm"] = "aqlm"

    books: Annotated[int, Field(ge=1, le=8, description="codebooks, whose codewords are summed"), unit("codebooks")]
    bits: Annotated[int, Field(ge=2, le=16, description="bits of an index")]
    d: Annotated[int, Field(ge=1, le=64, description="inputs of a codeword"), unit("elements")] = 8
    element_bits: Annotated[int, Field(ge=2, le=8, description="bits of an element of a codeword")] = 7

    def _lookup(self) -> Lookup:
        return Lookup(1 << self.bits, self.d, books=self.books, element_bits=self.element_bits)

    def decode_path(self) -> DecodePath:
        """Lookups and their sum; a scale per output."""
        return DecodePath((self._lookup(), Scale("channel")), axis=1)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide K."""
        return {
            "indices": index_stream(self.kind, self._lookup(), 1, k, n),
            "codebook": codebook_stream(self._lookup()),
            "scales": scale_stream("channel", n),
        }

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """[K,N]: the sums, int8 up to 8 bits, else int16."""
        books = arrays["codebook"].reshape(self.books, 1 << self.bits, self.d)
        indices = arrays["indices"].reshape(k // self.d, n, self.books)
        return look_up_sum([(books[book], indices[:, :, book]) for book in range(self.books)], 1, self._lookup().lane_bits)


SPEC = AqlmFormat
