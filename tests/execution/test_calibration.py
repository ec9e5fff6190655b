"""Scales of activations: each method by its definition, and the float network behind them by an interpreter of its own."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import TraceError
from accelsim.execution.calibration import calibrate, scale_of
from accelsim.presets import find_trace
from accelsim.trace.manifest import CalibrationRecord, Manifest
from accelsim.trace.trace import Trace, load_trace
from tests.naive_execution import Dequantized, with_constants
from tests.naive_graph import layer_value
from tests.tiny_convnets import every_layer


def test_max_reaches_the_largest_finite_magnitude() -> None:
    assert scale_of(np.array([0.5, -12.7, np.inf, np.nan]), 8, "max") == pytest.approx(0.1)
    assert scale_of(np.array([0.5, -32767.0]), 16, "max") == 1.0
    assert scale_of(np.zeros(3), 8, "max") == 1.0
    assert scale_of(np.array([np.inf]), 8, "percentile") == 1.0


def test_percentile_leaves_out_one_value_in_10000() -> None:
    values = np.concatenate([np.full(49_997, 1.27), [50.0, 60.0, -70.0]])  # 0.9999 of 49,999 steps up from the smallest: the 49,994th
    assert scale_of(values, 8, "percentile") == pytest.approx(0.01)
    assert scale_of(values, 8, "max") == pytest.approx(70 / 127)
    # 1 to 10,001: 0.9999 of 10,000 steps up from 1 is 10,000
    assert scale_of(np.arange(1.0, 10_002.0), 8, "percentile") == pytest.approx(10_000 / 127)


@pytest.mark.parametrize("outlier", [0.0, 15.0])  # with an outlier a smaller share is best
def test_mse_has_the_least_squared_error_of_the_shares_that_it_tries(outlier: float) -> None:
    values = np.append(np.random.default_rng(0).normal(size=100_000), outlier)
    found = scale_of(values, 8, "mse")

    def error(scale: float) -> float:
        sizes = np.abs(values)
        return float(((np.minimum(np.floor(sizes / scale + 0.5), 127) * scale - sizes) ** 2).sum())

    shares = [np.abs(values).max() / 127 * step / 40 for step in range(8, 41)]
    assert error(found) == pytest.approx(min(error(scale) for scale in shares))
    assert error(found) < error(scale_of(values, 8, "max"))


@pytest.mark.parametrize("network", ["vit", "convnet"])
def test_the_measured_network_is_the_float_one(network: str) -> None:
    if network == "vit":
        trace = with_constants(compress_trace(load_trace(find_trace("tiny_vit_float")), make_recipe("ssvq:k=16,d=8"))[0])
    else:
        trace = with_constants(every_layer().trace(payload=True))
    source = trace.manifest.inputs[0]
    inputs = np.random.default_rng(1).normal(size=(2, *source.shape.dims))
    record = calibrate(trace, {source.name: inputs}, "max")
    assert record.samples == 2
    values = {source.name: list(inputs)}
    for layer in trace.layers:
        constants = {name: trace.constant(layer.name, name).astype(np.float64) for name in layer.constants}
        operands = zip(*(values[name] for name in layer.inputs), strict=True)
        values[layer.name] = [layer_value(Dequantized(trace), layer, list(args), constants, 0.0) for args in operands]
    for name, found in values.items():
        largest = max(float(np.abs(value).max()) for value in found)
        assert record.scales[name] == pytest.approx(largest / (2 ** (trace.shapes[name].bits - 1) - 1), rel=1e-9)


def test_a_record_of_scales_names_every_activation() -> None:
    trace = load_trace(find_trace("tiny_vit_int8"))
    fields = {field: getattr(trace.manifest, field) for field in Manifest.model_fields}

    def calibrated(scales: dict[str, float]) -> Trace:
        return Trace(Manifest(**{**fields, "calibration": CalibrationRecord(method="mse", samples=1, scales=scales)}))

    whole = dict.fromkeys(trace.shapes, 0.5)
    text = calibrated(whole).manifest.to_json()
    assert Manifest.model_validate_json(text).calibration == CalibrationRecord(method="mse", samples=1, scales=whole)
    with pytest.raises(TraceError, match=r"calibration.scales: 'nothing' is no activation"):
        calibrated(whole | {"nothing": 1.0})
    with pytest.raises(TraceError, match=r"calibration.scales: 'classifier' is missing"):
        calibrated({name: 0.5 for name in whole if name != "classifier"})
    with pytest.raises(ValidationError, match="greater than 0"):
        calibrated(whole | {"classifier": 0.0})


def test_a_manifest_without_scales_is_written_as_before() -> None:
    assert "calibration" not in load_trace(find_trace("tiny_vit_int8")).manifest.to_json()
