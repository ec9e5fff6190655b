"""The record of a model's inputs and outputs: what it refuses, and where several samples lie."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import TraceError
from accelsim.ops.shapes import TensorShape
from accelsim.trace.interface import Interface, ModelOutput, samples_in

TURNED = ModelOutput(name="y", layer="fc", shape=(3, 2), nest=((3, 1), (2, 3)))
SHAPES = {"x": TensorShape(rows=1, width=6), "fc": TensorShape(rows=2, width=3)}


def test_loops_pass_an_output_in_the_model_s_order() -> None:
    assert TURNED.of(np.arange(6).reshape(1, 1, 2, 3)).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert TURNED.of(np.arange(12).reshape(2, 1, 2, 3)).shape == (2, 3, 2)
    batch = TURNED.with_fields(shape=(1, 3, 2))
    assert batch.of(np.arange(12).reshape(2, 1, 2, 3))[1].tolist() == [[6, 9], [7, 10], [8, 11]]


@pytest.mark.parametrize(
    ("given", "shape", "samples"),
    [((1, 4, 6), (1, 4, 6), 1), ((7, 4, 6), (1, 4, 6), 7), ((7, 1, 4, 6), (1, 4, 6), 7), ((7, 4, 6), (4, 6), 7), ((), (), 1),
     ((4, 7, 6), (1, 4, 6), None), ((6, 4), (4, 6), None)],
)  # fmt: skip
def test_samples_lie_along_the_batch_or_before_the_shape(given: tuple[int, ...], shape: tuple[int, ...], samples: int | None) -> None:
    assert samples_in(np.zeros(given), shape) == samples


@pytest.mark.parametrize(
    ("interface", "message"),
    [
        (Interface(inputs={"x": (1, 5)}, outputs=(TURNED,)), r"interface.inputs: 'x' of shape \(1, 5\)"),
        (Interface(inputs={"z": (1, 6)}, outputs=(TURNED,)), "interface.inputs: 'z'"),
        (Interface(), "interface.outputs: allowed: one or more of each of the layers fc, each name once"),
        (Interface(outputs=(TURNED, TURNED)), "each name once"),
        (Interface(outputs=(TURNED.with_fields(layer="x"),)), "each of the layers fc"),
        (Interface(outputs=(TURNED.with_fields(shape=(3, 3)),)), "'y' of shape .3, 3. is not passed by loops"),
        (Interface(outputs=(TURNED.with_fields(nest=((3, 1), (2, 4))),)), "is not passed by loops"),
        (Interface(outputs=(TURNED.with_fields(nest=((3, -1), (2, 3))),)), "is not passed by loops"),
    ],
)
def test_a_record_that_does_not_fit_its_network_is_refused(interface: Interface, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        interface.check([("x", SHAPES["x"])], SHAPES, ["fc"])
