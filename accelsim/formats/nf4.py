"""NF4 (QLoRA, arXiv 2305.14314, appendix E; bitsandbytes): 4-bit numbers of 16 levels, times the largest magnitude of their group.

The levels are those of a normal distribution between -1 and 1, as bitsandbytes lists them. An integer array takes them rounded to 127ths:
disputable, since the published weights are another rounding away, of 0.004 of a group's largest magnitude at most.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.formats.codewords import look_up
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Raw, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat
from accelsim.quantities import unit

KIND = "nf4"
EXAMPLES = ("nf4:group=64", "nf4:group=128")
# bitsandbytes, functional.py, get_4bit_type("nf4"); the same as in the appendix of arXiv 2305.14314, to its four digits
VALUES = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434,
    0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
_TOP = 127
LEVELS = tuple(round(_TOP * value) for value in VALUES)


class Nf4Format(WeightFormat):
    """Streams: weights [K,N], numbers of levels; scales [K/group,N] of float32, rounded up: w = scale * level / 127."""

    kind: Literal["nf4"] = "nf4"

    group: Annotated[int, Field(ge=8, le=4096, description="inputs of a group"), unit("weights")] = 64

    def decode_path(self) -> DecodePath:
        """A level by its number; a scale per group, by which a 127th is multiplied."""
        return DecodePath((Raw(4, levels=LEVELS), Scale(self.group, 32, times=Fraction(1, _TOP))))

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """Any shape is taken."""
        return {
            "weights": Stream(shape=(k, n), bits=4, number="unsigned", place="record", in_paper_count=True),
            "scales": Stream(shape=(-(-k // self.group), n), bits=32, number="float", place="header", in_paper_count=False),
        }

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: the levels, in 127ths."""
        return look_up(np.array(LEVELS, np.int8)[:, None], arrays["weights"], 0)

    def reconstruct(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.float64]:
        """[K,N]: levels times the scales of their groups."""
        scales: npt.NDArray[np.float64] = np.repeat(arrays["scales"].astype(np.float64), self.group, axis=0)[:k]
        return self.dequantize(arrays, k, n) * scales / _TOP


SPEC = Nf4Format
