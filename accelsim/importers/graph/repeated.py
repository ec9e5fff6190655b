"""Arrays that repeat elements without holding them: constants of one value, and weights of which only the shape is wanted.

They are NumPy's own views with strides of 0, so every operation takes them; those here keep them small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from accelsim.importers.graph.values import Array


def held(array: Array) -> int:
    """Elements that take memory."""
    return distinct(array).size


def distinct(array: Array, keep: int | None = None) -> Array:
    """The array with each repeated dimension, besides `keep`, cut to size 1."""
    axes = zip(range(array.ndim), array.shape, array.strides, strict=True)
    return array[tuple(slice(1) if size > 1 and stride == 0 and axis != keep else slice(None) for axis, size, stride in axes)]


def repeated(array: Array, shape: Sequence[int]) -> Array:
    """The array under a shape that it broadcasts to."""
    return array if array.shape == tuple(shape) else np.broadcast_to(array, tuple(shape))


def elementwise(function: Callable[..., Any], *arrays: Array) -> Array:
    """A function of each element, of arrays that broadcast; what all of them repeat is computed once."""
    return repeated(np.asarray(function(*(distinct(array) for array in arrays))), np.broadcast_shapes(*(array.shape for array in arrays)))
