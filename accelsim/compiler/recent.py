"""Answers that are kept, the last so many that were asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Recent(OrderedDict[_Key, _Value]):
    """The `limit` answers that were asked for last."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __getitem__(self, key: _Key) -> _Value:
        self.move_to_end(key)
        return super().__getitem__(key)

    def __setitem__(self, key: _Key, value: _Value) -> None:
        super().__setitem__(key, value)
        if len(self) > self.limit:
            del self[next(iter(self))]

    def of(self, key: _Key, make: Callable[[], _Value]) -> _Value:
        """The answer kept under `key`, made if there is none."""
        if key not in self:
            self[key] = make()
        return self[key]
