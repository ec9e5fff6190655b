"""A small ViT as onnxruntime quantizes it statically by default: QDQ, activations of 8 bits with a zero point, weights without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from accelsim.importers.import_model import import_model
from accelsim.trace.trace import Trace
from tests import naive_graph

FILE = Path(__file__).parent / "data" / "vit_u8.onnx"  # see data/README.md
EPSILON = 1e-5  # of its layer norms


@pytest.fixture(scope="module")
def trace() -> Trace:
    return import_model(str(FILE))


def without_rounding(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model whose activations go around their quantizers."""
    source = {step.output[0]: step.input[0] for step in model.graph.node if step.op_type == "QuantizeLinear"}
    around = {
        step.output[0]: source[step.input[0]]
        for step in model.graph.node
        if step.op_type == "DequantizeLinear" and step.input[0] in source
    }  # fmt: skip
    for step in model.graph.node:
        step.input[:] = [around.get(name, name) for name in step.input]
    for output in model.graph.output:
        output.name = around.get(output.name, output.name)
    model.opset_import[0].version = 19  # the evaluator has no quantizer of 18, which is the same
    return model


def test_its_multiply_accumulates_are_those_of_the_float_model(trace: Trace) -> None:
    # patches 4 x 192 x 8; of 5 tokens q, k, v and o 8 x 8, scores and values of two heads 5 x 4, the MLP 8 x 12 x 2; the classifier 8 x 3
    assert trace.macs == 4 * 192 * 8 + 5 * (4 * 64 + 2 * 2 * 5 * 4 + 2 * 96) + 24


def test_every_weight_is_the_files_integers_times_their_scale(trace: Trace) -> None:
    graph = onnx.load(FILE).graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    real = [
        (stored[step.input[0]].astype(np.float64) - stored[step.input[2]]) * stored[step.input[1]]
        for step in graph.node
        if step.op_type == "DequantizeLinear" and stored.get(step.input[0], np.empty(0)).ndim > 1
    ]
    matrices = [matrix.reshape(matrix.shape[0], -1) for matrix in real]
    weighted = [layer.name for layer in trace.layers if layer.weights is not None]
    assert len(weighted) == 8
    for name in weighted:
        weights = trace.weights(name)
        either = [turned for matrix in matrices for turned in (matrix, matrix.T) if turned.shape == weights.shape]
        assert any(np.allclose(weights, matrix, rtol=1e-6, atol=0) for matrix in either)


def in_float64(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its constants, dequantized weights included, in float64."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    steps = [step for step in model.graph.node if step.op_type == "DequantizeLinear"]
    for step in steps:
        if step.input[0] not in constants:
            continue  # of an activation: no longer read
        integers, scale, zero = (constants[name].astype(np.float64) for name in step.input)
        assert scale.size == 1  # one scale per tensor, as onnxruntime quantizes by default
        constants[step.output[0]] = (integers - zero) * scale
        model.graph.node.remove(step)
    del model.graph.initializer[:]
    for name, array in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float64) if array.dtype.kind == "f" else array, name))
    return model


def test_its_values_are_the_models_without_rounding_between_layers(trace: Trace) -> None:
    x = np.random.default_rng(3).normal(size=(1, 3, 16, 16)).astype(np.float32)
    (expected,) = ReferenceEvaluator(in_float64(without_rounding(onnx.load(FILE)))).run(None, {"x": x.astype(np.float64)})
    assert expected.dtype == np.float64  # as the definition, so no order of summation matters; weights are rounded to float32 once
    (given,) = trace.manifest.inputs
    found = naive_graph.run_float(trace, {given.name: x.reshape(given.shape.dims)}, EPSILON)[trace.manifest.outputs[0]]
    np.testing.assert_allclose(found.reshape(-1), expected.reshape(-1), rtol=0, atol=1e-5 * np.abs(expected).max())
