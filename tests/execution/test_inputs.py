"""Inputs of a network: the accepted shapes and types, and one sentence for each that is refused."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import TraceError
from accelsim.execution.inputs import checked_inputs, read_npy
from accelsim.ops.shapes import TensorShape
from accelsim.presets import find_trace
from accelsim.trace.manifest import CalibrationRecord, Manifest, ModelInput
from accelsim.trace.trace import Trace, load_trace

TINY = load_trace(find_trace("tiny_vit_int8"))


def changed(**fields: Any) -> Trace:
    old = {field: getattr(TINY.manifest, field) for field in Manifest.model_fields}
    return Trace(Manifest(**{**old, **fields}))


CALIBRATED = changed(calibration=CalibrationRecord(method="max", samples=4, scales=dict.fromkeys(TINY.shapes, 0.5)))
IMAGE = TINY.manifest.inputs[0].name
DIMS = TINY.manifest.inputs[0].shape.dims


@pytest.mark.parametrize(("lead", "samples"), [((), 1), ((1,), 1), ((5,), 5), ((1, 5), 5)])
def test_a_dimension_of_samples_may_lead(lead: tuple[int, ...], samples: int) -> None:
    array = np.arange(samples * np.prod(DIMS), dtype=np.float32).reshape(*lead, *DIMS)
    found = checked_inputs(TINY, {IMAGE: array}, 0)[IMAGE]
    assert found.shape == (samples, *DIMS)
    assert found.dtype == np.float64
    assert np.array_equal(found.reshape(-1), array.reshape(-1))


def test_integers_are_taken_as_they_are_where_the_trace_has_scales() -> None:
    array = np.full(DIMS, -128, np.int16)
    found = checked_inputs(CALIBRATED, {IMAGE: array}, 0)[IMAGE]
    assert found.dtype == np.int64
    assert (found == -128).all()


def test_a_seeded_input_spans_its_integers_or_minus_1_to_1() -> None:
    for trace, end in ((TINY, 1.0), (CALIBRATED, 127 * 0.5)):
        drawn = checked_inputs(trace, {}, 3)[IMAGE]
        assert drawn.shape == (1, *DIMS)
        assert 0.9 * end < np.abs(drawn).max() <= end
        assert np.array_equal(drawn, checked_inputs(trace, {}, 3)[IMAGE])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"imgae": np.zeros(DIMS)}, rf"has no input 'imgae'; known: {IMAGE}"),
        ({IMAGE: np.zeros((2, 2))}, rf"input '{IMAGE}' has shape \(2, 2\); allowed: \(\d+, \d+, \d+\) or \(samples, \d+"),
        ({IMAGE: np.zeros((0, *DIMS))}, "has shape"),
        ({IMAGE: np.zeros((2, 3, *DIMS))}, "has shape"),
        ({IMAGE: np.full(DIMS, np.nan)}, "holds NaN or an infinity"),
        ({IMAGE: np.zeros(DIMS, complex)}, "has the type complex128; allowed: floating-point numbers, or integers of 8 bits"),
        ({IMAGE: np.zeros(DIMS, "U3")}, "has the type <U3"),
        ({IMAGE: np.zeros(DIMS, bool)}, "has the type bool"),
        ({IMAGE: np.zeros(DIMS, np.int8)}, "holds integers, but the trace has no calibration"),
    ],
)  # fmt: skip
def test_other_inputs_are_refused_in_one_sentence(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        checked_inputs(TINY, given, 0)


def test_integers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TraceError, match=re.escape("holds integers from 0 to 255; allowed: -128 to 127 (8 bits)")):
        checked_inputs(CALIBRATED, {IMAGE: np.resize(np.arange(256), DIMS)}, 0)


def test_every_input_is_needed_with_as_many_samples() -> None:
    two = changed(inputs=(*TINY.manifest.inputs, ModelInput(name="mask", shape=TensorShape(rows=1, width=4))))
    with pytest.raises(TraceError, match="input 'mask' is not given"):
        checked_inputs(two, {IMAGE: np.zeros(DIMS)}, 0)
    with pytest.raises(TraceError, match="different numbers of samples"):
        checked_inputs(two, {IMAGE: np.zeros(DIMS), "mask": np.zeros((2, 4))}, 0)


def test_a_row_may_be_given_without_its_leading_ones() -> None:
    row = changed(inputs=(*TINY.manifest.inputs, ModelInput(name="mask", shape=TensorShape(rows=1, width=4))))
    assert checked_inputs(row, {IMAGE: np.zeros(DIMS), "mask": np.ones(4)}, 0)["mask"].shape == (1, 1, 1, 4)


def saved(array: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def archive() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.zeros(3))
    return out.getvalue()


WHOLE = saved(np.zeros((4, 4), np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is not a \.npy file"),
        (b"1 2 3\n", r"is not a \.npy file"),
        (WHOLE[:-5], r"is not a \.npy file|cannot be read"),
        (WHOLE[:20], r"is not a \.npy file"),
        (WHOLE.replace(b"(4, 4)", b"(4,-4)"), r"is not a \.npy file"),
        (WHOLE.replace(b"(4, 4)", b"(9**9"), r"is not a \.npy file"),
        (saved(np.zeros((4, 1, 4))).replace(b"(4, 1, 4)", b"(4,True,4)").replace(b"}  ", b"} ", 1), r"is not a \.npy file"),
        (saved(np.array([{}], object), allow_pickle=True), r"is not a \.npy file"),
        (archive(), "holds several arrays"),
    ],
)
def test_a_file_that_is_no_array_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=message) as caught:
        read_npy(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"none\.npy: cannot be read: No such file"):
        read_npy(tmp_path / "none.npy")
    with pytest.raises(TraceError, match="cannot be read: Is a directory"):
        read_npy(tmp_path)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float16).reshape(3, 4)
    np.save(tmp_path / "x.npy", array)
    assert np.array_equal(read_npy(tmp_path / "x.npy"), array)
