"""Conventional vector quantization: W = C[A], one index a subvector, and a signed int8 codebook a layer with one scale.

The count is MVQ's for its plain baseline (arXiv 2412.10261): papers count indices alone, ceil(log2 k)/d bits a weight; the codebook
(k x d int8) and the scale come on top, and weigh on small layers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy.typing as npt
from pydantic import Field

from accelsim.formats.codewords import check_indices, index_shape, look_up
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.weight_format import Arrays, ScaleGranularity, Stream, WeightFormat, scale_stream

KIND = "vq"
EXAMPLES = ("vq:k=16,d=4", "vq:k=5,d=4,axis=1", "vq:k=1,d=2", "vq:k=300,d=8,scale=channel")


class SPEC(WeightFormat):
    """Streams: indices [K,N/d] (axis 0) or [K/d,N] (axis 1), codebook [k,d] int8, scales.

    Axis 0: d neighbouring outputs share a codeword; axis 1: d neighbouring inputs do.
    """

    kind: Literal["vq"] = "vq"
    codebook_scope = "layer"

    k: Annotated[int, Field(ge=1, le=65536)]
    d: Annotated[int, Field(ge=1, le=64)]
    axis: Literal[0, 1] = 0
    scale: ScaleGranularity = "tensor"

    def decode_path(self) -> DecodePath:
        """Index and codebook; codewords carry their signs."""
        return DecodePath(decode=True, sign=False, codewords=self.k, d=self.d, raw_bits=0, axis=self.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide N (axis 0) or K (axis 1)."""
        indices = index_shape(self.kind, self.d, self.axis, k, n)
        return {
            "indices": Stream(shape=indices, bits=self.decode_path().index_bits, number="unsigned", in_paper_count=True),
            "codebook": Stream(shape=(self.k, self.d), bits=8, number="signed", in_paper_count=False),
            "scales": scale_stream(self.scale, n),
        }

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Indices lie in the codebook."""
        check_indices(self.kind, arrays["indices"], self.k)

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: the codewords."""
        return look_up(arrays["codebook"], arrays["indices"], self.axis)
