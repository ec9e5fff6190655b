"""ONNX's joins, parts, gates, paddings and sizes compute what onnx's reference evaluator computes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx.helper import make_node as node  # after the check that the package is there

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from tests.importers.onnx_models import assert_equal, imported, make, naive, random

IMAGE = random(1, 4, 6, 8)
LAST = node("Conv", ["z", "w"], ["y"])  # reads the result as an image of so many channels
GRAPHS: dict[str, tuple[list[Any], dict[str, np.ndarray], int, dict[str, int]]] = {
    "a join": ([node("Relu", ["x"], ["r"]), node("Concat", ["x", "r"], ["z"], axis=1)], {}, 8, {"relu": 1, "concat": 1}),
    "a part": (
        [node("Relu", ["x"], ["r"]), node("Slice", ["r", "a", "b", "c"], ["z"])],
        {"a": np.array([1, 0]), "b": np.array([3, 6]), "c": np.array([1, 2])}, 2, {"relu": 1, "move": 1},
    ),
    "a gate per channel": (
        [node("GlobalAveragePool", ["x"], ["p"]), node("Sigmoid", ["p"], ["s"]), node("Mul", ["x", "s"], ["z"])], {}, 4,
        {"avg_pool2d": 1, "sigmoid": 1, "multiply": 1, "move": 1},
    ),
    "a batch norm first": (
        [node("BatchNormalization", ["x", "g", "h", "m", "v"], ["z"])],
        {"g": random(4), "h": random(4, seed=1), "m": random(4, seed=2), "v": np.abs(random(4, seed=3)) + 0.5}, 4, {"affine": 1},
    ),
    "an instance norm": ([node("InstanceNormalization", ["x", "g", "h"], ["z"])], {"g": random(4), "h": random(4, seed=1)}, 4,
                         {"groupnorm": 1}),
    "trained slopes": ([node("PRelu", ["x", "g"], ["z"])], {"g": random(4, 1, 1)}, 4, {"prelu": 1}),
    "leaky": ([node("LeakyRelu", ["x"], ["r"], alpha=0.2), node("Elu", ["r"], ["z"], alpha=1.5)], {}, 4, {"leaky_relu": 1, "elu": 1}),
    "twice the size": (
        [node("Resize", ["x", "", "k"], ["z"], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"k": np.array([1, 1, 2, 2], np.float32)}, 4, {"move": 1},
    ),
    "bilinear": ([node("Resize", ["x", "", "k"], ["z"], mode="linear")], {"k": np.array([1, 1, 2, 1.5], np.float32)}, 4, {"resize": 1}),
    "depth to space": ([node("DepthToSpace", ["x"], ["z"], blocksize=2)], {}, 1, {"move": 1}),
    "a transposed convolution": (
        [node("ConvTranspose", ["x", "t"], ["z"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])], {"t": random(4, 3, 3, 3)}, 3,
        {"move": 2},
    ),
    "zeros before a pool": (
        [node("Pad", ["x", "p"], ["q"]), node("MaxPool", ["q"], ["z"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)],
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, 4, {"pad": 1, "max_pool2d": 1},
    ),
    "a sum of three": ([node("Relu", ["x"], ["r"]), node("Sum", ["x", "r", "x"], ["z"])], {}, 4, {"relu": 1, "add": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_an_image_goes_through_what_the_graph_says(name: str, tmp_path: Path) -> None:
    nodes, constants, channels, operations = GRAPHS[name]
    model = make([*nodes, LAST], IMAGE.shape, {**constants, "w": random(3, channels, 2, 2, seed=9)})
    trace = assert_equal(model, IMAGE, tmp_path, approximation=1e-5)
    count = Counter(layer.op for layer in trace.layers if layer.weights is None)
    assert {op: found for op, found in count.items() if op in operations or op != "move"} == operations


def test_a_local_response_is_normalized_by_its_definition(tmp_path: Path) -> None:
    """The reference evaluator computes the first channel only (its loop is over the batch)."""
    model = make([node("Relu", ["x"], ["r"]), node("LRN", ["r"], ["y"], size=3, alpha=0.5, beta=0.6, bias=1.5)], IMAGE.shape)
    x = np.maximum(IMAGE[0].astype(np.float64), 0)
    wanted = [
        x[channel] / (1.5 + 0.5 / 3 * (x[max(0, channel - 1) : channel + 2] ** 2).sum(axis=0)) ** 0.6 for channel in range(4)
    ]  # fmt: skip
    found = naive(imported(model, tmp_path), IMAGE)
    np.testing.assert_allclose(found, np.array(wanted).reshape(4, -1).T, rtol=0, atol=1e-6)


def test_a_line_is_convolved(tmp_path: Path) -> None:
    line = random(1, 5, 30)
    nodes = [node("Conv", ["x", "w", "b"], ["c"], strides=[2], pads=[1, 2]), node("Relu", ["c"], ["r"]), node("Conv", ["r", "v"], ["y"])]
    constants = {"w": random(4, 5, 3), "b": random(4), "v": random(2, 4, 3)}
    trace = imported(make(nodes, line.shape, constants), tmp_path)
    assert trace.macs == 16 * 4 * 15 + 14 * 2 * 12  # (30 + 1 + 2 - 3) / 2 + 1 = 16 positions, then 14


@pytest.mark.parametrize(("name", "macs"), [("conv1d", 100_912), ("nhwc_rgb", 7_776), ("pool_first", 864)])  # see data/README.md
def test_a_file_of_each_kind_imports(name: str, macs: int) -> None:
    assert import_model(str(Path(__file__).parent / "data" / f"{name}.onnx")).macs == macs


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Resize", ["x", "", "k"], ["y"], mode="quintic")], "allowed: nearest, linear, cubic by"),
        ([node("NonZero", ["x"], ["y"])], "operation 'NonZero' is not understood"),
        ([node("Geluu", ["x"], ["y"])], "did you mean 'Gelu'"),
    ],
)
def test_other_operations_are_one_short_message(nodes: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError) as caught:
        imported(make(nodes, IMAGE.shape, {"k": np.array([1, 1, 2, 2], np.float32)}), tmp_path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300
