"""Comparisons of activations, and choices between two by a third: differences, steps and products of them.

Disputable assumption: a vector unit without predicates chooses by arithmetic, b + mask (a - b), where the mask is 0 or 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.elementwise import add, leaf_of, multiply, subtract
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.values import Constant, Vector
from accelsim.ops.add import AddLayer
from accelsim.ops.multiply import MultiplyLayer
from accelsim.ops.subtract import SubtractLayer


def greater(call: Call, or_equal: bool = False, exchanged: bool = False) -> Value:
    """1 where the first operand is greater than the second (`exchanged`: less), or `or_equal`; 0 elsewhere."""
    if exchanged != or_equal:
        call.values[0], call.values[1] = call.value(1), call.value(0)
    found = subtract(call)
    start = found if isinstance(found, Expression) else Expression.of(call.made(found), call.node)
    step = start.apply(_positive, call.node)
    return step.apply(lambda x: 1 - x, call.node) if or_equal else step


def equal_to(call: Call, unequal: bool = False) -> Value:
    """1 where two operands are the same number (`unequal`: are not), 0 elsewhere."""
    found = subtract(call)
    start = found if isinstance(found, Expression) else Expression.of(call.made(found), call.node)
    apart = start.apply(np.abs, call.node).apply(_positive, call.node)
    return apart if unequal else apart.apply(lambda x: 1 - x, call.node)


def cast_to_truth(call: Call) -> Value:
    """1 where an element is not 0, as a cast to a truth value makes of it; one that is 0 or 1 stays what it is."""
    call.values = [call.value(0), Constant(np.zeros(()))]
    return equal_to(call, unequal=True)


def truncated(call: Call) -> Value:
    """Each element rounded towards 0, as a cast to an integer does: the sign times the floor of the magnitude."""
    start = call.expression(0)
    if np.array_equal(start.values, np.trunc(start.values)):
        return start
    whole = start.apply(np.abs, call.node).apply(np.floor, call.node)
    return whole.with_other(MultiplyLayer, np.multiply, start.apply(np.sign, call.node), call.node)


def choose(call: Call) -> Value:
    """The second operand where the first is not 0, elsewhere the third; at least one of them is an activation."""
    mask, first, second = (call.value(position) for position in range(3))
    if isinstance(mask, Constant):
        return _by_constant(call, mask, first, second)
    leaves = [leaf_of(value) for value in (mask, first, second) if not _is_number(value)]
    if leaves[0] is not None and all(leaf == leaves[0] for leaf in leaves):
        return _of_one(call)
    return _sum(call, _product(call, _difference(call, first, second), mask), second)


def _by_constant(call: Call, mask: Constant, first: Value, second: Value) -> Value:
    """Both operands times what is known to be 0 or 1."""
    shown = mask.array.astype(bool)
    parts: list[Value] = []
    for value, where in ((first, shown), (second, ~shown)):
        if not isinstance(value, Constant):
            parts.append(_product(call, value, Constant(where.astype(np.float32), mask.sources)))
        elif (value.array != 0).any():
            if not np.isfinite(value.array).all():
                call.refuse(f"chooses {value!r} with infinite numbers; allowed: finite ones")
            parts.append(Constant(np.where(where, value.array, 0).astype(np.float32), value.sources))
    return parts[0] if len(parts) == 1 else _sum(call, *parts)


def _of_one(call: Call) -> Value:
    """A function of one activation, by its values; as layers it is the sum and the product that it stands for."""
    terms = [_expression(call, position) for position in range(3)]
    mask = terms[0]
    assert isinstance(mask, Expression)
    with np.errstate(all="ignore"):
        values = np.where(*(term.values if isinstance(term, Expression) else term for term in terms))
    _, first, second = terms
    if isinstance(first, Expression) and isinstance(second, Expression):
        apart = first.with_other(SubtractLayer, np.subtract, second, call.node)
    elif isinstance(second, Expression):
        apart = second.apply(lambda x: first - x, call.node)
    elif isinstance(first, Expression):
        apart = first.apply(lambda x: x - second, call.node)
    else:
        step = float(first) - float(second)
        return replace(mask.apply(lambda x: x * step + second, call.node), values=values)
    chosen = apart.with_other(MultiplyLayer, np.multiply, mask, call.node)
    if isinstance(second, Expression):
        return replace(chosen.with_other(AddLayer, np.add, second, call.node), values=values)
    return replace(chosen if second == 0 else chosen.apply(lambda x: x + second, call.node), values=values)


def _expression(call: Call, position: int) -> Expression | Vector:
    value = call.value(position)
    return value.array.astype(np.float64).reshape(()) if isinstance(value, Constant) else call.expression(position)


def _is_number(value: Value) -> bool:
    return isinstance(value, Constant) and value.array.size == 1


def _positive(x: Vector) -> Vector:
    return np.asarray(x > 0, np.float64)


def _difference(call: Call, first: Value, second: Value) -> Value:
    call.values = [first, second]
    return subtract(call)


def _product(call: Call, first: Value, second: Value) -> Value:
    call.values = [first, second]
    return multiply(call)


def _sum(call: Call, first: Value, second: Value) -> Value:
    call.values = [first, second]
    return add(call)
