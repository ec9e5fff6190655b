"""Masks and biases of attention's scores that are known when a model is imported: none, causal masks, and sums with constants.

A mask is added to the scores (0 or a number so low that nothing is left) or chooses between a score and such a number. A causal one is a
property of the softmax; any other is a bias that the softmax adds, with its bytes and a pass.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Array, Constant, Masked

Mask = Literal["nothing", "causal", "other"]
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
    """
    if shown.all():
        return "nothing"
    rows, columns = scores[-2:] if len(scores) > 1 else (0, 0)
    whole = np.broadcast_shapes(shown.shape, scores) == scores and shown.ndim >= 2 and shown.shape[-2:] == (rows, columns)
    if whole and rows == columns and np.array_equal(shown, np.broadcast_to(_causal(rows, _reach(shown)), shown.shape)):
        return "causal"
    if np.broadcast_shapes(shown.shape, scores) != scores:
        call.refuse(f"a mask of shape {shown.shape} of scores {scores}; allowed: one that broadcasts to them")
    return "other"


def _causal(rows: int, reach: int) -> Array:
    """Where a causal mask shows its scores: of each row its own column, and those before it or `reach` in all."""
    lower = np.tri(rows, dtype=bool)
    return lower & ~np.tri(rows, k=-reach, dtype=bool) if reach else lower


def _reach(shown: Array) -> int:
    """Columns that the last row of a sliding window shows; 0 for all."""
    count = int(shown[..., -1, :].reshape(-1, shown.shape[-1])[0].sum())
    return count if count < shown.shape[-1] else 0


def masked(call: Call, value: Value, shown: Array) -> Value:
    """Scores of which a mask shows some."""
    kind = kind_of_mask(call, shown, _shape_of(call, value))
    if kind == "nothing":
        return value
    if kind == "causal" and not isinstance(value, Masked):
        return Masked(call.made(value), causal=True, reach=_reach(shown))
    return biased(call, value, Constant(np.where(shown, np.float32(0), np.float32(_HIDDEN))))


def biased(call: Call, value: Value, bias: Constant) -> Masked:
    """Scores plus a constant that broadcasts to them; of numbers as low as a mask's, -10000 is left."""
    shape = _shape_of(call, value)
    if np.broadcast_shapes(shape, bias.array.shape) != shape or len(shape) < 2:
        call.refuse(f"a sum of scores {shape} with {bias!r}; allowed: a bias that broadcasts to them")
    before = value if isinstance(value, Masked) else Masked(call.made(value))
    if before.causal:
        lower = np.where(_causal(shape[-2], before.reach), np.float32(0), np.float32(_HIDDEN))
        before = Masked(before.view, bias=Constant(lower))
    array = np.maximum(bias.array.astype(np.float64), _HIDDEN)
    if before.bias is None:
        return Masked(before.view, bias=replace(bias, array=array))
    sources = (*before.bias.sources, *bias.sources)
    return Masked(before.view, bias=Constant(np.maximum(before.bias.array + array, _HIDDEN), sources, before.bias.label or bias.label))


def scaled(call: Call, value: Masked, factor: float) -> Masked:
    """Masked scores times a factor above 0: what a mask hides stays hidden."""
    bias = value.bias
    if bias is not None:
        array = np.where(bias.array <= _HIDDEN, _HIDDEN, np.maximum(bias.array * factor, _HIDDEN))
        bias = replace(bias, array=array)
    view = call.made(Expression.of(value.view, call.node).apply(lambda x: factor * x, call.node))
    return replace(value, view=view, bias=bias)


def softmax(call: Call, value: Value, axis: int) -> View:
    """Softmax of scores with what is known of their mask and their bias."""
    name = call.node.path("softmax")
    if not isinstance(value, Masked) or value.bias is None:
        causal, reach = (value.causal, value.reach) if isinstance(value, Masked) else (False, 0)
        return call.builder.softmax(name, value.view if isinstance(value, Masked) else call.made(value), axis, causal, reach)
    shape, bias = value.shape, value.bias
    if axis % len(shape) != len(shape) - 1:
        call.refuse(f"a softmax over dimension {axis} of scores with a bias; allowed: the last")
    lead = list((1,) * (len(shape) - bias.array.ndim) + bias.array.shape)[:-2]
    varied = next((place for place, size in enumerate(lead) if size > 1), len(lead))
    lead[varied:] = shape[varied : len(lead)]  # matrix g modulo their number: only what is slowest may repeat
    result = call.builder.softmax(name, value.view, axis, bias_groups=math.prod(lead))
    call.recorder.keep_constant(result, "bias", np.broadcast_to(bias.array, (*lead, *shape[-2:])), bias.sources)
    return result


def _shape_of(call: Call, value: Value) -> tuple[int, ...]:
    return value.array.shape if isinstance(value, Constant) else value.shape
