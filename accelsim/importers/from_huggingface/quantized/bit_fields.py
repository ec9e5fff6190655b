"""Fields of a few bits in 32-bit words, the lowest bits first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.importers.from_huggingface.quantized.module import Integers

_WORD = 32


def stream_fields(words: Integers, bits: int, axis: int) -> npt.NDArray[Any]:
    """The fields along `axis`, one after the other without gaps: a field may cross two words (GPTQ and mlx at 3 bits, VPTQ).

    int16, or int64 of more than 14 bits.
    """
    kind: type[np.int16] | type[np.int64] = np.int16 if bits < 15 else np.int64
    moved = np.moveaxis(words, axis, -1)
    raw = np.ascontiguousarray(moved & 0xFFFFFFFF).astype("<u4").view(np.uint8)
    flat = np.unpackbits(raw, axis=-1, bitorder="little")
    count = flat.shape[-1] // bits
    fields = flat[..., : count * bits].reshape(*flat.shape[:-1], count, bits).astype(kind) @ (np.int64(1) << np.arange(bits)).astype(kind)
    return np.moveaxis(fields.astype(kind), -1, axis)


def word_fields(words: Integers, bits: int, axis: int) -> npt.NDArray[np.int16]:
    """The fields along `axis`, as many as fit whole into each word (compressed-tensors)."""
    moved = np.moveaxis(words, axis, -1)[..., None] & 0xFFFFFFFF
    fields = moved >> bits * np.arange(_WORD // bits, dtype=np.int64) & (1 << bits) - 1
    return np.moveaxis(fields.reshape(*fields.shape[:-2], -1).astype(np.int16), -1, axis)


def words_for(count: int, bits: int, whole: bool = False) -> int:
    """Words that hold `count` fields; `whole`: none crosses two words."""
    return -(-count // (_WORD // bits)) if whole else -(-count * bits // _WORD)
