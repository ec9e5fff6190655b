"""Operations on constants alone while an ONNX file is read, against NumPy: trained queries that attend to each other before any input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from tests.importers.onnx_models import imported, make, naive, node, save

RANDOM = np.random.default_rng(5)
QUERIES, WEIGHTS = RANDOM.normal(size=(2, 4, 6)).astype(np.float32), RANDOM.normal(size=(6, 18)).astype(np.float32)
GAMMA, LAST = RANDOM.normal(size=6).astype(np.float32), RANDOM.normal(size=(6, 3)).astype(np.float32)


def normalized(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * GAMMA


def test_trained_queries_attend_to_each_other(tmp_path: Path) -> None:
    """A decoder's first layer: LayerNorm(q), one product split into three, softmax(q k') v, of two groups of four queries."""
    nodes = [
        node("LayerNormalization", ["queries", "gamma"], ["n"]),
        node("MatMul", ["n", "weights"], ["qkv"]),
        node("Split", ["qkv"], ["q", "k", "v"], axis=-1, num_outputs=3),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["scores"]),
        node("Softmax", ["scores"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["a"]),
        node("Reshape", ["a", "shape"], ["rows"]),
        node("Add", ["x", "rows"], ["z"]),
        node("MatMul", ["z", "last"], ["y"]),
    ]
    constants = {"queries": QUERIES, "gamma": GAMMA, "weights": WEIGHTS, "last": LAST, "shape": np.array([1, 8, 6])}
    trace = imported(make(nodes, (1, 8, 6), constants), tmp_path)
    q, k, v = np.split(normalized(QUERIES) @ WEIGHTS, 3, axis=-1)
    powers = np.exp(q @ k.transpose(0, 2, 1))
    x = RANDOM.normal(size=(1, 8, 6)).astype(np.float32)
    wanted = (x + (powers / powers.sum(-1, keepdims=True) @ v).reshape(1, 8, 6)) @ LAST
    np.testing.assert_allclose(naive(trace, x), wanted[0], rtol=0, atol=1e-5 * np.abs(wanted).max())
    assert trace.macs == 8 * 6 * 3


@pytest.mark.parametrize(
    ("op", "function"),
    [
        ("Relu", lambda c: np.maximum(c, 0)),
        ("Tanh", np.tanh),
        ("Sigmoid", lambda c: 1 / (1 + np.exp(-c))),
        ("LeakyRelu", lambda c: np.where(c < 0, 0.01 * c, c)),
        ("ReduceL2", lambda c: np.sqrt((c**2).sum(keepdims=True))),
    ],
)
def test_a_function_of_a_constant_is_computed(op: str, function: Any, tmp_path: Path) -> None:
    nodes = [node(op, ["c"], ["f"]), node("Mul", ["x", "f"], ["z"]), node("MatMul", ["z", "last"], ["y"])]
    trace = imported(make(nodes, (1, 5, 6), {"c": QUERIES[0, 0], "last": LAST}), tmp_path)
    x = RANDOM.normal(size=(1, 5, 6)).astype(np.float32)
    wanted = (x * function(QUERIES[0, 0])) @ LAST
    np.testing.assert_allclose(naive(trace, x), wanted[0], rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_constant_that_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    nodes = [node("LayerNormalization", ["c", "g"], ["n"]), node("Add", ["x", "n"], ["z"]), node("MatMul", ["z", "last"], ["y"])]
    path = save(make(nodes, (1, 4, 6), {"c": QUERIES[0], "g": np.ones(5, np.float32), "last": LAST}), tmp_path)
    with pytest.raises(ImportModelError, match=r"LayerNormalization.*cannot compute it of its constants: ") as caught:
        import_model(path)
    assert "\n" not in str(caught.value)


INTEGERS, TRUTH, FLOATS = TensorProto.INT32, TensorProto.BOOL, TensorProto.FLOAT


def cast(source: str, to: int) -> Any:
    return node("Cast", [source], [f"{source}{to}"], to=to)


@pytest.mark.parametrize(
    ("steps", "function"),
    [
        ([cast("r", INTEGERS), cast(f"r{INTEGERS}", FLOATS)], np.trunc),
        ([cast("r", TRUTH), cast(f"r{TRUTH}", FLOATS)], lambda x: x != 0),
        ([node("Equal", ["r", "zero"], ["e"]), cast("e", FLOATS)], lambda x: x == 0),
    ],
    ids=["integers", "truth values", "equal"],
)
def test_a_cast_of_an_activation_is_computed(steps: list[Any], function: Any, tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["r"]), *steps, node("MatMul", [steps[-1].output[0], "last"], ["y"])]
    trace = imported(make(nodes, (1, 5, 6), {"last": LAST, "zero": np.float32(0)}), tmp_path)
    x = 3 * RANDOM.normal(size=(1, 5, 6)).astype(np.float32)
    wanted = function(np.maximum(x, 0)).astype(np.float32) @ LAST
    np.testing.assert_allclose(naive(trace, x), wanted[0], rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("first", "ops"),
    [
        (node("ArgMax", ["x"], ["i"], axis=-1), ["argmax", "gemm"]),
        (node("QuantizeLinear", ["x", "scale", "zero"], ["i"]), ["affine", "gemm"]),
    ],
)
def test_a_cast_of_integers_is_no_layer(first: Any, ops: list[str], tmp_path: Path) -> None:
    nodes = [first, cast("i", INTEGERS), cast(f"i{INTEGERS}", FLOATS), node("MatMul", [f"i{INTEGERS}{FLOATS}", "w"], ["y"])]
    weights = LAST[:1] if ops[0] == "argmax" else LAST
    trace = imported(make(nodes, (1, 5, 6), {"w": weights, "scale": np.float32(0.02), "zero": np.uint8(128)}), tmp_path)
    assert [layer.op for layer in trace.layers] == ops


def test_a_cast_of_integers_to_truth_values_is_computed(tmp_path: Path) -> None:
    """1 where the largest element is not the first of its row."""
    nodes = [
        node("ArgMax", ["x"], ["i"], axis=-1),
        cast("i", TRUTH),
        cast(f"i{TRUTH}", FLOATS),
        node("MatMul", [f"i{TRUTH}{FLOATS}", "w"], ["y"]),
    ]
    trace = imported(make(nodes, (1, 5, 6), {"w": LAST[:1]}), tmp_path)
    x = RANDOM.normal(size=(1, 5, 6)).astype(np.float32)
    x[0, :2, 0] = 9
    wanted = (x.argmax(-1) != 0)[0, :, None].astype(np.float32) @ LAST[:1]
    np.testing.assert_allclose(naive(trace, x), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
