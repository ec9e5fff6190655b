"""Operations that stand for others: what onnxruntime fuses when it saves an optimized model, and functions that ONNX itself defines."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from accelsim.errors import ImportModelError
from accelsim.trace.trace import Trace
from tests.importers.onnx_models import imported, make, naive_and_bound, node, random, rows

MICROSOFT: dict[str, Any] = {"domain": "com.microsoft"}
X3, X4 = random(1, 5, 8), random(1, 6, 9, 7)
CONV = {"w": random(4, 6, 3, 3), "b": random(4)}
NORM = {"gamma": random(8, seed=3), "beta": random(8, seed=4)}


class Definition(OpRun):
    """A fused operation by its definition in onnxruntime's list of contributed operators, in NumPy and ONNX's own operations."""

    op_domain = "com.microsoft"

    @staticmethod
    def own(op: str, *operands: np.ndarray, **attributes: Any) -> np.ndarray:
        names = [f"i{place}" for place in range(len(operands))]
        result = ReferenceEvaluator(helper.make_node(op, names, ["o"], **attributes)).run(None, dict(zip(names, operands, strict=True)))[0]
        return np.asarray(result)

    def activated(self, x: np.ndarray, activation: str | None, params: list[float]) -> tuple[np.ndarray]:
        functions = {
            "Relu": lambda: np.maximum(x, 0), "LeakyRelu": lambda: np.where(x < 0, params[0] * x, x), "Clip": lambda: np.clip(x, *params),
        }  # fmt: skip
        return ((functions[activation]() if activation else x).astype(np.float32),)


class FusedConv(Definition):
    def _run(self, x, w, b, z=None, pads=None, activation=None, activation_params=None):  # type: ignore[no-untyped-def]
        return self.activated(self.own("Conv", x, w, b, pads=pads) + (0 if z is None else z), activation, activation_params)


class FusedGemm(Definition):
    def _run(self, a, b, c, activation=None, activation_alpha=None):  # type: ignore[no-untyped-def]
        return self.activated(a @ b + c, activation, [activation_alpha])


class FusedMatMul(Definition):
    def _run(self, a, b, alpha=None, transA=None, transB=None):  # type: ignore[no-untyped-def]
        first, second = (np.swapaxes(value, -2, -1) if turned else value for value, turned in ((a, transA), (b, transB)))
        return (np.float32(1.0 if alpha is None else alpha) * (first @ second),)


class BiasGelu(Definition):
    def _run(self, x, b):  # type: ignore[no-untyped-def]
        return ((0.5 * (x + b) * (1 + np.vectorize(math.erf)((x + b) / math.sqrt(2)))).astype(np.float32),)


class FastGelu(Definition):
    def _run(self, x, b):  # type: ignore[no-untyped-def]
        y = x + b
        return ((0.5 * y * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))).astype(np.float32),)


class QuickGelu(Definition):
    def _run(self, x, alpha=None):  # type: ignore[no-untyped-def]
        return ((x / (1 + np.exp(-(1.702 if alpha is None else alpha) * x))).astype(np.float32),)


class SkipLayerNormalization(Definition):
    def _run(self, x, skip, gamma, beta, b=None, epsilon=None):  # type: ignore[no-untyped-def]
        total = x + skip + (0 if b is None else b)
        centred = total - total.mean(axis=-1, keepdims=True)
        normal = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
        return (normal * gamma + beta).astype(np.float32), total, total, total


class SkipSimplifiedLayerNormalization(Definition):
    def _run(self, x, skip, gamma, b=None, epsilon=None):  # type: ignore[no-untyped-def]
        total = x + skip + (0 if b is None else b)
        normal = total / np.sqrt((total**2).mean(axis=-1, keepdims=True) + epsilon)
        return (normal * gamma).astype(np.float32), total, total, total


DEFINITIONS = [
    FusedConv, FusedGemm, FusedMatMul, BiasGelu, FastGelu, QuickGelu, SkipLayerNormalization, SkipSimplifiedLayerNormalization,
]  # fmt: skip


def assert_as_defined(model: Any, x: np.ndarray, folder: Path) -> Trace:
    """The imported trace computes what the definitions compute of the file."""
    trace = imported(model, folder)
    (expected,) = ReferenceEvaluator(model, new_ops=DEFINITIONS).run(None, {"x": x})
    found, bound = naive_and_bound(trace, x)
    np.testing.assert_allclose(rows(expected), found, rtol=0, atol=bound + 1e-6)
    return trace


@pytest.mark.parametrize("attributes", [{}, {"activation": "Relu"}, {"activation": "Clip", "activation_params": [0.0, 0.5]}])
def test_fused_convolutions_take_their_activation(attributes: dict[str, Any], tmp_path: Path) -> None:
    conv = node("FusedConv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1], **attributes, **MICROSOFT)
    trace = assert_as_defined(make([conv], X4.shape, CONV), X4, tmp_path)
    assert trace.layers[0].op == "conv2d"


def test_a_fused_convolution_adds_its_residual(tmp_path: Path) -> None:
    square = {"w": random(6, 6, 3, 3), "b": random(6)}
    first = node("FusedConv", ["x", "w", "b"], ["h"], pads=[1, 1, 1, 1], **MICROSOFT)
    conv = node("FusedConv", ["h", "w", "b", "h"], ["y"], pads=[1, 1, 1, 1], activation="Relu", **MICROSOFT)
    trace = assert_as_defined(make([first, conv], X4.shape, square), X4, tmp_path)
    assert [layer.op for layer in trace.layers] == ["conv2d", "conv2d", "add", "relu"]


def test_fused_gemm_takes_its_activation(tmp_path: Path) -> None:
    gemm = node("FusedGemm", ["x", "w", "b"], ["y"], activation="LeakyRelu", activation_alpha=0.25, **MICROSOFT)
    assert_as_defined(make([gemm], (5, 8), {"w": random(8, 4), "b": random(4)}), X3[0], tmp_path)


@pytest.mark.parametrize("attributes", [{"transB": 1}, {"transB": 1, "alpha": 0.125}, {"alpha": 2.0}])
def test_fused_products_of_two_activations_turn_and_scale_them(attributes: dict[str, Any], tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "q"], ["a"]), node("MatMul", ["x", "k"], ["b"]),
        node("Transpose", ["b"], ["bt"], perm=[0, 2, 1]),
        node("FusedMatMul", ["a", "b" if "transB" in attributes else "bt"], ["y"], **attributes, **MICROSOFT),
    ]  # fmt: skip
    trace = assert_as_defined(make(nodes, X3.shape, {"q": random(8, 6), "k": random(8, 6, seed=1)}), X3, tmp_path)
    assert trace.macs == 2 * 5 * 8 * 6 + 5 * 5 * 6


def test_a_fused_product_with_a_turned_matrix_is_a_linear_layer(tmp_path: Path) -> None:
    product = node("FusedMatMul", ["x", "w"], ["y"], transB=1, alpha=0.5, **MICROSOFT)
    trace = assert_as_defined(make([product], X3.shape, {"w": random(4, 8)}), X3, tmp_path)
    assert [layer.op for layer in trace.layers] == ["gemm"]


@pytest.mark.parametrize("op", ["BiasGelu", "FastGelu", "QuickGelu"])
def test_fused_gelus(op: str, tmp_path: Path) -> None:
    operands = ["x"] if op == "QuickGelu" else ["x", "b"]
    assert_as_defined(make([node(op, operands, ["y"], **MICROSOFT)], X3.shape, {"b": random(8)}), X3, tmp_path)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("op", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_fused_residual_sums_and_norms(op: str, bias: bool, tmp_path: Path) -> None:
    vectors = ["gamma", "beta"] if op == "SkipLayerNormalization" else ["gamma"]
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node(op, ["x", "h", *vectors, *(["b"] if bias else [])], ["n", "", "", "sum"], epsilon=1e-5, **MICROSOFT),
        node("Add", ["n", "sum"], ["y"]),
    ]
    assert_as_defined(make(nodes, X3.shape, {"w": random(8, 8), "b": random(8, seed=5), **NORM}), X3, tmp_path)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("Selu", {}), ("Celu", {"alpha": 0.5}),
        ("LogSoftmax", {"axis": -1}), ("ReduceL1", {"axes": [-1]}), ("ReduceSumSquare", {"axes": [-1]}),
        ("ReduceLogSumExp", {"axes": [-1]}),
    ],
)  # fmt: skip
def test_functions_that_onnx_defines_are_spelled_out(op: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    given = {name: value for name, value in attributes.items() if name != "axes"}
    constants = {"axes": np.array(attributes["axes"], np.int64)} if "axes" in attributes else {}
    model = make([node(op, ["x", *constants], ["y"], **given)], X3.shape, constants)
    trace = imported(model, tmp_path)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": X3})
    found, bound = naive_and_bound(trace, X3)
    np.testing.assert_allclose(expected.reshape(-1), found.reshape(-1), rtol=0, atol=bound + 1e-6)


def test_a_fused_product_over_its_batch_is_refused(tmp_path: Path) -> None:
    product = node("FusedMatMul", ["x", "w"], ["y"], transBatchA=1, **MICROSOFT)
    with pytest.raises(ImportModelError, match="transBatchA or transBatchB moves the heads; allowed: 0"):
        imported(make([product], X3.shape, {"w": random(8, 4)}), tmp_path)
