"""Tables that sort: a button in each heading, the value to sort by in each cell, totals separate so that they remain at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelsim.report.html.elements import Child, Node, element
from accelsim.report.plots.style import Paint

_BAR_WIDTH, _BAR_HEIGHT = 84, 10
_EDGE = "#5a6570"  # of a swatch: pale colours are seen on light pages, and dark ones on dark pages


@dataclass(frozen=True)
class Column:
    """A heading; numbers are aligned to the right and sort with the largest first, running text keeps a width that can be read.

    A number may have a name before it (`named`), and go on in the next line between the two.
    """

    title: str
    unit: str = ""
    number: bool = False
    sorts: bool = True
    text: bool = False
    named: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell; `key` is its sort key if that is not its text; `extra` precedes the text."""

    text: str
    key: float | None = None
    extra: Node | None = None


Row = Sequence[Cell | str]


def number(title: str, unit: str = "") -> Column:
    return Column(title, unit, number=True)


def named_number(title: str, unit: str = "") -> Column:
    return Column(title, unit, number=True, named=True)


def value(figure: float, text: str) -> Cell:
    """A formatted figure, sorted by its value."""
    return Cell(text, figure)


def integer(figure: int) -> Cell:
    return Cell(f"{figure:,}", figure)


def decimals(figure: float, places: int) -> Cell:
    return Cell(f"{figure:,.{places}f}", figure)


def share(part: float, whole: float) -> Cell:
    """Percent of a whole, without the sign, which the heading has."""
    return Cell(f"{100 * part / whole:z.1f}", part / whole) if whole else Cell("")


def swatch(name: str, paint: Paint) -> Cell:
    """A name behind the colour that it has in the figures."""
    mark = element("rect", x="0.5", y="0.5", width=9, height=9, rx=2, fill=paint.color, stroke=_EDGE)
    return Cell(name, extra=element("svg", mark, class_="swatch", viewBox="0 0 10 10", width=10, height=10, aria_hidden="true"))


def stacked(parts: Mapping[str, int], paints: Mapping[str, Paint], whole: float) -> Cell:
    """A bar of `parts` in their colours, as long as they are of `whole`; the text is the accessible description."""
    total = sum(parts.values())
    text = ", ".join(f"{name} {100 * cycles / total:.0f} %" for name, cycles in parts.items() if cycles) if total else ""
    bar = element("svg", element("title", text), class_="stack", viewBox=f"0 0 {_BAR_WIDTH} {_BAR_HEIGHT}", role="img")
    bar.set("width", str(_BAR_WIDTH))
    bar.set("height", str(_BAR_HEIGHT))
    left = 0.0
    for name, cycles in parts.items():
        if cycles and whole:
            width = _BAR_WIDTH * cycles / whole
            paint = paints.get(name, Paint("#808080"))
            bar.append(element("rect", x=f"{left:.2f}", y=0, width=f"{width:.2f}", height=_BAR_HEIGHT, fill=paint.color))
            left += width
    return Cell("", extra=bar)


def table(name: str, label: str, columns: Sequence[Column], rows: Sequence[Row], totals: Sequence[Row] = ()) -> Node:
    """A table in a box of its own that scrolls where the page is too narrow.

    Parameters
    ----------
    name
        Its id, also used in the page's address to link to a sorted table.
    label
        Description for a screen reader.
    totals
        Rows kept at the end.
    """
    head = element("thead", element("tr", *(_heading(column) for column in columns)))
    parts = [head, element("tbody", *(_row(columns, row) for row in rows))]
    if totals:
        parts.append(element("tfoot", *(_row(columns, row) for row in totals)))
    return element("div", element("table", *parts, id=name), class_="scroll", role="region", aria_label=label, tabindex=0)


def _heading(column: Column) -> Node:
    text: list[Child] = [column.title]
    if column.unit:
        text += [" ", element("small", column.unit)]
    kind = "number" if column.number else None
    if not column.sorts:
        return element("th", *text, scope="col", class_=kind)
    return element("th", element("button", *text, type="button"), scope="col", aria_sort="none", class_=kind)


def _row(columns: Sequence[Column], row: Row) -> Node:
    return element("tr", *(_cell(column, item, first=not place) for place, (column, item) in enumerate(zip(columns, row, strict=True))))


def _cell(column: Column, item: Cell | str, *, first: bool) -> Node:
    cell = Cell(item) if isinstance(item, str) else item
    children: list[Child] = [] if cell.extra is None else [cell.extra]
    kind = "number named" if column.named else "number" if column.number else "text" if column.text else None
    key = None if cell.key is None else repr(float(cell.key))
    if first:
        return element("th", *children, *_breakable(cell.text), scope="row", class_=kind, data_key=key)
    return element("td", *children, cell.text, class_=kind, data_key=key)


def _breakable(text: str) -> list[Child]:
    """A dotted name that may go on in the next line behind each dot."""
    first, *rest = text.split(".")
    return [first, *(child for part in rest for child in (".", element("wbr"), part))]


def pairs(items: Mapping[str, Child]) -> Node:
    """Names with their values, one per line."""
    entries: list[Node] = []
    for name, what in items.items():
        entries += [element("dt", name), element("dd", what)]
    return element("dl", *entries)
