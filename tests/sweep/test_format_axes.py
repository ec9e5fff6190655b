"""Axes over the format of a trace, and the hint for a format whose commas YAML took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from accelsim.compression.open_trace import open_trace
from accelsim.errors import ConfigError
from accelsim.sweeps.format_axes import trace_in_format
from accelsim.sweeps.points import Dropped, Invalid, Point, expand
from accelsim.sweeps.spec import Sweep, load_sweep


def sweep(**axes: Any) -> Sweep:
    return load_sweep({"name": "formats", "fit_codebook": True, "base": {"accelerator": "edge-32x32"}, "axes": axes})


@pytest.mark.parametrize(
    ("trace", "fields", "wanted"),
    [
        ("a", {"format": "ssvq"}, "a@ssvq"),
        ("a", {"format": "ssvq", "format.k": 16, "format.d": 8}, "a@ssvq:k=16,d=8"),
        ("a", {"format": "ssvq:d=8", "format.k": 16}, "a@ssvq:d=8,k=16"),
        ("a@ssvq:k=16,d=8", {"format.k": 64}, "a@ssvq:k=64,d=8"),
        ("a@ssvq:k=16,d=8", {"format.k": None}, "a@ssvq:k=16,d=8"),
        ("a", {"format": None, "format.k": None}, "a"),
        ("a", {"format": "int_group", "format.group": 32}, "a@int_group:group=32"),
    ],
)
def test_the_trace_of_a_point_has_the_format_of_its_axes(trace: str, fields: dict[str, Any], wanted: str):
    assert trace_in_format(trace, fields) == wanted


@pytest.mark.parametrize(
    ("trace", "fields", "words"),
    [
        ("a", {"format.k": 16}, "`format.k`: trace 'a' has no format; allowed: NAME@FORMAT, or an axis `format`"),
        ("a@vq:k=16,d=8", {"format": "ssvq"}, "names its format"),
        ("a", {"format": "vq", "format.k": True}, "`format.k`: True is not allowed"),
        ("a", {"format": "vq", "format.k": "16,d=8"}, "`format.k`: '16,d=8' is not allowed"),
    ],
)
def test_a_format_that_cannot_be_is_one_message(trace: str, fields: dict[str, Any], words: str):
    with pytest.raises(ConfigError) as caught:
        trace_in_format(trace, fields)
    assert words in str(caught.value)


def test_a_point_is_the_run_of_the_trace_that_a_person_would_write():
    (point,) = expand(sweep(trace=["tiny_vit_float"], format=["ssvq"], **{"format.k": [16], "format.d": [8]}))
    (written,) = expand(sweep(trace=["tiny_vit_float@ssvq:k=16,d=8"]))
    assert isinstance(point, Point)
    assert isinstance(written, Point)
    assert point.run_id == written.run_id
    assert point.trace_sha256 == open_trace("tiny_vit_float@ssvq:k=16,d=8").sha256
    assert point.accelerator.codebook.codewords == 16
    assert point.axes == {"trace": "tiny_vit_float", "format": "ssvq", "format.k": 16, "format.d": 8}


def test_a_range_goes_over_a_parameter():
    found = [item for item in expand(sweep(trace=["tiny_vit_float@ssvq:k=16,d=8"], **{"format.k": "16..64 x2"})) if isinstance(item, Point)]
    assert [point.trace for point in found] == [f"tiny_vit_float@ssvq:k={k},d=8" for k in (16, 32, 64)]


def test_a_format_that_does_not_fit_concerns_its_points_only():
    found = list(expand(sweep(trace=["tiny_vit_float"], format=["ssvq", "uniform"], **{"format.k": [16], "format.d": [8]})))
    assert [type(item) for item in found] == [Point, Invalid]
    assert "unknown parameter 'k'" in found[1].message  # type: ignore[union-attr]  # it is Invalid


def test_constraints_read_the_format_whoever_wrote_it():
    wanted = {"name": "f", "base": {"accelerator": "edge-32x32"}, "axes": {"trace": ["tiny_vit_float@ssvq:d=8"], "format.k": [16, 64]}}
    found = list(expand(load_sweep({**wanted, "constraints": ["format == 'ssvq' and format.k * format.d <= 128"]})))
    assert [type(item) for item in found] == [Point, Dropped]


def test_an_unknown_parameter_has_a_suggestion():
    with pytest.raises(ConfigError, match=r"no field `format\.kk` to set"):
        sweep(trace=["a"], **{"format.kk": [1]})


def test_a_format_that_yaml_took_apart_has_a_hint():
    text = "{name: f, base: {accelerator: edge-32x32}, axes: {trace: [a@ssvq:k=16,d=8, b]}}"
    with pytest.raises(ConfigError) as caught:
        load_sweep(yaml.safe_load(text))
    assert "'d=8' is a piece of a@ssvq:k=16,d=8" in str(caught.value)
    assert "put the whole in quotes: ['a@ssvq:k=16,d=8']" in str(caught.value)
    assert load_sweep(yaml.safe_load(text.replace("a@ssvq:k=16,d=8", "'a@ssvq:k=16,d=8'"))).size == 2


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("base: {accelerator: edge-32x32, trace: a@ssvq:k=16,d=8}\naxes: {frames: [1]}", "`trace`: d=8 is a piece of a@ssvq:k=16,d=8"),
        ("base: {accelerator: edge-32x32, trace: a}\naxes: {codebook.ports: 1,2}", "`codebook.ports`: 2 is a piece of 1,2"),
        ("base: {accelerator: edge-32x32, trace: a}\nlinked: [{format: ssvq:k=4,d=8}]", "`format`: d=8 is a piece of ssvq:k=4,d=8"),
        ("axes:\n\tframes: [1]", "a tab; YAML is indented with spaces"),
        ("constraints: [frames > 1 && batch > 1]\nbase: {accelerator: edge-32x32, trace: a}\naxes: {frames: [1]}", "write `and`"),
    ],
)
def test_what_yaml_takes_otherwise_gets_a_hint(written: str, words: str, tmp_path: Path):
    file = tmp_path / "s.yaml"
    file.write_text(f"name: s\n{written}\n")
    with pytest.raises(ConfigError) as caught:
        load_sweep(str(file))
    assert words in str(caught.value)
