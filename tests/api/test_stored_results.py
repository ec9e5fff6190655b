"""Stored results that were damaged: one sentence with file, field, value and what is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest

import accelsim


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> dict[str, Any]:
    path = accelsim.simulate("edge-32x32", "tiny_vit_int8").save(tmp_path_factory.mktemp("run") / "run.json")
    fields: dict[str, Any] = json.loads(path.read_text())
    return fields


DAMAGES = [
    ("frames", [], r"`frames`: must have 1 or more items, has 0 \(got \[\]\)"),
    ("frames", {}, r"`frames`: must be a list \(got {}\)"),
    ("frames", [{"layers": [], "trace": "x"}], "`frames.0.layers`: must have 1 or more items"),
    ("frames", [3], r"`frames.0`: must be a group of fields \(got 3\)"),
    ("warnings", "careful", r"`warnings`: must be a list \(got 'careful'\)"),
    ("warnings", {"a": "b"}, "`warnings`: must be a list"),
    ("counters", [], "`counters`: must be a group of fields"),
    ("counters", {"a": 1.5}, r"`counters.a`: must be a whole number \(got 1.5\)"),
    ("versions", {"a": 1}, r"`versions.a`: must be text \(got 1\)"),
    ("choices", None, r"`choices`: must be a group of fields \(got null\)"),
    ("trace_sha256", 3, r"`trace_sha256`: must be text \(got 3\)"),
    ("schema_version", 1.0, "`schema_version`: 1.0 cannot be read; allowed: 1..2"),
    ("schema_version", [], "`schema_version`: .* cannot be read; allowed: 1..2"),
    ("unheard_of", 3, "`unheard_of`: unknown field"),
]


@pytest.mark.parametrize(("field", "value", "message"), DAMAGES, ids=lambda item: repr(item)[:30])
def test_a_damaged_field_is_named_with_its_value(stored, tmp_path, field, value, message):
    file = tmp_path / "result.json"
    file.write_text(json.dumps({**stored, field: value}))
    with pytest.raises(accelsim.AccelsimError, match=message) as error:
        accelsim.load_result(file)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)


def test_versions_one_and_two_are_read(stored, tmp_path):
    frames = [{"layers": frame["layers"]} for frame in stored["frames"]]
    for fields in (stored, {**stored, "schema_version": 1, "frames": frames}):
        file = tmp_path / "result.json"
        file.write_text(json.dumps(fields))
        assert json.loads(accelsim.load_result(file).record.to_json()) == stored
