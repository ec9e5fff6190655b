"""Members that a test adds to a package of the registry from a folder of its own, as somebody who extends accelsim would write them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from accelsim.registry import members


@contextmanager
def added_member(package: str, folder: Path, name: str, source: str) -> Iterator[None]:
    """`package` (such as 'accelsim.formats') with the module `name` of `source` in it; afterwards as it was before."""
    (folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
    parent = importlib.import_module(package)
    parent.__path__.append(str(folder))
    importlib.invalidate_caches()
    members.cache_clear()
    try:
        yield
    finally:
        parent.__path__.remove(str(folder))
        sys.modules.pop(f"{package}.{name}", None)
        vars(parent).pop(name, None)
        members.cache_clear()
