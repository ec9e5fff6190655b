"""execute: arrays, files and names of inputs, and outputs as floats, integers and a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import accelsim
from accelsim.errors import AccelsimError


def images(count: int) -> np.ndarray:
    shape = accelsim.load_trace("tiny_vit_int8").record.manifest.inputs[0].shape
    return np.random.default_rng(2).normal(size=(count, *shape.dims)).astype(np.float32)


def test_an_array_a_file_and_a_name_are_the_same_input(tmp_path: Path) -> None:
    array = images(2)
    np.save(tmp_path / "x.npy", array)
    given = [array, str(tmp_path / "x.npy"), tmp_path / "x.npy", {"pixel_values": array}, {"pixel_values": tmp_path / "x.npy"}]
    found = [accelsim.execute("edge-64x64", "tiny_vit_int8", item).integers["classifier"] for item in given]
    assert all(np.array_equal(found[0], other) for other in found)


def test_outputs_are_integers_times_scale(tmp_path: Path) -> None:
    run = accelsim.execute("edge-64x64", "tiny_vit_int8", images(2))
    assert run.bit_exact
    assert run.samples == 2
    assert run.outputs["classifier"].dtype == np.float32
    np.testing.assert_allclose(run.outputs["classifier"], run.integers["classifier"] * run.scales["classifier"], rtol=1e-6)
    assert run.scales.keys() == set(accelsim.load_trace("tiny_vit_int8").record.shapes)
    assert [row["bit_exact"] for row in run.layers] == [True] * 18
    folder = run.save(tmp_path / "out")
    assert np.array_equal(np.load(folder / "classifier.npy"), run.integers["classifier"])
    assert json.loads((folder / "outputs.json").read_text()) == run.to_dict()
    assert repr(run).splitlines()[0] == f"network executed on 2 samples; {run.scale_rule}"
    assert "classifier" in run._repr_html_()


def test_the_chip_decides_the_width_of_the_sums() -> None:
    assert not accelsim.execute("edge-64x64", "tiny_vit_int8", set={"array.psum_bits": 16}).bit_exact


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 2)), r"input 'pixel_values' has shape \(2, 2\)"),
        ({"pixels": np.zeros(1)}, "has no input 'pixels'; known: pixel_values"),
        ([[1, 2], [3]], "input: .* is of type list; allowed: an array"),
        ("none.npy", r"none\.npy: cannot be read"),
        (np.array("text"), "has shape"),
    ],
)
def test_a_wrong_input_is_one_sentence(given: object, message: str) -> None:
    with pytest.raises(AccelsimError, match=message):
        accelsim.execute("edge-64x64", "tiny_vit_int8", given)


def test_a_trace_is_measured_again_from_floats() -> None:
    trace = accelsim.load_trace("tiny_vit_int8")
    shape = trace.record.manifest.inputs[0].shape.dims
    images = np.random.default_rng(0).normal(size=(2, *shape))
    first = trace.calibrate(images)
    again = first.calibrate(2 * images, "max")
    assert again.record.manifest.calibration.scales["pixel_values"] == pytest.approx(np.abs(2 * images).max() / 127)
    assert first.record.manifest.calibration.method == "mse"
    assert trace.record.manifest.calibration is None
