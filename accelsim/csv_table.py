"""CSV files that users hand in, read by column name: taken whole or refused.

A row that cannot be read is never skipped: a table that silently shrinks says less than it seems to. Columns that are not asked for are
kept, and up to the caller.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from accelsim.errors import AccelsimError, ConfigError
from accelsim.reading import LARGEST_FILE, read_text
from accelsim.registry import suggest


def read_table(
    path: Path, needed: Iterable[str] = (), error: type[AccelsimError] = ConfigError, limit: int = LARGEST_FILE
) -> list[tuple[int, Mapping[str, str]]]:
    """(line, cells by column, stripped of blanks) of each row of a CSV file with a header that has every `needed` column.

    Raises
    ------
    AccelsimError
        Of the class `error`: the file cannot be read, is no CSV, has more than `limit` bytes or no row, lacks a needed column or names one
        twice, or a row has too few or too many cells.
    """
    text, needed = read_text(path, error, "utf-8-sig", limit), tuple(needed)
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as problem:
        raise error(f"{path}: line {reader.line_num}: not CSV: {problem}") from problem
    if not lines:
        columns = f" with the columns {', '.join(needed)}" if needed else ""
        raise error(f"{path}: is empty; a header{columns} is needed")
    (_, header), *body = lines
    for column in needed:
        if column not in header:
            raise error(f"{path}: column {column!r} is missing; the header has: {', '.join(header)}{suggest(column, header)}")
    for column in header:
        if column and header.count(column) > 1:
            raise error(f"{path}: column {column!r} appears twice")
    for line, cells in body:
        if len(cells) != len(header):
            raise error(f"{path}: line {line}: has {len(cells)} cells, the header has {len(header)}")
    if not body:
        raise error(f"{path}: has a header but no rows")
    return [(line, dict(zip(header, cells, strict=True))) for line, cells in body]
