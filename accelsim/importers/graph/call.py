"""One call of an operation with resolved operands; its function makes layers, keeps trained values or refuses.

It knows no framework: ONNX's and ATen's calls add their attributes (accelsim.importers.from_onnx.call, from_torch.call).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

import numpy as np
from pydantic import ValidationError

from accelsim.errors import ImportModelError
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.expert_values import Chosen, ChosenMatrices, Weighted
from accelsim.importers.graph.expressions import Expression, gelu, gelu_by_tanh
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.node import Node
from accelsim.importers.graph.recorder import GraphRecorder
from accelsim.importers.graph.reduce_dims import reduce_dims
from accelsim.importers.graph.rotations import Turned, of_view
from accelsim.importers.graph.values import Constant, Deferred, Fused, Indices, Masked, Padded, Plain, Spectrum, Vector
from accelsim.ops.affine import AffineLayer
from accelsim.ops.gelu import GeluLayer
from accelsim.ops.layernorm import LayerNormLayer
from accelsim.ops.operation import VectorLayer
from accelsim.ops.rmsnorm import RmsNormLayer
from accelsim.ops.table import FUNCTIONS, WITH_SLOPE, TableLayer

Value = (
    Constant | Indices | Plain | Deferred | Fused | Padded | Masked | Spectrum | Expression | Turned | Chosen | ChosenMatrices | Weighted
)
_FAR = 80.0  # an exponential of its negative is nothing


class Call:
    """Operands of a node, resolved; `sole` tells whether nothing else reads the layer behind the operand at a position."""

    def __init__(self, node: Node, values: Sequence[Value | None], recorder: GraphRecorder, sole: Callable[[int], bool]) -> None:
        self.node = node
        self.values = list(values)
        self.recorder = recorder
        self._sole = sole
        self.builder = recorder.builder

    def refuse(self, message: str) -> NoReturn:
        """Raise an ImportModelError that names this node."""
        raise ImportModelError(f"{self.node.where}: {message}")

    @contextmanager
    def fitting(self, what: str) -> Iterator[None]:
        """Report any failure inside as mismatched operands of this node; `what` names them."""
        try:
            yield
        except ValidationError:
            raise  # a size that no layer may have: the caller says which
        except (ValueError, IndexError, TypeError, ArithmeticError):
            given = ", ".join(repr(value) for value in self.values if value is not None)
            raise ImportModelError(
                f"{self.node.where}: its {what} do not fit together, or are not supported together: given {given or 'nothing'}"
            ) from None

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
        return self._sole(position)

    def scalar(self, position: int) -> float:
        """A constant of one element."""
        array = self.constant(position).array
        if array.size != 1:
            self.refuse(f"input {position} has shape {array.shape}; allowed: one number")
        return float(array.reshape(()))

    def layer_name(self, trained: Iterable[str], operation: str = "", node: Node | None = None) -> str:
        """A name for a layer that reads these tensors; one that is free, as exporters share equal tensors between modules."""
        names = list((node or self.node).layer_names(trained, operation))
        return next((name for name in names if self.builder.unique(name) == name), names[0])

    def shape(self, position: int) -> tuple[int, ...]:
        """Logical shape of an operand."""
        value = self.value(position)
        return value.array.shape if isinstance(value, Constant) else value.shape

    def made(self, value: Value, position: int = 0) -> View:
        """The view of an activation, whose layer is made if it was not."""
        if isinstance(value, Constant | Indices | Chosen | ChosenMatrices | Weighted):
            self.refuse(f"input {position} is {value!r}; allowed: an activation")
        if isinstance(value, Plain):
            return value.view
        if isinstance(value, Deferred | Fused):
            return value.view()
        if isinstance(value, Padded):
            return self.builder.pad(self.node.path("pad"), value.view, value.before, value.after)
        if isinstance(value, Masked):
            self.refuse(f"input {position} is {value!r}; allowed: an activation (masks and biases of scores are read by softmax)")
        if isinstance(value, Spectrum):
            self.refuse(f"input {position} is {value!r}; allowed: its real part")
        if isinstance(value, Turned):
            return self._rotated(value)
        return self._recognized(value)

    def turned(self, value: Value, otherwise: Callable[[], View]) -> Turned | None:
        """An activation as the start of a rotation; None if it can be none."""
        if isinstance(value, Turned):
            return value
        if isinstance(value, Expression):
            factor = value.factor()
            return None if factor is None else of_view(value.leaf, otherwise, factor)
        return of_view(self.made(value), otherwise) if isinstance(value, Plain | Fused) else None

    def _rotated(self, value: Turned) -> View:
        """The layer of a rotation, or those of a step that is none."""
        if not value.made:
            found, view = value.rotation(), value.source
            if found is None or len(view.shape) != 4:
                value.made.append(value.otherwise())
                return value.made[0]
            order = (0, found.axis, 3 - found.axis, 3)
            pairs = "neighbours" if found.neighbours else "halves"
            result = self.builder.rotary(self.node.path("rotary"), view.permute(order), turned=found.turned, pairs=pairs)
            for name, angles in (("cos", found.cos), ("sin", found.sin)):
                self.recorder.keep_constant(result, name, angles, ())
            value.made.append(result.permute(order))
        return value.made[0]

    def with_factor(self, position: int) -> tuple[View, float]:
        """An activation and a factor that multiplies it."""
        value = self.value(position)
        factor = value.factor() if isinstance(value, Expression) else None
        if isinstance(value, Expression) and factor is not None:
            return value.leaf, factor
        return self.view(position), 1.0

    def with_line(self, position: int) -> tuple[View, float, float]:
        """An activation, a factor that multiplies it and a term that is added, where it is no other function."""
        value = self.value(position)
        line = value.line() if isinstance(value, Expression) and value.factor() is None else None
        if isinstance(value, Expression) and line is not None:
            return value.leaf, *line
        return *self.with_factor(position), 0.0

    def expression(self, position: int) -> Expression:
        """An activation as the start of a function of it."""
        value = self.value(position)
        return value if isinstance(value, Expression) else Expression.of(self.view(position), self.node)

    def normalized(self, expression: Expression) -> Deferred | None:
        """A normalization of rows that may still take gamma and beta; None if the function is another."""
        kind: type[VectorLayer] = LayerNormLayer
        factor: float | None = 1.0
        if not expression.normalizes():
            kind, factor = RmsNormLayer, expression.rms_factor()
        if factor is None:
            return None
        leaf = expression.leaf
        width = leaf.shape[-1]

        def make(pending: Deferred) -> View:
            name = self.layer_name(pending.labels, kind.pass_name, expression.node)
            result = self.builder.row_operation(kind, name, leaf, (width,))
            folded = {"gamma": pending.scale, "beta": pending.shift}
            for constant, default in kind.constant_defaults.items():
                found = folded.pop(constant)
                value = default if found is None else found
                self.recorder.keep_constant(result, constant, np.broadcast_to(value, (width,)), pending.sources)
            for rest in folded.values():
                result = result if rest is None else self._plus_vector(result, rest, pending)
            return result

        return Deferred(leaf.shape, len(leaf.shape) - 1, make, scale=None if factor == 1 else np.array(factor))

    def _plus_vector(self, view: View, term: Vector, origin: Deferred) -> View:
        return self.channels(view, len(view.shape) - 1).shifted(term, *origin.folded).view()

    def channels(self, view: View, axis: int) -> Deferred:
        """A factor and a term per index of a dimension, as a layer of its own that takes them as they come."""
        size = view.shape[axis]

        def make(pending: Deferred) -> View:
            name = self.layer_name(pending.labels, "affine")
            factor, term = (1.0 if pending.scale is None else pending.scale), (0.0 if pending.shift is None else pending.shift)
            if np.ndim(factor) == np.ndim(term) == 0:
                return self.builder.element_operation(AffineLayer, name, view, factor=float(factor), term=float(term))
            result = self.builder.channel_operation(AffineLayer, name, view, axis, per_channel=True)
            self.recorder.keep_folded(pending.folded, 2 * size)
            self.recorder.keep_constant(result, "scale", np.broadcast_to(factor, (size,)), pending.sources)
            self.recorder.keep_constant(result, "shift", np.broadcast_to(term, (size,)), pending.sources)
            return result

        return Deferred(view.shape, axis, make)

    def settled(self, expression: Expression) -> Plain | None:
        """The layer of a function of each element that several nodes read; None if it is only a step."""
        made = None if expression.line() is not None else self._elementwise(expression)
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
        if (found := expression.of_means()) is not None:
            factor, averaged = found
            means = reduce_dims(self.builder, expression.node.path("mean"), self._recognized(averaged), (-1,), "avg_pool2d")
            return self._recognized(Expression.of(means, expression.node).apply(lambda x: factor * x, expression.node))
        if (operand := expression.of_maxima()) is not None:
            return reduce_dims(self.builder, expression.node.path("max"), self._recognized(operand), (-1,), "max_pool2d")
        if expression.terms is not None:
            kind, *terms = expression.terms
            first, second = (self._recognized(term) for term in terms)
            return self.builder.pair(kind, expression.node.path(kind.model_fields["op"].default), first, second)
        if expression.inner is not None and expression.inner[1].values is not expression.inputs:
            function, operand = expression.inner
            before = Expression.of(self._recognized(operand), expression.node)
            return self._recognized(before.apply(function, expression.node))
        self.refuse(
            f"the function that ends in {expression.node.where} is not understood; allowed: clips, gelu, softmax, layer and RMS "
            f"normalization, a factor and a term, {', '.join((*FUNCTIONS, *WITH_SLOPE))}"
        )

    def _elementwise(self, expression: Expression) -> View | None:
        """The layer of a function of each element, or the layers of one after the other; None if it is no such function."""
        makers = self._chain(expression)
        if makers is None:
            return None
        view = expression.leaf
        for maker in makers:
            view = maker(view)
        return view

    def _chain(self, expression: Expression) -> list[Callable[[View], View]] | None:
        """Constructors of the layers of an elementwise function, first to last; none where it changes nothing."""
        makers = self._step(expression)
        if makers is not None or expression.inner is None:
            return makers
        function, operand = expression.inner
        before = self._chain(operand)
        if before is None:
            return None
        last = self._step(Expression.of(expression.leaf, expression.node).apply(function, expression.node))
        return None if last is None else [*before, *last]

    def _step(self, expression: Expression) -> list[Callable[[View], View]] | None:
        """The constructor of the single layer of an elementwise function, or none for the activation itself; None if it needs several."""
        if expression.equals(lambda x: x):
            return []
        maker = self._function(expression)
        return None if maker is None else [maker]

    def _function(self, expression: Expression) -> Callable[[View], View] | None:
        """Constructor of the single layer of an elementwise function."""
        builder, node = self.builder, expression.node
        if expression.values.shape != expression.inputs.shape:
            return None
        for form, approximate in ((gelu, None), (gelu_by_tanh, "tanh")):
            if expression.equals(form):
                return partial(_gelu, builder, node, approximate)
        low, high = (float(bound) for bound in (expression.values.min(), expression.values.max()))
        if low < high and expression.equals(lambda x: np.clip(x, low, high)):
            minimum = None if low == expression.inputs.min() else low
            maximum = None if high == expression.inputs.max() else high
            name = node.path("relu" if (minimum, maximum) == (0.0, None) else "clip")
            return lambda view: builder.clip(name, view, minimum, maximum)
        table = _table_of(expression)
        if table is not None:
            return lambda view: builder.element_operation(TableLayer, node.path(str(table["op"])), view, **table)
        constant = low == high and math.isfinite(low)  # a factor that is trained to be 0, or not trained yet, keeps its layer
        line = (0.0, low) if constant else expression.line()
        if line is not None and expression.values is not expression.inputs:
            return lambda view: builder.element_operation(AffineLayer, node.path("affine"), view, factor=line[0], term=line[1])
        return None


def _gelu(builder: GraphBuilder, node: Node, approximate: str | None, view: View) -> View:
    return builder.element_operation(GeluLayer, node.path("gelu"), view, approximate=approximate)


def _with_slope(op: str, slope: float) -> Callable[[Vector], Vector]:
    return lambda x: WITH_SLOPE[op](x, slope)


def _table_of(expression: Expression) -> dict[str, object] | None:
    """Fields of the table that holds a function of each element."""
    op = next((op for op, function in FUNCTIONS.items() if expression.equals(function)), None)
    if op is not None:
        return {"op": op}
    (near, value), (_, limit) = expression.near(-1.0), expression.near(-_FAR)
    for op, slope in (("leaky_relu", value / near), ("elu", -limit)):
        if np.isfinite(slope) and expression.equals(_with_slope(op, slope)):
            return {"op": op, "slope": slope}
    return None
