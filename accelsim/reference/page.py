"""docs/reference/fields.md: a table of fields for each record of each kind of file."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel

from accelsim.reference.fields import FieldDoc, fields_of
from accelsim.reference.kinds import KINDS

_HEAD = """\
# Fields of all files

Made from the records that read the files (`make docs`). `accelsim describe FIELD` says the same of one field, `accelsim schema KIND`
prints a kind's JSON Schema, and `accelsim new accelerator` writes a commented file of a chip.

A size, time, frequency or bandwidth takes a unit (`64 KiB`, `100 ns`, `800 MHz`, `0.4 GB/s`); times and bandwidths need one. In a
trace, numbers stand alone. A path names a group's fields by dots; where a list holds records of several kinds, the kind is part of it.
"""


def fields_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for kind, file in KINDS.items():
        parts.append(f"\n## {kind}\n\n{file.title}: `{file.example}`.\n")
        parts += _tables(kind)
    return "".join(parts)


def _tables(kind: str) -> list[str]:
    """A table for each record, the top one first; a record in several places has one table that names them all."""
    places: dict[type[BaseModel], list[str]] = {}
    rows: dict[tuple[type[BaseModel], str], list[FieldDoc]] = {}
    for item in fields_of(kind):
        place = item.path.rpartition(".")[0]
        if place not in places.setdefault(item.record, []):
            places[item.record].append(place)
        rows.setdefault((item.record, place), []).append(item)
    return [_table(found, rows[record, found[0]]) for record, found in places.items()]


def _table(places: list[str], fields: list[FieldDoc]) -> str:
    named = [f"`{place}`" for place in places if place]
    title = f"\n### {named[0]}\n" if named else ""
    also = f"\nAlso {', '.join(named[1:])}.\n" if len(named) > 1 else ""
    lines = ["| field | meaning | unit | type | default | allowed |", "|---|---|---|---|---|---|"]
    for item in fields:
        words = item.words
        cells = (f"`{item.name}`", item.meaning, words.unit, words.kind, item.default, words.allowed)
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return f"{title}{also}\n" + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(fields_page(), encoding="utf-8")
