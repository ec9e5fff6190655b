"""ONNX operations one by one: the imported layers compute what onnx's reference evaluator computes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import ImportModelError
from tests.importers.onnx_models import assert_equal, imported, make, naive, naive_and_bound, node, random, rows

X3, X4 = random(1, 5, 8), random(1, 6, 9, 7)


def ops(trace: Any) -> list[str]:
    return [layer.op for layer in trace.layers]


@pytest.mark.parametrize("first", [True, False])
def test_a_bias_is_folded_into_its_product(first: bool, tmp_path: Path) -> None:
    add = node("Add", ["b", "h"] if first else ["h", "b"], ["y"])
    model = make([node("MatMul", ["x", "w"], ["h"]), add], (1, 5, 8), {"w": random(8, 4), "b": random(4)})
    trace = assert_equal(model, X3, tmp_path)
    assert ops(trace) == ["gemm"]
    assert trace.parameters == 8 * 4 + 4


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("bias", [(), (4,), (1, 4), (1,)])
def test_gemm_takes_alpha_beta_and_a_turned_matrix(trans_b: int, bias: tuple[int, ...], tmp_path: Path) -> None:
    constants = {"w": random(4, 8) if trans_b else random(8, 4)} | ({"c": random(*bias)} if bias else {})
    gemm = node("Gemm", ["x", "w", "c"] if bias else ["x", "w"], ["y"], alpha=0.5, beta=2.0, transB=trans_b)
    trace = assert_equal(make([gemm], (3, 8), constants), random(3, 8), tmp_path)
    assert trace.macs == 3 * 8 * 4


@pytest.mark.parametrize(
    ("weight", "attributes"),
    [
        ((4, 6, 3, 3), {"pads": [1, 1, 1, 1]}),
        ((4, 6, 3, 3), {"pads": [0, 1, 2, 0], "strides": [2, 1]}),
        ((6, 1, 3, 3), {"group": 6, "dilations": [2, 2]}),
        ((12, 2, 1, 5), {"group": 3, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ((4, 6, 2, 2), {"auto_pad": "SAME_LOWER"}),
        ((4, 6, 2, 2), {"auto_pad": "VALID", "strides": [2, 3]}),
    ],
)
def test_convolutions_with_their_padding_and_groups(weight: tuple[int, ...], attributes: dict[str, Any], tmp_path: Path) -> None:
    conv = node("Conv", ["x", "w", "b"], ["y"], **attributes)
    trace = assert_equal(make([conv], X4.shape, {"w": random(*weight), "b": random(weight[0])}), X4, tmp_path)
    assert ops(trace) == ["depthwise_conv2d" if attributes.get("group") == 6 else "conv2d"]


def test_a_batch_norm_is_folded_into_the_convolution(tmp_path: Path) -> None:
    constants = {"w": random(4, 6, 3, 3), "s": random(4), "b": random(4, seed=1), "m": random(4, seed=2), "v": random(4, seed=3) ** 2}
    nodes = [node("Conv", ["x", "w"], ["h"]), node("BatchNormalization", ["h", "s", "b", "m", "v"], ["n"]), node("Relu", ["n"], ["y"])]
    trace = assert_equal(make(nodes, X4.shape, constants), X4, tmp_path)
    assert ops(trace) == ["conv2d", "relu"]


POOLED = [node("Conv", ["x", "w"], ["h"]), node("Relu", ["h"], ["r"])]


@pytest.mark.parametrize(
    "pool",
    [
        node("MaxPool", ["r"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("AveragePool", ["r"], ["y"], kernel_shape=[2, 3]),
        node("AveragePool", ["r"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        node("AveragePool", ["r"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[3, 2]),
        node("GlobalAveragePool", ["r"], ["y"]),
        node("ReduceMean", ["r", "axes"], ["y"]),
        node("ReduceMean", ["r", "axes"], ["y"], keepdims=0),
    ],
)
def test_pools(pool: Any, tmp_path: Path) -> None:
    constants = {"w": random(4, 6, 1, 1)} | ({"axes": np.array([2, 3])} if pool.op_type == "ReduceMean" else {})
    trace = assert_equal(make([*POOLED, pool], X4.shape, constants), X4, tmp_path)
    assert ops(trace) == ["conv2d", "relu", "max_pool2d" if pool.op_type == "MaxPool" else "avg_pool2d"]


GELU_CONSTANTS = {"root": np.float32(math.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5), "inverse": np.float32(math.sqrt(0.5))}
ERF = [node("Div", ["h", "root"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["e", "one"], ["a"])]
GELUS = {
    "x(1+erf)/2": [*ERF, node("Mul", ["h", "a"], ["m"]), node("Mul", ["m", "half"], ["y"])],
    "(x/2)(1+erf)": [*ERF, node("Mul", ["h", "half"], ["m"]), node("Mul", ["m", "a"], ["y"])],
    "((1+erf)/2)x": [*ERF, node("Mul", ["half", "a"], ["m"]), node("Mul", ["m", "h"], ["y"])],
    "by the reciprocal": [
        node("Mul", ["inverse", "h"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["one", "e"], ["a"]), node("Mul", ["a", "h"], ["m"]),
        node("Mul", ["half", "m"], ["y"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", GELUS)
def test_gelu_is_recognized_in_any_order(form: str, tmp_path: Path) -> None:
    model = make([node("MatMul", ["x", "w"], ["h"]), *GELUS[form]], X3.shape, {"w": random(8, 4), **GELU_CONSTANTS})
    assert ops(assert_equal(model, X3, tmp_path)) == ["gemm", "gelu"]


def test_gelu_by_tanh_is_a_gelu(tmp_path: Path) -> None:
    constants = {
        "w": random(8, 4),
        "c": np.float32(0.044715),
        "r": np.float32(math.sqrt(2 / math.pi)),
        "three": np.float32(3),
        **GELU_CONSTANTS,
    }
    nodes = [
        node("MatMul", ["x", "w"], ["h"]), node("Pow", ["h", "three"], ["p"]), node("Mul", ["p", "c"], ["q"]),
        node("Add", ["h", "q"], ["s"]),
        node("Mul", ["s", "r"], ["t"]), node("Tanh", ["t"], ["u"]), node("Add", ["u", "one"], ["v"]), node("Mul", ["h", "half"], ["z"]),
        node("Mul", ["z", "v"], ["y"]),
    ]  # fmt: skip
    trace = assert_equal(make(nodes, X3.shape, constants), X3, tmp_path, approximation=2e-3)  # the naive interpreter has the exact form
    assert ops(trace) == ["gemm", "gelu"]


@pytest.mark.parametrize(
    ("nodes", "op"),
    [
        ([node("Relu", ["h"], ["y"])], "relu"),
        ([node("Clip", ["h", "zero", "six"], ["y"])], "clip"),
        ([node("Max", ["h", "zero"], ["y"])], "relu"),
        ([node("Sigmoid", ["h"], ["y"])], "sigmoid"),
        ([node("Tanh", ["h"], ["y"])], "tanh"),
        ([node("HardSwish", ["h"], ["y"])], "hardswish"),
        ([node("HardSigmoid", ["h"], ["s"], alpha=1 / 6), node("Mul", ["h", "s"], ["y"])], "hardswish"),
        ([node("Sigmoid", ["h"], ["s"]), node("Mul", ["s", "h"], ["y"])], "silu"),
        ([node("Relu", ["h"], ["r"]), node("Min", ["r", "six"], ["y"])], "clip"),
        ([node("Tanh", ["h"], ["t"]), node("Relu", ["t"], ["y"])], "tanh relu"),
        ([node("Relu", ["h"], ["r"]), node("Sigmoid", ["r"], ["s"]), node("Mul", ["r", "s"], ["y"])], "relu silu"),
        ([node("Relu", ["h"], ["r"]), node("Add", ["h", "r"], ["y"])], "relu add"),
    ],
)
def test_functions_of_each_element(nodes: list[Any], op: str, tmp_path: Path) -> None:
    constants = {"w": 3 * random(8, 4), "zero": np.float32(0), "six": np.float32(6)}
    assert ops(assert_equal(make([node("MatMul", ["x", "w"], ["h"]), *nodes], X3.shape, constants), X3, tmp_path)) == ["gemm", *op.split()]


NORMALIZE = {
    "by division": [node("Sqrt", ["ve"], ["sd"]), node("Div", ["d", "sd"], ["n"])],
    "by the reciprocal": [node("Sqrt", ["ve"], ["sd"]), node("Reciprocal", ["sd"], ["i"]), node("Mul", ["d", "i"], ["n"])],
    "by a power": [node("Pow", ["ve", "minus"], ["i"]), node("Mul", ["i", "d"], ["n"])],
}


@pytest.mark.parametrize("form", NORMALIZE)
@pytest.mark.parametrize("epsilon", [1e-12, 1e-5, 1e-3])
def test_a_layer_norm_is_recognized_in_its_parts(form: str, epsilon: float, tmp_path: Path) -> None:
    constants = {
        "axes": np.array([-1]),
        "two": np.float32(2),
        "minus": np.float32(-0.5),
        "eps": np.float32(epsilon),
        "g": random(8),
        "b": random(8, seed=1),
    }
    nodes = [
        node("ReduceMean", ["x", "axes"], ["mean"]), node("Sub", ["x", "mean"], ["d"]), node("Pow", ["d", "two"], ["sq"]),
        node("ReduceMean", ["sq", "axes"], ["v"]), node("Add", ["v", "eps"], ["ve"]), *NORMALIZE[form], node("Mul", ["n", "g"], ["s"]),
        node("Add", ["s", "b"], ["y"]),
    ]  # fmt: skip
    trace = assert_equal(make(nodes, X3.shape, constants), X3, tmp_path, epsilon=epsilon)
    assert ops(trace) == ["layernorm"]
    np.testing.assert_array_equal(trace.constant(trace.layers[0].name, "gamma"), constants["g"])


def test_a_layer_norm_is_taken_whole(tmp_path: Path) -> None:
    model = make([node("LayerNormalization", ["x", "g", "b"], ["y"], axis=-1)], X3.shape, {"g": random(8), "b": random(8, seed=1)})
    assert ops(assert_equal(model, X3, tmp_path)) == ["layernorm"]


def test_an_rms_norm_is_known_by_its_name(tmp_path: Path) -> None:
    """Expected by the definition, in float32: x over the root of the mean of its squares, times gamma."""
    gamma = random(8)
    trace = imported(make([node("RMSNormalization", ["x", "g"], ["y"], axis=-1, epsilon=0.0)], X3.shape, {"g": gamma}, opset=23), tmp_path)
    assert ops(trace) == ["rmsnorm"]
    np.testing.assert_array_equal(trace.constant(trace.layers[0].name, "gamma"), gamma)
    expected = X3 / np.sqrt((X3.astype(np.float64) ** 2).mean(axis=-1, keepdims=True)) * gamma
    np.testing.assert_allclose(naive(trace, X3, 0.0), rows(expected), rtol=1e-6)


PROJECTION = node("MatMul", ["context", "o"], ["y"])


def attention(scaled: str, rows: int = 5, heads: int = 2, width: int = 8) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Self-attention as exporters write it: q, k, v of one product, heads split by a reshape."""
    constants = {
        "w": random(width, 3 * width), "b": random(3 * width), "parts": np.array([1, rows, 3, heads, width // heads]),
        "i0": np.int64(0), "i1": np.int64(1), "i2": np.int64(2), "s": np.float32(0.5), "back": np.array([0, 0, -1]),
        "o": random(width, width, seed=9),
    }  # fmt: skip
    before = [node("Mul", ["q", "s"], ["qs"])] if scaled == "before" else []
    after = [node("Mul", ["p", "s"], ["ps"])] if scaled == "after" else []
    nodes = [
        node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["qkv"]), node("Reshape", ["qkv", "parts"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[2, 0, 3, 1, 4]),
        *(node("Gather", ["t", f"i{index}"], [name], axis=0) for index, name in enumerate("qkv")),
        *before, node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]), node("MatMul", ["qs" if before else "q", "kt"], ["p"]), *after,
        node("Softmax", ["ps" if after else "p"], ["a"], axis=-1), node("MatMul", ["a", "v"], ["c"]),
        node("Transpose", ["c"], ["ct"], perm=[0, 2, 1, 3]), node("Reshape", ["ct", "back"], ["context"]), PROJECTION,
    ]  # fmt: skip
    return nodes, constants


@pytest.mark.parametrize("scaled", ["before", "after", "not"])
def test_q_k_and_v_of_one_product_are_three_layers(scaled: str, tmp_path: Path) -> None:
    nodes, constants = attention(scaled)
    trace = assert_equal(make(nodes, X3.shape, constants), X3, tmp_path)
    assert ops(trace) == ["gemm", "gemm", "gemm", "matmul", "softmax", "matmul", "gemm"]
    assert trace.parameters == 8 * 24 + 24 + 8 * 8
    assert {layer.scale for layer in trace.layers if layer.op == "matmul"} == ({1.0} if scaled == "not" else {0.5, 1.0})


def test_split_parts_a_product_too(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Split", ["m"], ["p", "q"], axis=-1, num_outputs=2), node("Add", ["p", "q"], ["y"])]
    assert ops(assert_equal(make(nodes, X3.shape, {"w": random(8, 12)}), X3, tmp_path)) == ["gemm", "gemm", "add"]


def test_the_attention_of_opset_23(tmp_path: Path) -> None:
    nodes = [
        *(node("MatMul", ["x", f"w{name}"], [name]) for name in "qkv"),
        node("Attention", ["q", "k", "v"], ["context"], q_num_heads=2, kv_num_heads=2), PROJECTION,
    ]  # fmt: skip
    constants = {f"w{name}": random(8, 8, seed=index) for index, name in enumerate("qkv")} | {"o": random(8, 8, seed=9)}
    model = make(nodes, X3.shape, constants, opset=23)
    assert ops(assert_equal(model, X3, tmp_path)) == ["gemm"] * 3 + ["matmul", "softmax", "matmul", "gemm"]


def test_microsofts_attention_is_the_same_graph_spelt_out(tmp_path: Path) -> None:
    nodes, constants = attention("not")
    spelt = imported(make(nodes, X3.shape, constants), tmp_path)
    packed = make(
        [node("Attention", ["x", "w", "b"], ["context"], domain="com.microsoft", num_heads=2, scale=1.0), PROJECTION],
        X3.shape,
        {name: constants[name] for name in "wbo"},
    )
    trace = imported(packed, tmp_path)
    assert sorted(ops(trace)) == sorted(ops(spelt))
    found, bound = naive_and_bound(trace, X3)
    np.testing.assert_allclose(found, naive(spelt, X3), rtol=0, atol=bound)


def test_microsofts_multi_head_attention_takes_the_biases_itself(tmp_path: Path) -> None:
    constants = {f"w{name}": random(8, 8, seed=index) for index, name in enumerate("qkv")} | {"b": random(24), "o": random(8, 8, seed=9)}
    biases = {f"b{name}": constants["b"][8 * index : 8 * index + 8] for index, name in enumerate("qkv")}
    products = [node("MatMul", ["x", f"w{name}"], [name]) for name in "qkv"]
    joined = node("MultiHeadAttention", ["q", "k", "v", "b"], ["context"], domain="com.microsoft", num_heads=2)
    spelt = [
        *products, *(node("Add", [name, f"b{name}"], [f"{name}b"]) for name in "qkv"),
        node("Attention", ["qb", "kb", "vb"], ["context"], q_num_heads=2, kv_num_heads=2), PROJECTION,
    ]  # fmt: skip
    expected = assert_equal(make(spelt, X3.shape, constants | biases, opset=23), X3, tmp_path)
    trace = imported(make([*products, joined, PROJECTION], X3.shape, constants), tmp_path)
    assert ops(trace) == ops(expected)
    found, bound = naive_and_bound(trace, X3)
    np.testing.assert_allclose(found, naive(expected, X3), rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 6.0, ("clip", 0.0, 6.0)),
        (0.0, 100.0, ("clip", 0.0, 100.0)),
        (-1.0, 1.0, ("clip", -1.0, 1.0)),
        (0.0, 3.4e38, ("relu", None, None)),
        (-0.5, 3.4e38, ("clip", -0.5, None)),
        (-3.4e38, 2.5, ("clip", None, 2.5)),
    ],
)
def test_bounds_of_a_clip_are_found(low: float, high: float, expected: tuple[Any, ...], tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Clip", ["h", "low", "high"], ["y"])]
    layer = assert_equal(make(nodes, X3.shape, {"w": random(8, 4), "low": np.float32(low), "high": np.float32(high)}), X3, tmp_path).layers[
        1
    ]
    assert (layer.op, layer.minimum, layer.maximum) == expected


def test_a_mean_over_the_rows_feeds_a_classifier(tmp_path: Path) -> None:
    nodes = [
        node("LayerNormalization", ["x", "g"], ["n"]),
        node("ReduceMean", ["n", "one"], ["m"], keepdims=0),
        node("Gemm", ["m", "w"], ["y"]),
    ]
    trace = assert_equal(make(nodes, X3.shape, {"g": random(8), "one": np.array([1]), "w": random(8, 4)}), X3, tmp_path)
    assert ops(trace) == ["layernorm", "avg_pool2d", "gemm"]


def test_a_class_token_and_positions_are_one_embedding(tmp_path: Path) -> None:
    constants = {"token": random(1, 1, 8), "position": random(1, 6, 8), "zero": np.int64(0), "w": random(8, 3)}
    nodes = [
        node("Concat", ["token", "x"], ["c"], axis=1), node("Add", ["c", "position"], ["e"]), node("Gather", ["e", "zero"], ["r"], axis=1),
        node("Gemm", ["r", "w"], ["y"]),
    ]  # fmt: skip
    trace = assert_equal(make(nodes, X3.shape, constants), X3, tmp_path)
    assert ops(trace) == ["embed", "gemm"]
    assert trace.parameters == 8 + 48 + 24


def test_positions_that_are_still_zero_are_positions(tmp_path: Path) -> None:
    trace = imported(make([node("Add", ["x", "position"], ["y"])], X3.shape, {"position": np.zeros((1, 5, 8), np.float32)}), tmp_path)
    assert ops(trace) == ["embed"]  # as with any other values: an untrained model has the layers of a trained one
    assert trace.parameters == 5 * 8


def test_weights_that_two_layers_share_are_noted(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "fc.weight"], ["h"]), node("Relu", ["h"], ["r"]), node("MatMul", ["r", "fc.weight"], ["y"])]
    trace = assert_equal(make(nodes, X3.shape, {"fc.weight": random(8, 8)}), X3, tmp_path)
    assert ops(trace) == ["gemm", "relu", "gemm"]
    assert trace.parameters == 2 * 64
    assert trace.manifest.notes == ("'fc.weight' is stored once in the model, and for each of fc, y in the trace",)


@pytest.mark.parametrize("form", ["attributes", "inputs", "axes"])
def test_zeros_around_an_image_are_its_convolutions_padding(form: str, tmp_path: Path) -> None:
    constants = {"w": random(4, 6, 3, 3), "b": random(4), "v": np.float32(0)}
    attributes: dict[str, Any] = {"mode": "constant"}
    if form == "attributes":
        attributes |= {"pads": [0, 0, 1, 0, 0, 0, 2, 1], "value": 0.0}
    else:
        constants["p"] = np.array([1, 0, 2, 1] if form == "axes" else [0, 0, 1, 0, 0, 0, 2, 1])
    inputs = ["x"] if form == "attributes" else ["x", "p", "v"] if form == "inputs" else ["x", "p", "v", "a"]
    constants |= {"a": np.array([2, -1])} if form == "axes" else {}
    nodes = [node("Pad", inputs, ["z"], **attributes), node("Conv", ["z", "w", "b"], ["y"], strides=[2, 2])]
    trace = assert_equal(make(nodes, X4.shape, constants, opset=10 if form == "attributes" else 18), X4, tmp_path)
    assert ops(trace) == ["conv2d"]
    assert (trace.layers[0].padding, trace.layers[0].padding_end) == ((1, 0), (2, 1))


def test_a_pad_by_nothing_is_nothing(tmp_path: Path) -> None:
    nodes = [node("Pad", ["x", "p"], ["z"]), node("MatMul", ["z", "w"], ["y"])]
    assert ops(assert_equal(make(nodes, X3.shape, {"p": np.zeros(6, dtype=np.int64), "w": random(8, 4)}), X3, tmp_path)) == ["gemm"]


@pytest.mark.parametrize(
    ("given", "pads", "value", "weights"),
    [(X4, [0, 1, 0, 0, 0, 0, 0, 0], 0.0, (4, 7, 3, 3)), (X4, [0, 0, 1, 1, 0, 0, 1, 1], 2.0, (4, 6, 3, 3)),
     (X3, [0, 1, 0, 0, 2, 0], 0.0, (8, 4)), (X3, [0, 1, 2, 0, 0, 0], -1.0, (10, 4))],
)  # fmt: skip
def test_any_other_pad_is_a_layer(given: np.ndarray, pads: list[int], value: float, weights: tuple[int, ...], tmp_path: Path) -> None:
    constants = {"p": np.array(pads), "v": np.float32(value), "w": random(*weights)}
    last = node("Conv" if len(weights) == 4 else "MatMul", ["z", "w"], ["y"])
    nodes = [node("Relu", ["x"], ["r"]), node("Pad", ["r", "p", "v"], ["z"]), last]
    assert ops(assert_equal(make(nodes, given.shape, constants), given, tmp_path)).count("pad") == 1


def test_a_pad_that_fits_no_dimension_is_refused(tmp_path: Path) -> None:
    constants = {"p": np.array([1, 1]), "v": np.float32(0), "w": random(4, 6, 3, 3)}
    with pytest.raises(ImportModelError, match=r"pads \[1, 1\] of axes \[0, 1, 2, 3\]"):
        imported(make([node("Pad", ["x", "p", "v"], ["z"]), node("Conv", ["z", "w"], ["y"])], X4.shape, constants), tmp_path)


def test_a_factor_of_anything_but_a_product_is_a_layer(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["r"]), node("Mul", ["r", "s"], ["m"]), node("Relu", ["m"], ["z"]), node("Add", ["z", "m"], ["y"])]
    trace = assert_equal(make(nodes, X3.shape, {"s": np.float32(3)}), X3, tmp_path)
    assert ops(trace) == ["relu", "affine", "relu", "add"]


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("MaxPool", {"strides": [2]}), ("MaxPool", {"strides": [3], "ceil_mode": 1}), ("AveragePool", {"strides": [2]}),
        ("AveragePool", {"pads": [1, 1]}), ("AveragePool", {"pads": [1, 0], "count_include_pad": 1}),
    ],
)  # fmt: skip
def test_pools_of_a_signal(op: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    x = random(1, 6, 20)
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node(op, ["c"], ["p"], kernel_shape=[3], **attributes),
        node("Transpose", ["p"], ["y"], perm=[0, 2, 1]),
    ]
    assert_equal(make(nodes, x.shape, {"w": random(4, 6, 3)}), x, tmp_path)


@pytest.mark.parametrize(
    ("op", "shape"), [("GlobalMaxPool", (1, 6, 9, 7)), ("GlobalAveragePool", (1, 6, 20)), ("GlobalAveragePool", (1, 6, 9, 7))]
)
def test_global_pools_of_signals_and_images(op: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    w = random(4, 6, *(3,) * (len(shape) - 2))
    nodes = [node("Conv", ["x", "w"], ["c"]), node(op, ["c"], ["p"]), node("Flatten", ["p"], ["y"])]
    assert_equal(make(nodes, shape, {"w": w}), random(*shape), tmp_path)


def test_an_old_softmax_is_over_all_dimensions_from_its_axis_on(tmp_path: Path) -> None:
    """Before opset 13: 40 elements of (1, 5, 8) from dimension 1 on."""
    trace = imported(make([node("Softmax", ["x"], ["y"], axis=1)], X3.shape, opset=11), tmp_path)
    powers = np.exp(X3.reshape(-1) - X3.max())
    found, bound = naive_and_bound(trace, X3)
    np.testing.assert_allclose(found.reshape(-1), powers / powers.sum(), rtol=0, atol=bound)


def test_a_hard_sigmoid_of_another_slope_is_a_line_and_a_clip(tmp_path: Path) -> None:
    trace = assert_equal(make([node("HardSigmoid", ["x"], ["y"])], X3.shape), X3, tmp_path)
    assert ops(trace) == ["affine", "clip"]


def test_a_number_less_a_gate_times_an_activation(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["h"]), node("Sigmoid", ["h"], ["s"]), node("Sub", ["one", "s"], ["g"]), node("Mul", ["g", "h"], ["y"]),
    ]  # fmt: skip
    assert_equal(make(nodes, X3.shape, {"w": random(8, 8), "one": np.float32(1)}), X3, tmp_path)


def test_an_up_sampling_of_opset_7_has_its_scales_as_an_attribute(tmp_path: Path) -> None:
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Upsample", ["c"], ["u"], scales=[1.0, 1.0, 2.0, 2.0]), node("Relu", ["u"], ["y"])]
    trace = imported(make(nodes, X4.shape, {"w": random(4, 6, 3, 3)}, opset=7), tmp_path)
    same = [nodes[0], node("Resize", ["c", "", "scales"], ["u"]), nodes[2]]
    scales = np.array([1, 1, 2, 2], np.float32)
    newer = imported(make(same, X4.shape, {"w": random(4, 6, 3, 3), "scales": scales}), tmp_path)
    assert [layer.output for layer in trace.layers] == [layer.output for layer in newer.layers]
    np.testing.assert_array_equal(naive(trace, X4), naive(newer, X4))
