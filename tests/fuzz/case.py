"""One hostile input: the words of a command and the files that it reads, kept as JSON in the corpus."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A command that runs in a folder of its own.

    Attributes
    ----------
    reader : the reader of `tests.fuzz.readers` that it aims at
    words : after `accelsim`; files by their names in the folder
    files : name in the folder -> bytes
    """

    reader: str
    words: tuple[str, ...]
    files: Mapping[str, bytes]

    def write_files(self, folder: Path) -> None:
        """Write the files into a folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def save(self, path: Path) -> None:
        """Write the case as JSON: text as it is, other bytes in base 64."""
        files = {name: _written(content) for name, content in self.files.items()}
        content = {"reader": self.reader, "words": self.words, "files": files}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Case:
        """The case that `save` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        files = {name: _read(written) for name, written in content["files"].items()}
        return cls(content["reader"], tuple(content["words"]), files)


def _written(content: bytes) -> Mapping[str, str]:
    try:
        return {"text": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode("ascii")}


def _read(written: Mapping[str, str]) -> bytes:
    return written["text"].encode("utf-8") if "text" in written else base64.b64decode(written["base64"])
