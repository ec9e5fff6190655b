"""GPTQ (arXiv 2210.17323) as AutoGPTQ and GPTQModel store it: integers packed along the inputs, zero points along the outputs.

`qweight` [K*bits/32, N] and `qzeros` [groups, N*bits/32] of int32, `scales` [groups, N], `g_idx` [K]. The first checkpoint format ("gptq")
stores zero points less one. Symmetric weights have one zero point, 2^(bits-1), so they become signed integers without any.

With act-order (`desc_act`) `g_idx` gives each input a group out of turn. A trace gathers the inputs of each group side by side.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.act_order import gathered, inputs_by_group
from accelsim.importers.from_huggingface.quantized.bit_fields import stream_fields, words_for
from accelsim.importers.from_huggingface.quantized.module import Integers, QuantizedModule, choice, group_format, scales_of
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Arrays, QuantizedMatrix, Scheme, StoredWeight


@dataclass(frozen=True)
class Gptq(Scheme):
    """Settings of all modules.

    Attributes
    ----------
    group : inputs of a group; 0: all of them
    less : what stored zero points are short of
    ordered : inputs of a group are no neighbours
    """

    bits: int
    group: int
    symmetric: bool
    less: int
    ordered: bool

    @staticmethod
    def of(settings: Config) -> Gptq:
        """From `quantization_config`."""
        group = settings.whole("group_size", least=-1)
        if group == 0:
            raise settings.refuse("group_size", "-1, or inputs of a group")
        bits = choice(settings, "bits", (2, 3, 4, 8))
        symmetric = choice(settings, "sym", (True, False), True)
        stored = choice(settings, "checkpoint_format", ("gptq", "gptq_v2", None))
        named = choice(settings, "format", ("gptq", "gptq_v2", None))  # GPTQModel's other name for it
        if stored is not None and named is not None and stored != named:
            raise settings.refuse("format", f"{stored!r}, as 'checkpoint_format' has it")
        moved, fixed = (bool(choice(settings, name, (True, False, None))) for name in ("desc_act", "static_groups"))
        return Gptq(bits, max(group, 0), symmetric, 0 if "gptq_v2" in (stored, named) else 1, moved and not fixed)

    def quantizes(self, parts: Collection[str]) -> bool:
        """By its packed integers."""
        return "qweight" in parts

    def matrix(self, module: QuantizedModule) -> StoredWeight:
        """Groups of inputs in their own order, or gathered."""
        rows, n = module.shape("qweight", 2)
        k = module.shape("g_idx", 1)[0] if "g_idx" in module.places else rows * 32 // self.bits
        group = self.group or k
        groups = -(-k // group)
        module.expect("qweight", (words_for(k, self.bits), n))
        module.expect("scales", (groups, n))
        module.expect("qzeros", (groups, words_for(n, self.bits)))
        spec = group_format(module, self.bits, group, k, "" if self.symmetric else "zero=1")

        ordered = self.ordered and group < k

        def inputs() -> Integers:
            return inputs_by_group(module, "g_idx", k, group, ordered)

        def read() -> Arrays:
            values = stream_fields(module.integers("qweight"), self.bits, 0)[:k][inputs()]
            zeros = stream_fields(module.integers("qzeros"), self.bits, 1)[:, :n] + np.int16(self.less)
            scales = scales_of(module, spec, module.floats("scales"))
            middle = 1 << self.bits - 1
            if not self.symmetric:
                return {"weights": values, "scales": scales, "zeros": zeros}
            if (zeros != middle).any():
                raise module.refuse(f"has the zero point {zeros[zeros != middle][0]}, though 'sym' is true; allowed: {middle}")
            return {"weights": values - np.int16(middle), "scales": scales}

        matrix = QuantizedMatrix(spec, k, n, read, module.where)
        return gathered(matrix, inputs) if ordered else matrix
