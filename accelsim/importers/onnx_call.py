"""One call of an ONNX operation with its operands resolved, and what its function may do: make layers, keep trained values, refuse.

The trained values that a layer keeps must be finite, and a weight belongs to one layer: a second reader would be traffic and
parameters that the original does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NoReturn

import numpy as np

from accelsim.errors import ImportModelError
from accelsim.importers.graph_builder import GraphBuilder
from accelsim.importers.imported_graph import Floats
from accelsim.importers.layout import View
from accelsim.importers.onnx_expressions import Expression, gelu, gelu_by_tanh
from accelsim.importers.onnx_node import OnnxNode
from accelsim.importers.onnx_tensors import Array
from accelsim.importers.onnx_values import Constant, Deferred, Fused, Plain, Vector

Value = Constant | Plain | Deferred | Fused | Expression
Table = Literal["sigmoid", "silu", "hardswish", "tanh"]


class Recorder:
    """The layers built so far, and the trained values that they read."""

    def __init__(self, builder: GraphBuilder, trained: frozenset[str], keep_values: bool) -> None:
        self.builder = builder
        self.trained = trained
        self.weights: dict[str, Floats] = {}
        self.constants: dict[str, dict[str, Floats]] = {}
        self.used: set[str] = set()
        self.stored: dict[str, str] = {}
        self._owners: dict[tuple[str, int, int], str] = {}
        self._keep_values = keep_values

    def keep_weight(self, view: View, weights: Array, names: tuple[str, ...], columns: tuple[int, int] = (0, 0)) -> None:
        """Wt[K,N] of the layer that made `view`: all, or columns [first, stop), of what these initializers hold."""
        for name in self.trained.intersection(names):
            owner = self._owners.setdefault((name, *columns), view.producer)
            if owner != view.producer:
                raise ImportModelError(
                    f"initializer {name!r} holds the weights of both {owner!r} and {view.producer!r}; allowed: of one layer"
                )
        self.used.update(names)
        if len(names) == 1 and columns == (0, 0):
            self.stored[view.producer] = names[0]
        if self._keep_values:
            self.weights[view.producer] = self._finite(weights, view, "weights")

    def keep_constant(self, view: View, name: str, values: Array, names: tuple[str, ...]) -> None:
        """A constant of the layer that made `view`, by the name that the layer gives it."""
        self.used.update(names)
        if self._keep_values:
            self.constants.setdefault(view.producer, {})[name] = self._finite(values.reshape(-1), view, name)

    def is_trained(self, names: tuple[str, ...]) -> bool:
        """True if a value was computed from trained tensors, and from some."""
        return bool(names) and self.trained.issuperset(names)

    @staticmethod
    def _finite(values: Array, view: View, what: str) -> Floats:
        with np.errstate(over="ignore"):
            kept: Floats = np.ascontiguousarray(values, dtype=np.float32)
        if not np.isfinite(kept).all():
            place = int(np.flatnonzero(~np.isfinite(kept.reshape(-1)))[0])
            raise ImportModelError(f"{what} of {view.producer!r}: value {place} is {kept.reshape(-1)[place]}; allowed: finite numbers")
        return kept


class Call:
    """Operands of a node, resolved; `node` has its attributes."""

    def __init__(self, node: OnnxNode, values: Sequence[Value | None], recorder: Recorder, sole: Callable[[str], bool]) -> None:
        self.node = node
        self.values = list(values)
        self.recorder = recorder
        self._sole = sole
        self.builder = recorder.builder

    def refuse(self, message: str) -> NoReturn:
        """Say what is wrong with this node."""
        raise ImportModelError(f"{self.node.where}: {message}")

    def value(self, position: int) -> Value:
        """An operand that must be there."""
        value = self.values[position] if position < len(self.values) else None
        if value is None:
            self.refuse(f"input {position} is missing")
        return value

    def optional(self, position: int) -> Value | None:
        """An operand that may be left out."""
        return self.values[position] if position < len(self.values) else None

    def view(self, position: int) -> View:
        """An operand that must be an activation; its layer is made, once."""
        made = self.made(self.value(position), position)
        self.values[position] = Plain(made)
        return made

    def constant(self, position: int) -> Constant:
        """An operand that must not depend on the model's input."""
        value = self.value(position)
        if not isinstance(value, Constant):
            self.refuse(f"input {position} is {value!r}; allowed: a constant")
        return value

    def optional_constant(self, position: int) -> Constant | None:
        """The same, or None if it is left out."""
        return None if self.optional(position) is None else self.constant(position)

    def sole(self, position: int) -> bool:
        """True if nothing else reads the layer behind an operand."""
        return self._sole(self.node.inputs[position])

    def scalar(self, position: int) -> float:
        """A constant of one element."""
        array = self.constant(position).array
        if array.size != 1:
            self.refuse(f"input {position} has shape {array.shape}; allowed: one number")
        return float(array.reshape(()))

    def layer_name(self, trained: Iterable[str], operation: str = "", node: OnnxNode | None = None) -> str:
        """A name for a layer that reads these tensors; one that is free, as exporters share equal tensors between modules."""
        names = list((node or self.node).layer_names(trained, operation))
        return next((name for name in names if self.builder.unique(name) == name), names[0])

    def arrays(self) -> list[Array | None]:
        """Constant operands as arrays; None for those that are left out or are activations."""
        return [value.array if isinstance(value, Constant) else None for value in self.values]

    def shape(self, position: int) -> tuple[int, ...]:
        """Logical shape of an operand."""
        value = self.value(position)
        return value.array.shape if isinstance(value, Constant) else value.shape

    def axis(self, name: str, default: int, rank: int) -> int:
        """An attribute that names a dimension, counted from the front."""
        axis = self.node.integer(name, default)
        if not -rank <= axis < rank:
            self.refuse(f"{name} {axis} is not a dimension of a tensor of {rank}")
        return axis % rank

    def made(self, value: Value, position: int = 0) -> View:
        """The view of an activation, whose layer is made if it was not."""
        if isinstance(value, Constant):
            self.refuse(f"input {position} is {value!r}; allowed: an activation")
        if isinstance(value, Plain):
            return value.view
        if isinstance(value, Deferred | Fused):
            return value.view()
        return self._recognized(value)

    def with_factor(self, position: int) -> tuple[View, float]:
        """An activation and a factor that multiplies it."""
        value = self.value(position)
        factor = value.factor() if isinstance(value, Expression) else None
        if isinstance(value, Expression) and factor is not None:
            return value.leaf, factor
        return self.view(position), 1.0

    def expression(self, position: int) -> Expression:
        """An activation as the start of a function of it."""
        value = self.value(position)
        return value if isinstance(value, Expression) else Expression.of(self.view(position), self.node)

    def normalized(self, expression: Expression) -> Deferred | None:
        """A normalization of rows that may still take gamma and beta; None if the function is another."""
        if not expression.normalizes():
            return None
        leaf = expression.leaf
        width = leaf.shape[-1]

        def make(pending: Deferred) -> View:
            result = self.builder.layernorm(self.layer_name(pending.labels, "layernorm", expression.node), leaf, (width,))
            gamma, beta = (1.0 if pending.scale is None else pending.scale), (0.0 if pending.shift is None else pending.shift)
            self.recorder.keep_constant(result, "gamma", np.broadcast_to(gamma, (width,)), pending.sources)
            self.recorder.keep_constant(result, "beta", np.broadcast_to(beta, (width,)), pending.sources)
            return result

        return Deferred(leaf.shape, len(leaf.shape) - 1, make)

    def settled(self, expression: Expression) -> Plain | None:
        """The layer of a function of each element that several nodes read; None if it is only a step."""
        made = None if expression.factor() is not None else self._elementwise(expression)
        return None if made is None else Plain(made)

    def _recognized(self, expression: Expression) -> View:
        """The layer that computes a function of an activation."""
        factor = expression.factor()
        if factor is not None and math.isclose(factor, 1, rel_tol=1e-6):
            return expression.leaf
        made = self._elementwise(expression)
        if made is not None:
            return made
        normalized = self.normalized(expression)
        if normalized is not None:
            return normalized.view()
        if expression.is_softmax():
            return self.builder.softmax(expression.node.path("softmax"), expression.leaf, -1)
        if expression.terms is not None:
            first, second = (self._recognized(term) for term in expression.terms)
            return self.builder.add(expression.node.path("add"), first, second)
        if expression.inner is not None and expression.inner[1].factor() is None:
            function, operand = expression.inner
            before = Expression.of(self._recognized(operand), expression.node)
            return self._recognized(before.apply(function, expression.node))
        if factor is not None:
            self.refuse(f"{expression.node.where} multiplies an activation by {factor:g}; allowed: before or after a matrix product")
        self.refuse(
            f"the function that ends in {expression.node.where} is not understood; "
            "allowed: relu, clip, gelu, sigmoid, silu, hard swish, tanh, softmax, layer normalization"
        )

    def _elementwise(self, expression: Expression) -> View | None:
        builder, node, leaf = self.builder, expression.node, expression.leaf
        if expression.values.shape != expression.inputs.shape:
            return None
        if expression.equals(gelu) or expression.equals(gelu_by_tanh):
            return builder.gelu(node.path("gelu"), leaf)
        for op, function in _TABLES.items():
            if expression.equals(function):
                return builder.table(node.path(op), leaf, op)
        low, high = (float(bound) for bound in (expression.values.min(), expression.values.max()))
        if low < high and expression.equals(lambda x: np.clip(x, low, high)):
            minimum = None if low == expression.inputs.min() else low
            maximum = None if high == expression.inputs.max() else high
            return builder.clip(node.path("relu" if (minimum, maximum) == (0.0, None) else "clip"), leaf, minimum, maximum)
        return None


def _sigmoid(x: Vector) -> Vector:
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float64)


_TABLES: dict[Table, Callable[[Vector], Vector]] = {
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "tanh": np.tanh,
}
