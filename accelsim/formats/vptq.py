"""Vector post-training quantization (VPTQ, arXiv 2409.17066): a codeword of a main codebook plus one of a smaller residual codebook.

VPTQ keeps codebooks in binary16. An integer array needs one scale for both, so elements are integers of `element_bits`, and a sum has a
bit more. Disputable assumptions: the order of the inputs is the stored one, so a permutation of them is left to the producer of the
activations; and outlier inputs, which VPTQ codes apart, are a product of their own that a trace adds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.formats.codewords import Lanes, codebook_stream, index_shape, index_stream, look_up
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat, scale_stream

KIND = "vptq"
EXAMPLES = ("vptq:bits=8,residual_bits=4", "vptq:bits=6,residual_bits=6,d=4,element_bits=6")


class VptqFormat(WeightFormat):
    """Streams: indices, residuals [K/d,N]; codebook [2^bits+2^residual_bits,d], the main one first; scales [N], one per output."""

    kind: Literal["vptq"] = "vptq"

    bits: Annotated[int, Field(ge=2, le=16, description="bits of an index into the main codebook")]
    residual_bits: Annotated[int, Field(ge=1, le=16, description="bits of an index into the residual codebook")] = 8
    d: Lanes = 8
    element_bits: Annotated[int, Field(ge=2, le=8, description="bits of an element of a codeword")] = 7

    def _lookup(self) -> Lookup:
        return Lookup(1 << self.bits, self.d, element_bits=self.element_bits, residual=1 << self.residual_bits)

    def decode_path(self) -> DecodePath:
        """Two lookups and their sum; a scale per output."""
        return DecodePath((self._lookup(), Scale("channel")), axis=1)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide K."""
        shape = index_shape(self.kind, self.d, 1, k, n)
        return {
            "indices": index_stream(self.kind, self._lookup(), 1, k, n),
            "residuals": Stream(shape=shape, bits=self.residual_bits, number="unsigned", place="record", in_paper_count=True),
            "codebook": codebook_stream(self._lookup()),
            "scales": scale_stream("channel", n),
        }

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """[K,N]: the sums, int8 up to 8 bits, else int16."""
        main, residual = np.split(arrays["codebook"].reshape(-1, self.d), [1 << self.bits])
        total = look_up(main, arrays["indices"], 1).astype(np.int16) + look_up(residual, arrays["residuals"], 1)
        return total.astype(np.int8 if self._lookup().lane_bits <= 8 else np.int16)


SPEC = VptqFormat
