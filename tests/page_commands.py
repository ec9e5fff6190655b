"""What a page tells its reader to type: command lines of accelsim, and blocks of Python."""

from __future__ import annotations

import re
from pathlib import Path

_COMMAND = re.compile(r"^(?:    |\| `)accelsim (.*)$")
_QUOTED = re.compile(r"`accelsim ([^`]+)`")
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    """The command lines of a page: indented ones, up to two spaces in a row (what follows explains) or a semicolon."""
    found = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if match := _COMMAND.match(line):
            for part in re.split(r"\s{2,}|`", match[1])[0].split("; accelsim "):
                found.append(part.strip())
    return [item for item in found if "..." not in item and "|" not in item]


def quoted_commands(page: Path) -> list[str]:
    """The command lines that stand in the text or the tables of a page, each once."""
    return list(dict.fromkeys(_QUOTED.findall(page.read_text(encoding="utf-8"))))


def python_blocks(page: Path) -> list[str]:
    """The fenced blocks of Python of a page."""
    return _PYTHON.findall(page.read_text(encoding="utf-8"))
