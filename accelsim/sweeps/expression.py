"""Constraints of a sweep: conditions over a point's configuration, read by a small parser of their own; no text is run as Python.

    array.rows == array.cols and weight_buffer.capacity <= 256 KiB
    codebook.banks == null or codebook.banks in [2, 4, 8]

Grammar, loosest first: `or`, `and`, `not`, one comparison (== != < <= > >= in), + and -, * / and %, unary -. Operands are configuration
paths, `accelerator`, `trace`, `frames`, `batch` and `seed`; numbers, with a unit ("256 KiB", "1.5 GHz"); quoted text; true, false,
null; lists in brackets. Numbers are exact fractions, quantities whole bytes, ps, Hz or B/s as the loaded configuration holds them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NoReturn

from accelsim.errors import ConfigError
from accelsim.quantities import UNITS
from accelsim.registry import suggest

Lookup = Callable[[str], Any]
MAX_LENGTH = 2000  # characters: far more than a person writes, and it bounds the depth of nesting

_UNIT = "|".join(sorted((re.escape(name) for name in UNITS), key=len, reverse=True))
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>\d+(?:\.\d+)?)(?:\s*(?P<unit>{_UNIT})(?![\w/]))?"
    r"|(?P<name>[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>==|!=|<=|>=|[<>()\[\],+*/%-]))"
)
_CONSTANTS = {"true": True, "false": False, "null": None}
_WORDS = ("and", "or", "not", "in", *_CONSTANTS)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, items: value in items,
}
_SUMS: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: dict[str, Callable[[Any, Any], Any]] = {"*": operator.mul, "/": lambda a, b: Fraction(a) / b, "%": operator.mod}

_Node = Callable[[Lookup], Any]


@dataclass(frozen=True)
class Expression:
    """A condition that was parsed.

    Attributes
    ----------
    text : as written
    paths : the names that it reads, in order of appearance
    """

    text: str
    paths: tuple[str, ...]

    def holds(self, lookup: Lookup) -> bool:
        """Whether the condition is true where `lookup` gives the value of each name.

        Raises
        ------
        ConfigError
            It combines incompatible values (text with a number, an absent value), divides by zero, or is not a
            condition.
        """
        try:
            value = _compiled(self.text)[0](lookup)
        except RecursionError:
            raise ConfigError(f"constraint {self.text[:40]!r}...: nested too deeply") from None
        if not isinstance(value, bool):
            raise ConfigError(f"constraint {self.text!r}: is {_shown(value)}, not true or false")
        return value


def parse_expression(text: str) -> Expression:
    """The condition that `text` writes; ConfigError with the position of what is wrong."""
    if len(text) > MAX_LENGTH:
        raise ConfigError(f"constraint {text[:40]!r}...: has {len(text)} characters; allowed: at most {MAX_LENGTH}")
    try:
        return Expression(text, _compiled(text)[1])
    except RecursionError:
        raise ConfigError(f"constraint {text[:40]!r}...: nested too deeply") from None


@lru_cache(maxsize=256)
def _compiled(text: str) -> tuple[_Node, tuple[str, ...]]:
    """The function of a condition and the names that it reads; kept here, so that an `Expression` is plain data."""
    parser = _Parser(text)
    return parser.whole(), tuple(dict.fromkeys(parser.paths))


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, str) else str(value)


@dataclass(frozen=True)
class _Token:
    kind: str  # number, name, text, sign, word or end
    text: str
    value: Any
    at: int


# Signs of other languages, and the word or sign that stands for them here.
_WRITTEN_ELSEWHERE = {"&": "and", "|": "or", "!": "not", "=": "=="}


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            hint = next((f": write `{word}`" for sign, word in _WRITTEN_ELSEWHERE.items() if text.startswith(sign, start)), "")
            raise ConfigError(f"constraint {text!r}, position {start + 1}: cannot read {text[start : start + 10]!r}{hint}")
        kind = next(name for name in ("number", "name", "text", "sign") if match[name] is not None)
        found, start = match[kind], match.start(kind)
        at = match.end()
        if kind == "number":
            exact = Fraction(found) * UNITS.get(match["unit"], 1)
            yield _Token(kind, text[start:at], int(exact) if exact.denominator == 1 else exact, start)
        elif kind == "name" and found in _WORDS:
            yield _Token("word", found, _CONSTANTS.get(found), start)
        else:
            yield _Token(kind, found, found[1:-1] if kind == "text" else found, start)
    yield _Token("end", "", None, end)


class _Parser:
    """Recursive descent, one method a level of the grammar; each returns a function of the lookup."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.index = 0
        self.paths: list[str] = []

    @property
    def _next(self) -> _Token:
        return self.tokens[self.index]

    def _take(self, *texts: str) -> _Token | None:
        token = self._next
        if token.kind in ("sign", "word") and token.text in texts:
            self.index += 1
            return token
        return None

    def _fail(self, wanted: str) -> NoReturn:
        token = self._next
        found = f"got {token.text!r}" if token.text else "it ends there"
        raise ConfigError(f"constraint {self.text!r}, position {token.at + 1}: {wanted} is missing: {found}")

    def whole(self) -> _Node:
        root = self._or()
        if self._next.kind != "end":
            self._fail("an operator (and, or, ==, !=, <, <=, >, >=, in, +, -, *, /, %)")
        return root

    def _or(self) -> _Node:
        left = self._and()
        while self._take("or"):
            left = self._logic(left, self._and(), stop=True)
        return left

    def _and(self) -> _Node:
        left = self._not()
        while self._take("and"):
            left = self._logic(left, self._not(), stop=False)
        return left

    def _not(self) -> _Node:
        if self._take("not"):
            inner = self._not()
            return lambda lookup: not self._truth(inner(lookup))
        return self._comparison()

    def _logic(self, left: _Node, right: _Node, *, stop: bool) -> _Node:
        """`or` (stop at the first true) and `and` (stop at the first false)."""

        def value(lookup: Lookup) -> bool:
            first = self._truth(left(lookup))
            return first if first is stop else self._truth(right(lookup))

        return value

    def _truth(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ConfigError(f"constraint {self.text!r}: {_shown(value)} stands where true or false is needed")
        return value

    def _comparison(self) -> _Node:
        left = self._sum()
        token = self._take(*_COMPARISONS)
        return self._binary(token.text, _COMPARISONS[token.text], left, self._sum()) if token else left

    def _sum(self) -> _Node:
        left = self._product()
        while token := self._take(*_SUMS):
            left = self._binary(token.text, _SUMS[token.text], left, self._product())
        return left

    def _product(self) -> _Node:
        left = self._unary()
        while token := self._take(*_PRODUCTS):
            left = self._binary(token.text, _PRODUCTS[token.text], left, self._unary())
        return left

    def _unary(self) -> _Node:
        if self._take("-"):
            return self._binary("-", _SUMS["-"], lambda _: 0, self._unary())
        return self._operand()

    def _binary(self, sign: str, function: Callable[[Any, Any], Any], left: _Node, right: _Node) -> _Node:
        def value(lookup: Lookup) -> Any:
            first, second = left(lookup), right(lookup)
            if not _fits(sign, first, second):
                raise ConfigError(f"constraint {self.text!r}: {_shown(first)} {sign} {_shown(second)} has no meaning")
            try:
                return function(first, second)
            except ZeroDivisionError:
                raise ConfigError(f"constraint {self.text!r}: {_shown(first)} {sign} 0 has no value") from None

        return value

    def _operand(self) -> _Node:
        token = self._next
        if self._take("("):
            inner = self._or()
            if not self._take(")"):
                self._fail("')'")
            return inner
        if self._take("["):
            return self._list()
        constant = token.kind in ("number", "text") or token.text in _CONSTANTS
        if not constant and token.kind != "name":
            self._fail("a field, number or text")
        self.index += 1
        if constant:
            return lambda _: token.value
        self.paths.append(token.text)
        return lambda lookup: lookup(token.text)

    def _list(self) -> _Node:
        items = [self._sum()]
        while self._take(","):
            items.append(self._sum())
        if not self._take("]"):
            self._fail("']' or ','")
        return lambda lookup: [item(lookup) for item in items]


def _fits(sign: str, first: Any, second: Any) -> bool:
    """Whether an operator has a meaning for two values."""
    if sign in ("==", "!="):
        return True
    if sign == "in":
        return isinstance(second, list)
    numbers = all(isinstance(value, (int, float, Fraction)) and not isinstance(value, bool) for value in (first, second))
    return numbers or (sign in ("<", "<=", ">", ">=") and isinstance(first, str) and isinstance(second, str))


def check_names(expression: Expression, known: Callable[[str], bool], names: list[str]) -> None:
    """ConfigError for a name of `expression` that is not `known`, with the one of `names` that was perhaps meant."""
    for path in expression.paths:
        if not known(path):
            raise ConfigError(f"constraint {expression.text!r}: there is no field {path!r}{suggest(path, names)}")
