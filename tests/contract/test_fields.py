"""Every field of every file has a meaning, a unit and a place on the reference page, and a schema that agrees with the records."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from accelsim.accelerator import load_accelerator
from accelsim.ops.shapes import ManifestRecord
from accelsim.presets import built_in, preset_names, trace_names
from accelsim.quantities import parse_bytes, parse_bytes_per_s, parse_hz, parse_ps
from accelsim.records import Record, unit_of
from accelsim.reference.fields import FieldDoc, all_fields, record_fields
from accelsim.reference.kinds import KINDS
from accelsim.reference.page import fields_page
from accelsim.reference.schema import file_schema
from accelsim.reference.template import accelerator_template

CONFIGS, TRACES = built_in().configs, built_in().traces
ROOT = Path(__file__).parents[2]
FOLDERS = {"accelerator": "accelerators", "dram": "dram", "technology": "technology", "sweep": "sweeps"}
RECIPE = {"rules": [{"layers": "*.mlp.*", "format": "ssvq:k=16,d=8"}], "rest": "uniform:bits=8"}


def shipped() -> list[tuple[str, Path]]:
    """(kind, file) of all files that the project ships."""
    files = [(kind, CONFIGS / folder / f"{name}.yaml") for kind, folder in FOLDERS.items() for name in preset_names(folder)]
    return files + [("trace", TRACES / name / "trace.json") for name in trace_names()]


def content(path: Path) -> Any:
    """A file as plain JSON data."""
    return json.loads(json.dumps(yaml.load(path.read_bytes(), yaml.CSafeLoader)))


@pytest.fixture(scope="module")
def validators() -> dict[str, Draft202012Validator]:
    schemas = {kind: file_schema(kind) for kind in KINDS}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    return {kind: Draft202012Validator(schema) for kind, schema in schemas.items()}


@pytest.mark.parametrize("name", all_fields())
def test_a_field_says_what_it_means_and_in_which_unit(name: str) -> None:
    item = all_fields()[name]
    assert item.meaning, "needs Field(description=...) or an entry under Attributes"
    assert not item.words.is_number or item.words.unit, "needs unit(...) in its type, or a unit at the end of its name"


def test_a_field_without_description_or_unit_would_be_found() -> None:
    class Toy(Record):
        width: int = 3

    (item,) = record_fields("toy", Toy)
    assert (item.meaning, item.words.unit, item.words.is_number) == ("", "", True)


def test_records_of_yaml_and_of_traces_are_both_walked() -> None:
    found: list[FieldDoc] = list(all_fields().values())
    assert any(issubclass(item.record, Record) for item in found)
    assert any(issubclass(item.record, ManifestRecord) for item in found)
    assert {
        "accelerator.dram.background.bandwidth",
        "trace.layers.gemm.weight.format.ssvq.k",
        "sweep.pictures.pareto.x",
    } <= all_fields().keys()


def test_the_page_of_fields_is_that_of_the_records() -> None:
    assert (ROOT / "docs" / "reference" / "fields.md").read_text(encoding="utf-8") == fields_page(), "run `make docs`"


@pytest.mark.parametrize(("kind", "path"), shipped(), ids=lambda item: item if isinstance(item, str) else f"{item.parent.name}-{item.stem}")
def test_a_shipped_file_meets_its_schema(kind: str, path: Path, validators: dict[str, Draft202012Validator]) -> None:
    assert [error.message[:200] for error in validators[kind].iter_errors(content(path))] == []


def test_a_recipe_meets_its_schema(validators: dict[str, Draft202012Validator]) -> None:
    assert validators["recipe"].is_valid(RECIPE)
    assert not validators["recipe"].is_valid({"rest": "uniform"})
    assert not validators["recipe"].is_valid({"rules": [{"layers": "*"}]})


def changed(fields: Any, path: str, value: Any) -> Any:
    """A copy of a file's content with the field at a dotted path replaced; numbers are places in lists."""
    out = copy.deepcopy(fields)
    *above, last = path.split(".")
    here = out
    for part in above:
        here = here[int(part)] if isinstance(here, list) else here[part]
    here[int(last) if isinstance(here, list) else last] = value
    return out


@pytest.mark.parametrize(
    ("kind", "path", "right", "wrong"),
    [
        ("accelerator", "clock", 800_000_000, "800 Mhz"),
        ("accelerator", "clock", "800 MHz", 7),
        ("accelerator", "weight_buffer.capacity", "64 KiB", "64 kib"),
        ("accelerator", "weight_buffer.capacity", 65536, 0),
        ("accelerator", "dma.fabric_latency", "100 ns", 100),
        ("accelerator", "dma.fabric_latency", 0, True),
        ("accelerator", "array.rows", 32, "many"),
        ("accelerator", "array.shadow_sets", 2, 3),
        ("accelerator", "array.sparse_tile", {"d": 16, "q": 4}, {"d": 16}),
        ("accelerator", "codebook.store", "rom", "prom"),
        ("accelerator", "dram.background", {"bandwidth": "200 MB/s"}, {"bandwidth": 0}),
        ("accelerator", "array.max_m", 64, None),
        ("dram", "n_cl", 10, 0),
        ("dram", "wck_sync", True, 1),
        ("technology", "energy.mac_pj.value", "8e-05", "little"),
        ("technology", "energy.mac_pj.status", "estimate", "guess"),
        ("sweep", "axes", {"array.rows": "16..64 x2"}, {"array.rwos": [16]}),
        ("sweep", "fit_codebook", False, "maybe"),
        ("sweep", "pictures.0", {"kind": "pareto", "name": "a", "x": "area_mm2", "y": "energy_uj"}, {"kind": "pie", "name": "a"}),
        ("trace", "layers.0.bounds.K", 8, 0),
        ("trace", "layers.0.weight.format", {"kind": "ssvq", "k": 16, "d": 8}, {"kind": "ssvq", "k": 16}),
        ("trace", "layers.0.weight.format", {"kind": "uniform", "bits": 4}, {"bits": 4}),
        ("trace", "layers.0.op", "conv2d", "convolve"),
        ("trace", "source.seed", 3, "3"),
    ],
)
def test_a_right_value_meets_the_schema_and_a_wrong_one_does_not(
    kind: str, path: str, right: Any, wrong: Any, validators: dict[str, Draft202012Validator]
) -> None:
    base = content(TRACES / "tiny_vit_int8" / "trace.json" if kind == "trace" else CONFIGS / FOLDERS[kind] / FIRST[kind])
    assert validators[kind].is_valid(changed(base, path, right))
    assert not validators[kind].is_valid(changed(base, path, wrong))


FIRST = {"accelerator": "edge-64x64.yaml", "dram": "lpddr4-3200-x16.yaml", "technology": "nangate45.yaml", "sweep": "codebook.yaml"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_field_does_not_meet_the_schema(kind: str, validators: dict[str, Draft202012Validator]) -> None:
    base = (
        RECIPE
        if kind == "recipe"
        else content(TRACES / "tiny_vit_int8" / "trace.json" if kind == "trace" else CONFIGS / FOLDERS[kind] / FIRST[kind])
    )
    assert not validators[kind].is_valid({**base, "colour": "red"})


@pytest.mark.parametrize("name", preset_names("accelerators"))
def test_the_template_of_a_preset_is_that_preset(name: str) -> None:
    chip = load_accelerator(name)
    assert load_accelerator(yaml.safe_load(accelerator_template(chip, name))) == chip


def test_the_template_names_every_field_and_its_unit() -> None:
    text = accelerator_template(load_accelerator("edge-64x64"), "edge-64x64")
    for item in (found for found in all_fields().values() if found.file == "accelerator"):
        assert item.name in text
        assert item.words.unit in text


@pytest.mark.parametrize(
    ("preset", "line"), [("edge-64x64", "  #background:"), ("edge-64x64", "#flash:"), ("mcu-16x16", "#dram:"), ("edge-64x64", "  #mask:")]
)
def test_an_optional_group_counts_once_its_mark_is_removed(preset: str, line: str) -> None:
    text = accelerator_template(load_accelerator(preset), preset)
    assert text.count(f"\n{line}") == 1
    chip = load_accelerator(yaml.safe_load(text.replace(f"\n{line}", f"\n{line.replace('#', '')}")))
    assert chip != load_accelerator(preset)


def test_a_sparse_tile_counts_with_the_mask_that_it_needs() -> None:
    text = accelerator_template(load_accelerator("edge-64x64"), "edge-64x64")
    chip = load_accelerator(yaml.safe_load(text.replace("  #sparse_tile:", "  sparse_tile:").replace("  #mask:", "  mask:")))
    assert (chip.array.sparse_tile.q, chip.codebook.mask.keep) == (4, 4)


@pytest.mark.parametrize(
    ("field", "value", "text", "parse"),
    [
        ("weight_buffer.capacity", 65536, "64 KiB", parse_bytes),
        ("weight_buffer.capacity", 1_000_001, "1000001 B", parse_bytes),
        ("dma.fabric_latency", 1250, "1250 ps", parse_ps),
        ("clock", 1_200_480_192, "1200480192 Hz", parse_hz),
        ("dram.background.bandwidth", 400_000_000, "400 MB/s", parse_bytes_per_s),
    ],
)
def test_a_value_is_written_exactly(field: str, value: int, text: str, parse: Any) -> None:
    item = all_fields()[f"accelerator.{field}"]
    unit = unit_of(item.record.model_fields[item.name])
    assert unit is not None
    assert unit.written(value) == text
    assert parse(text) == value
