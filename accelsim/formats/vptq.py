"""Vector post-training quantization (VPTQ, arXiv 2409.17066): a codeword of a main codebook plus one of a smaller residual codebook.

VPTQ codes each input apart, so a vector's neighbours are outputs of one input (axis 0). It keeps codebooks in binary16. An integer array
needs one scale for both, so elements are integers of `element_bits`, and a sum has a bit more: disputable, since the published weights are
another quantization away. The order of its inputs, and outlier inputs with a codebook of their own, are products and gathers of a trace.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.formats.codewords import Axis, Lanes, codebook_stream, index_shape, index_stream, look_up_sum
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat, scale_stream

KIND = "vptq"
EXAMPLES = (
    "vptq:bits=8,residual_bits=4",
    "vptq:bits=6,residual_bits=6,d=4,element_bits=6",
    "vptq:bits=5,residual_bits=3,axis=1",
    "vptq:bits=8,residual_bits=0,element_bits=8",
)


class VptqFormat(WeightFormat):
    """Streams: indices, residuals [K,N/d] (axis 0) or [K/d,N] (axis 1), codebook [2^bits+2^residual_bits,d], scales [N], one per output.

    The main codebook comes first.
    Without residuals (`residual_bits` 0) neither their stream nor their codebook exists: the form of VPTQ's outlier inputs.
    """

    kind: Literal["vptq"] = "vptq"

    bits: Annotated[int, Field(ge=2, le=16, description="bits of an index into the main codebook")]
    residual_bits: Annotated[int, Field(ge=0, le=16, description="bits of an index into the residual codebook; 0: there is none")] = 8
    d: Lanes = 8
    element_bits: Annotated[int, Field(ge=2, le=8, description="bits of an element of a codeword")] = 7
    axis: Axis = 0

    def _lookup(self) -> Lookup:
        return Lookup(1 << self.bits, self.d, element_bits=self.element_bits, residual=1 << self.residual_bits if self.residual_bits else 0)

    def decode_path(self) -> DecodePath:
        """Two lookups and their sum; a scale per output."""
        return DecodePath((self._lookup(), Scale("channel")), axis=self.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide N (axis 0) or K (axis 1)."""
        shape = index_shape(self.kind, self.d, self.axis, k, n)
        table = {"indices": index_stream(self.kind, self._lookup(), self.axis, k, n)}
        if self.residual_bits:
            table["residuals"] = Stream(shape=shape, bits=self.residual_bits, number="unsigned", place="record", in_paper_count=True)
        return {**table, "codebook": codebook_stream(self._lookup()), "scales": scale_stream("channel", n)}

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """[K,N]: the sums, int8 up to 8 bits, else int16."""
        main, residual = np.split(arrays["codebook"].reshape(-1, self.d), [1 << self.bits])
        terms = [(main, arrays["indices"]), *([(residual, arrays["residuals"])] if self.residual_bits else [])]
        return look_up_sum(terms, self.axis, self._lookup().lane_bits)


SPEC = VptqFormat
