"""AWQ (arXiv 2306.00978) as AutoAWQ's "gemm" version stores it: eight 4-bit outputs in a word, even ones first.

`qweight` [K, N/8] and `qzeros` [K/group, N/8] of int32, `scales` [K/group, N]; w = scale * (q - zero).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.bit_fields import word_fields
from accelsim.importers.from_huggingface.quantized.module import Integers, QuantizedModule, choice, group_format, scales_of
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Arrays, QuantizedMatrix, Scheme

_BITS = 4
_OUTPUTS = (0, 2, 4, 6, 1, 3, 5, 7)  # of a word, from its lowest bits up


@dataclass(frozen=True)
class Awq(Scheme):
    """Settings of all modules: inputs of a group, 0 for all of them."""

    group: int

    @staticmethod
    def of(settings: Config) -> Awq:
        """From `quantization_config`."""
        choice(settings, "bits", (_BITS,))
        choice(settings, "version", ("gemm", "GEMM", None))
        choice(settings, "zero_point", (True, None))
        group = settings.whole("group_size", least=-1)
        if group == 0:
            raise settings.refuse("group_size", "-1, or inputs of a group")
        return Awq(max(group, 0))

    def quantizes(self, parts: Collection[str]) -> bool:
        """By its packed integers."""
        return "qweight" in parts

    def matrix(self, module: QuantizedModule) -> QuantizedMatrix:
        """Zero points for all groups."""
        k, words = module.shape("qweight", 2)
        n = words * len(_OUTPUTS)
        group = self.group or k
        groups = -(-k // group)
        module.expect("qzeros", (groups, words))
        module.expect("scales", (groups, n))
        spec = group_format(module, _BITS, group, k, "zero=1")

        def read() -> Arrays:
            scales = scales_of(module, spec, module.floats("scales"))
            return {"weights": _outputs(module.integers("qweight")), "scales": scales, "zeros": _outputs(module.integers("qzeros"))}

        return QuantizedMatrix(spec, k, n, read, module.where)


def _outputs(words: Integers) -> npt.NDArray[np.int16]:
    """(rows, N) in the order of the outputs."""
    fields = word_fields(words, _BITS, 1).reshape(words.shape[0], -1, len(_OUTPUTS))
    ordered = np.empty_like(fields)
    ordered[:, :, _OUTPUTS] = fields
    return ordered.reshape(words.shape[0], -1)
