"""Each layer of an ONNX file is traced to the node it comes from, by the name that a viewer of the file gives to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model, model_nodes
from tests.importers.onnx_models import make, node, save

RNG = np.random.default_rng(0)
WEIGHTS = {"w": RNG.normal(size=(16, 32)).astype(np.float32), "v": RNG.normal(size=(32, 8)).astype(np.float32)}
BIAS = RNG.normal(size=32).astype(np.float32)


def chain(names: dict[str, str]) -> onnx.ModelProto:
    """Product, bias, ReLU, softmax, product: five nodes, whose names are given by their outputs."""
    kinds = (
        ("MatMul", ["x", "w"], "a"),
        ("Add", ["a", "b"], "c"),
        ("Relu", ["c"], "d"),
        ("Softmax", ["d"], "e"),
        ("MatMul", ["e", "v"], "y"),
    )
    return make([node(op, inputs, [out], name=names.get(out, "")) for op, inputs, out in kinds], (1, 4, 16), {**WEIGHTS, "b": BIAS})


def test_a_layer_belongs_to_its_product_and_not_to_what_folds_into_it(tmp_path: Path) -> None:
    path = save(chain({"a": "fc1/MatMul", "c": "fc1/Add", "d": "act", "e": "soft", "y": "fc2"}), tmp_path)
    found = model_nodes(path)
    layers = import_model(path, seed=0).layers
    assert set(found.nodes) == {layer.name for layer in layers}
    by_op = {layer.op: found.nodes[layer.name] for layer in layers if not layer.macs}
    assert [found.nodes[layer.name] for layer in layers if layer.macs] == ["fc1/MatMul", "fc2"]
    assert by_op["softmax"] == "soft"
    assert set(by_op.values()) <= {"act", "soft"}
    assert (found.graph, found.nameless) == ("g", ())


def test_nodes_and_graphs_without_a_name_are_named_by_their_place(tmp_path: Path) -> None:
    model = chain({})
    model.graph.name = ""
    found = model_nodes(save(model, tmp_path))
    assert found.graph == "<main>"
    assert [name for layer, name in found.nodes.items() if name in ("<node_0>", "<node_4>")] == ["<node_0>", "<node_4>"]


def test_layers_inside_a_local_function_are_on_no_node_of_the_file(tmp_path: Path) -> None:
    body = [node("MatMul", ["p", "q"], ["r"]), node("Softmax", ["r"], ["s"])]
    function = onnx.helper.make_function("own", "Block", ["p", "q"], ["s"], body, [onnx.helper.make_opsetid("", 18)])
    model = make(
        [node("Block", ["x", "w"], ["h"], domain="own", name="block"), node("Relu", ["h"], ["y"], name="act")], (1, 4, 16), WEIGHTS
    )
    del model.graph.initializer[1]
    model.functions.append(function)
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    found = model_nodes(save(model, tmp_path))
    assert "block" in found.nodes.values()  # the softmax makes the call's output
    assert len(found.nameless) == 1


def test_only_onnx_files_have_nodes() -> None:
    with pytest.raises(ImportModelError, match=r"nodes of 'a\.pt2': allowed: a file named \*\.onnx"):
        model_nodes("a.pt2")
