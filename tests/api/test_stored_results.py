"""Stored results that were damaged: one sentence with file, field, value and what is allowed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

import accelsim


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> dict[str, Any]:
    path = accelsim.simulate("edge-32x32", "tiny_vit_int8").save(tmp_path_factory.mktemp("run") / "run.json")
    fields: dict[str, Any] = json.loads(path.read_text())
    return fields


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Folders without their pictures, which take most of the time of saving and are compared elsewhere."""
    monkeypatch.setattr("accelsim.report.plots.picture.files_of", lambda pictures, *style: {})


DAMAGES = [
    ("frames", [], r"`frames`: must have 1 or more items, has 0 \(got \[\]\)"),
    ("frames", {}, r"`frames`: must be a list \(got {}\)"),
    ("frames", [{"layers": [], "trace": "x"}], "`frames.0.layers`: must have 1 or more items"),
    ("frames", [3], r"`frames.0`: must be a group of fields \(got 3\)"),
    ("warnings", "careful", r"`warnings`: must be a list \(got 'careful'\)"),
    ("warnings", {"a": "b"}, "`warnings`: must be a list"),
    ("counters", [], "`counters`: must be a group of fields"),
    ("counters", {"dram_bus_bytes": 1.5}, r"`counters.dram_bus_bytes`: must be a whole number \(got 1.5\)"),
    ("counters", {"a": 1}, "`counters`: must be dram_bus_bytes, .*a"),
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


LAYER = ("frames", 0, "layers", 0)
CONTRADICTIONS = [
    ((*LAYER, "traffic", 0, "memory"), "../../etc/passwd", r"`frames.0.layers.0.traffic.0.memory`: must be dram, flash or l2"),
    ((*LAYER, "traffic", 0, "operand"), "sign", r"`frames.0.layers.0.traffic.0.operand`: must be indices, signs, .*; did you mean 'signs'"),
    ((*LAYER, "cycles", "bussy"), 0, r"`frames.0.layers.0.cycles`: must be busy, .* \(got 'bussy'\)"),
    ((*LAYER, "bounds", "=1+1"), 0, "`frames.0.layers.0.bounds`: must be array, "),
    ((*LAYER, "macs"), -1, r"`frames.0.layers.0.macs`: must be at least 0 \(got -1\)"),
    ((*LAYER, "macs"), 2**63, "`frames.0.layers.0.macs`: must be (a whole number of fewer digits|at most 9,223,372,036,854,775,807)"),
    ((*LAYER, "cycles", "busy"), 10**9, "`frames`: 1,000,[0-9,]* does not add up; allowed: cycles of all layers that sum to the last `end"),
    ((*LAYER, "bounds", "dram"), 10**9, "`bounds.dram`: 1,000,[0-9,]* does not add up; allowed: at most the cycles of the run, "),
    ((*LAYER, "start_cycle"), 10**9, "`frames.0.layers.0.end_cycle`: .* does not add up; allowed: at least `start_cycle`, 1,000,000,000"),
    ((*LAYER, "pe_cycles"), 7 * 10**12, "`frames.0.layers.0.pe_cycles`: 7,000,000,000,000 does not add up; allowed: `busy` times the PEs"),
    ((*LAYER, "traffic", 0, "bits"), 8, "`counters.dram_bus_bytes`: .* does not add up; allowed: the traffic of all layers, "),
    (
        (*LAYER, "vector_cycles"),
        10**6,
        "`counters.vector_busy_cycles`: .* does not add up; allowed: at least the `vector_cycles` of all layers, 1,",
    ),
    (("counters", "dram_bus_bytes"), 0, "`counters.dram_bus_bytes`: 0 does not add up; "),
    (("clock_hz",), 0, r"`clock_hz`: must be at least 1 \(got 0\)"),
    (("verdict",), {"resource": "luck", "gain": 2.0, "second": None, "then": "", "sentence": ""}, "`verdict.resource`: must be memory, "),
]


@pytest.mark.parametrize(("place", "value", "message"), CONTRADICTIONS, ids=lambda item: repr(item)[-40:])
def test_a_name_a_count_or_a_sum_that_cannot_be_is_named(stored, tmp_path, place, value, message):
    damaged = here = copy.deepcopy(stored)
    for part in place[:-1]:
        here = here[part]
    here[place[-1]] = value
    file = tmp_path / "result.json"
    file.write_text(json.dumps(damaged))
    with pytest.raises(accelsim.AccelsimError, match=message) as error:
        accelsim.load_result(file)
    assert str(error.value).startswith(f"{file}: field `")
    assert "\n" not in str(error.value)


def test_a_vector_unit_slowed_by_the_ports_of_the_buffer_can_be_read_again(tmp_path):
    chip = accelsim.load_accelerator("edge-32x32", set=["activation_buffer.banks=1", "vector_unit.lanes=128"])
    result = accelsim.simulate(chip, "tiny_vit_int8")
    record = result.record
    assert record.counters["vector_busy_cycles"] > sum(layer.vector_cycles for layer in record.layers)
    file = tmp_path / "result.json"
    file.write_text(record.to_json())
    assert accelsim.load_result(file).record.to_json() == record.to_json()


def test_versions_one_and_two_are_read(stored, tmp_path):
    frames = [{"layers": frame["layers"]} for frame in stored["frames"]]
    for fields in (stored, {**stored, "schema_version": 1, "frames": frames}):
        file = tmp_path / "result.json"
        file.write_text(json.dumps(fields))
        assert json.loads(accelsim.load_result(file).record.to_json()) == stored


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["run", "run.v2", "edge-64x64.deit.final", "lauf ü 2.0", "run.", ".run"])
def test_a_name_without_the_ending_of_a_file_is_a_folder(name, tmp_path):
    result = accelsim.simulate("edge-32x32", "tiny_vit_int8")
    folder = result.save(tmp_path / name)
    assert folder == tmp_path / name
    assert (folder / "result.json").is_file()
    assert accelsim.load_result(folder).record == result.decided
    assert result.save(folder) == folder  # its own folder may be written again


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("run.csv", "ends with .csv; allowed: .json, .html, or a folder's name"),
        ("run.PNG", "ends with .png; allowed: .json, .html, or a folder's name; `plot` makes pictures"),
        ("run.jsn", "ends with .jsn; allowed: .json, .html, or a folder's name; did you mean '.json'?"),
        ("run.json.gz", "ends with .gz; allowed: .json, .html, or a folder's name"),
    ],
)
def test_the_ending_of_another_kind_of_file_is_refused(name, message, tmp_path):
    with pytest.raises(accelsim.AccelsimError) as error:
        accelsim.simulate("edge-32x32", "tiny_vit_int8").save(tmp_path / name)
    assert str(error.value) == f"{tmp_path / name}: {message}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("undrawn")
def test_a_folder_that_is_there_is_taken_whatever_its_name(tmp_path):
    folder = tmp_path / "runs.csv"
    folder.mkdir()
    result = accelsim.simulate("edge-32x32", "tiny_vit_int8")
    assert accelsim.load_result(result.save(folder)).record == result.decided


@pytest.mark.parametrize(("name", "kind"), [("notes.json", "the result of a run or a comparison"), ("notes.html", "a report")])
def test_a_file_of_another_kind_is_not_overwritten(tmp_path, name, kind):
    result = accelsim.simulate("edge-32x32", "tiny_vit_int8")
    foreign = tmp_path / name
    foreign.write_text('{"mine": 1}')
    for value in (result, accelsim.compare(result, result)):
        with pytest.raises(accelsim.AccelsimError, match=f"holds something that is not {kind}"):
            value.save(foreign)
    assert foreign.read_text() == '{"mine": 1}'
    assert result.save(tmp_path / f"own{foreign.suffix}") == result.save(tmp_path / f"own{foreign.suffix}")
