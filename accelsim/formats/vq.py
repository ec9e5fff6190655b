"""Conventional vector quantization: W = C[A], one index per subvector, and a signed int8 codebook per layer with one scale.

The count is MVQ's for its plain baseline (arXiv 2412.10261): papers count indices alone, ceil(log2 k)/d bits per weight; the codebook
(k x d int8) and the scale come on top, and weigh on small layers.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy.typing as npt

from accelsim.formats.codewords import Axis, Codewords, Lanes, check_indices, codebook_stream, index_stream, look_up
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, Scale
from accelsim.formats.weight_format import Arrays, ScaleGranularity, Stream, WeightFormat, scale_stream

KIND = "vq"
EXAMPLES = ("vq:k=16,d=4", "vq:k=5,d=4,axis=1", "vq:k=1,d=2", "vq:k=300,d=8,scale=channel")


class VqFormat(WeightFormat):
    """Streams: indices [K,N/d] (axis 0) or [K/d,N] (axis 1), codebook [k,d] int8, scales.

    Axis 0: d neighbouring outputs share a codeword; axis 1: d neighbouring inputs do.
    """

    kind: Literal["vq"] = "vq"

    k: Codewords
    d: Lanes
    axis: Axis = 0
    scale: ScaleGranularity = "tensor"

    def _lookup(self) -> Lookup:
        return Lookup(self.k, self.d)

    def decode_path(self) -> DecodePath:
        """Index and codebook; codewords carry their signs."""
        return DecodePath((self._lookup(), Scale(self.scale)), self.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide N (axis 0) or K (axis 1)."""
        return {
            "indices": index_stream(self.kind, self._lookup(), self.axis, k, n),
            "codebook": codebook_stream(self._lookup()),
            "scales": scale_stream(self.scale, n),
        }

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Indices lie in the codebook."""
        check_indices(self.kind, arrays["indices"], self.k)

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: the codewords."""
        return look_up(arrays["codebook"], arrays["indices"], self.axis)


SPEC = VqFormat
