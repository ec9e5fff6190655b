"""Masks of attention that are known when a model is imported: those that hide nothing, and causal ones.

A mask is added to the scores (0 or a number so low that nothing is left) or chooses between a score and such a number. Any other mask
is refused: a trace's softmax has whole rows, or the part of each row up to its own column.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.importers.graph.call import Call
from accelsim.importers.graph.values import Array

Mask = Literal["nothing", "causal"]
_HIDDEN = -1e4  # float16's masks are -65504, those of half-precision models -10000


def shown_by_sum(array: Array) -> Array | None:
    """Where an added mask shows its scores; None if it is no mask."""
    shown = array == 0
    return shown if array.dtype.kind == "f" and bool((shown | (array <= _HIDDEN)).all()) else None


def hides(value: Array) -> bool:
    """True for a number that a mask puts in the place of a score."""
    return value.size == 1 and float(value.reshape(())) <= _HIDDEN


def kind_of_mask(call: Call, shown: Array, scores: tuple[int, ...]) -> Mask:
    """Classify a mask of scores.

    Parameters
    ----------
    call
        Who reads it.
    shown
        Truth values that broadcast to the scores; those that are true are read.
    scores
        Shape (..., rows, columns).

    Raises
    ------
    ImportModelError
        Another mask, or one of another shape.
    """
    if shown.all():
        return "nothing"
    rows, columns = scores[-2:] if len(scores) > 1 else (0, 0)
    whole = np.broadcast_shapes(shown.shape, scores) == scores and shown.ndim >= 2 and shown.shape[-2:] == (rows, columns)
    if not whole or rows != columns or not np.array_equal(shown, np.broadcast_to(np.tri(rows, dtype=bool), shown.shape)):
        call.refuse(f"a mask of shape {shown.shape} of scores {scores} is not supported; allowed: causal, or none")
    return "causal"
