"""An executed ONNX file writes what ONNX's reference evaluator returns: the file's names, orders and shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx  # after the check that the package is there
from onnx import TensorProto, helper
from onnx.helper import make_node as node
from onnx.reference import ReferenceEvaluator

from tests.importers.onnx_models import random, save
from tests.written_outputs import assert_written, written

Shapes = dict[str, tuple[int, ...]]
W = random(8, 8, seed=1)
CONV = random(4, 3, 3, 3, seed=2) / 3
LINEAR = node("MatMul", ["x", "w"], ["r"])
ROWS: Shapes = {"x": (1, 6, 8)}


def turned(source: str, result: str, *order: int) -> onnx.NodeProto:
    return node("Transpose", [source], [result], perm=list(order))


HEADS = [LINEAR, node("Reshape", ["r", "four"], ["s"]), turned("s", "h", 0, 2, 1, 3)]
FOUR = np.array([1, 6, 2, 4])
GRAPHS: dict[str, tuple[list[Any], dict[str, np.ndarray], Shapes, list[str]]] = {
    "as it is": ([LINEAR], {"w": W}, ROWS, ["r"]),
    "a transposed matrix": ([LINEAR, turned("r", "y", 0, 2, 1)], {"w": W}, ROWS, ["y"]),
    "a batch behind": ([LINEAR, turned("r", "y", 2, 1, 0)], {"w": W}, ROWS, ["y"]),
    "running sums of rows": ([LINEAR, node("CumSum", ["r", "axis"], ["y"])], {"w": W, "axis": np.array(1)}, ROWS, ["y"]),
    "heads": (HEADS, {"w": W, "four": FOUR}, ROWS, ["h"]),
    "products of heads": (
        [*HEADS, turned("h", "t", 0, 1, 3, 2), node("MatMul", ["h", "t"], ["y"])], {"w": W, "four": FOUR}, ROWS, ["y"],
    ),
    "a reshape after a permutation": (
        [LINEAR, turned("r", "t", 0, 2, 1), node("Reshape", ["t", "to"], ["y"])], {"w": W, "to": np.array([4, 12])}, ROWS, ["y"],
    ),
    "a part, transposed": (
        [LINEAR, node("Slice", ["r", "a", "b", "c"], ["t"]), turned("t", "y", 0, 2, 1)],
        {"w": W, "a": np.array([1]), "b": np.array([5]), "c": np.array([2])}, ROWS, ["y"],
    ),
    "several, one read inside": (
        [LINEAR, node("Relu", ["r"], ["a"]), turned("a", "b", 0, 2, 1), node("MatMul", ["a", "w"], ["c"])], {"w": W}, ROWS,
        ["b", "a", "c", "r"],
    ),
    "an image": ([node("Conv", ["x", "w"], ["y"])], {"w": CONV}, {"x": (1, 3, 6, 8)}, ["y"]),
    "channels last at both ends": (
        [turned("x", "t", 0, 3, 1, 2), node("Conv", ["t", "w"], ["r"]), turned("r", "y", 0, 2, 3, 1)], {"w": CONV},
        {"x": (1, 6, 8, 3)}, ["y"],
    ),
    "a flattened image": ([node("Conv", ["x", "w"], ["r"]), node("Flatten", ["r"], ["y"])], {"w": CONV}, {"x": (1, 3, 6, 8)}, ["y"]),
    "blocks of positions": (
        [node("Conv", ["x", "w"], ["r"]), node("DepthToSpace", ["r"], ["y"], blocksize=2)], {"w": CONV}, {"x": (1, 3, 6, 8)}, ["y"],
    ),
    "two inputs": (
        [LINEAR, turned("z", "t", 0, 2, 1), node("Add", ["r", "t"], ["y"]), turned("y", "u", 1, 0, 2)], {"w": W},
        {"x": (1, 6, 8), "z": (1, 8, 6)}, ["u", "y"],
    ),
    "a matrix without a batch": ([LINEAR, turned("r", "y", 1, 0)], {"w": W}, {"x": (6, 8)}, ["y"]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_an_ending_is_written_as_onnx_defines_it(name: str, tmp_path: Path) -> None:
    nodes, constants, shapes, outputs = GRAPHS[name]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape) for source, shape in shapes.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs],
        [onnx.numpy_helper.from_array(value, constant) for constant, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    inputs = {source: random(*shape, seed=5 + place) for place, (source, shape) in enumerate(shapes.items())}
    wanted = dict(zip(outputs, ReferenceEvaluator(model).run(None, inputs), strict=True))
    assert_written(written(save(model, tmp_path), inputs, tmp_path), wanted)
