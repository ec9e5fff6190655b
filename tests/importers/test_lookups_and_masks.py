"""Indices, filled inputs and masks in small ONNX models: rows of tables arrive as inputs, causal masks are the softmax's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import ImportModelError, TraceError
from accelsim.importers.import_model import import_model
from accelsim.ops.softmax import SoftmaxLayer
from accelsim.simulation import simulate
from accelsim.trace.layers import TensorShape
from tests.importers.onnx_models import assert_equal, imported, make, naive_and_bound, node, random, save

X3 = random(1, 5, 8)
LOWER = np.tri(5, dtype=bool)
TABLE = random(11, 8)


NUMBERS = {"nil": np.array(0), "one": np.array(1), "few": np.arange(3), "nil1": np.array([0]), "one1": np.array([1])}


def with_ids(nodes: list[Any], constants: dict[str, np.ndarray], element: int = TensorProto.INT64) -> onnx.ModelProto:
    return make(nodes, (1, 5), constants, element=element)


@pytest.mark.parametrize("element", [TensorProto.INT64, TensorProto.INT32])
def test_rows_of_a_table_arrive_as_an_input(element: int, tmp_path: Path) -> None:
    model = with_ids(
        [node("Gather", ["table", "x"], ["e"]), node("MatMul", ["e", "w"], ["y"])], {"table": TABLE, "w": random(8, 4)}, element
    )
    trace = imported(model, tmp_path)
    ids = np.array([[3, 1, 4, 1, 10]], dtype=helper.tensor_dtype_to_np_dtype(element))
    (expected,) = ReferenceEvaluator(model).run(None, {"x": ids})
    found, bound = naive_and_bound(trace, TABLE[ids])
    np.testing.assert_allclose(found, expected[0], rtol=0, atol=bound)
    assert [item.shape.dims for item in trace.manifest.inputs] == [(1, 5, 8)]
    assert trace.parameters == 8 * 4
    assert "'table' (11 x 8) is no part of the trace" in trace.manifest.notes[0]


def test_integers_computed_from_ids_name_rows_too(tmp_path: Path) -> None:
    """Columns 1 to 3 of the ids, with an offset each: rows of one table, as one of several fields has them."""
    nodes = [
        node("Slice", ["x", "from", "to", "axis"], ["part"]),
        node("Add", ["part", "offsets"], ["places"]),
        node("Gather", ["table", "places"], ["e"]),
        node("MatMul", ["e", "w"], ["y"]),
    ]
    whole = {"from": np.array([1]), "to": np.array([4]), "axis": np.array([1]), "offsets": np.array([0, 3, 6])}
    model = with_ids(nodes, {"table": TABLE, "w": random(8, 4), **whole})
    trace = imported(model, tmp_path)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": np.array([[9, 2, 1, 4, 9]])})
    found, bound = naive_and_bound(trace, TABLE[[[2, 4, 10]]])
    np.testing.assert_allclose(found, expected[0], rtol=0, atol=bound)
    assert "its rows that integers computed from 'x' name arrive as input" in trace.manifest.notes[0]


def test_a_filled_input_is_a_constant(tmp_path: Path) -> None:
    nodes = [node("Gather", ["table", "x"], ["rows"]), node("Add", ["h", "rows"], ["s"]), node("MatMul", ["s", "w"], ["y"])]
    model = make(nodes, (1, 5), {"table": TABLE, "w": random(8, 4)}, element=TensorProto.INT64)
    model.graph.input.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 5, 8]))
    trace = import_model(save(model, tmp_path), fill={"x": 2})
    assert [layer.op for layer in trace.layers] == ["embed", "gemm"]
    found, bound = naive_and_bound(trace, X3)
    np.testing.assert_allclose(found, (X3[0] + TABLE[2]) @ random(8, 4), rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Relu", ["x"], ["y"])], "the integers of input 'x' (if all elements are equal, give --fill x=VALUE)"),
        ([node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)], "--fill x=VALUE"),
        ([node("Gather", ["table", "x"], ["y"], axis=1)], "looks up columns; allowed: rows of a table"),
        ([node("Gather", ["cube", "x"], ["y"])], "into a table of shape (2, 3, 4)"),
        ([node("Identity", ["x"], ["y"])], "output 'y' is the integers of input 'x'"),
        (  # as many rows as the largest id says
            [
                node("ReduceMax", ["x"], ["most"], keepdims=0),
                node("Range", ["nil", "most", "one"], ["ids"]),
                node("Gather", ["table", "ids"], ["y"]),
            ],
            "node 'ids' (Range)",
        ),
        (
            [
                node("Slice", ["x", "nil1", "one1", "one1"], ["size"]),
                node("Reshape", ["size", "one1"], ["n"]),
                node("Tile", ["few", "n"], ["y"]),
            ],
            "node 'y' (Tile)",
        ),
    ],
)
def test_what_indices_cannot_do_is_named(nodes: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError) as caught:
        imported(with_ids(nodes, {"table": TABLE, "cube": random(2, 3, 4), **NUMBERS}), tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fill", "message"), [({"z": 1}, "--fill z=1: no input has this name"), ({"x": 1}, "does not depend on the input")]
)
def test_a_filling_of_nothing_or_of_everything_is_refused(fill: dict[str, int], message: str, tmp_path: Path) -> None:
    model = with_ids([node("Gather", ["table", "x"], ["y"])], {"table": TABLE})
    with pytest.raises(ImportModelError, match=message) as caught:
        import_model(save(model, tmp_path), fill=fill)
    assert "\n" not in str(caught.value)


def attention(*mask: Any) -> list[Any]:
    """One head whose scores 'p' a mask makes 'm'."""
    return [
        *(node("MatMul", ["x", f"w{name}"], [name]) for name in "qkv"), node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["p"]), *mask, node("Softmax", ["m"], ["a"], axis=-1), node("MatMul", ["a", "v"], ["c"]),
        node("MatMul", ["c", "o"], ["y"]),
    ]  # fmt: skip


WEIGHTS = {f"w{name}": random(8, 8, seed=index) for index, name in enumerate("qkv")} | {"o": random(8, 8, seed=9)}
MASKS = {
    "a sum": ([node("Add", ["p", "bias"], ["m"])], np.where(LOWER, 0, np.finfo(np.float32).min).astype(np.float32)[None]),
    "a sum with infinity": ([node("Add", ["bias", "p"], ["m"])], np.where(LOWER, 0, -np.inf).astype(np.float32)),
    "a choice": ([node("Where", ["bias", "p", "low"], ["m"])], LOWER[None]),
}


@pytest.mark.parametrize("form", MASKS)
def test_a_causal_mask_is_the_softmaxs(form: str, tmp_path: Path) -> None:
    nodes, mask = MASKS[form]
    trace = assert_equal(make(attention(*nodes), X3.shape, {**WEIGHTS, "bias": mask, "low": np.float32(-1e9)}), X3, tmp_path)
    (softmax,) = (layer for layer in trace.layers if isinstance(layer, SoftmaxLayer))
    assert softmax.mask == "causal"
    assert [layer.op for layer in trace.layers] == ["gemm", "gemm", "gemm", "matmul", "softmax", "matmul", "gemm"]


@pytest.mark.parametrize("form", ["is_causal", "truth values", "numbers"])
def test_the_attention_of_opset_23_may_be_causal(form: str, tmp_path: Path) -> None:
    mask = {"truth values": LOWER, "numbers": np.where(LOWER, 0, -1e9).astype(np.float32)}.get(form)
    fused = node("Attention", ["q", "k", "v", *(["bias"] if mask is not None else [])], ["c"], q_num_heads=2, kv_num_heads=2,
                 is_causal=int(mask is None))  # fmt: skip
    nodes = [*(node("MatMul", ["x", f"w{name}"], [name]) for name in "qkv"), fused, node("MatMul", ["c", "o"], ["y"])]
    model = make(nodes, X3.shape, WEIGHTS | ({} if mask is None else {"bias": mask}), opset=23)
    trace = assert_equal(model, X3, tmp_path)
    assert [layer.mask for layer in trace.layers if isinstance(layer, SoftmaxLayer)] == ["causal"]


@pytest.mark.parametrize("shown", [LOWER.T, np.tri(5, k=1, dtype=bool)], ids=["later tokens alone", "the next token too"])
def test_another_mask_is_a_bias_of_the_softmax(shown: np.ndarray, tmp_path: Path) -> None:
    mask = np.where(shown, 0, -1e9).astype(np.float32)
    trace = assert_equal(make(attention(node("Add", ["p", "bias"], ["m"])), X3.shape, {**WEIGHTS, "bias": mask}), X3, tmp_path)
    (softmax,) = (layer for layer in trace.layers if isinstance(layer, SoftmaxLayer))
    assert (softmax.mask, softmax.bias_groups, softmax.parameter_bytes) == (None, 1, 25)


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    mask = np.where(np.tri(4, dtype=bool), 0, -1e9).astype(np.float32)
    with pytest.raises(ImportModelError, match=r"do not fit together|allowed: "):
        imported(make(attention(node("Add", ["p", "bias"], ["m"])), X3.shape, {**WEIGHTS, "bias": mask}), tmp_path)


def test_masked_scores_are_read_by_a_softmax_alone(tmp_path: Path) -> None:
    nodes = [*attention(node("Add", ["p", "bias"], ["m"]))[:6], node("Relu", ["m"], ["y"])]
    with pytest.raises(ImportModelError, match="under a mask or a bias; allowed: an activation"):
        imported(make(nodes, X3.shape, {**WEIGHTS, "bias": np.where(LOWER, 0, -1e9).astype(np.float32)}), tmp_path)


def cycles(model: onnx.ModelProto, folder: Path) -> dict[str, int]:
    packed, _ = compress_trace(imported(model, folder), make_recipe("uniform:bits=8"))
    return dict(simulate(load_accelerator("edge-32x32"), packed).cycles)


def test_a_causal_mask_costs_nothing_and_saves_nothing(tmp_path: Path) -> None:
    nodes, mask = MASKS["a sum"]
    masked = cycles(make(attention(*nodes), X3.shape, {**WEIGHTS, "bias": mask}), tmp_path)
    assert masked == cycles(make(attention(node("Identity", ["p"], ["m"])), X3.shape, WEIGHTS), tmp_path)


def test_an_attention_of_one_head_runs_and_so_do_scores_that_no_softmax_reads(tmp_path: Path) -> None:
    # 6 products of a 5 x 8 input: q, k, v and o of 8 x 8, scores and context of 5 x 5
    assert imported(make(attention(node("Identity", ["p"], ["m"])), X3.shape, WEIGHTS), tmp_path).macs == 4 * 5 * 64 + 2 * 25 * 8
    relu = [*attention()[:5], node("Relu", ["p"], ["a"]), node("MatMul", ["a", "v"], ["c"]), node("MatMul", ["c", "o"], ["y"])]
    assert sum(cycles(make(relu, X3.shape, WEIGHTS), tmp_path).values()) > 0


def test_a_causal_mask_needs_as_many_rows_as_columns() -> None:
    with pytest.raises(TraceError, match="a causal mask of 4 rows of 5"):
        SoftmaxLayer(name="s", inputs=("p",), output=TensorShape(rows=4, width=5), mask="causal")
