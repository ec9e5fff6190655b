"""Known indices of a dimension in any order: runs that lie evenly apart, each a copy, one joined behind the other.

Disputable assumption: a vector unit has no list of addresses, so that each run is a copy of its own; many runs are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.call import Call
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Array

Mode = Literal["reflect", "edge", "wrap"]
MODES: dict[str, Mode] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
_MOST_RUNS = 64


def runs_of(indices: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first, step, count) of each run, from left to right as long as the steps are equal."""
    runs: list[tuple[int, int, int]] = []
    for here in indices:
        if runs:
            first, step, count = runs[-1]
            if count == 1 or here == first + step * count:
                runs[-1] = (first, here - first if count == 1 else step, count + 1)
                continue
        runs.append((here, 0, 1))
    return runs


def taken(call: Call, name: str, view: View, dim: int, indices: Sequence[int]) -> View:
    """The elements of a view at some indices of a dimension; an index may occur several times."""
    builder, runs = call.builder, runs_of(indices)
    if len(runs) > _MOST_RUNS:
        call.refuse(
            f"reads {view.shape} at {len(indices)} indices of dimension {dim} in {len(runs)} runs that are evenly apart; "
            f"allowed: at most {_MOST_RUNS} runs"
        )
    parts = [_run(builder, name, view, dim, *run) for run in runs]
    return builder.join(name, parts, dim) if len(parts) > 1 else parts[0]


def at_indices(call: Call, name: str, view: View, cut: tuple[Any, ...]) -> View:
    """A view at known indices of some dimensions (whole slices of the others), in NumPy's order and shape.

    Nested loops where some walk through them; else run by run of each dimension, or of the neighbours together that the indices go through.
    """
    shape = view.shape
    chosen = np.arange(math.prod(shape)).reshape(shape)[cut]
    found = call.builder.picked(name, view, chosen)
    if found is not None:
        return found
    alone = [place for place, part in enumerate(cut) if not isinstance(part, slice)]
    first, last = alone[0], alone[-1]
    grid = tuple(np.arange(size) for size in shape)
    for place in alone:
        grid = (*grid[:place], _varying(cut[place]).reshape(-1) % shape[place], *grid[place + 1 :])
    if np.array_equal(np.ravel_multi_index(np.ix_(*grid), shape).reshape(-1), chosen.reshape(-1)):
        for place in alone:
            view = taken(call, name, view, place, grid[place].tolist())
    elif last - first + 1 == len(alone):
        indices = np.broadcast_arrays(*(cut[place] % shape[place] for place in alone))
        joined = np.ravel_multi_index(indices, shape[first : last + 1]).reshape(-1)
        flat = call.builder.reshaped(name, view, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))
        view = taken(call, name, flat, first, joined.tolist())
    else:
        call.refuse(f"reads {shape} at indices that are not evenly apart; allowed: those of nested loops, or of dimensions side by side")
    return call.builder.reshaped(name, view, chosen.shape)


def _varying(indices: Array) -> Array:
    """Indices with each dimension along which they are the same cut to size 1."""
    for axis in range(indices.ndim):
        first = indices.take([0], axis)
        indices = first if (indices == first).all() else indices
    return indices


def _run(builder: GraphBuilder, name: str, view: View, dim: int, first: int, step: int, count: int) -> View:
    if step == 0:
        one = builder.narrowed(name, view, dim, range(first, first + 1))
        return one if count == 1 else one.repeat(dim, count)
    return builder.narrowed(name, view, dim, range(first, first + step * count, step))


def extended(call: Call, view: View, around: Mapping[int, tuple[int, int]], mode: Mode) -> View:
    """Elements of the view itself before and after the indices of some dimensions; below 0 they are left out.

    Parameters
    ----------
    around
        (before, after) by dimension.
    mode
        "reflect": mirrored about the first and the last element, which are not repeated; "edge": these elements; "wrap": from the other
        end.
    """
    for dim, (before, after) in around.items():
        size = view.shape[dim]
        places = range(-before, size + after)
        if mode == "reflect":
            period = max(1, 2 * (size - 1))
            indices = [min(place % period, period - place % period) if size > 1 else 0 for place in places]
        else:
            indices = [min(max(place, 0), size - 1) if mode == "edge" else place % size for place in places]
        if indices != list(range(size)):
            view = taken(call, call.node.path("pad"), view, dim, indices)
    return view


def cropped(call: Call, view: View, around: Mapping[int, tuple[int, int]]) -> tuple[View, dict[int, tuple[int, int]]]:
    """A view without the elements that a padding below 0 takes off, and the padding that is left."""
    for dim, (before, after) in around.items():
        size = view.shape[dim]
        kept = range(max(0, -before), size - max(0, -after))
        if not kept:
            call.refuse(f"a pad by {before} and {after} of {size} elements of dimension {dim} leaves none")
        if len(kept) < size:
            view = call.builder.narrowed(call.node.path("crop"), view, dim, kept)
    return view, {dim: (max(0, before), max(0, after)) for dim, (before, after) in around.items()}
