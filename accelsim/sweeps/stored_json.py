"""Columns of a store that hold JSON: lists of texts, and the values of axes; checked, as others may have written the file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from accelsim.errors import ConfigError
from accelsim.reading import parse_json
from accelsim.wording import shown


def texts(path: Path, column: str, stored: Any) -> tuple[str, ...]:
    """A JSON list of texts; ConfigError for anything else."""
    found = _parsed(stored)
    if not (isinstance(found, list) and all(isinstance(item, str) for item in found)):
        raise ConfigError(f"{path}: column {column!r} has value {shown(stored)}; allowed: a JSON list of texts")
    return tuple(found)


def values_of_axes(path: Path, axes: Collection[str], stored: Any) -> dict[str, Any]:
    """A JSON object with a value for each of `axes`; ConfigError for anything else."""
    found = _parsed(stored)
    if not (isinstance(found, dict) and all(name in found for name in axes)):
        wanted = ", ".join(axes) or "no axis"
        raise ConfigError(f"{path}: column 'axes' of a point has value {shown(stored)}; allowed: a JSON object with a value for {wanted}")
    return found


def _parsed(stored: Any) -> Any:
    """Plain data of a text; None if it is no JSON."""
    try:
        return parse_json(stored)
    except (ValueError, TypeError):  # no JSON, or no text
        return None
