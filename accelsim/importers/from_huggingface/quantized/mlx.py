"""mlx's affine group quantization: integers packed along the inputs, with a scale and a minimum ("bias") per group.

`weight` [N, K*bits/32] of uint32, `scales` and `biases` [N, K/group]; w = scale * q + bias, where a scale may be negative.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.bit_fields import stream_fields, words_for
from accelsim.importers.from_huggingface.quantized.module import QuantizedModule, choice, group_format, scales_of
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Arrays, QuantizedMatrix, Scheme


@dataclass(frozen=True)
class Mlx(Scheme):
    """Settings of all modules, some of which have their own."""

    settings: Config

    @staticmethod
    def of(settings: Config) -> Mlx:
        """From `quantization`."""
        _check_mode(settings)
        return Mlx(settings)

    def quantizes(self, parts: Collection[str]) -> bool:
        """By its scales."""
        return "scales" in parts

    def matrix(self, module: QuantizedModule) -> QuantizedMatrix:
        """Minima for all groups."""
        own = self.settings.fields.get(module.name)
        settings = Config(self.settings.path, own, f"{self.settings.within}{module.name}.") if isinstance(own, dict) else self.settings
        _check_mode(settings)
        bits, group = choice(settings, "bits", (2, 3, 4, 5, 6, 8)), settings.whole("group_size")
        n, words = module.shape("weight", 2)
        groups = module.shape("scales", 2)[1]
        if words != words_for(groups * group, bits):
            raise settings.refuse("group_size", f"that of {words} words of {bits}-bit integers in {groups} groups")
        k = groups * group
        module.expect("scales", (n, groups))
        module.expect("biases", (n, groups))
        spec = group_format(module, bits, group, k, "minimum=1")

        def read() -> Arrays:
            scales, minima = (
                scales_of(module, spec, np.ascontiguousarray(module.floats(part).T), what)
                for part, what in (("scales", "scale"), ("biases", "minimum"))
            )
            return {"weights": stream_fields(module.integers("weight"), bits, 1).T, "scales": scales, "minima": minima}

        return QuantizedMatrix(spec, k, n, read, module.where)


def _check_mode(settings: Config) -> None:
    """ImportModelError unless weights are integers with a scale and a minimum per group."""
    choice(settings, "mode", ("affine", None))
