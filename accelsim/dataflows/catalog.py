"""Dataflows by name, and which weight formats they take."""

from __future__ import annotations

from accelsim.dataflows.dataflow import Dataflow
from accelsim.errors import CompileError
from accelsim.formats.weight_format import WeightFormat
from accelsim.registry import lookup, members

_PACKAGE = "accelsim.dataflows"


def dataflow_kinds() -> tuple[str, ...]:
    """Names of all dataflows."""
    return tuple(members(_PACKAGE))


def find_dataflow(kind: str) -> Dataflow:
    """The dataflow of a name; CompileError with the known ones."""
    found: Dataflow = lookup(_PACKAGE, kind, "dataflow", CompileError).SPEC()
    return found


def check_format(kind: str, weight_format: WeightFormat) -> None:
    """Check that weights in this format can run the dataflow of this name.

    Raises
    ------
    CompileError
        An unknown dataflow, or a pair that no unit computes: says why and what is allowed.
    """
    find_dataflow(kind).check_format(weight_format)
