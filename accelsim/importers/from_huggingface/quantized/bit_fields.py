"""Fields of a few bits in 32-bit words, the lowest bits first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.importers.from_huggingface.quantized.module import Integers

_WORD = 32


def stream_fields(words: Integers, bits: int, axis: int) -> npt.NDArray[Any]:
    """The fields along `axis`, one after the other without gaps: a field may cross two words (GPTQ and mlx at 3 bits, VPTQ).

    int16, or int64 of more than 14 bits; at most 32.
    """
    moved = np.moveaxis(words, axis, -1)
    first = np.arange(moved.shape[-1] * _WORD // bits) * bits
    word, shift = first // _WORD, first % _WORD
    following = np.minimum(word + 1, moved.shape[-1] - 1)
    kind: type[np.int16] | type[np.int64] = np.int16 if bits < 15 else np.int64
    fields = np.empty((*moved.shape[:-1], first.size), kind)
    for row in np.ndindex(moved.shape[:-1]):
        own = (moved[row] & 0xFFFFFFFF).astype(np.uint64)
        both = own[word] | own[following] << np.uint64(_WORD)
        fields[row] = both >> shift.astype(np.uint64) & np.uint64((1 << bits) - 1)
    return np.moveaxis(fields, -1, axis)


def word_fields(words: Integers, bits: int, axis: int) -> npt.NDArray[np.int16]:
    """The fields along `axis`, as many as fit whole into each word (compressed-tensors)."""
    moved = np.moveaxis(words, axis, -1)[..., None] & 0xFFFFFFFF
    fields = moved >> bits * np.arange(_WORD // bits, dtype=np.int64) & (1 << bits) - 1
    return np.moveaxis(fields.reshape(*fields.shape[:-2], -1).astype(np.int16), -1, axis)


def words_for(count: int, bits: int, whole: bool = False) -> int:
    """Words that hold `count` fields; `whole`: none crosses two words."""
    return -(-count // (_WORD // bits)) if whole else -(-count * bits // _WORD)
