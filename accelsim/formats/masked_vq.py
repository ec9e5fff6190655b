"""Masked vector quantization (MVQ, ASPLOS 2025, arXiv 2412.10261): W = C[A] o mask, N of each M neighbours kept, the others zero.

A mask is stored as the number of its pattern, ceil(log2 C(M,N)) bits for M weights; codebook int8 with one scale. Disputable
assumption: the core expands the masks into zeros and runs dense tile cycles; a chip with `array.sparse_tile` multiplies only the
kept weights, in the same cycles with fewer multipliers. Area and energy of the mask decoder count where the chip states `codebook.mask`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy.typing as npt
from pydantic import Field, model_validator

from accelsim.errors import FormatError
from accelsim.formats.codewords import Axis, Codewords, check_indices, codebook_stream, index_shape, index_stream, look_up
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.masks import mask_patterns, pattern_bits
from accelsim.formats.parts import Lookup, Mask, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat, scale_stream
from accelsim.quantities import unit

KIND = "masked_vq"
ALSO_KNOWN_AS = ("mvq",)
EXAMPLES = ("masked_vq:k=16,d=8,keep=2,of=4", "masked_vq:k=5,d=4,keep=1,of=2,axis=1", "masked_vq:k=20,d=8,keep=3,of=8")


class MaskedVqFormat(WeightFormat):
    """Streams: indices [K,N/d], masks [K,N/of] (axis 0; along K for axis 1), codebook [k,d] int8, scale.

    `keep` of each `of` neighbours along the codeword are not zero; `of` divides d.
    """

    kind: Literal["masked_vq"] = "masked_vq"

    k: Codewords
    d: Annotated[int, Field(ge=2, le=64, description="elements of a codeword"), unit("elements")]
    keep: Annotated[int, Field(ge=1, le=15, description="N: elements of each group that are not zero"), unit("elements")]
    of: Annotated[int, Field(ge=2, le=16, description="M: neighbouring elements of a group; divides d"), unit("elements")]
    axis: Axis = 0

    @model_validator(mode="after")
    def _mask_fits(self) -> MaskedVqFormat:
        if self.keep >= self.of:
            raise FormatError(f"format 'masked_vq': keep={self.keep} of={self.of} masks nothing; allowed: keep from 1 to {self.of - 1}")
        if self.d % self.of:
            raise FormatError(f"format 'masked_vq': of={self.of} does not divide d={self.d}; allowed: a divisor of {self.d}")
        return self

    def _lookup(self) -> Lookup:
        return Lookup(self.k, self.d)

    def decode_path(self) -> DecodePath:
        """Index, masks and codebook; codewords carry their signs."""
        return DecodePath((self._lookup(), Mask(self.keep, self.of), Scale("tensor")), self.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide N (axis 0) or K (axis 1)."""
        masks = index_shape(self.kind, self.of, self.axis, k, n)
        return {
            "indices": index_stream(self.kind, self._lookup(), self.axis, k, n),
            "masks": Stream(shape=masks, bits=pattern_bits(self.keep, self.of), number="unsigned", place="record", in_paper_count=True),
            "codebook": codebook_stream(self._lookup()),
            "scales": scale_stream("tensor", n),
        }

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Indices lie in the codebook, and mask numbers among the patterns."""
        check_indices(self.kind, arrays["indices"], self.k)
        patterns, masks = mask_patterns(self.keep, self.of), arrays["masks"]
        if masks.size and int(masks.max()) >= patterns.shape[0]:
            raise FormatError(f"{self.kind} stream 'masks': {int(masks.max())} is no pattern; allowed: 0..{patterns.shape[0] - 1}")

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: the codewords' elements where the mask keeps them, else 0."""
        kept = look_up(mask_patterns(self.keep, self.of), arrays["masks"], self.axis)
        kept *= look_up(arrays["codebook"], arrays["indices"], self.axis)
        return kept


SPEC = MaskedVqFormat
