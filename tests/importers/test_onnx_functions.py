"""Local functions of an ONNX file: inlined, and counted before."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import helper

from accelsim.errors import ImportModelError
from tests.importers.onnx_models import assert_equal, imported, make, node, random

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]


def calling(bodies: dict[str, list[str]]) -> onnx.ModelProto:
    """A linear layer and a call of the first function; a body is a chain of operations, its own functions among them."""
    functions = []
    for name, chain in bodies.items():
        steps = [f"t{index}" for index in range(len(chain))]
        nodes = [
            node(op, [source], [target], domain="my" if op in bodies else "")
            for op, source, target in zip(chain, ["a", *steps], [*steps[:-1], "b"], strict=False)
        ]
        functions.append(helper.make_function("my", name, ["a"], ["b"], nodes, OPSETS))
    first = next(iter(bodies))
    model = make([node("MatMul", ["x", "w"], ["h"]), node(first, ["h"], ["y"], domain="my")], (1, 5, 8), {"w": random(8, 4)})
    model.opset_import.append(OPSETS[1])
    model.functions.extend(reversed(functions))  # the reference evaluator wants them in this order
    return model


def test_a_function_is_what_its_body_is(tmp_path: Path) -> None:
    model = calling({"Outer": ["Inner", "Sigmoid"], "Inner": ["Tanh", "Relu"]})
    assert [layer.op for layer in assert_equal(model, random(1, 5, 8), tmp_path).layers] == ["gemm", "tanh", "relu", "sigmoid"]


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        ({"F": ["F"]}, "the local function 'F' calls itself"),
        ({"F": ["G", "Relu"], "G": ["H"], "H": ["F"]}, "calls itself"),
        (
            {**{f"F{i}": [f"F{i + 1}"] * 2 for i in range(60)}, "F60": ["Relu"]},
            "1152921504606846977 nodes",
        ),
        ({**{f"F{i}": [f"F{i + 1}"] for i in range(3000)}, "F3000": ["Relu"]}, "cannot be inlined: Function call chain depth exceeds"),
    ],
)
def test_functions_that_never_end_or_grow_are_refused(bodies: dict[str, list[str]], message: str, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError) as caught:
        imported(calling(bodies), tmp_path)
    assert message in str(caught.value)
