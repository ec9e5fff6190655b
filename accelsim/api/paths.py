"""Paths as users give them: checked before anything is read or written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from accelsim.api.checks import wrong_type
from accelsim.errors import ConfigError, OutputError
from accelsim.registry import close_names, suggest
from accelsim.report.export.whole_file import FileKind, check_replaceable_file, new_file
from accelsim.wording import shown

MOST_BYTES, MOST_NAME_BYTES = 4095, 255  # of a path and of each name in it, as file systems allow
_JSON, _PAGE = ".json", (".html", ".htm")
# Endings of files that `saved` does not write; any other belongs to a folder's name, as in 'run.v2'
_OTHER_FILES = (".csv", ".txt", ".md", ".yaml", ".yml", ".toml", ".xml", ".xlsx", ".parquet", ".pkl", ".sqlite", ".zip", ".gz")
_PICTURES = (".svg", ".png", ".pdf", ".pgf", ".jpg")
_JSON_FILE = FileKind("the result of a run or a comparison", (_JSON,), b'"run_id"')


def path_of(what: str, path: object, allowed: str = "a path, as text or a Path") -> Path:
    """`path` as a Path; ConfigError for another type, or for a name that no file can have."""
    if not isinstance(path, str | Path):
        raise wrong_type(what, path, allowed)
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:
        raw = b"\0"
    if not raw or b"\0" in raw:
        raise ConfigError(f"{what}: {shown(str(path))} cannot be a file's name; allowed: {allowed}")
    if len(raw) > MOST_BYTES or max(map(len, raw.split(b"/"))) > MOST_NAME_BYTES:
        limits = f"at most {MOST_BYTES} bytes, {MOST_NAME_BYTES} per name"
        raise ConfigError(f"{what}: {shown(str(path))} is too long; allowed: {limits}")
    return Path(path)


def path_text(what: str, source: str | Path) -> str:
    """A preset's name as it is; a Path as text that cannot be taken for a name."""
    path = path_of(what, source)
    return source if isinstance(source, str) else str(path) if "/" in str(path) else f"./{path}"


def saved(path: str | Path, folder: Callable[[Path], Path], json: Callable[[], str], page: Callable[[], str]) -> Path:
    """Write a '.json' file, a '.html' page, or else a folder; OutputError for the ending of another kind of file, or a mistyped one."""
    target = path_of("path", path, "a folder's path, or that of a .json or .html file")
    ending = target.suffix.lower()
    if ending not in (_JSON, *_PAGE):
        known = ending in (*_OTHER_FILES, *_PICTURES)
        if not target.is_dir() and (known or close_names(ending, (_JSON, *_PAGE))):
            hint = "; `plot` makes pictures" if ending in _PICTURES else "" if known else suggest(ending, (_JSON, *_PAGE))
            raise OutputError(f"{target}: ends with {ending}; allowed: .json, .html, or a folder's name{hint}")
        return folder(target)
    check_replaceable_file(target, _JSON_FILE if ending == _JSON else _page_kind())
    with new_file(target) as file:
        file.write((json() if ending == _JSON else page()).encode())
    return target


def _page_kind() -> FileKind:
    from accelsim.report.html.page import PAGE_FILE

    return PAGE_FILE
