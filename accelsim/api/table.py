"""Rows of named columns, as the API returns them: a sequence of dicts that prints itself and turns into a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from accelsim.api.checks import wrong_type
from accelsim.api.display import html_table, short_text
from accelsim.api.paths import path_of
from accelsim.errors import ConfigError, OutputError
from accelsim.registry import suggest
from accelsim.report.export.run import to_csv
from accelsim.report.export.whole_file import new_file
from accelsim.report.tables.columns import TextTable
from accelsim.report.tables.markup import MARKUPS
from accelsim.report.tables.text import clean

SHOWN_ROWS = 10
_WIDTH = 100  # characters of a line of the repr
_CELL = 40
_CSV = ".csv"
_MARKUPS = {".md": MARKUPS["markdown"], ".tex": MARKUPS["latex"]}


class Table(Sequence[dict[str, Any]]):
    """Rows of equal keys: `table[0]` is a row, `table["cycles"]` a column; units are in the columns' names.

    Attributes
    ----------
    title : a name for the rows
    columns : names of the columns, in order
    """

    def __init__(self, title: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self.title = title
        self._rows = tuple(dict(row) for row in rows)
        self.columns: tuple[str, ...] = tuple(self._rows[0]) if self._rows else ()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(row) for row in self._rows)

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> Table: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        """A row by its place, rows by a slice, or a column by its name; ConfigError with the known names."""
        if isinstance(key, str):
            if key not in self.columns:
                raise ConfigError(f"{self.title}: there is no column {key!r}{suggest(key, self.columns)}; known: {', '.join(self.columns)}")
            return [row[key] for row in self._rows]
        if not isinstance(key, int | slice | np.integer):
            raise wrong_type(f"{self.title}, a row or column", key, "a row's place, a slice of rows, or a column's name")
        return Table(self.title, self._rows[key]) if isinstance(key, slice) else dict(self._rows[key])

    def to_dict(self) -> list[dict[str, Any]]:
        """The rows as plain data."""
        return list(self)

    def to_frame(self) -> Any:
        """The rows as a `pandas.DataFrame`; ConfigError without pandas, which is optional."""
        try:
            import pandas
        except ImportError:
            raise ConfigError("to_frame needs pandas; install accelsim with its extra: pip install 'accelsim[pandas]'") from None
        return pandas.DataFrame(self.to_dict(), columns=list(self.columns))

    def save(self, file: str | Path) -> Path:
        """Write the rows: CSV to a '.csv' file, Markdown to '.md', LaTeX (booktabs) to '.tex'.

        Raises
        ------
        AccelsimError
            Another ending, or the file cannot be written.
        """
        path = path_of("file", file)
        ending = path.suffix.lower()
        if ending not in (_CSV, *_MARKUPS):
            raise OutputError(f"{path}: ends with {ending or 'nothing'}; allowed: {', '.join((_CSV, *_MARKUPS))}")
        markup = _MARKUPS.get(ending)
        content = to_csv(self._rows) if markup is None else markup.table(clean(self.title), self._text())
        with new_file(path) as out:
            out.write(content.encode())
        return path

    def _text(self) -> TextTable:
        numeric = {name: all(isinstance(row[name], int | float | np.number) for row in self._rows) for name in self.columns}
        text = TextTable(tuple(f">{name}" if numeric[name] else name for name in self.columns), 2)
        for row in self._rows:
            text.add([_whole(row[name]) for name in self.columns])
        return text

    def __repr__(self) -> str:
        heading = f"{self.title}: {len(self)} rows" if len(self) != 1 else f"{self.title}: 1 row"
        columns = [(name, [_cell(row[name]) for row in self._rows[:SHOWN_ROWS]]) for name in self.columns]
        shown: list[list[str]] = []
        used = 0
        for name, cells in columns:
            width = max(map(len, (name, *cells)))
            if shown and used + width > _WIDTH:
                break
            shown.append([name.ljust(width), *(cell.ljust(width) for cell in cells)])
            used += width + 2
        lines = ["  ".join(line).rstrip() for line in zip(*shown, strict=True)]
        more = [f"... {len(self) - SHOWN_ROWS} more rows"] if len(self) > SHOWN_ROWS else []
        hidden = self.columns[len(shown) :]
        more += [_cut(f"... more columns: {', '.join(hidden)}", _WIDTH)] if hidden else []
        return short_text([clean(heading), *lines, *more])

    def _repr_html_(self) -> str:
        rows = [[_cell(row[name]) for name in self.columns] for row in self._rows[:SHOWN_ROWS]]
        more = f" (the first {SHOWN_ROWS} of {len(self)})" if len(self) > SHOWN_ROWS else ""
        return html_table(f"{self.title}{more}", rows, self.columns)


def _cell(value: Any) -> str:
    return _cut(_whole(value), _CELL)


def _whole(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    return clean(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
