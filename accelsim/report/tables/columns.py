"""A text table with fitted columns: numbers are never cut, sentences break between words, shortened names remain distinct.

Assumes that a wide table is better than a wrong one: where even shortened names leave too little room, lines are longer than the room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len

from accelsim.report.tables.text import clean, distinct

NAME_COLUMNS = 8  # minimum width of a name


@dataclass
class TextTable:
    """A table under construction: `headings` with '>' before those of right-aligned columns of numbers; rows with a style each."""

    headings: tuple[str, ...]
    gap: int
    rows: list[tuple[tuple[str, ...], str | None]] = field(default_factory=list)

    def add(self, cells: Sequence[str], style: str | None = None) -> None:
        """Add a row of plain text; nothing in it is read as markup."""
        if len(cells) != len(self.headings):
            raise ValueError(f"{len(cells)} cells in a table of {len(self.headings)} columns")
        self.rows.append((tuple(clean(cell) for cell in cells), style))

    def numeric(self, column: int) -> bool:
        return self.headings[column].startswith(">")

    def column(self, index: int) -> list[str]:
        """Heading and cells of a column."""
        return [self.headings[index].removeprefix(">"), *(cells[index] for cells, _ in self.rows)]


def column_widths(table: TextTable, room: int) -> list[int]:
    """Columns of the terminal for each column of the table, without the gaps between them, so that all fit in `room` if they can.

    Excess width is taken from the widest columns of text: first so far that their longest word still fits. Then headings of numbers are
    folded, and then names shortened so far that they keep `NAME_COLUMNS`. At last figures of several words ('dram 60%') are folded
    between them; a number is never cut.
    """
    texts = [table.column(index) for index in range(len(table.headings))]
    widths = [max(cell_len(line) for text in column for line in text.split("\n")) for column in texts]
    words = [max((cell_len(word) for text in column for word in text.split()), default=0) for column in texts]
    headings = [max((cell_len(word) for word in column[0].split()), default=0) for column in texts]
    names = [min(word, max(NAME_COLUMNS, heading)) for word, heading in zip(words, headings, strict=True)]
    numeric = [table.numeric(index) for index in range(len(texts))]
    cells = [max((cell_len(line) for text in column[1:] for line in text.split("\n")), default=0) for column in texts]
    figures = [max(cell, heading) for cell, heading in zip(cells, headings, strict=True)]
    for least, takes in ((words, False), (figures, True), (names, False), (words, True)):
        for _ in range(sum(widths) - room):
            giving = [index for index, width in enumerate(widths) if numeric[index] == takes and width > least[index]]
            if not giving:
                break
            widths[max(giving, key=widths.__getitem__)] -= 1
    return widths


def fitted(cells: Sequence[str], width: int) -> list[str]:
    """A column whose words that are longer than it are shortened: they lose their beginning, or, to remain distinct, their common part."""
    words = dict.fromkeys(word for cell in cells for word in cell.split() if cell_len(word) > width)
    short = dict(zip(words, distinct(list(words), width), strict=True))
    return ["\n".join(" ".join(short.get(word, word) for word in line.split(" ")) for line in cell.split("\n")) for cell in cells]
