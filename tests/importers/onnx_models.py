"""Small ONNX models for the importer's tests, and the comparison of an imported trace with onnx's reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from accelsim.importers.import_model import import_model
from accelsim.trace.trace import Trace
from tests import naive_graph, rounding

OPSET = 18
node = helper.make_node


def make(
    nodes: Sequence[Any],
    shape: Sequence[int | str | None],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    output: str = "y",
    opset: int = OPSET,
    element: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model of one input 'x' and one output; constants become initializers."""
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    source = helper.make_tensor_value_info("x", element, list(shape))
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "g", [source], [result], initializers)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def save(model: onnx.ModelProto, folder: Path, name: str = "m.onnx") -> str:
    """The model's file."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return str(path)


def imported(model: onnx.ModelProto, folder: Path, **options: Any) -> Trace:
    """The trace of a model."""
    return import_model(save(model, folder), **options)


def naive(trace: Trace, x: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    """The trace's output, by its definition: (rows, width)."""
    return naive_and_bound(trace, x, epsilon)[0]


def naive_and_bound(trace: Trace, x: np.ndarray, epsilon: float = 1e-5) -> tuple[np.ndarray, float]:
    """The trace's output, by its definition, (rows, width), and how far float32 may be from it."""
    (source,) = trace.manifest.inputs
    values = naive_graph.run_float(trace, {source.name: x.reshape(source.shape.dims)}, epsilon)
    output = trace.manifest.outputs[0]
    (found,) = values[output]
    return found, rounding.of_network(trace, values)[output]


def rows(array: np.ndarray) -> np.ndarray:
    """A model's output as a trace has it: one row per position or token."""
    return array[0].reshape(array.shape[1], -1).T if array.ndim == 4 else array.reshape(-1, array.shape[-1])


def assert_equal(model: onnx.ModelProto, x: np.ndarray, folder: Path, approximation: float = 0.0, epsilon: float = 1e-5) -> Trace:
    """The imported trace computes what onnx's reference evaluator computes in float32, which may approximate a function; returns it."""
    trace = imported(model, folder)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    found, bound = naive_and_bound(trace, x, epsilon)
    np.testing.assert_allclose(rows(expected), found, rtol=0, atol=bound + approximation)
    return trace


def random(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float32 values."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)
