"""A float64 interpreter beside a network that is executed in integers: how far each layer's result may lie from its definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from accelsim import functional_twin
from accelsim.execution.network import Execution
from accelsim.ops.shapes import TensorShape
from accelsim.ops.weight_record import StreamRecord
from accelsim.trace.layers import Layer
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace, with_payload
from tests import naive_graph


class Dequantized:
    """Weights as a trace's interpreter asks for them: the twin's integers times the stored scales, in float64."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def weights(self, name: str) -> np.ndarray:
        layer = self.trace.layer(name).weighted
        integers = functional_twin.weights(self.trace, layer).astype(np.float64)
        if layer.weight.format.decode_path().scale_levels:
            group = layer.weight.format.decode_path().scale_levels[0][0]
            scales = np.frombuffer(self.trace.stream(name, "scales").tobytes(), "<f2").reshape(-1, layer.weight.n).astype(np.float64)
            return integers * scales[np.arange(layer.weight.k) // group]
        if "scales" not in layer.weight.streams:
            return integers
        return integers * column_scales(self.trace, layer)


def column_scales(trace: Trace, layer: Layer) -> np.ndarray:
    """Scales as stored, one for all columns, for parts of equal width, or for each."""
    scales = np.frombuffer(trace.stream(layer.name, "scales").tobytes(), "<f4").astype(np.float64)
    return np.repeat(scales, layer.weight.n // len(scales))


def with_constants(trace: Trace, seed: int = 0) -> Trace:
    """A trace of a seeded network with random constants beside its weights: factors around 1, all else around 0."""
    rng = np.random.default_rng(seed)
    tensors = {name: trace.payload.read(name) for name in trace.payload.sizes()}
    layers = []
    for layer in trace.layers:
        records = {}
        for name, size in layer.constant_sizes.items():
            values = rng.normal(1.0 if name in ("gamma", "scale") else 0.0, 0.2, size).astype("<f4")
            key = f"{layer.name}.{name}"
            tensors[key] = np.frombuffer(values.tobytes(), np.uint8)
            records[name] = StreamRecord.of(key, 32 * size, tensors[key])
        layers.append(layer.with_fields(constants=records))
    fields = {field: getattr(trace.manifest, field) for field in Manifest.model_fields}
    return with_payload(Manifest(**{**fields, "layers": tuple(layers), "payload": None}), tensors)


def check_every_layer(run: Execution) -> float:
    """Assert that each result is its definition on the layer's own integers, rounded as stated; the largest error found, in steps."""
    trace, worst = run.trace, 0.0
    for layer in trace.layers:
        constants = {name: trace.constant(layer.name, name).astype(np.float64) for name in layer.constants}
        grid = run.grids[layer.name]
        low, high = -(2 ** (grid.bits - 1)), 2 ** (grid.bits - 1) - 1
        for sample in range(run.samples):
            reals = [values_of(run, layer, place, sample) for place in range(len(layer.inputs))]
            exact = naive_graph.layer_value(Dequantized(trace), layer, reals, constants, 0.0)
            wanted = np.clip(exact / grid.scale + zero_of(trace, layer.name), low, high)
            error = np.abs(run.kept[layer.name][sample] - wanted)
            allowed = 0.5 + 1e-6 * (1 + np.abs(wanted)) + bias_steps(run, layer)
            assert (error <= allowed).all(), f"{layer.name}: {error.max()} steps"
            worst = max(worst, float(error.max()))
    return worst


def zero_of(trace: Trace, name: str) -> int:
    """The integer that stands for 0, as the trace states it."""
    return trace.shapes[name].zero_point


def values_of(run: Execution, layer: Layer, place: int, sample: int) -> np.ndarray:
    """The values of an operand as a layer computes with them: what a product loads as weights is rounded to 8 bits first."""
    name = layer.inputs[place]
    integers = run.kept[name][sample].astype(np.float64) - zero_of(run.trace, name)
    if place and layer.op == "matmul" and run.grids[name].bits > 8:
        coarse = 2.0 ** (run.grids[name].bits - 8)
        integers = np.minimum(np.floor(integers / coarse + 0.5), 127) * coarse
    return integers * run.grids[name].scale


def with_shapes(trace: Trace, change: Callable[[str, TensorShape], TensorShape]) -> Trace:
    """A trace whose activations, inputs and results, have other shapes."""
    manifest = trace.manifest
    inputs = tuple(source.with_fields(shape=change(source.name, source.shape)) for source in manifest.inputs)
    layers = tuple(layer.with_fields(output=change(layer.name, layer.output)) for layer in manifest.layers)
    return replace(trace, manifest=manifest.with_fields(inputs=inputs, layers=layers))


def bias_steps(run: Execution, layer: Layer) -> float | np.ndarray:
    """Half a step of the sums per column, in steps of the result: how far a rounded bias may be from its value."""
    if layer.weights is None or "bias" not in layer.constants or layer.weights.format.decode_path().scale_levels:
        return 0.0
    return 0.5 * column_scales(run.trace, layer) * run.grids[layer.inputs[0]].scale / run.grids[layer.name].scale
