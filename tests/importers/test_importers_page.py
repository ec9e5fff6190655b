"""docs/importers.md says which ONNX operations are understood: the page and the tables are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from accelsim.importers.from_onnx import definitions, ops
from accelsim.importers.from_onnx.fold import FOLDERS
from accelsim.importers.from_onnx.recurrent import RECURRENT

PAGE = (Path(__file__).parents[2] / "docs" / "importers.md").read_text()
TABLES = {
    "layers": ops.LAYERS,
    "folded": ops.FOLDED,
    "quantized": ops.QUANTIZED,
    "steps of a function": ops.FUNCTIONS,
    "views": ops.VIEWS,
    "spelled out by others": {*definitions.FUNCTIONS, *(f"com.microsoft.{name}" for name in definitions.FUSED)},
    "written out step by step": RECURRENT,
    "computed on constants alone": FOLDERS,
}


@pytest.mark.parametrize("row", TABLES)
def test_the_page_lists_the_operations_of_the_table(row: str) -> None:
    (listed,) = re.findall(rf"^\| {row} \| (.*) \|$", PAGE, re.MULTILINE)
    assert re.findall(r"`([^`]+)`", listed) == sorted(TABLES[row])


def test_every_operation_has_one_row() -> None:
    apart = ("computed on constants alone", "spelled out by others", "written out step by step")
    parts = [table for row, table in TABLES.items() if row not in apart]
    assert sum(len(table) for table in parts) + len(ops.NAMED) == len(ops.HANDLERS)
