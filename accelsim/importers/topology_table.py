"""The rows of a SCALE-Sim topology table: a header says which column holds which size, in any order.

A table without a header, or with one that names no known column, has its columns in SCALE-Sim's own order. A header may stand again
before rows of the other kind, and a line of one cell is a heading.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import ImportModelError
from accelsim.ops.shapes import MAX_BOUND
from accelsim.reading import read_text

GEMM = ("Layer", "M", "N", "K")
CONVOLUTION = ("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides")
STRIDE_ALONG_WIDTH, SPARSITY, BATCH = "Stride Width", "Sparsity", "Batch Size"
MAX_LAYERS = 4096
_NAME = "Layer name"
_SPELLINGS = {  # lower case, letters and digits only
    **dict.fromkeys(("layer", "layername", "name"), _NAME),
    **{size.lower(): size for size in "MNK"},
    **dict.fromkeys(("ifmapheight", "ifmaph", "inputheight", "h", "height"), "IFMAP Height"),
    **dict.fromkeys(("ifmapwidth", "ifmapw", "inputwidth", "w", "width"), "IFMAP Width"),
    **dict.fromkeys(("filterheight", "filterh", "kernelheight", "fh", "kh"), "Filter Height"),
    **dict.fromkeys(("filterwidth", "filterw", "kernelwidth", "fw", "kw"), "Filter Width"),
    **dict.fromkeys(("channels", "channel", "numchannels"), "Channels"),
    **dict.fromkeys(("numfilter", "numfilters", "filters"), "Num Filter"),
    **dict.fromkeys(("strides", "stride", "strideheight", "strideh"), "Strides"),
    **dict.fromkeys(("stridewidth", "stridew"), STRIDE_ALONG_WIDTH),
    **dict.fromkeys(("sparsity", "sparsityratio", "sparsitysupport"), SPARSITY),
    **dict.fromkeys(("batch", "batchsize", "batches", "numbatches"), BATCH),
}


@dataclass(frozen=True)
class Row:
    """One layer.

    Attributes
    ----------
    where
        File and line, for a message.
    kind
        The columns: GEMM or CONVOLUTION.
    name
        As the table has it.
    sizes
        By column; the stride along the width only where it is given.
    sparsity
        A ratio n:m, or "" for none.
    """

    where: str
    kind: tuple[str, ...]
    name: str
    sizes: dict[str, int]
    sparsity: str


@dataclass(frozen=True)
class Table:
    """Layers in their order; whether a header stands before them; headings between them; named columns that are not read."""

    rows: tuple[Row, ...]
    has_header: bool
    headings: tuple[str, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    """Places of the columns; cells after the sizes have no column where `open_ended`: SCALE-Sim reads a stride and a ratio there."""

    kind: tuple[str, ...]
    places: dict[str, int]
    unread: dict[int, str]
    open_ended: bool


def read_table(path: Path) -> Table:
    """Read a table whose cells are separated by commas, tabs or semicolons.

    Raises
    ------
    ImportModelError
        The file, line and column that cannot be used, the value and what is allowed.
    """
    text = read_text(path, ImportModelError, "utf-8-sig")
    lines = [(f"{path}: line {number}", _cells(line)) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(where, cells) for where, cells in lines if any(cells)]
    columns: _Columns | None = None
    rows: list[Row] = []
    headings: list[str] = []
    unread: dict[str, None] = {}
    has_header = bool(lines) and not _is_row(lines[0][1])
    for index, ((where, cells), row) in enumerate(zip(lines, _next_rows([cells for _, cells in lines]), strict=True)):
        following = row or cells
        if _is_header(cells) or (index == 0 and has_header and len(cells) > 1):
            columns = _by_header(where, cells, following)
        elif len(cells) == 1 and not cells[0].isdecimal():
            headings.append(cells[0])
        else:
            columns = columns or _by_place(following)
            rows.append(_row(where, cells, columns))
            unread.update((columns.unread[place], None) for place in sorted(columns.unread) if place < len(cells) and cells[place])
    if not rows:
        raise ImportModelError(f"{path}: holds no layers; allowed: a header, then one layer per line")
    if len(rows) > MAX_LAYERS:
        raise ImportModelError(f"{path}: holds {len(rows)} layers; allowed: at most {MAX_LAYERS}")
    return Table(tuple(rows), has_header, tuple(headings), tuple(unread))


def _next_rows(lines: Sequence[list[str]]) -> list[list[str] | None]:
    """Of each line itself or the first one after it that is a row."""
    row: list[str] | None = None
    found = []
    for cells in reversed(lines):
        row = cells if _is_row(cells) else row
        found.append(row)
    return found[::-1]


def _cells(line: str) -> list[str]:
    """Cells of a line, without blanks, empty cells at the end, and a comment that starts with '#'."""
    cells = [cell.strip() for cell in re.split(next((mark for mark in ",\t;" if mark in line), ","), line)]
    cells = cells[: next((index for index, cell in enumerate(cells) if cell.startswith("#")), len(cells))]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _is_row(cells: Sequence[str]) -> bool:
    """True for a name and sizes."""
    return len(cells) >= len(GEMM) and sum(cell.isdecimal() for cell in cells) >= len(GEMM) - 1


def _is_header(cells: Sequence[str]) -> bool:
    """True for the names of columns: two known ones at least, and no number."""
    return sum(_column(cell) is not None for cell in cells) > 1 and not any(cell.isdecimal() for cell in cells)


def _column(cell: str) -> str | None:
    return _SPELLINGS.get(re.sub("[^a-z0-9]", "", cell.lower()))


def _by_header(where: str, header: Sequence[str], row: Sequence[str]) -> _Columns:
    """Columns as the header names them; in their usual order if it names fewer than two."""
    if not _is_header(header):
        return _by_place(row)
    named = [_column(cell) for cell in header]
    places: dict[str, int] = {}
    for place, column in enumerate(named):
        if column == "Strides" and column in places:
            column = STRIDE_ALONG_WIDTH
        if column is not None and column in places:
            raise ImportModelError(f"{where}: column {header[place]!r:.80} is given twice")
        if column is not None:
            places[column] = place
    if _NAME not in places and named[0] is None:
        places[_NAME] = 0
    kind = GEMM if any(size in places for size in "MNK") else CONVOLUTION
    missing = [column for column in (_NAME, *kind[1:]) if column not in places]
    if missing:
        raise ImportModelError(f"{where}: columns {', '.join(missing)} are missing; allowed: {_allowed(kind)}, in any order")
    unread = {place: cell for place, cell in enumerate(header) if cell and place not in places.values()}
    return _Columns(kind, places, unread, open_ended=max(places.values()) < len(kind))


def _by_place(row: Sequence[str]) -> _Columns:
    """Columns in SCALE-Sim's order, as many as the row has."""
    kind = CONVOLUTION if len(row) >= len(CONVOLUTION) - 1 else GEMM
    return _Columns(kind, {column: place for place, column in enumerate((_NAME, *kind[1:]))}, {}, open_ended=True)


def _row(where: str, cells: Sequence[str], columns: _Columns) -> Row:
    kind, places = columns.kind, columns.places
    needed = max(places[column] for column in (_NAME, *kind[1:])) + 1
    if len(cells) < needed:
        raise ImportModelError(f"{where}: has {len(cells)} cells; allowed: {_allowed(kind)}")
    found = {column: cells[place] for column, place in places.items() if place < len(cells) and cells[place]}
    if _NAME not in found:
        raise ImportModelError(f"{where}, column {kind[0]}: '' is not allowed; allowed: a name")
    rest = [cell for place, cell in enumerate(cells) if place not in places.values() and place not in columns.unread and cell]
    if rest and rest[0].isdecimal() and columns.open_ended and kind is CONVOLUTION and STRIDE_ALONG_WIDTH not in found:
        found[STRIDE_ALONG_WIDTH] = rest.pop(0)
    if rest and SPARSITY not in found and columns.open_ended:
        found[SPARSITY] = rest.pop(0)
    sparsity = found.pop(SPARSITY, "")
    if rest or (sparsity and not re.fullmatch("[0-9]+:[0-9]+", sparsity)):
        what = ", ".join([*([sparsity] if sparsity else []), *rest])
        raise ImportModelError(
            f"{where}: {what!r:.80} after the sizes is not allowed; allowed: nothing, or a ratio n:m, after {_allowed(kind)}"
        )
    name = found.pop(_NAME)
    wanted = [*kind[1:], *(column for column in (STRIDE_ALONG_WIDTH, BATCH) if column in found)]
    sizes = {column: _integer(where, column, found.get(column, "")) for column in wanted}
    batch = sizes.pop(BATCH, 1)
    if batch > 1:
        raise ImportModelError(
            f"{where}, column {BATCH}: {batch} is not allowed; allowed: 1 (a trace has one image; run it with --batch {batch})"
        )
    return Row(where, kind, name, sizes, sparsity)


def _allowed(kind: Sequence[str]) -> str:
    return ", ".join(kind)


def _integer(where: str, column: str, cell: str) -> int:
    """The cell as a size."""
    if not cell.isascii() or not cell.isdecimal() or len(cell) > 30 or not 1 <= int(cell) <= MAX_BOUND:
        raise ImportModelError(f"{where}, column {column}: {cell!r:.80} is not allowed; allowed: an integer from 1 to {MAX_BOUND}")
    return int(cell)
