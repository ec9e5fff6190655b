"""An LRU cache."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class LruCache(OrderedDict[_Key, _Value]):
    """A mapping that drops the least recently used entry when it holds more than `limit`."""

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
        """The value of `key`; made and stored if it is absent."""
        if key not in self:
            self[key] = make()
        return self[key]
