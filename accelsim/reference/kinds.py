"""The kinds of files that people write or read, and the record behind each; a record is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.errors import ConfigError
from accelsim.registry import suggest

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes
    ----------
    title : heading, in a few words
    module, record : the class that reads it, `accelsim.MODULE.RECORD`
    example : a file of this kind, as a person would name it
    """

    title: str
    module: str
    record: str
    example: str

    def load(self) -> type[BaseModel]:
        """The record's class."""
        found: type[BaseModel] = getattr(importlib.import_module(f"accelsim.{self.module}"), self.record)
        return found


KINDS: Mapping[str, FileKind] = {
    "accelerator": FileKind("A chip and its memories", "accelerator", "Accelerator", "configs/accelerators/NAME.yaml"),
    "dram": FileKind("A DRAM device", "hw.dram.device", "DramDevice", "configs/dram/NAME.yaml"),
    "technology": FileKind("A technology for area and energy", "cost.technology", "Technology", "configs/technology/NAME.yaml"),
    "sweep": FileKind("A sweep over designs", "sweeps.spec", "SweepSpec", "configs/sweeps/NAME.yaml"),
    "recipe": FileKind("Formats by layer, for `accelsim compress --recipe`", "compression.recipe", "RecipeFile", "RECIPE.yaml"),
    "trace": FileKind("A network", "trace.manifest", "Manifest", "traces/NAME/trace.json"),
}


def find_kind(name: str) -> FileKind:
    """The kind of a name; ConfigError with the known ones."""
    if name not in KINDS:
        raise ConfigError(f"unknown kind of file {name!r}; known: {', '.join(KINDS)}{suggest(name, KINDS)}")
    return KINDS[name]
