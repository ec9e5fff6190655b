"""Sign-splitting vector quantization (SSVQ, ICCV 2025, arXiv 2503.08668): W = C[A] o sign, one index per subvector, one sign per weight.

The codebook is int8 with one scale and holds magnitudes only; a weight whose codeword element is 0 is 0 whatever its sign.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.codewords import Axis, Codewords, Lanes, check_indices, codebook_stream, index_stream, look_up
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, Scale, Signs
from accelsim.formats.weight_format import Arrays, ScaleGranularity, Stream, WeightFormat, scale_stream

KIND = "ssvq"
EXAMPLES = ("ssvq:k=16,d=8", "ssvq:k=5,d=4,axis=1", "ssvq:k=1,d=2", "ssvq:k=300,d=8,scale=channel")


class SsvqFormat(WeightFormat):
    """Streams: indices [K,N/d] (axis 0) or [K/d,N] (axis 1), signs [K,N], codebook [k,d] int8, scales.

    Axis 0: d neighbouring outputs share a codeword; axis 1: d neighbouring inputs do.
    """

    kind: Literal["ssvq"] = "ssvq"

    k: Codewords
    d: Lanes
    axis: Axis = 0
    scale: ScaleGranularity = "tensor"

    def _lookup(self) -> Lookup:
        return Lookup(self.k, self.d)

    def decode_path(self) -> DecodePath:
        """Index, codebook, signs."""
        return DecodePath((self._lookup(), Signs(), Scale(self.scale)), self.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide N (axis 0) or K (axis 1)."""
        return {
            "indices": index_stream(self.kind, self._lookup(), self.axis, k, n),
            "signs": Stream(shape=(k, n), bits=1, number="unsigned", place="record", in_paper_count=True),
            "codebook": codebook_stream(self._lookup()),
            "scales": scale_stream(self.scale, n),
        }

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Indices lie in the codebook; codewords are magnitudes."""
        check_indices(self.kind, arrays["indices"], self.k)
        codebook = arrays["codebook"].astype(np.int64)
        if int(codebook.min()) < 0:
            raise FormatError(f"ssvq stream 'codebook': element {int(codebook.min())} is negative; allowed: magnitudes 0..127")

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: sign ? -c : c."""
        magnitudes = look_up(arrays["codebook"], arrays["indices"], self.axis)
        signs = arrays["signs"].astype(np.int8, copy=False)
        negated: npt.NDArray[np.int8] = (magnitudes ^ -signs) + signs  # two's complement where a sign is 1
        return negated


SPEC = SsvqFormat
