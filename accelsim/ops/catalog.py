"""The operations of the vector unit, as the registry finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from accelsim.ops.operation import VectorLayer
from accelsim.registry import members

_PACKAGE = "accelsim.ops"


@dataclass(frozen=True)
class PassRange:
    """Passes of the operations over a row: the field of a chip's `vector_unit.passes`."""

    default: int
    least: int
    note: str


def vector_operations() -> tuple[type[VectorLayer], ...]:
    """The records of all operations of the vector unit, in the order of their kinds' names."""
    return tuple(cast(type[VectorLayer], module.SPEC) for module in members(_PACKAGE).values())


def pass_ranges() -> dict[str, PassRange]:
    """The names that operations give their passes, sorted; several operations may share one."""
    found = {kind.pass_name: PassRange(kind.default_passes, kind.least_passes, kind.pass_note) for kind in vector_operations()}
    return dict(sorted(found.items()))


def imported_by_name() -> dict[str, tuple[type[VectorLayer], Mapping[str, Any]]]:
    """Operation of ONNX or of an exported PyTorch graph -> (its record class, fields of the record)."""
    return {name: (kind, fields) for kind in vector_operations() for name, fields in kind.importer_names.items()}
