"""Rows of a record of int64 fields that grow block by block: one block per product, however many rows it has."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat

import numpy as np

from accelsim.program import Int64, Structured

Fields = Mapping[str, int | Int64]


class RecordTable:
    """A growing array of `dtype`, all of whose fields are int64."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self.rows = 0
        self._dtype = dtype
        self._names = dtype.names or ()
        self._column = {name: index for index, name in enumerate(self._names)}
        self._blocks: list[list[int | Int64]] = []  # of each block the fields that are equal in all its rows
        self._first: list[int] = []  # row of each block
        self._arrays: list[tuple[int, int, Int64]] = []  # (first row, column, values)

    def append(self, rows: int, fields: Fields) -> None:
        """Append `rows` rows: of each field one value for all of them, or of several rows an array; fields left out are 0."""
        equal = dict(fields)
        for name, value in fields.items() if rows > 1 else ():
            if isinstance(value, np.ndarray):
                self._arrays.append((self.rows, self._column[name], value))
                equal[name] = 0
        self._blocks.append(list(map(equal.get, self._names, repeat(0))))
        self._first.append(self.rows)
        self.rows += rows

    def array(self) -> Structured:
        """All rows."""
        blocks = np.array(self._blocks, np.int64).reshape(-1, len(self._names))
        out = np.repeat(blocks, np.diff([*self._first, self.rows]), axis=0)
        for row, column, values in self._arrays:
            out[row : row + values.size, column] = values
        return out.view(self._dtype).reshape(-1)
