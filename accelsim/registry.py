"""Kinds found by folder: a module in `formats/` or `dataflows/` that defines `KIND` and `SPEC` adds a member by existing."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from accelsim.errors import AccelsimError, ConfigError


@dataclass(frozen=True)
class KnownNames:
    """The names that a text field takes, as metadata of its type: `policy: Annotated[str, KnownNames(lambda: POLICIES)]`.

    Attributes
    ----------
    names : read when they are shown, since a user's folder of presets adds some
    or_file : the path of a YAML file is taken too
    """

    names: Callable[[], Iterable[str]]
    or_file: bool = False

    def __str__(self) -> str:
        return either([*self.names(), *(["the path of a .yaml file"] if self.or_file else [])])


def either(items: Iterable[str]) -> str:
    """'a', 'a or b', 'a, b or c'."""
    *most, last = items
    return f"{', '.join(most)} or {last}" if most else last


def suggest(name: str, known: Iterable[str]) -> str:
    """'; did you mean 'ssvq'?' or '' for a mistyped name."""
    close = close_names(name, known)
    return f"; did you mean {close[0]!r}?" if close else ""


def close_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three names that resemble `name`, the closest first."""
    return difflib.get_close_matches(name, list(known), n=3)


@cache
def members(package: str) -> dict[str, ModuleType]:
    """Modules of `package` that define KIND, by that kind, in the order of their names."""
    parent = importlib.import_module(package)
    found: dict[str, ModuleType] = {}
    for info in sorted(pkgutil.iter_modules(parent.__path__), key=lambda item: item.name):
        module = importlib.import_module(f"{package}.{info.name}")
        kind = getattr(module, "KIND", None)
        if kind is not None:
            found[kind] = module
    return found


def lookup(package: str, kind: str, what: str, error: type[AccelsimError] = ConfigError) -> ModuleType:
    """The module of `kind` or of a name in its ALSO_KNOWN_AS, or `error` naming the known ones: "unknown format 'mvqq'; known: ..."."""
    known = members(package)
    named = dict(known)
    for module in known.values():
        named |= dict.fromkeys(getattr(module, "ALSO_KNOWN_AS", ()), module)
    if kind not in named:
        raise error(f"unknown {what} {kind!r}; known: {', '.join(sorted(known))}{suggest(kind, named)}")
    return named[kind]
