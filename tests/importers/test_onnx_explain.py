"""`import --explain` lists every obstacle of a model at once, by node, with shapes and the nearest thing that is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.errors import ImportModelError
from accelsim.importers.import_model import explain_model
from tests.importers.onnx_models import make, node, random, save


def several(folder: Path) -> str:
    """Two unknown operations, a third behind a shape that nothing knows, and layers between them."""
    nodes: list[Any] = [
        node("MatMul", ["x", "w"], ["a"]), node("Hardmax", ["a"], ["b"], name="first"), node("MatMul", ["b", "v"], ["c"]),
        node("LpNormalization", ["c"], ["d"], name="second"),
        node("Sofmax", ["d"], ["e"], name="third", domain="own"), node("Relu", ["e"], ["y"]),
    ]  # fmt: skip
    return save(make(nodes, (1, 5, 8), {"w": random(8, 4), "v": random(4, 6)}), folder)


def test_all_obstacles_are_listed_with_their_shapes(tmp_path: Path) -> None:
    first, second, third = explain_model(several(tmp_path))
    assert first.message.startswith("node 'first' (Hardmax): operation 'Hardmax' is not understood")
    assert (first.shapes, first.behind) == (((1, 5, 4),), 0)
    assert second.message.startswith("node 'second' (LpNormalization): operation 'LpNormalization' is not understood; did you mean")
    assert second.shapes == ((1, 5, 6),)
    assert (third.message.partition(":")[0], third.shapes, third.behind) == ("node 'third' (own.Sofmax)", ((1, 5, 6),), 1)


def test_the_command_lists_them_and_fails(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["import", several(tmp_path), "--explain"])
    lines = outcome.stdout.splitlines()
    assert (outcome.exit_code, len(lines), lines[-1]) == (1, 4, "3 obstacles")
    assert lines[2].endswith("[operands 1x5x6]; 1 nodes behind it are not judged")
    found = json.loads(CliRunner().invoke(app, ["import", several(tmp_path), "--explain", "--json"]).stdout)
    assert [item["behind"] for item in found] == [0, 0, 1]


def test_a_model_that_imports_has_no_obstacles(tmp_path: Path) -> None:
    assert explain_model(save(make([node("MatMul", ["x", "w"], ["y"])], (1, 5, 8), {"w": random(8, 4)}), tmp_path)) == ()


def test_an_input_that_is_refused_does_not_hide_the_rest(tmp_path: Path) -> None:
    obstacles = explain_model(save(make([node("Det", ["x"], ["y"])], (4, 3, 8, 8)), tmp_path))
    assert ["--batch 4" in obstacles[0].message, "Det" in obstacles[1].message] == [True, True]


def test_an_unknown_operation_does_not_print_the_table(tmp_path: Path) -> None:
    constant = node("Constant", [], ["c"], value_floats=[1.0, 2.0])
    (obstacle,) = explain_model(save(make([constant, node("Det", ["c"], ["t"]), node("Mul", ["x", "t"], ["y"])], (1, 5, 2)), tmp_path))
    assert obstacle.message == "node 't' (Det): Det of constants alone is not computed"


def test_other_models_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"--explain of 'net\.pt2': allowed: a file named"):
        explain_model("net.pt2")
    with pytest.raises(ImportModelError, match="no such file"):
        explain_model(str(tmp_path / "none.onnx"))
