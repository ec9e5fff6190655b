"""Spellings of opset 7 to 18 that later ones dropped or define otherwise, against ONNX's definitions in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from tests import naive_graph
from tests.importers.onnx_models import imported, make, node

RANDOM = np.random.default_rng(11)
MATRIX, VECTOR, FILTER = (RANDOM.normal(size=shape).astype(np.float32) for shape in ((6, 5), (8,), (4, 3, 3, 3)))


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Over all of axis 1 and later, as one."""
    shifted = x - x.max()
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum())
    return result


def block_first(x: np.ndarray) -> np.ndarray:
    """Channel (y, x, c) of a block is element (2 i + y, 2 j + x) of channel c; then a relu."""
    return np.stack([x[:, c, y::2, z::2] for y in range(2) for z in range(2) for c in range(4)], 1).clip(0)


def group_norm(x: np.ndarray) -> np.ndarray:
    """Two groups of two channels; factors 2 and -3, terms 1 and 4, one per group."""
    parts = x.reshape(2, -1)
    normed = (parts - parts.mean(1, keepdims=True)) / np.sqrt(parts.var(1, keepdims=True) + 1e-5)
    return (normed * np.array([[2.0], [-3.0]]) + np.array([[1.0], [4.0]])).reshape(x.shape)


def grown(before: int, size: int) -> Callable[[np.ndarray], np.ndarray]:
    """A transposed convolution by strides of 2 without padding, of which `before` lines and columns are cut off, and `size` kept."""

    def compute(x: np.ndarray) -> np.ndarray:
        whole = make([node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])], x.shape, {"w": FILTER}, opset=11)
        (found,) = ReferenceEvaluator(whole).run(None, {"x": x.astype(np.float32)})
        return np.asarray(found)[:, :, before : before + size, before : before + size]

    return compute


IMAGE = (1, 4, 6, 6)
# name: (opset, nodes, shape of x, constants, what NumPy computes)
CASES: dict[str, tuple[int, list[Any], tuple[int, ...], dict[str, Any], Callable[[np.ndarray], np.ndarray]]] = {
    "log of a softmax of all": (7, [node("LogSoftmax", ["x"], ["y"], axis=1)], (1, 6, 4), {}, log_softmax),
    "softmax of all": (9, [node("Softmax", ["x"], ["y"])], (1, 6, 4), {}, lambda x: np.exp(log_softmax(x))),
    "mean of three": (
        8, [node("Tanh", ["x"], ["t"]), node("Mean", ["x", "t", "t"], ["y"])], (1, 6, 8), {}, lambda x: (x + 2 * np.tanh(x)) / 3,
    ),
    "space to depth": (10, [node("SpaceToDepth", ["x"], ["s"], blocksize=2), node("Relu", ["s"], ["y"])], IMAGE, {}, block_first),
    "norm of groups": (
        18, [node("GroupNormalization", ["x", "g", "b"], ["y"], num_groups=2)], IMAGE,
        {"g": np.array([2, -3], np.float32), "b": np.array([1, 4], np.float32)}, group_norm,
    ),
    "turned rows": (9, [node("Gemm", ["x", "m"], ["y"], transA=1)], (6, 8), {"m": MATRIX}, lambda x: x.T @ MATRIX),
    "a vector of weights": (9, [node("MatMul", ["x", "v"], ["y"])], (1, 6, 8), {"v": VECTOR}, lambda x: x @ VECTOR),
    # 2 x 5 + 3 = 13 lines: one too many, at the end (upper) or at the start; three too many, two of them at the start
    "as many as strides, upper": (
        11, [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], auto_pad="SAME_UPPER")], IMAGE, {"w": FILTER}, grown(0, 12),
    ),
    "as many as strides, lower": (
        11, [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], auto_pad="SAME_LOWER")], IMAGE, {"w": FILTER}, grown(1, 12),
    ),
    "a stated size": (
        11, [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], output_shape=[10, 10])], IMAGE, {"w": FILTER}, grown(2, 10),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_old_spelling_is_what_onnx_defined(name: str, tmp_path: Path) -> None:
    opset, nodes, shape, constants, compute = CASES[name]
    x = RANDOM.normal(size=shape).astype(np.float32)
    trace = imported(make(nodes, shape, constants, opset=opset), tmp_path)
    (source,), (output,) = trace.manifest.inputs, trace.manifest.interface.outputs
    wanted = compute(x.astype(np.float64))
    values = naive_graph.run_float(trace, {source.name: x.reshape(source.shape.dims)}, 1e-5)
    found = output.of(values[output.layer][None])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())  # constants are float32
