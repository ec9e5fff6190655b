"""Functions of one activation that a graph spells out in many small nodes, recognized by their values.

Exporters write GELU as Div, Erf, Add, Mul, Mul in any order, and a normalization as a dozen nodes. Each such node is computed on
sample rows here; what the last one returns is compared with the functions that a layer can have. Two functions that agree on
hundreds of points to 1e-5 are taken to be the same one: that is a judgement, not a proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from accelsim.errors import ImportModelError
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.node import Node
from accelsim.importers.graph.values import Vector
from accelsim.ops.pair import PairLayer

_POINTS = 513
_REACH = 12.0  # beyond it, every activation function in use is a straight line
_SCALES = (1e-3, 0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # of random rows: a normalization's epsilon shows in the smallest
_WIDTH = 64  # of a sample row, at most: what is done to each row does not depend on its width
_MAX_DEPTH = 24  # of steps that may still turn out to be several layers
_TOLERANCE = 1e-5
_LARGEST_EPSILON = 1e-2

_erf = np.vectorize(math.erf, otypes=[np.float64])


@cache
def _samples(width: int) -> Vector:
    random: Vector = np.random.default_rng(0).normal(size=(len(_SCALES), width)) * np.array(_SCALES)[:, None]
    grid = np.concatenate([np.linspace(-_REACH, _REACH, _POINTS), [-300.0, -80.0, 80.0, 300.0]])
    rows = -(-grid.size // width)
    return np.asarray(np.concatenate([random, np.resize(grid, (rows, width))]), dtype=np.float64)


def samples(shape: tuple[int, ...]) -> Vector:
    """Rows of inputs of an activation of this shape, cut to 64 elements: random ones of several scales, and a grid."""
    table: Vector = _samples(min(_WIDTH, shape[-1] if shape else 1))
    return table


def erf(x: Vector) -> Vector:
    """The error function."""
    return np.asarray(_erf(x), dtype=np.float64)


def gelu(x: Vector) -> Vector:
    """x times the normal distribution's cumulative probability (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""
    return np.asarray(0.5 * x * (1 + erf(x / math.sqrt(2))), dtype=np.float64)


def gelu_by_tanh(x: Vector) -> Vector:
    """The same paper's approximation."""
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), dtype=np.float64)


@dataclass(frozen=True, repr=False)
class Expression:
    """A function of an activation, by its values on sample rows.

    Attributes
    ----------
    leaf
        The activation.
    values
        The function of `samples(shape of leaf)`: a column if each row has one value.
    node
        The node that computed it last.
    terms
        The operation and the two operands, if the last node had two: they may be layers of their own.
    inner
        The function of one operand that the last node was, and that operand, which may be a layer of its own.
    depth
        Such operations and functions below this one.
    """

    leaf: View
    values: Vector
    node: Node
    terms: tuple[type[PairLayer], Expression, Expression] | None = None
    inner: tuple[Callable[[Vector], Vector], Expression] | None = None
    depth: int = 0

    def __repr__(self) -> str:
        return f"an activation of shape {self.shape}"

    @classmethod
    def of(cls, view: View, node: Node) -> Expression:
        """The activation itself."""
        return cls(view, samples(view.shape), node)

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        reduced = self.values.shape != self.inputs.shape
        return (*self.leaf.shape[:-1], 1) if reduced else self.leaf.shape

    @property
    def inputs(self) -> Vector:
        """The activation that the function is applied to."""
        return samples(self.leaf.shape)

    def apply(self, function: Callable[..., Vector], node: Node, *others: Expression | Vector) -> Expression:
        """A NumPy function of this expression and of others of the same activation, or of constants."""
        operands = [other.values if isinstance(other, Expression) else other for other in others]
        with np.errstate(all="ignore"):  # what overflows here is compared, and does not match
            values = np.asarray(function(self.values, *operands), dtype=np.float64)
        alone = not any(isinstance(other, Expression) for other in others)
        if not alone or self.depth >= _MAX_DEPTH:
            return Expression(self.leaf, values, node)
        constants = operands
        return Expression(self.leaf, values, node, inner=(lambda x: function(x, *constants), self), depth=self.depth + 1)

    def with_other(self, kind: type[PairLayer], function: Callable[..., Vector], other: Expression, node: Node) -> Expression:
        """A function of two functions of the same activation, which may turn out to be an operation on two layers' results."""
        depth = 1 + max(self.depth, other.depth)
        if depth > _MAX_DEPTH:
            raise ImportModelError(f"{node.where}: more than {_MAX_DEPTH} steps of one activation with itself are not supported")
        with np.errstate(all="ignore"):
            values = np.asarray(function(self.values, other.values), np.float64)
        return Expression(self.leaf, values, node, terms=(kind, self, other), depth=depth)

    def equals(self, function: Callable[[Vector], Vector]) -> bool:
        """True if this is that function."""
        with np.errstate(all="ignore"):
            return _same(self.values, function(self.inputs))

    def factor(self) -> float | None:
        """f if the function is f times its argument; None for any other."""
        if self.values is self.inputs:
            return 1.0
        x = self.inputs
        if self.values.shape != x.shape or not np.isfinite(self.values).all():
            return None
        largest = np.unravel_index(np.argmax(x), x.shape)
        factor = float(self.values[largest] / x[largest])
        return factor if factor and np.allclose(self.values, factor * x, rtol=1e-9, atol=1e-12 * abs(factor)) else None

    def near(self, x: float) -> tuple[float, float]:
        """(argument, value) at the sample nearest to x, of a function of each element."""
        place = int(np.abs(self.inputs - x).argmin())
        return float(self.inputs.flat[place]), float(self.values.flat[place])

    def line(self) -> tuple[float, float] | None:
        """(a, b) if the function is a times its argument plus b; None for any other."""
        x, y = self.inputs.reshape(-1), self.values.reshape(-1)
        if x.shape != y.shape or not np.isfinite(y).all():
            return None
        first, last = int(np.argmin(x)), int(np.argmax(x))
        slope = float((y[last] - y[first]) / (x[last] - x[first])) if x[last] > x[first] else 0.0
        term = float(y[last] - slope * x[last])
        term = 0.0 if abs(term) < _TOLERANCE * abs(slope) else term
        return (slope, term) if slope and _same(y, slope * x + term) else None

    def rms_factor(self) -> float | None:
        """f if each row is f times itself over its root mean square, with any small epsilon in the root; None for any other function."""
        x = self.inputs
        if self.values.shape != x.shape or x.shape[1] < 2 or not np.isfinite(self.values).all():
            return None
        mean_square = (x**2).mean(axis=1)
        slope = (self.values * x).sum(axis=1) / (x**2).sum(axis=1)
        if (slope <= 0).any() or not _same(self.values, slope[:, None] * x):
            return None
        largest = int(np.argmax(mean_square))  # there the epsilon is nothing
        factor = float(slope[largest] * math.sqrt(mean_square[largest]))
        factor = 1.0 if math.isclose(factor, 1, rel_tol=_TOLERANCE) else factor
        wanted = (factor / slope) ** 2
        epsilon = wanted[0] - mean_square[0]
        fits = -1e-12 <= epsilon <= _LARGEST_EPSILON and _same(wanted, mean_square + max(epsilon, 0))
        return factor if fits else None

    def of_maxima(self) -> Expression | None:
        """The function whose largest value in each row the last step takes; None for any other step."""
        reduces = self.inner is not None and self.values.shape == (len(self.inputs), 1)
        if not reduces or self.inner is None or self.inner[1].values.shape != self.inputs.shape:
            return None
        return self.inner[1] if _same(self.values, self.inner[1].values.max(axis=1, keepdims=True)) else None

    def of_means(self) -> tuple[float, Expression] | None:
        """(f, the function that is averaged) if the last step gives f times the mean of each row; None for any other."""
        if self.inner is None or self.values.shape != (len(self.inputs), 1) or self.inner[1].values.shape != self.inputs.shape:
            return None
        means = self.inner[1].values.mean(axis=1, keepdims=True)
        largest = int(np.argmax(np.where(np.isfinite(means), np.abs(means), 0)))
        factor = float(self.values[largest, 0] / means[largest, 0]) if means[largest, 0] else 0.0
        with np.errstate(all="ignore"):
            return (factor, self.inner[1]) if factor and _same(self.values, factor * means) else None

    def normalizes(self) -> bool:
        """True if each row is less its mean and divided by its deviation, with any small epsilon in the root."""
        x = self.inputs
        if self.values.shape != x.shape or x.shape[1] < 2 or not np.isfinite(self.values).all():
            return False
        centred = x - x.mean(axis=1, keepdims=True)
        slope = (self.values * centred).sum(axis=1) / (centred**2).sum(axis=1)
        if (slope <= 0).any() or not _same(self.values, slope[:, None] * centred):
            return False
        epsilon = slope**-2 - centred.var(axis=1)
        smallest = epsilon[0]  # the row of the smallest scale tells it best
        return bool(-1e-12 <= smallest <= _LARGEST_EPSILON and _same(slope**-2, centred.var(axis=1) + max(smallest, 0)))

    def is_softmax(self) -> bool:
        """True if each row is the softmax of the activation's."""
        powers = np.exp(self.inputs - self.inputs.max(axis=1, keepdims=True))
        return bool(self.leaf.shape) and _same(self.values, powers / (self.leaf.shape[-1] * powers.mean(axis=1, keepdims=True)))


def _same(found: Vector, wanted: Vector) -> bool:
    return found.shape == wanted.shape and bool(np.allclose(found, wanted, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))
