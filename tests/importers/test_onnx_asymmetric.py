"""Static quantization as onnxruntime writes it by default: asymmetric activations of 8 bits, in QDQ form and with integer operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.simulation import simulate
from tests import naive_graph
from tests.importers.onnx_models import imported, make, naive_and_bound, node, random, rows

XS, WS, YS = (np.asarray(scale, np.float32) for scale in (0.02, 0.01, 0.05))
KINDS = {"u8": (np.uint8, 117), "s8": (np.int8, -9)}


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).integers(-127, 128, size=shape, dtype=np.int8)


def scales(kind: str) -> dict[str, np.ndarray]:
    """Constants of a file with activations of this type."""
    numbers, zero = KINDS[kind]
    return {"xs": XS, "ws": WS, "ys": YS, "xz": np.array(zero, numbers), "yz": np.array(zero + 20, numbers), "wz": np.array(0, np.int8)}


def on_the_grid(kind: str, *shape: int) -> np.ndarray:
    """Inputs that quantize without rounding, over the whole range of the type."""
    numbers, zero = KINDS[kind]
    least = np.iinfo(numbers).min
    drawn = np.random.default_rng(7).integers(least, least + 256, size=shape)
    return ((drawn - zero) * XS).astype(np.float32)


def evaluated(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """The model's output by onnx's reference evaluator."""
    (result,) = ReferenceEvaluator(model).run(None, {"x": x})
    return np.asarray(result)


def q(source: str, name: str, scale: str = "x") -> Any:
    return node("QuantizeLinear", [source, f"{scale}s", f"{scale}z"], [name])


def dq(source: str, name: str, scale: str = "x") -> Any:
    return node("DequantizeLinear", [source, f"{scale}s", f"{scale}z"], [name])


def assert_real(model: onnx.ModelProto, expected: np.ndarray, x: np.ndarray, kind: str, steps: float, folder: Path) -> Any:
    """The trace computes the real values, up to so many quantization steps of the output."""
    trace = imported(model, folder)
    found, bound = naive_and_bound(trace, x)
    numbers, zero = KINDS[kind]
    least, most = (float((limit - zero - 20) * YS) for limit in (np.iinfo(numbers).min, np.iinfo(numbers).max))
    held = np.clip(found, least, most) if steps else found
    np.testing.assert_allclose(held, rows(expected.astype(np.float64)), rtol=0, atol=steps * float(YS) + bound)
    assert any(note.startswith("activations with a zero point") for note in trace.manifest.notes)
    return trace


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_qdq_convolution_takes_its_weights_as_integers_times_their_scale(kind: str, tmp_path: Path) -> None:
    """What surrounds the image is the zero point, which is 0 as a real number."""
    nodes = [
        q("x", "xq"), dq("xq", "xd"), node("DequantizeLinear", ["w", "wv", "wzs"], ["wd"], axis=0),
        node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], axis=0), node("Conv", ["xd", "wd", "bd"], ["h"], pads=[1, 1, 1, 1]),
        q("h", "hq", "y"), dq("hq", "y", "y"),
    ]  # fmt: skip
    per_channel = np.linspace(0.001, 0.004, 4, dtype=np.float32)
    constants = {
        "w": integers(4, 3, 3, 3), "wv": per_channel, "wzs": np.zeros(4, np.int8), "b": integers(4).astype(np.int32),
        "bs": XS * per_channel, "bz": np.zeros(4, np.int32), **scales(kind),
    }  # fmt: skip
    x = on_the_grid(kind, 1, 3, 6, 6)
    model = make(nodes, x.shape, constants, opset=19)
    expected = evaluated(model, x)
    trace = assert_real(model, expected, x, kind, 0.51, tmp_path)
    assert [layer.op for layer in trace.layers] == ["conv2d"]
    whole = trace.weights(trace.layers[0].name) / per_channel.astype(np.float64)
    np.testing.assert_array_equal(np.rint(whole), constants["w"].reshape(4, -1).T)
    np.testing.assert_allclose(whole, np.rint(whole), rtol=0, atol=1e-4)
    told = "1 weight tensors that the file stores in 8 bits are real numbers in this float trace; to run at 8 bits, compress it"
    assert told in trace.manifest.notes


@pytest.mark.parametrize("kind", KINDS)
def test_qlinear_operations_and_a_pool_of_integers(kind: str, tmp_path: Path) -> None:
    convolution = [q("x", "xq"), node("QLinearConv", ["xq", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["c"])]
    x = on_the_grid(kind, 1, 3, 6, 6)

    def behind(*nodes: Any) -> onnx.ModelProto:
        return make([*convolution, *nodes], x.shape, {"w": integers(4, 3, 3, 3) // 9, **scales(kind)}, opset=19)

    model = behind(node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2]), dq("p", "y", "y"))
    whole = behind(dq("c", "y", "y"))  # the evaluator's pools take no integers
    image = evaluated(whole, x)
    expected = np.lib.stride_tricks.sliding_window_view(image, (2, 2), axis=(2, 3)).max(axis=(4, 5))
    trace = assert_real(model, expected, x, kind, 0.51, tmp_path)
    assert [layer.op for layer in trace.layers] == ["conv2d", "max_pool2d"]


@pytest.mark.parametrize("kind", KINDS)
def test_integer_sums_take_the_zero_point_off(kind: str, tmp_path: Path) -> None:
    nodes = [
        q("x", "xq"), node("MatMulInteger", ["xq", "w", "xz", "wz"], ["s"]), node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "both"], ["y"]),
    ]  # fmt: skip
    x = on_the_grid(kind, 1, 5, 8)
    model = make(nodes, x.shape, {"w": integers(8, 4), "both": XS * WS, **scales(kind)}, opset=19)
    expected = evaluated(model, x)
    trace = assert_real(model, expected, x, kind, 0, tmp_path)
    assert [layer.op for layer in trace.layers] == ["gemm"]
    assert any("stores in 8 bits" in note for note in trace.manifest.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_of_two_asymmetric_activations_is_one_product(kind: str, tmp_path: Path) -> None:
    nodes = [
        q("x", "xq"), dq("xq", "xd"), node("Transpose", ["xd"], ["t"], perm=[0, 2, 1]), node("MatMul", ["xd", "t"], ["h"]),
        q("h", "hq", "y"), dq("hq", "y", "y"),
    ]  # fmt: skip
    x = on_the_grid(kind, 1, 5, 8)
    model = make(nodes, x.shape, scales(kind), opset=19)
    expected = evaluated(model, x)
    assert [layer.op for layer in assert_real(model, expected, x, kind, 0.51, tmp_path).layers] == ["matmul"]


def test_a_quantizer_whose_least_integer_is_zero_is_a_relu(tmp_path: Path) -> None:
    """onnxruntime leaves the relu before it out."""
    quantizer = ["ys", "low"]
    nodes = [
        node("MatMul", ["x", "w"], ["h"]), node("QuantizeLinear", ["h", *quantizer], ["hq"]),
        node("DequantizeLinear", ["hq", *quantizer], ["y"]),
    ]  # fmt: skip
    x = random(1, 5, 8)
    model = make(nodes, x.shape, {"w": random(8, 4) / 3, "ys": YS, "low": np.array(-128, np.int8)}, opset=19)
    expected = evaluated(model, x)
    trace = imported(model, tmp_path)
    assert [layer.op for layer in trace.layers] == ["gemm", "relu"]
    found, bound = naive_and_bound(trace, x)
    np.testing.assert_allclose(found, rows(expected), rtol=0, atol=0.51 * float(YS) + bound)


def quantize(values: np.ndarray, scale: float, zero: int, kind: Any) -> np.ndarray:
    """QuantizeLinear, from its definition."""
    levels: np.ndarray = np.clip(np.rint(values / scale) + zero, np.iinfo(kind).min, np.iinfo(kind).max).astype(np.int64)
    return levels


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_onnxruntimes_operations_equal_their_definitions(kind: str, turned: int, tmp_path: Path) -> None:
    """QLinearGlobalAveragePool, QGemm and QLinearAdd: sums of integers less their zero points, by their scales, rounded once."""
    numbers, zero = KINDS[kind]
    microsoft = "com.microsoft"
    gemm = ["f", "ys", "yz", "w", "wv", "wz", "b", "ys", "yz"]
    nodes = [
        q("x", "xq"), node("QLinearGlobalAveragePool", ["xq", "xs", "xz", "ys", "yz"], ["a"], domain=microsoft),
        node("Flatten", ["a"], ["f"]), node("QGemm", gemm, ["g"], domain=microsoft, transB=turned),
        node("QLinearAdd", ["g", "ys", "yz", "f", "ys", "yz", "ys", "yz"], ["s"], domain=microsoft), dq("s", "y", "y"),
    ]  # fmt: skip
    weights, bias, per_channel = integers(6, 6) // 4, integers(6).astype(np.int32), np.linspace(0.004, 0.01, 6, dtype=np.float32)
    constants = {**scales(kind), "w": weights.T if turned else weights, "b": bias, "wv": per_channel}
    x = on_the_grid(kind, 1, 6, 4, 4)
    model = make(nodes, x.shape, constants, opset=19)
    taken = quantize(x, float(XS), zero, numbers) - zero
    average = quantize(taken.mean(axis=(2, 3)) * float(XS), float(YS), zero + 20, numbers) - zero - 20
    product = quantize((average @ weights + bias) * (float(YS) * per_channel), float(YS), zero + 20, numbers) - zero - 20
    total = (quantize((product + average) * float(YS), float(YS), zero + 20, numbers) - zero - 20) * float(YS)
    trace = assert_real(model, total, x, kind, 0.5 * (2 + np.abs(weights * per_channel).sum(axis=0).max() + 1), tmp_path)
    assert [layer.op for layer in trace.layers] == ["move", "avg_pool2d", "gemm", "add"]
    np.testing.assert_array_equal(np.rint(trace.weights(trace.layers[2].name) / per_channel), weights)


@pytest.mark.parametrize(("numbers", "zero"), [(np.uint16, 32768), (np.int16, 0)])
def test_activations_that_a_file_quantizes_to_16_bits_are_kept_in_16(numbers: Any, zero: int, tmp_path: Path) -> None:
    nodes = [
        q("x", "xq"), dq("xq", "xd"), node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]), node("MatMul", ["xd", "wd"], ["h"]),
        node("Relu", ["h"], ["r"]), q("r", "rq", "y"), dq("rq", "y", "y"),
    ]  # fmt: skip
    constants = {"w": integers(8, 4), **scales("s8"), "xz": np.array(zero, numbers), "yz": np.array(zero, numbers)}
    trace = imported(make(nodes, (1, 5, 8), constants, opset=21), tmp_path)
    assert [(layer.op, layer.output.bits) for layer in trace.layers] == [("gemm", 8), ("relu", 16)]
    assert trace.manifest.inputs[0].shape.bits == 16


def attention_of_integers(spelling: str) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Two heads: (x w) (x v)^T, whose factors are quantized apart, and its sum over the values, in QDQ form or as QLinearMatMul."""
    zeros = {"az": np.array(117, np.uint8), "bz": np.array(-9, np.int8), "pz": np.array(0, np.uint8), "one": np.array(1 / 255, np.float32)}
    split = [
        node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["x", "v"], ["b"]),
        *(node("Reshape", [name, "parts"], [f"{name}p"]) for name in "ab"), node("Transpose", ["ap"], ["ah"], perm=[0, 2, 1, 3]),
        node("Transpose", ["bp"], ["bh"], perm=[0, 2, 3, 1]), node("QuantizeLinear", ["ah", "xs", "az"], ["aq"]),
        node("QuantizeLinear", ["bh", "xs", "bz"], ["bq"]),
    ]  # fmt: skip
    made = [node("QLinearMatMul", ["aq", "xs", "az", "bq", "xs", "bz", "ys", "yz"], ["hq"])]
    if spelling == "QDQ":
        made = [
            node("DequantizeLinear", ["aq", "xs", "az"], ["ad"]), node("DequantizeLinear", ["bq", "xs", "bz"], ["bd"]),
            node("MatMul", ["ad", "bd"], ["h"]), q("h", "hq", "y"),
        ]  # fmt: skip
    softmax = [
        dq("hq", "hd", "y"), node("Softmax", ["hd"], ["s"], axis=-1), node("QuantizeLinear", ["s", "one", "pz"], ["pq"]),
        node("DequantizeLinear", ["pq", "one", "pz"], ["pd"]), node("DequantizeLinear", ["bq", "xs", "bz"], ["be"]),
        node("Transpose", ["be"], ["bt"], perm=[0, 1, 3, 2]), node("MatMul", ["pd", "bt"], ["y"]),
    ]  # fmt: skip
    constants = {"w": random(6, 8), "v": random(6, 8) / 2, "parts": np.array([1, 5, 2, 4]), **scales("u8"), **zeros}
    return [*split, *made, *softmax], constants


@pytest.mark.parametrize("spelling", ["QDQ", "QLinearMatMul"])
def test_operands_of_a_product_keep_their_zero_points(spelling: str, tmp_path: Path) -> None:
    """117 of uint8 is -11 in two's complement, and 0 is -128."""
    nodes, constants = attention_of_integers(spelling)
    trace = imported(make(nodes, (1, 5, 6), constants, opset=19), tmp_path)
    scores, context = (layer for layer in trace.layers if layer.head_product)
    assert [trace.shapes[name].zero_point for name in scores.inputs] == [-11, -9]
    assert [trace.shapes[name].zero_point for name in context.inputs] == [-128, -9]
    assert sum(bool(shape.zero_point) for shape in trace.shapes.values()) == 3  # the sums of the scores are symmetric
    timed = simulate(load_accelerator("edge-64x64"), compress_trace(trace, make_recipe("uniform:bits=8"))[0]).layers
    assert {layer.name for layer in timed if "sums of" in layer.lowering} == {scores.name, context.name}


def test_a_copy_of_an_operand_has_its_zero_point(tmp_path: Path) -> None:
    nodes = [
        q("x", "xq"), dq("xq", "xd"), node("Slice", ["xd", "first", "last", "axes", "steps"], ["part"]),
        node("Transpose", ["xd"], ["t"], perm=[0, 2, 1]), node("MatMul", ["part", "t"], ["y"]),
    ]  # fmt: skip
    ends = {"first": np.array([0]), "last": np.array([5]), "axes": np.array([1]), "steps": np.array([2])}
    trace = imported(make(nodes, (1, 5, 8), {**scales("s8"), **ends}, opset=19), tmp_path)
    assert {name: shape.zero_point for name, shape in trace.shapes.items()} == {"x": -9, trace.layers[0].name: -9, trace.layers[1].name: 0}
    assert trace.layers[0].op == "move"


IN, OUT = ["xs", "xz"], ["ys", "yz"]
ROWS, IMAGE = (1, 5, 8), (1, 6, 4, 4)
# operation of com.microsoft: (shape of x, operands between it and the result's scale, attributes, its definition on real values)
BETWEEN_SCALES: dict[str, tuple[tuple[int, ...], list[str], dict[str, Any], Any]] = {
    "QLinearMul": (ROWS, ["xq", *IN], {}, lambda x: x * x),
    "QLinearSigmoid": (ROWS, [], {}, lambda x: 1 / (1 + np.exp(-x))),
    "QLinearLeakyRelu": (ROWS, [], {"alpha": 0.3}, lambda x: np.where(x < 0, 0.3 * x, x)),
    "QLinearSoftmax": (ROWS, [], {"axis": -1, "opset": 19}, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    "QLinearReduceMean": (IMAGE, [], {"axes": [2, 3], "keepdims": 0}, lambda x: x.mean(axis=(2, 3))),
    "QLinearAveragePool": (
        IMAGE, [], {"kernel_shape": [2, 2], "strides": [2, 2]}, lambda x: x.reshape(1, 6, 2, 2, 2, 2).mean(axis=(3, 5)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", BETWEEN_SCALES)
def test_an_operation_between_scales_is_that_of_real_values(op: str, kind: str, tmp_path: Path) -> None:
    shape, more, attributes, compute = BETWEEN_SCALES[op]
    nodes = [q("x", "xq"), node(op, ["xq", *IN, *more, *OUT], ["r"], domain="com.microsoft", **attributes), dq("r", "y", "y")]
    x = on_the_grid(kind, *shape) / 4
    numbers, zero = KINDS[kind]
    trace = imported(make(nodes, shape, scales(kind), opset=19), tmp_path)
    (source,), (output,) = trace.manifest.inputs, trace.manifest.interface.outputs
    found = output.of(naive_graph.run_float(trace, {source.name: x.reshape(source.shape.dims)}, 0.0)[output.layer][None])
    taken = (quantize(x, float(XS), zero, numbers) - zero) * float(XS)
    wanted = (quantize(compute(taken), float(YS), zero + 20, numbers) - zero - 20) * float(YS)
    least, most = ((float(limit) - zero - 20) * float(YS) for limit in (np.iinfo(numbers).min, np.iinfo(numbers).max))
    # what is taken is within half a step of x, by which no definition here moves by more than twice as much, but a square of 0.6 at most
    np.testing.assert_allclose(np.clip(found, least, most), wanted, rtol=0, atol=0.51 * float(YS) + 1.3 * float(XS))


def test_parts_between_scales_are_joined_as_real_values(tmp_path: Path) -> None:
    nodes = [
        q("x", "xq"), node("QLinearConcat", [*OUT, "xq", *IN, "xq", *IN], ["r"], domain="com.microsoft", axis=1), dq("r", "y", "y"),
    ]  # fmt: skip
    x = on_the_grid("u8", *ROWS)
    trace = imported(make(nodes, ROWS, scales("u8"), opset=19), tmp_path)
    assert [layer.op for layer in trace.layers] == ["concat"]
    np.testing.assert_allclose(naive_and_bound(trace, x)[0], np.concatenate([x, x], axis=1)[0], rtol=0, atol=1e-6)
