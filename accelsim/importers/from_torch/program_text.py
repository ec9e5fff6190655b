"""Rules for the text of a stored program: PyTorch's reader evaluates some of it as Python, and writes some of it into code.

A name must be one that code may hold, a call one of PyTorch's operators, a size arithmetic. Text that PyTorch only keeps (traces of
the stack) or writes in quotes (arguments that are text) is not judged.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

import torch

from accelsim.reading import parse_json
from accelsim.wording import shown

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SYMBOL = re.compile(r"[A-Za-z_](?:\w*[A-Za-z_])?\d{0,6}", re.ASCII)  # PyTorch counts up to the number of an unknown size
_DECIMAL = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_PLAIN = re.compile(r"[\w .:/+@-]*")
_KEPT = frozenset({"metadata", "as_string", "as_strings", "torch_version"})

# Python's functions of sizes, and of tuples of results.
_OF_SIZES = re.compile(
    r"_operator\.(add|and_|eq|floordiv|ge|getitem|gt|le|lshift|lt|mod|mul|ne|neg|or_|pos|pow|rshift|sub|truediv)|math\.(ceil|floor|trunc)"
    r"|torch\.sym_\w+"
)
_OPERATOR = re.compile(r"torch\.ops(\.[A-Za-z_]\w*){2,3}", re.ASCII)
_PREDISPATCH = "torch._functorch.predispatch"  # its functions surround what torch.vmap maps

# SymPy's and PyTorch's functions of sizes; those that grow beyond all bounds only of a symbol.
_CALLS = re.compile(
    r"Symbol|Integer|Float|Rational|Add|Mul|Abs|Max|Min|floor|ceiling|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|LessThan|StrictLessThan"
    r"|GreaterThan|StrictGreaterThan|And|Or|Not|FloorDiv|ModularIndexing|Where|PythonMod|Mod|CleanDiv|CeilToInt"
    r"|FloorToInt|CeilDiv|FloatTrueDiv|IntTrueDiv|IsNonOverlappingAndDenseIndicator|TruncToFloat|TruncToInt|RoundToInt|RoundDecimal|ToFloat"
    r"|Identity"
)
_GROWING = frozenset({"Pow", "PowByNatural", "FloatPow", "LShift", "RShift"})
_METHODS = frozenset({"size", "stride", "storage_offset"})
_ARITHMETIC = (
    *(ast.Expression, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Subscript, ast.Load, ast.keyword, ast.IfExp),
    *(ast.boolop, ast.unaryop, ast.cmpop, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr),
)
_LONGEST_ARITHMETIC = 10_000  # characters
_LARGEST_EXPONENT = 16


def problems_of_text(program: Any) -> Iterator[str]:
    """Texts that are not what PyTorch takes them for, each with the field that holds it; `program` is plain data of JSON."""
    ahead: list[tuple[str, Any]] = [("", program)]
    while ahead:
        field, value = ahead.pop()
        rule, wanted = _RULES.get(field, (None, ""))
        if field in _KEPT or (rule is not None and value is None):
            continue
        if rule is not None:
            if not rule(value):
                yield f"field `{field}`: {shown(value)} is not {wanted}, and PyTorch could run it"
        elif isinstance(value, dict):
            allowed, wanted = _KEYS.get(field, (_PLAIN.fullmatch, "a name"))
            for key, inner in value.items():
                if not allowed(key):
                    yield f"field `{field}`: {shown(key)} is not {wanted}, and PyTorch could run it"
                ahead.append(("" if field in _KEYS else key, inner))
        elif isinstance(value, list):
            ahead += [(field, inner) for inner in value]
        elif isinstance(value, str) and not _PLAIN.fullmatch(value):
            yield f"field `{field}`: {shown(value)} has characters that PyTorch could run; allowed: letters, digits and _ .:/+@-"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and (value == "" or _NAME.fullmatch(value) is not None)


def _all(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(rule, value))


def _is_operator(value: Any) -> bool:
    """Whether a call is of PyTorch's operators or of Python's on sizes, and of none that reads or writes a file."""
    if not isinstance(value, str):
        return False
    module, _, name = value.rpartition(".")
    if module == _PREDISPATCH:
        functions = getattr(torch._functorch, "predispatch", None)  # not in every version
        return getattr(getattr(functions, name, None), "__module__", "") == module
    if not _OPERATOR.fullmatch(value):
        return _OF_SIZES.fullmatch(value) is not None
    target: Any = torch.ops
    for part in value.split(".")[2:]:
        target = getattr(target, part, None)
    if isinstance(target, torch._ops.OpOverload):
        return all(argument.name != "filename" for argument in target._schema.arguments)
    return target is None or isinstance(target, torch._ops.HigherOrderOperator)  # PyTorch names an operator that it does not know


def _is_arithmetic(value: Any) -> bool:
    """Whether a text has numbers, names, operators, and calls of known functions only."""
    if not isinstance(value, str) or len(value) > _LONGEST_ARITHMETIC:
        return False
    try:
        return all(map(_is_part_of_arithmetic, ast.walk(ast.parse(value.strip(), mode="eval"))))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False


def _is_part_of_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        symbol = isinstance(node.value, str) and (_SYMBOL.fullmatch(node.value) or _DECIMAL.fullmatch(node.value)) is not None
        return symbol or isinstance(node.value, bool | int | float)
    if isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Name) and called.id in _GROWING:
            return len(node.args) == 2 and _is_small_power(*node.args)
        return not isinstance(called, ast.Name) or _CALLS.fullmatch(called.id) is not None  # a method is judged as an attribute
    if isinstance(node, ast.Attribute):
        return node.attr in _METHODS
    if isinstance(node, ast.Name):
        return _SYMBOL.fullmatch(node.id) is not None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_small_power(node.left, node.right)
    return isinstance(node, _ARITHMETIC)


def _is_small_power(base: ast.AST, power: ast.AST) -> bool:
    """Whether a power is of a symbol and small; SymPy computes one of numbers, however large it is."""
    if _is_call(power, "Integer") and len(power.args) == 1:
        power = power.args[0]
    if isinstance(power, ast.UnaryOp) and isinstance(power.op, ast.USub):
        power = power.operand
    small = isinstance(power, ast.Constant) and isinstance(power.value, int) and power.value <= _LARGEST_EXPONENT
    return small and (isinstance(base, ast.Name) or _is_call(base, "Symbol"))


def _is_call(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _is_tree(value: Any) -> bool:
    """Whether the description of a tree of arguments has plain names; other ones say modules to import."""
    ahead = [value]
    while ahead:
        here = ahead.pop()
        if isinstance(here, dict):
            if {"default_factory_module", "__enum__"} & set(here):
                return False
            ahead += [*here, *here.values()]
        elif isinstance(here, list):
            ahead += here
        elif isinstance(here, str) and not _PLAIN.fullmatch(here):
            try:
                inner = parse_json(here)
            except ValueError:
                return False
            if isinstance(inner, str):
                return False
            ahead.append(inner)
    return True


# field -> (rule for its keys, what it asks for).
_KEYS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    **dict.fromkeys(("tensor_values", "sym_int_values", "sym_float_values", "sym_bool_values", "custom_obj_values"), (_is_name, "a name")),
    "range_constraints": (_is_arithmetic, "arithmetic over sizes"),
}
# field -> (rule, what it asks for).
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("name", "as_name"), (_is_name, "a name")),
    "forward_arg_names": (_all(_is_name), "names"),
    **dict.fromkeys(("target", "as_operator"), (_is_operator, "an operator of PyTorch")),
    "expr_str": (_is_arithmetic, "arithmetic over sizes"),
    "guards_code": (_all(_is_arithmetic), "arithmetic over sizes"),
    **dict.fromkeys(("in_spec", "out_spec"), (_is_tree, "a tree of plain names")),
}
