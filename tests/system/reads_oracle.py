"""Which fields of a record a computation reads: a proxy that stands in for the record and notes them.

It knows nothing of the compiler. Methods and properties run on the proxy, so what they read is noted too; what is no field (a hash, a
comparison, a dump) counts as reading everything.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import FunctionType, MethodType
from typing import Any, TypeVar, cast

from pydantic import BaseModel

_R = TypeVar("_R")
EVERYTHING = "*"


def watched(record: _R, reads: set[str]) -> _R:
    """A stand-in for `record`; dotted paths of the fields that are read of it are added to `reads`."""
    return cast(_R, _Reader(record, "", reads))


def leaf_paths(record: object, prefix: str = "") -> Iterator[str]:
    """Dotted paths of all fields that hold no record."""
    for name in _field_names(record):
        value = getattr(record, name)
        if _is_record(value):
            yield from leaf_paths(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _is_record(value: object) -> bool:
    return isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type))


def _field_names(record: object) -> list[str]:
    return list(type(record).model_fields) if isinstance(record, BaseModel) else [field.name for field in fields(cast(Any, record))]


class _Reader:
    """First reads go through `__getattr__`, later ones find the value in place."""

    def __init__(self, record: object, prefix: str, reads: set[str]) -> None:
        self.__dict__.update(_record=record, _prefix=prefix, _reads=reads)

    @property  # type: ignore[misc]  # isinstance asks it, and answers as for the record
    def __class__(self) -> type:
        return type(self._record)

    def __getattr__(self, name: str) -> Any:
        record, prefix = self._record, self._prefix
        kind = type(record)
        if name in _field_names(record):
            value = getattr(record, name)
            if _is_record(value):
                value = _Reader(value, f"{prefix}{name}.", self._reads)
            else:
                self._reads.add(f"{prefix}{name}")
        else:
            found = inspect.getattr_static(kind, name)
            if isinstance(found, property) and found.fget is not None:
                value = found.fget(self)
            elif isinstance(found, FunctionType) and not found.__module__.startswith("pydantic"):
                value = MethodType(found, self)
            else:
                value = getattr(self._whole(), name)
        self.__dict__[name] = value
        return value

    def _whole(self) -> Any:
        self._reads.add(f"{self._prefix}{EVERYTHING}")
        return self._record

    def __eq__(self, other: object) -> bool:
        return bool(self._whole() == (other._whole() if type(other) is _Reader else other))

    def __hash__(self) -> int:
        return hash(self._whole())

    def __repr__(self) -> str:
        return repr(self._whole())

    def __iter__(self) -> Any:
        return iter(self._whole())
