"""What an execution of an imported model writes, beside what the model itself computes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import accelsim
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.importers.import_model import import_model
from accelsim.trace.trace import save_trace

NEAR = 0.12  # of the largest value: some layers of 8-bit integers; random numbers in another order are off by about 1


def written(model: Path | str, inputs: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """The real numbers in the files of an execution, by the outputs' names."""
    trace, _ = compress_trace(import_model(str(model)), make_recipe("uniform:bits=8"))
    save_trace(trace, folder / "trace")
    accelsim.execute("edge-32x32", folder / "trace", dict(inputs)).save(folder / "out")
    found = {}
    for output in json.loads((folder / "out" / "outputs.json").read_text())["outputs"]:
        integers = np.load(folder / "out" / output["file"])
        assert list(integers.shape) == output["shape"]
        found[output["name"]] = integers * output["scale"]
    return found


def assert_written(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> None:
    """The same names in the same order, the same shapes, the same numbers but for their rounding to 8 bits."""
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].shape == array.shape, name
        assert np.abs(found[name] - array).max() <= NEAR * np.abs(array).max(), name
