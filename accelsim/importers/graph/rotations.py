"""Rotary position embeddings, recognized from the slices, negations, concatenations, products and sums that a graph spells them with.

Each such step is followed as a sum of terms: elements of one activation in some order along its last dimension, times known factors.
The terms of the last step are compared with the pairs of a rotation, position by position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from accelsim.importers.graph.layout import View, axis_dim
from accelsim.importers.graph.values import Vector

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Term:
    """Element `columns[i]` of the last dimension times `factors[..., i]`; the factors broadcast to the activation's shape."""

    columns: npt.NDArray[np.int64]
    factors: Vector


@dataclass(frozen=True)
class Rotation:
    """Pairs that are turned: `turned` leading elements, an angle for each index of dimension `axis` and each pair."""

    axis: int
    turned: int
    neighbours: bool
    cos: Vector
    sin: Vector


@dataclass(frozen=True, repr=False)
class Turned:
    """A sum of terms of one activation.

    Attributes
    ----------
    leaf
        The activation without its last dimension.
    terms
        Of equal numbers of columns.
    otherwise
        Makes the layers of a step that is no rotation after all.
    made
        The view of the layer, once it is made.
    """

    leaf: View
    terms: tuple[Term, ...]
    otherwise: Callable[[], View]
    made: list[View] = field(default_factory=list, compare=False)

    def __repr__(self) -> str:
        return f"an activation of shape {self.shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return (*self.leaf.shape, self.terms[0].columns.size)

    @property
    def source(self) -> View:
        """The activation, of as many leading elements as the result has."""
        return replace(self.leaf, dims=(*self.leaf.dims, axis_dim("column", self.shape[-1])))

    def times(self, factors: Vector, otherwise: Callable[[], View]) -> Turned:
        """Every term times factors."""
        return Turned(self.leaf, tuple(replace(term, factors=term.factors * factors) for term in self.terms), otherwise)

    def plus(self, other: Turned, sign: float, otherwise: Callable[[], View]) -> Turned | None:
        """The sum or the difference; None if it is of another activation."""
        if other.leaf != self.leaf or other.shape != self.shape:
            return None
        return Turned(self.leaf, (*self.terms, *(replace(term, factors=sign * term.factors) for term in other.terms)), otherwise)

    def rotation(self) -> Rotation | None:
        """The rotation that this is; None if it is none."""
        count = self.shape[-1]
        straight = np.arange(count)
        shape = np.broadcast_shapes(*(term.factors.shape for term in self.terms))
        varied = [axis for axis, size in enumerate(shape[:-1]) if size > 1]
        if not varied:  # of one row
            varied = [axis for axis in reversed(range(1, len(shape) - 1)) if self.shape[axis] == 1][:1]
        crossed = [replace(term, factors=term.factors * (term.columns != straight)) for term in self.terms]
        crossed = [term for term in crossed if term.factors.any()]
        if len(varied) != 1 or not crossed:
            return None
        cos = _sum([term.factors * (term.columns == straight) for term in self.terms])
        sin = _sum([term.factors for term in crossed])
        turned = max(int(np.flatnonzero(_used(term)).max()) for term in crossed) + 1
        cosines, sines = (np.broadcast_to(part, (*shape[:-1], count)).reshape(shape[varied[0]], count) for part in (cos, sin))
        for neighbours in (False, True):
            first, second = _pairs(turned, neighbours)
            partner = straight.copy()
            partner[first], partner[second] = second, first
            if turned % 2 or any((term.columns != partner)[_used(term)].any() for term in crossed):
                continue
            if (
                np.allclose(cosines[:, first], cosines[:, second], rtol=0, atol=_TOLERANCE)
                and np.allclose(sines[:, first], -sines[:, second], rtol=0, atol=_TOLERANCE)
                and np.allclose(cosines[:, turned:], 1, rtol=0, atol=_TOLERANCE)
            ):
                return Rotation(varied[0], turned, neighbours, cosines[:, first], sines[:, second])
        return None


def of_view(view: View, otherwise: Callable[[], View], factor: float = 1.0) -> Turned | None:
    """Some elements of an activation along its last dimension; None if that dimension is not consecutive or evenly spaced columns."""
    if not view.dims or len(view.dims[-1]) > 1 or any(digit.axis != "column" for digit in view.dims[-1]):
        return None
    stride, size = (view.dims[-1][0].stride, view.dims[-1][0].size) if view.dims[-1] else (1, 1)
    group, row, column = view.start
    term = Term(column + stride * np.arange(size), np.full((1,) * len(view.dims), factor))
    return Turned(replace(view, dims=view.dims[:-1], start=(group, row, 0)), (term,), otherwise)


def joined(parts: Sequence[Turned], otherwise: Callable[[], View]) -> Turned | None:
    """Parts one after the other along the last dimension; None if they are of several activations."""
    if len(parts) < 2 or any(part.leaf != parts[0].leaf for part in parts):
        return None
    terms = []
    for number in range(max(len(part.terms) for part in parts)):
        taken = [part.terms[number] if number < len(part.terms) else _nothing(part.terms[0]) for part in parts]
        shape = np.broadcast_shapes(*(term.factors.shape[:-1] for term in taken))
        factors = [np.broadcast_to(term.factors, (*shape, term.columns.size)) for term in taken]
        terms.append(Term(np.concatenate([term.columns for term in taken]), np.concatenate(factors, axis=-1)))
    return Turned(parts[0].leaf, tuple(terms), otherwise)


def interleaved(parts: Sequence[Turned], otherwise: Callable[[], View]) -> Turned | None:
    """Elements of equal parts in turn along the last dimension; None if they are of several activations."""
    whole = joined(parts, otherwise)
    if whole is None or len({part.shape for part in parts}) > 1:
        return None
    order = np.arange(whole.shape[-1]).reshape(len(parts), -1).T.reshape(-1)
    return replace(whole, terms=tuple(Term(term.columns[order], term.factors[..., order]) for term in whole.terms))


def _nothing(term: Term) -> Term:
    return replace(term, factors=np.zeros_like(term.factors))


def _used(term: Term) -> npt.NDArray[np.bool_]:
    """Columns with a factor that is not 0."""
    factors = np.broadcast_to(term.factors, (*term.factors.shape[:-1], term.columns.size))
    return np.asarray(factors.reshape(-1, term.columns.size).any(axis=0), np.bool_)


def _pairs(turned: int, neighbours: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and second elements of the pairs."""
    order = np.arange(turned - turned % 2)
    return (order[::2], order[1::2]) if neighbours else (order[: order.size // 2], order[order.size // 2 :])


def _sum(parts: Sequence[Vector]) -> Vector:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
