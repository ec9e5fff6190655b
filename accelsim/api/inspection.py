"""The facts of a trace as plain data that prints itself in a few lines."""

from __future__ import annotations

from typing import Any

from accelsim.api.display import html_table, short_text
from accelsim.report.tables.text import clean, count

_WIDTH = 100  # characters of a line of the repr


class Inspection(dict[str, Any]):
    """A dict of a trace's facts; its repr names the columns of its tables instead of their rows."""

    def _facts(self) -> list[tuple[str, str]]:
        return [(name, _in_short(value)) for name, value in self.items() if value not in ("", None, [], {})]

    def __repr__(self) -> str:
        found = self._facts()
        width = max((len(name) for name, _ in found), default=0)
        return short_text(_cut(f"{name.ljust(width)}  {text}") for name, text in found)

    def _repr_html_(self) -> str:
        return html_table("Inspection", self._facts())


def _in_short(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{count(len(value))} row{'s' if len(value) > 1 else ''}: {', '.join(value[0])}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_short(item)}" if isinstance(item, str | int | float) else str(name) for name, item in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value)
    return clean(f"{value:.4g}" if isinstance(value, float) else str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
