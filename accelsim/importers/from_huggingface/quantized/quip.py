"""QuIP# (arXiv 2402.04396) as its release stores it: E8P codes between two Hadamard transforms with signs.

`Qidxs` [N, K/32] of int64 packs four vectors of 8 inputs, of two outputs by two vectors: byte i of the lower half is the index of vector i,
and bit 4j + i of the upper half its sign j. Vector i is of output 2r + i mod 2 and of vector 2c + i div 2; words of 8 pairs of outputs
stand together, in fours along the inputs. Sign j is that of weight 0, 2, 4, 6, 1, 3, 5, 7. `SU` [K] and `SV` [N] are the signs, which
fine-tuning may have made real numbers, and `Wscale` the scale. Queries, keys and values are one matrix, and so are up and gate (in this
order), each part with a factor of `fuse_scales`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from accelsim.formats.quip_e8p import QuipE8pFormat
from accelsim.importers.from_huggingface.config import Config
from accelsim.importers.from_huggingface.quantized.module import Integers, QuantizedModule, choice
from accelsim.importers.from_huggingface.quantized.quantized_matrix import Arrays, ComposedMatrix, QuantizedMatrix, Scheme
from accelsim.importers.language_models.stored_tensors import Surroundings
from accelsim.importers.weights_file import Floats

_VECTORS = 4  # in a word
_WEIGHTS = (0, 2, 4, 6, 1, 3, 5, 7)  # of the signs
_OUTPUTS, _INPUTS = 16, 64  # that stand together


@dataclass(frozen=True)
class Quip(Scheme):
    """Settings of all modules: the codebook of 2 bits per weight is the only one."""

    model: Config

    @staticmethod
    def of(settings: Config, model: Config) -> Quip:
        """From `quip_params`, and the sizes of the model."""
        choice(settings, "codebook", ("E8P12",))
        choice(settings, "codebook_version", (1,))
        choice(settings, "codesz", (8,))
        choice(settings, "packsz", (_VECTORS,))
        choice(settings, "idx_dtype", ("torch.int64",))
        choice(settings, "pack_out", (False, None))
        choice(settings, "lora_rank", (0, -1, None))
        choice(settings, "rescale_WH", (False, None))
        choice(settings, "outlier_channel_split", (False, None))
        return Quip(model)

    def quantizes(self, parts: Collection[str]) -> bool:
        """By its codes."""
        return "Qidxs" in parts

    def matrix(self, module: QuantizedModule) -> ComposedMatrix:
        """The matrix between its transforms."""
        n, words = module.shape("Qidxs", 2)
        k = 8 * _VECTORS * words
        if n % _OUTPUTS or k % _INPUTS:
            raise module.refuse(f"'Qidxs' packs {n} outputs of {k} inputs; allowed: multiples of {_OUTPUTS} and of {_INPUTS}")
        module.expect("SU", (k,))
        module.expect("SV", (n,))
        module.expect("Wscale", ())
        parts = module.shape("fuse_scales", 1)[0] if "fuse_scales" in module.places else 1

        def read() -> Arrays:
            indices, signs = _codes(module.integers("Qidxs"))
            return {"indices": indices, "signs": signs, "scales": module.floats("Wscale").reshape(1)}

        def after() -> Floats:
            return module.finite("SV") * (np.ones(n, np.float32) if parts == 1 else self._factors(module, n, parts))

        vectors = {".signs_in": lambda: module.finite("SU"), ".signs_out": after}
        matrix = QuantizedMatrix(QuipE8pFormat(), k, n, read, module.where)
        return ComposedMatrix(k, n, Surroundings(turned=True), {"": matrix}, vectors)

    def _factors(self, module: QuantizedModule, n: int, parts: int) -> Floats:
        """A factor per output, of up and gate or of queries, keys and values, of which the last two are of one size."""
        factors = module.finite("fuse_scales")
        if parts == 2:
            sizes = [n // 2, n // 2]
        else:
            heads = self.model.whole("num_attention_heads")
            shared = self.model.whole("num_key_value_heads", heads)
            width = n // (heads + 2 * shared)
            sizes = [width * heads, width * shared, width * shared]
        if parts != len(sizes) or sum(sizes) != n:
            raise module.refuse(f"'fuse_scales' has {parts} factors for {n} outputs; allowed: 2 of equal parts, or 3 of heads")
        return np.repeat(factors, sizes)


def _codes(stored: Integers) -> tuple[Integers, Integers]:
    """(indices, signs) of `quip_e8p`, (K/8, N) each."""
    n, vectors = stored.shape[0], _VECTORS * stored.shape[1]
    words = stored.reshape(n // _OUTPUTS, vectors * 8 // _INPUTS, 8, _VECTORS).transpose(0, 2, 1, 3).reshape(n // 2, vectors // 2)
    indices, signs = np.empty((vectors, n), np.uint8), np.zeros((vectors, n), np.uint8)
    for place in range(_VECTORS):
        across, down = slice(place % 2, None, 2), slice(place // 2, None, 2)
        indices[down, across] = (words >> 8 * place & 0xFF).T
        for bit, weight in enumerate(_WEIGHTS):
            signs[down, across] |= ((words >> (32 + 4 * bit + place) & 1) << weight).astype(np.uint8).T
    return indices, signs
