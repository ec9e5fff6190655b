"""Quantized ONNX models: the trace computes their real values, up to the rounding that the reference evaluator does between layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from accelsim.errors import ImportModelError
from tests.importers.onnx_models import imported, make, naive_and_bound, node, random, rows

INT8, UINT8 = np.int8(0), np.uint8(0)
XS, WS, YS = np.float32(0.02), np.float32(0.01), np.float32(0.05)


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).integers(-127, 128, size=shape, dtype=np.int8)


def on_the_grid(*shape: int) -> np.ndarray:
    """Inputs that quantize without rounding."""
    return integers(*shape, seed=7).astype(np.float32) * XS


def assert_within_rounding(nodes: list[Any], constants: dict[str, np.ndarray], x: np.ndarray, steps: float, folder: Path) -> Any:
    """Equal up to so many quantization steps of the output."""
    model = make(nodes, x.shape, {"xs": XS, "ws": WS, "ys": YS, "i0": INT8, "u0": UINT8, **constants}, opset=19)
    trace = imported(model, folder)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    found, bound = naive_and_bound(trace, x)
    held = np.clip(found, -128 * YS, 127 * YS) if steps else found
    np.testing.assert_allclose(held, rows(expected.astype(np.float64)), rtol=0, atol=steps * float(YS) + bound)
    return trace


Q, DQ = node("QuantizeLinear", ["x", "xs", "i0"], ["xq"]), node("DequantizeLinear", ["yq", "ys", "i0"], ["y"])


def test_a_qdq_linear_layer_is_one_gemm_of_real_weights(tmp_path: Path) -> None:
    nodes = [
        Q, node("DequantizeLinear", ["xq", "xs", "i0"], ["xd"]), node("DequantizeLinear", ["w", "wv", "wz"], ["wd"], axis=1),
        node("MatMul", ["xd", "wd"], ["h"]), node("Add", ["h", "b"], ["y"]),
    ]  # fmt: skip
    scales = np.linspace(0.01, 0.04, 4, dtype=np.float32)
    constants = {"w": integers(8, 4), "wv": scales, "wz": np.zeros(4, dtype=np.int8), "b": random(4)}
    trace = assert_within_rounding(nodes, constants, on_the_grid(1, 5, 8), 0, tmp_path)
    assert [layer.op for layer in trace.layers] == ["gemm"]
    np.testing.assert_allclose(trace.weights(trace.layers[0].name), constants["w"] * scales, rtol=1e-6)


def test_sums_of_integer_products_take_their_scale_behind(tmp_path: Path) -> None:
    nodes = [
        Q, node("MatMulInteger", ["xq", "w", "i0", "i0"], ["s"]), node("Cast", ["s"], ["f"], to=1), node("Mul", ["xs", "ws"], ["both"]),
        node("Mul", ["f", "both"], ["m"]), node("Add", ["m", "b"], ["y"]),
    ]  # fmt: skip
    trace = assert_within_rounding(nodes, {"w": integers(8, 4), "b": random(4)}, on_the_grid(1, 5, 8), 0, tmp_path)
    assert [layer.op for layer in trace.layers] == ["gemm"]


def test_qlinear_matmul(tmp_path: Path) -> None:
    nodes = [Q, node("QLinearMatMul", ["xq", "xs", "i0", "w", "ws", "i0", "ys", "i0"], ["yq"]), DQ]
    assert_within_rounding(nodes, {"w": integers(8, 4)}, on_the_grid(1, 5, 8), 0.51, tmp_path)


def test_qlinear_conv_with_its_integer_bias(tmp_path: Path) -> None:
    names = ["xq", "xs", "i0", "w", "wv", "wz", "ys", "i0", "b"]
    nodes = [Q, node("QLinearConv", names, ["yq"], pads=[1, 1, 1, 1]), DQ]
    constants = {
        "w": integers(4, 3, 3, 3), "wv": np.linspace(0.001, 0.004, 4, dtype=np.float32), "wz": np.zeros(4, dtype=np.int8),
        "b": np.arange(-200, 200, 100, dtype=np.int32),
    }  # fmt: skip
    trace = assert_within_rounding(nodes, constants, on_the_grid(1, 3, 6, 6), 0.51, tmp_path)
    assert [layer.op for layer in trace.layers] == ["conv2d"]


def test_unsigned_integers_without_a_zero_point_are_a_relu(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["h"]), node("QuantizeLinear", ["h", "ys", "u0"], ["yq"]),
        node("DequantizeLinear", ["yq", "ys", "u0"], ["y"]),
    ]  # fmt: skip
    trace = assert_within_rounding(nodes, {"w": random(8, 4) / 3}, random(1, 5, 8), 0.51, tmp_path)
    assert [layer.op for layer in trace.layers] == ["gemm", "relu"]
    again = make([nodes[0], node("Relu", ["h"], ["r"]), node("QuantizeLinear", ["r", "ys", "u0"], ["yq"]), nodes[2]], (1, 5, 8), {
        "w": random(8, 4), "ys": YS, "u0": UINT8,
    })  # fmt: skip
    assert [layer.op for layer in imported(again, tmp_path).layers] == ["gemm", "relu"]


DYNAMIC = node("DynamicQuantizeLinear", ["x"], ["xq", "s", "p"])
SUM, FLOAT = node("MatMulInteger", ["xq", "w", "p", "wz"], ["i"]), node("Cast", ["i"], ["f"], to=1)


@pytest.mark.parametrize("zero_points", ["none", "one", "one a column"])
@pytest.mark.parametrize("scaled", ["together", "apart"])
def test_a_dynamically_quantized_linear_layer_is_one_gemm_of_real_weights(scaled: str, zero_points: str, tmp_path: Path) -> None:
    """As onnxruntime's quantize_dynamic writes it: the scale of the activation times that of the weights, times the sum of products."""
    zero = {"none": np.int8(0), "one": np.int8(3), "one a column": integers(4, seed=3)}[zero_points]
    scale = [node("Mul", ["s", "ws"], ["both"]), node("Mul", ["f", "both"], ["m"])]
    apart = [node("Mul", ["f", "s"], ["n"]), node("Mul", ["n", "ws"], ["m"])]
    nodes = [DYNAMIC, SUM, FLOAT, *(scale if scaled == "together" else apart), node("Add", ["b", "m"], ["y"])]
    constants = {"w": integers(8, 4), "wz": zero, "ws": WS, "b": random(4)}
    model = make(nodes, (1, 5, 8), constants)
    trace = imported(model, tmp_path)
    assert [layer.op for layer in trace.layers] == ["gemm"]
    real = (constants["w"].astype(np.float64) - zero) * WS
    np.testing.assert_allclose(trace.weights(trace.layers[0].name), real, rtol=1e-6)
    x = random(1, 5, 8)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    step = (x.max() - x.min()) / 255  # of the activations; each of the 8 rounds by half a step at most
    found, bound = naive_and_bound(trace, x)
    np.testing.assert_allclose(found, rows(expected), rtol=0, atol=float(step / 2 * np.abs(real).sum(axis=0).max()) + bound)
    told = ("activations that were quantized with a scale and a zero point of each inference", "1 weight tensors that the file")
    assert all(note.startswith(text) for note, text in zip(trace.manifest.notes[-2:], told, strict=True))


def test_microsofts_dynamic_product_is_the_same_layer(tmp_path: Path) -> None:
    constants = {"w": integers(8, 4), "wz": np.int8(3), "ws": np.linspace(0.01, 0.04, 4, dtype=np.float32), "b": random(4)}
    fused = node("DynamicQuantizeMatMul", ["x", "w", "ws", "wz", "b"], ["y"], domain="com.microsoft")
    trace = imported(make([fused], (1, 5, 8), constants), tmp_path)
    assert trace.parameters == 8 * 4 + 4
    np.testing.assert_allclose(trace.weights(trace.layers[0].name), (constants["w"] - 3.0) * constants["ws"], rtol=1e-6)


def test_zero_points_of_weights_are_taken_off_them(tmp_path: Path) -> None:
    x, constants = on_the_grid(1, 5, 8), {"w": integers(8, 4), "z": np.int8(3)}
    plain = [node("DequantizeLinear", ["w", "ws", "z"], ["wd"]), node("MatMul", ["x", "wd"], ["y"])]
    assert_within_rounding(plain, constants, x, 0, tmp_path)
    assert_within_rounding(
        [Q, node("QLinearMatMul", ["xq", "xs", "i0", "w", "ws", "z", "ys", "i0"], ["yq"]), DQ], constants, x, 0.51, tmp_path
    )


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [node("QuantizeLinear", ["x", "xs", "z"], ["xq"]), node("DequantizeLinear", ["xq", "xs", "zz"], ["y"])],
            r"3 zero points; allowed",
        ),
        ([Q, node("MatMulInteger", ["xq", "w", "i0", "zz"], ["y"])], r"3 zero points for weights of shape \(8, 4\)"),
        ([DYNAMIC, node("MatMulInteger", ["xq", "w"], ["y"])], r"\(MatMulInteger\) reads its integers"),
        ([DYNAMIC, node("MatMulInteger", ["xq", "w", "p"], ["y"])], r"'y' is an output of the model"),
        ([DYNAMIC, SUM, FLOAT, node("Mul", ["f", "ws"], ["y"])], r"\(Mul\) reads its integers, its scale or its zero point"),
        ([DYNAMIC, SUM, FLOAT, node("Mul", ["f", "s"], ["m"]), node("Add", ["m", "s"], ["y"])], r"\(Add\) reads its integers"),
        ([DYNAMIC, SUM, FLOAT, node("Mul", ["f", "s"], ["m"]), node("Mul", ["x", "s"], ["y"])], r"\(Mul\) reads its integers"),
        ([DYNAMIC, node("Cast", ["xq"], ["y"], to=1)], r"\(Cast\) reads its integers"),
        ([node("QuantizeLinear", ["x", "none", "i0"], ["y"])], r"scale, is 0"),
    ],
)
def test_what_the_symmetric_machine_does_not_have_is_refused(nodes: list[Any], message: str, tmp_path: Path) -> None:
    constants = {"xs": XS, "ws": WS, "ys": YS, "i0": INT8, "z": np.int8(3), "zz": integers(3), "w": integers(8, 4), "none": np.float32(0)}
    with pytest.raises(ImportModelError, match=message) as caught:
        imported(make(nodes, (1, 5, 8), constants), tmp_path)
    assert "\n" not in str(caught.value)
