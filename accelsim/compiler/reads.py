"""Answers that are reused for every record that agrees with an earlier one on all that was read of it.

A computation gets the record behind a reader that notes each field it looks at. As it is deterministic, two records with equal values
of these fields take it through the same steps to the same answer, whatever their other fields say. Nobody lists the fields: a
computation that begins to read another one is thereby known to depend on it. Of a method that is marked as a `fact` the answer
counts, not what it reads; what is not a field (a comparison, a dump) counts as reading everything.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel

_R = TypeVar("_R", bound=BaseModel)
_Answer = TypeVar("_Answer")
_Path = tuple[Any, ...]
_PRESENT = "present"  # of a group of fields: that it is there
_WHOLE = "*"  # in place of a field's name: everything


class _Reader:
    """A frozen record that notes what is read of it: first reads go through `__getattr__`, later ones find the value in place."""

    def __init__(self, record: BaseModel, path: _Path, notes: dict[_Path, Any]) -> None:
        self.__dict__.update(_record=record, _path=path, _notes=notes)

    @property  # type: ignore[misc]  # isinstance asks it, and answers as for the record
    def __class__(self) -> type:
        return type(self._record)

    def __getattr__(self, name: str) -> Any:
        record, path = self._record, (*self._path, name)
        kind = type(record)
        if name in kind.model_fields:
            value = getattr(record, name)
            self._notes[path] = _comparable(value)
            if isinstance(value, BaseModel):
                value = _Reader(value, path, self._notes)
        else:
            found = inspect.getattr_static(kind, name)
            if isinstance(found, property) and found.fget is not None:
                value = found.fget(self)
            elif getattr(found, "is_fact", False):
                value = self._fact(name)
            elif isinstance(found, FunctionType) and not found.__module__.startswith("pydantic"):
                value = MethodType(found, self)
            else:
                value = getattr(self._all(), name)
        self.__dict__[name] = value
        return value

    def _all(self) -> BaseModel:
        """The record itself, which whoever has it may read in full."""
        record: BaseModel = self._record
        self._notes[(*self._path, _WHOLE)] = record
        return record

    def _fact(self, name: str) -> Callable[..., Any]:
        """A method whose answer is noted in place of what it reads."""

        def ask(*arguments: Any) -> Any:
            answer = getattr(self._record, name)(*arguments)
            self._notes[(*self._path, name, arguments)] = answer
            return answer

        return ask

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if type(other) is _Reader else other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def __iter__(self) -> Any:
        return iter(self._all())


def _comparable(value: Any) -> Any:
    return _PRESENT if isinstance(value, BaseModel) else value


def _value_at(record: BaseModel, path: _Path) -> Any:
    """What a note of `path` would say of `record`: names lead to a field or a fact, a tuple holds a fact's arguments."""
    value: Any = record
    for name in path:
        if value is None or name == _WHOLE:
            return value
        value = getattr(value, name) if isinstance(name, str) else value(*name)
    return _comparable(value)


class _Node(Generic[_Answer]):
    """The next field that is read, and where each of its values leads: to another read, or to the answer."""

    def __init__(self) -> None:
        self.path: _Path | None = None
        self.after: dict[Any, _Node[_Answer]] = {}
        self.answers: list[_Answer] = []


class Answers(Generic[_R, _Answer]):
    """The answers of one computation, as a tree of what it reads; it is emptied when it holds `limit` of them."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._size = 0
        self._root: _Node[_Answer] = _Node()

    def of(self, record: _R, compute: Callable[[_R], _Answer]) -> _Answer:
        """`compute(record)`, or the earlier answer for a record that is equal in all that was read."""
        node: _Node[_Answer] | None = self._root
        while node is not None and node.path is not None:
            node = node.after.get(_value_at(record, node.path))
        if node is not None and node.answers:
            return node.answers[0]
        notes: dict[_Path, Any] = {}
        answer = compute(cast(_R, _Reader(record, (), notes)))
        self._keep(notes, answer)
        return answer

    def _keep(self, notes: dict[_Path, Any], answer: _Answer) -> None:
        if self._size == self._limit:
            self._size, self._root = 0, _Node()
        node = self._root
        for path, value in notes.items():
            if node.path is None:
                node.path = path
            elif node.path != path:
                return  # the same values led elsewhere before, so the computation is not what it has to be: nothing is kept of it
            node = node.after.setdefault(value, _Node())
        node.answers = [answer]
        self._size += 1
