"""Universal vector quantization (VQ4ALL, arXiv 2412.06875): W = C[A] with one frozen codebook C for all layers of all networks.

The codebook is the chip's, in ROM: it belongs to no layer, it is never loaded, and no count of bits per weight contains it; its cost
is ROM area, one copy per port. Disputable assumption: a layer scales the codebook by one number of its own, where the paper's text that we
could read is silent.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy.typing as npt

from accelsim.formats.codewords import Axis, Codewords, Lanes, check_indices, codebook_stream, index_stream, look_up
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat, scale_stream

KIND = "universal_vq"
ALSO_KNOWN_AS = ("vq4all",)
EXAMPLES = ("universal_vq:k=256,d=8", "universal_vq:k=300,d=4,axis=1", "universal_vq:k=2,d=1")


class UniversalVqFormat(WeightFormat):
    """Streams: indices [K,N/d] (axis 0) or [K/d,N] (axis 1), the shared codebook [k,d] int8, and the layer's scale."""

    kind: Literal["universal_vq"] = "universal_vq"

    k: Codewords
    d: Lanes
    axis: Axis = 0

    def _lookup(self) -> Lookup:
        return Lookup(self.k, self.d, scope="shared")

    def decode_path(self) -> DecodePath:
        """Index and codebook; codewords carry their signs."""
        return DecodePath((self._lookup(), Scale("tensor")), self.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide N (axis 0) or K (axis 1)."""
        return {
            "indices": index_stream(self.kind, self._lookup(), self.axis, k, n),
            "codebook": codebook_stream(self._lookup()),
            "scales": scale_stream("tensor", n),
        }

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Indices lie in the codebook."""
        check_indices(self.kind, arrays["indices"], self.k)

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: the codewords."""
        return look_up(arrays["codebook"], arrays["indices"], self.axis)


SPEC = UniversalVqFormat
