"""Sums of products over named dimensions (einsum), as products of matrices: two operands at a time, from left to right."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import replace

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.products import multiplied
from accelsim.importers.graph.reduce_dims import reduce_dims
from accelsim.importers.graph.values import Constant, Plain
from accelsim.ops.affine import AffineLayer

Operand = tuple[View | Constant, str]


def contracted(call: Call, equation: str) -> Value:
    """The einsum of a call's operands; an equation without an arrow has its letters that occur once as the result, in their order."""
    operands, result = _parsed(call, equation)
    first = operands[0]
    for place, second in enumerate(operands[1:], 1):
        later = {letter for _, letters in operands[place + 1 :] for letter in letters} | set(result)
        first = _product(call, first, second, later)
    value, letters = first
    if isinstance(value, Constant):
        call.refuse("a sum of products of constants alone is not computed")
    view = _summed(call, value, letters, result)
    letters = "".join(letter for letter in letters if letter in result)
    return Plain(view.permute([letters.index(letter) for letter in result]))


def _parsed(call: Call, equation: str) -> tuple[list[Operand], str]:
    """Each operand with a letter for each of its dimensions, and the letters of the result; an ellipsis has letters of its own."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    spare = [letter for letter in string.ascii_letters if letter not in equation]
    operands: list[Operand] = []
    most = 0
    for place, term in enumerate(terms):
        value = call.value(place)
        operand = value if isinstance(value, Constant) else call.view(place)
        rank = len(call.shape(place))
        covered = rank - len(term.replace("...", ""))
        most = max(most, covered)
        letters = term.replace("...", "".join(spare[len(spare) - covered :]) if covered > 0 else "")
        if len(letters) != rank or len(set(letters)) != rank or not letters.isalpha():
            call.refuse(
                f"operand {place} of {call.shape(place)} in the equation {equation!r}; allowed: a letter of its own for each dimension"
            )
        operands.append((operand, letters))
    if not arrow:
        every = "".join(letters for _, letters in operands)
        result = "..." + "".join(sorted(letter for letter in set(every) - set(spare) if every.count(letter) == 1))
    result = result.replace("...", "".join(spare[len(spare) - most :]) if most > 0 else "")
    if len(set(result)) != len(result) or not set(result) <= {letter for _, letters in operands for letter in letters}:
        call.refuse(f"the result of the equation {equation!r}; allowed: letters of the operands, each once")
    return operands, result


def _product(call: Call, first: Operand, second: Operand, later: set[str]) -> Operand:
    """A product of two operands, summed over the letters that both have and nothing later needs."""
    (a, in_a), (b, in_b) = (_alone(call, one, other, later) for one, other in ((first, second), (second, first)))
    sizes = dict(zip(in_a, _shape(a), strict=True)) | dict(zip(in_b, _shape(b), strict=True))
    if any(sizes[letter] != size for letter, size in zip(in_a, _shape(a), strict=True)):
        call.refuse(f"operands of shapes {_shape(a)} and {_shape(b)} with letters {in_a} and {in_b} do not fit together")
    heads = [letter for letter in in_a if letter in in_b and letter in later]
    inner = [letter for letter in in_a if letter in in_b and letter not in later]
    rows, columns = ([letter for letter in own if letter not in other] for own, other in ((in_a, in_b), (in_b, in_a)))
    lead = (math.prod(sizes[letter] for letter in heads),)
    m, k, n = (math.prod(sizes[letter] for letter in part) for part in (rows, inner, columns))
    left = _arranged(call, a, in_a, [*heads, *rows, *inner], (*lead, m, k))
    right = _arranged(call, b, in_b, [*heads, *inner, *columns], (*lead, k, n))
    made = call.made(multiplied(call, left, 1.0, right, 1.0))
    letters = [*heads, *rows, *columns]
    return call.builder.reshaped(call.node.path(), made, [sizes[letter] for letter in letters]), "".join(letters)


def _alone(call: Call, one: Operand, other: Operand, later: set[str]) -> Operand:
    """An operand summed over the letters that nothing else has."""
    value, letters = one
    wanted = "".join(letter for letter in letters if letter in other[1] or letter in later)
    if wanted == letters:
        return one
    if isinstance(value, Constant):
        axes = tuple(place for place, letter in enumerate(letters) if letter not in wanted)
        return replace(value, array=value.array.sum(axis=axes)), wanted
    return _summed(call, value, letters, wanted), wanted


def _summed(call: Call, view: View, letters: str, wanted: str) -> View:
    dims = [place for place, letter in enumerate(letters) if letter not in wanted]
    count = math.prod(view.shape[place] for place in dims)
    kept = [size for place, size in enumerate(view.shape) if place not in dims]
    if count == 1:
        return view.reshape(kept)
    means = reduce_dims(call.builder, call.node.path("mean"), view, dims, "avg_pool2d").reshape(kept)
    return call.builder.element_operation(AffineLayer, call.node.path("affine"), means, factor=float(count), term=0.0)


def _shape(value: View | Constant) -> tuple[int, ...]:
    return value.array.shape if isinstance(value, Constant) else value.shape


def _arranged(call: Call, value: View | Constant, letters: str, order: Sequence[str], shape: tuple[int, ...]) -> View | Constant:
    places = [letters.index(letter) for letter in order]
    if isinstance(value, Constant):
        return replace(value, array=value.array.transpose(places).reshape(shape))
    return call.builder.reshaped(call.node.path(), value.permute(places), shape)
