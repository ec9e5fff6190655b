"""Values in a message, each as a file might write it, on one line whatever its size; and how many names or problems one message lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

SHOWN_CHARS = 80
SHOWN_PROBLEMS = 20


def shown(value: Any) -> str:
    """A value as its file might write it, on at most one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        text = " ".join(line.strip() for line in repr(list(value) if isinstance(value, tuple) else value).splitlines())
    except ValueError:  # Python writes no number of more than 4,300 digits
        text = "a number of thousands of digits"
    except RecursionError:
        text = "values nested too deeply to be shown"
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 3]}..."


def first_names(names: Sequence[str], most: int, between: str = ", ") -> str:
    """The first of some names, and how many more there are: 'a, b and 7 more'."""
    more = len(names) - most
    return between.join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def first_lines(lines: Iterable[str]) -> str:
    """The first 20 of a message's lines, and how many more there are."""
    found = list(lines)
    more = len(found) - SHOWN_PROBLEMS
    return "\n".join(found if more <= 0 else [*found[:SHOWN_PROBLEMS], f"and {more:,} more problems"])
