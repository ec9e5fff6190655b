"""A page read as a browser's parser would, with Python's own: tables as text, ids, references, and that every tag closes."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "wbr", "hr", "img", "input"}


@dataclass
class Table:
    head: list[str] = field(default_factory=list)
    body: list[list[str]] = field(default_factory=list)
    foot: list[list[str]] = field(default_factory=list)

    def column(self, title: str) -> list[str]:
        """The body's cells under a heading, its unit left out."""
        (place,) = [index for index, text in enumerate(self.head) if text == title or text.startswith(f"{title} ")]
        return [row[place] for row in self.body]


class Page(HTMLParser):
    """`tables` by id, `ids`, `attributes` as (tag, name, value), `text` outside style and script, `scripts`."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, Table] = {}
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open: list[str] = []
        self._table = Table()
        self._rows: list[list[str]] = []
        self._cell = False
        self.feed(content)
        self.close()
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        assert len(names) == len(attrs), f"an attribute twice in {tag}"
        self.attributes += [(tag, name, text or "") for name, text in attrs]
        if names.get("id"):
            self.ids.append(names["id"] or "")
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._table = self.tables[names.get("id") or ""] = Table()
        elif tag in ("tbody", "tfoot"):
            self._rows = self._table.body if tag == "tbody" else self._table.foot
        elif tag == "tr" and "thead" not in self._open:
            self._rows.append([])
        elif tag in ("th", "td"):
            self._cell = True
            (self._table.head if "thead" in self._open else self._rows[-1]).append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"{tag} closes nothing"
        assert self._open.pop() == tag
        if tag in ("th", "td"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif self._open[-1:] != ["style"]:
            self.text += data
            if self._cell and "title" not in self._open:
                (self._table.head if "thead" in self._open else self._rows[-1])[-1] += data
