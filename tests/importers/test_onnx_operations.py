"""Single ONNX operations before a product, against the onnx package's reference evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from accelsim.accelerator import load_accelerator
from accelsim.errors import CompileError, ImportModelError
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate
from tests import naive_graph

ROWS, IMAGE, VOLUME = (1, 6, 8), (1, 4, 5, 6), (1, 2, 3, 4, 5)
RANDOM = np.random.default_rng(3)
Constants = dict[str, Any]


def weights(*shape: int) -> Any:
    return RANDOM.normal(size=shape).astype(np.float32)


def whole(*values: int) -> Any:
    return np.array(values, np.int64)


# operation: (its name, shape of x, the other operands in order, its attributes)
CASES: dict[str, tuple[str, tuple[int, ...], Constants, dict[str, Any]]] = {
    "reflect": ("Pad", IMAGE, {"p": whole(0, 0, 2, 1, 0, 0, 1, 3)}, {"mode": "reflect"}),
    "edge": ("Pad", IMAGE, {"p": whole(0, 0, 2, 1, 0, 0, 1, 3)}, {"mode": "edge"}),
    "wrap": ("Pad", IMAGE, {"p": whole(0, 0, 2, 1, 0, 0, 1, 3)}, {"mode": "wrap"}),
    "cubic": ("Resize", IMAGE, {"r": weights(0), "s": weights(0), "n": whole(1, 4, 7, 4)}, {"mode": "cubic"}),
    "linear, asymmetric": (
        "Resize", IMAGE, {"r": weights(0), "s": weights(0), "n": whole(1, 4, 7, 4)},
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
    ),
    "scales": ("Resize", IMAGE, {"r": weights(0), "s": np.array([1, 1, 1.3, 0.7], np.float32)}, {"mode": "linear"}),
    "nearest": ("Resize", IMAGE, {"r": weights(0), "s": weights(0), "n": whole(1, 4, 7, 4)}, {"mode": "nearest"}),
    "nearest, up": (
        "Resize", IMAGE, {"r": weights(0), "s": weights(0), "n": whole(1, 4, 7, 4)},
        {"mode": "nearest", "nearest_mode": "ceil", "coordinate_transformation_mode": "asymmetric"},
    ),
    "volume": (
        "Conv", VOLUME, {"w": weights(4, 1, 2, 3, 2), "b": weights(4)}, {"group": 2, "pads": [0, 1, 0, 1, 1, 1], "strides": [1, 1, 2]},
    ),
    "lines skipped": ("Conv", VOLUME, {"w": weights(3, 2, 2, 2, 2)}, {"strides": [1, 2, 1], "dilations": [1, 2, 1]}),
    "pool of a volume": ("MaxPool", VOLUME, {}, {"kernel_shape": [2, 2, 3], "strides": [1, 2, 1]}),
    "mean of a volume": ("GlobalAveragePool", VOLUME, {}, {}),
    "transposed, cut": ("ConvTranspose", IMAGE, {"w": weights(4, 3, 3, 3)}, {"strides": [3, 2], "pads": [1, 2, 1, 2]}),
    "sums": ("CumSum", ROWS, {"a": np.array(1, np.int64)}, {}),
    "sums before, reversed": ("CumSum", ROWS, {"a": np.array(2, np.int64)}, {"exclusive": 1, "reverse": 1}),
    "smallest": ("ReduceMin", ROWS, {"a": whole(1)}, {}),
    "product": ("ReduceProd", ROWS, {"a": whole(1)}, {}),
    "largest of three": ("Max", ROWS, {"a": weights(1, 6, 8), "b": weights(8)}, {}),
    "smallest of two": ("Min", ROWS, {"a": weights(8)}, {}),
    "tiled": ("Tile", ROWS, {"t": whole(1, 2, 3)}, {}),
    "upper": ("Trilu", ROWS, {"k": np.array(1, np.int64)}, {}),
    "rows by number": ("Gather", ROWS, {"i": np.array([[0, 2], [-1, 2]], np.int64)}, {"axis": 1}),
    "backwards": ("Slice", ROWS, {"s": whole(5), "e": whole(-7), "a": whole(1), "t": whole(-2)}, {}),
    "a column per row": ("Einsum", ROWS, {"b": weights(6, 8, 5)}, {"equation": "bij,ijk->bik"}),
    "both ways": ("Einsum", ROWS, {"b": weights(8, 5)}, {"equation": "...j,jk->k..."}),
    "soft": ("Shrink", ROWS, {}, {"lambd": 0.5, "bias": 0.5}),
    "hard": ("Shrink", ROWS, {}, {"lambd": 0.3}),
    "above": ("ThresholdedRelu", ROWS, {}, {"alpha": 0.4}),
    "sine": ("Sinh", ROWS, {}, {}),
    "stairs": ("Floor", ROWS, {}, {}),
    "sum that repeats a column": ("Add", (1, 6, 1), {"a": weights(6, 8)}, {}),
    "sum that repeats rows": ("Sub", (1, 1, 8), {"a": weights(3, 6, 1)}, {}),
    "over two dimensions": ("LayerNormalization", ROWS, {"g": weights(6, 8), "b": weights(6, 8)}, {"axis": 1}),
}  # fmt: skip


def model_of(op: str, shape: tuple[int, ...], others: Constants, attributes: dict[str, Any], last: int) -> onnx.ModelProto:
    """x through the operation, as rows, through a product with `last` rows of weights."""
    nodes = [
        helper.make_node(op, ["x", *others], ["y"], **attributes),
        helper.make_node("Reshape", ["y", "rows"], ["z"]),
        helper.make_node("MatMul", ["z", "weights"], ["out"]),
    ]
    stored = {**others, "rows": whole(1, -1, last), "weights": weights(last, 3)}
    graph = helper.make_graph(
        nodes, "one", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@pytest.mark.parametrize("name", CASES)
def test_an_operation_has_the_reference_s_values(name: str, tmp_path: Path) -> None:
    op, shape, others, attributes = CASES[name]
    x = weights(*shape)
    alone = helper.make_graph(
        [helper.make_node(op, ["x", *others], ["y"], **attributes)], "alone",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in others.items()],
    )  # fmt: skip
    (found,) = ReferenceEvaluator(helper.make_model(alone, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)).run(None, {"x": x})
    model = model_of(op, shape, others, attributes, found.shape[-1])
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    onnx.save(model, tmp_path / "m.onnx")
    trace = import_model(str(tmp_path / "m.onnx"))
    (source,) = trace.manifest.inputs
    result = naive_graph.run_float(trace, {source.name: x.reshape(source.shape.dims)}, 1e-5)[trace.manifest.outputs[0]]
    np.testing.assert_allclose(result.reshape(wanted.shape), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_an_output_that_is_a_part_of_a_tensor_is_that_part(tmp_path: Path) -> None:
    """Rows 1 to 2 of a product: 2 x 3 elements, not the 6 x 3 of the product."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Slice", ["y", "s", "e", "a"], ["out"])]
    stored = {"w": weights(8, 3), "s": whole(1), "e": whole(3), "a": whole(1)}
    graph = helper.make_graph(
        nodes, "part", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ROWS)],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, (1, 2, 3))],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), tmp_path / "m.onnx")
    trace = import_model(str(tmp_path / "m.onnx"))
    last = trace.layers[-1]
    assert (trace.manifest.outputs, last.output.dims) == ((last.name,), (1, 2, 3))


def test_a_padding_below_0_takes_rows_off(tmp_path: Path) -> None:
    """The first of six rows goes, and two of 0.5 follow the last; the reference evaluator knows no padding below 0."""
    model = model_of("Pad", ROWS, {"p": whole(0, -1, 0, 0, 2, 0), "v": np.float32(0.5)}, {}, 8)
    onnx.save(model, tmp_path / "m.onnx")
    trace, x = import_model(str(tmp_path / "m.onnx")), weights(*ROWS)
    stored = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    wanted = np.concatenate([x[:, 1:], np.full((1, 2, 8), 0.5)], 1) @ stored["weights"]
    (source,) = trace.manifest.inputs
    result = naive_graph.run_float(trace, {source.name: x}, 1e-5)[trace.manifest.outputs[0]]
    np.testing.assert_allclose(result.reshape(wanted.shape), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_the_place_of_the_largest_element_counts_along_its_dimension(tmp_path: Path) -> None:
    """The third of four channels wins at each position but the first, where the second does."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("ArgMax", ["y"], ["out"], axis=2, keepdims=0)]
    graph = helper.make_graph(
        nodes, "class", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 3, 4))],
        [helper.make_tensor_value_info("out", onnx.TensorProto.INT64, (1, 3))], [numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), tmp_path / "m.onnx")
    trace = import_model(str(tmp_path / "m.onnx"))
    x = np.array([[0, 4, 3, 1], [1, 1, 2, 0], [-3, -1, 0, -2]], np.float64)[None]
    (source,) = trace.manifest.inputs
    assert naive_graph.run_float(trace, {source.name: x}, 1e-5)[trace.manifest.outputs[0]].reshape(-1).tolist() == [1, 2, 2]


def test_indices_in_more_runs_than_a_few_are_refused(tmp_path: Path) -> None:
    order = RANDOM.permutation(300)
    model = model_of("Gather", (1, 300, 8), {"i": order}, {"axis": 1}, 8)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ImportModelError, match=r"in [0-9]+ runs that are evenly apart; allowed: at most 64 runs"):
        import_model(str(tmp_path / "m.onnx"))


def test_a_network_without_a_product_imports_and_is_refused_by_a_run(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("GlobalMaxPool", ["x"], ["y"])], "pool", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, IMAGE)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), tmp_path / "m.onnx")
    with pytest.raises(CompileError, match="multiplies by weights or by activations; allowed: at least one product"):
        simulate(load_accelerator("edge-32x32"), import_model(str(tmp_path / "m.onnx")))
