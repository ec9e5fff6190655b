"""new, describe, schema, list and doctor: output and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app, doctor
from accelsim.formats.catalog import format_kinds
from accelsim.reference.fields import all_fields

GOLDEN = Path(__file__).parents[1] / "golden" / "machine.json"


def call(*words: object, status: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(word) for word in words], prog_name="accelsim")
    assert done.exit_code == status, done.output
    return done


def refused(*words: object) -> str:
    done = call(*words, status=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return str(done.stderr)


def test_a_new_chip_runs_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    assert "accelsim run" in call("new", "accelerator", "mine", "--from", "edge-32x32", "-o", path).stdout
    assert load_accelerator(str(path)).name == "mine"
    found = json.loads(call("run", path, "tiny_vit_ssvq", "--json").stdout)
    assert found["summary"]["total_cycles"] == json.loads(GOLDEN.read_text())["points"]["edge-32x32 tiny_vit_ssvq"]["total_cycles"]


def test_a_new_chip_without_a_name_equals_its_preset(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text(call("new", "accelerator", "--from", "mcu-16x16").stdout)
    assert load_accelerator(str(path)) == load_accelerator("mcu-16x16")


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text("mine")
    assert "exists; allowed: another name, or --force" in refused("new", "accelerator", "-o", path)
    assert path.read_text() == "mine"
    call("new", "accelerator", "-o", path, "--force")
    assert load_accelerator(str(path)) == load_accelerator("edge-64x64")


def test_a_new_chip_needs_a_preset_that_exists() -> None:
    assert "did you mean 'edge-64x64'?" in refused("new", "accelerator", "--from", "edge-64x46")
    assert "field `name`" in refused("new", "accelerator", "x" * 101)


def test_a_field_is_described_by_its_record() -> None:
    text = call("describe", "array.shadow_sets").stdout
    assert "a tile loads while the one before still waits" in text
    for figure in ("weight sets", "whole number", "1 or 2", "accelerator (configs/accelerators/NAME.yaml)", "--set array.shadow_sets="):
        assert figure in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accelerator.array.rows", {"file": "accelerator", "path": "array.rows", "unit": "PEs", "needed": True, "allowed": "1 to 4,096"}),
        ("array.rows", {"file": "accelerator", "path": "array.rows"}),
        ("dram.background.bandwidth", {"unit": "B/s", "set": "--set 'dram.background.bandwidth=200 MB/s'"}),
        ("dram.n_rcd", {"file": "dram", "path": "n_rcd", "unit": "cycles of CK"}),
        ("vector_unit.bias_bits", {"unit": "bits", "default": "32", "allowed": "8 to 64, a multiple of 8"}),
        ("sweep.axes", {"file": "sweep", "path": "axes", "default": "{}"}),
        ("dma.fabric_latency", {"unit": "ps", "default": "100 ns", "set": "--set 'dma.fabric_latency=100 ns'"}),
        ("layers.gemm.bias", {"file": "trace", "type": "true or false", "default": "false"}),
    ],
)
def test_a_field_as_json(name: str, expected: dict[str, Any]) -> None:
    found = json.loads(call("describe", name, "--json").stdout)
    assert expected.items() <= found.items()


@pytest.mark.parametrize("name", sorted(name for name, item in all_fields().items() if item.file == "accelerator" and not item.inner))
def test_every_field_of_a_chip_has_an_example_to_paste(name: str) -> None:
    found = json.loads(call("describe", name, "--json").stdout)
    assert "VALUE" not in (found["set"] or "")


def test_a_group_lists_its_fields() -> None:
    text = call("describe", "codebook").stdout
    assert "codebook.ports" in text
    assert "codebook.mask" in text
    assert {"name", "array"} <= {item["path"] for item in json.loads(call("describe", "accelerator", "--json").stdout)["fields"]}


def test_an_unknown_field_is_answered_with_a_near_one() -> None:
    assert "unknown field 'array.rwos'; did you mean 'array.rows', 'array.cols' or 'array.row_bits'?" in refused("describe", "array.rwos")
    assert "did you mean 'accelerator.array.shadow_sets'?" in refused("describe", "shadow_sets")
    near = "'accelerator.codebook.ports', 'accelerator.codebook.shared_ports' or 'accelerator.activation_buffer.ports'"
    assert f"did you mean {near}?" in refused("describe", "PORT")
    nothing_near = refused("describe", "xyzzy")
    assert "did you mean" not in nothing_near
    assert "`accelsim describe accelerator` lists the fields of a chip" in nothing_near


def test_names_that_a_field_takes_are_listed_also_a_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "frfcfs, frfcfs-row-hit, bank-queues or the path of a .yaml file" in call("describe", "dram.policy").stdout
    assert "RoBaBgCo or RoCoBaBg" in call("describe", "dram.mapping").stdout
    (tmp_path / "dram").mkdir()
    (tmp_path / "dram" / "mine.yaml").touch()
    monkeypatch.setenv("ACCELSIM_PATH", str(tmp_path))
    allowed = json.loads(call("describe", "dram.device", "--json").stdout)["allowed"]
    assert allowed == "ddr4-2400-x64, lpddr4-3200-x16, lpddr4-3200-x32, lpddr5-6400-x16, mine, ideal or the path of a .yaml file"


def in_schema(schema: dict[str, Any], part: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of the properties of a JSON Schema, groups and their fields."""
    for option in (part, *part.get("anyOf", ())):
        here = schema["$defs"][option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        for name, inner in here.get("properties", {}).items():
            yield prefix + name
            yield from in_schema(schema, inner, f"{prefix}{name}.")


def test_each_field_of_the_schema_of_a_chip_is_described() -> None:
    schema = json.loads(call("schema", "accelerator").stdout)
    names = list(in_schema(schema, schema))
    assert {"clock", "dram.background.bandwidth", "vector_unit.passes.softmax", "array.sparse_tile.d"} <= set(names)
    for name in names:
        found = json.loads(call("describe", f"accelerator.{name}", "--json").stdout)
        assert found["meaning"]
        assert found["type"]
        assert found["needed"] or found["default"], name
        assert found["unit"] or not found["type"].startswith(("whole number", "number")), name


def test_a_schema_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(json.loads(call("schema", "trace").stdout))
    assert "unknown kind of file 'trce'; known: accelerator" in refused("schema", "trce")


def test_formats_are_listed_with_parameters_and_bits() -> None:
    short = " ".join(call("list", "formats").stdout.split())
    assert "k (1 to 65,536)" in short
    assert "bits per weight as" not in short
    text = " ".join(call("list", "formats", "--full").stdout.split())
    assert "k (1 to 65,536)" in text
    assert "1.5 bits per weight as ssvq:k=16,d=8: lookup of 8 x 8 bits by an index of 4" in text  # 1 sign + log2(16) / 8
    grid = next(line for line in text.split(" bits per weight as ") if line.startswith("gguf:type=IQ2_XXS:"))
    assert "; elements are one of 8, 25, 43 " in grid  # magnitudes of llama.cpp's grid
    assert "2.0625 bits per weight as gguf:type=IQ2_XXS" in text
    assert "7 signs and their parity per 8 weights, scale per 256 weights (float16), scale per 32 weights (integer of 4 bits)" in text
    assert json.loads(call("list", "formats", "--json").stdout) == format_kinds()


def test_a_dataflow_is_listed_as_the_cycle_rule_that_it_is() -> None:
    text = " ".join(call("list", "dataflows").stdout.split())
    assert text.count("of a run by `array.dataflow`, and") == 4
    assert text.count("cycle rule for `validate systolic`") == len(json.loads(call("list", "dataflows", "--json").stdout))


def test_a_list_of_units_says_why_there_is_none() -> None:
    done = call("list", "units")
    assert done.stdout == ""
    assert "there is no list of units: a chip's units are the groups of its file" in done.stderr
    assert json.loads(call("list", "units", "--json").stdout) == []


def test_a_whole_installation_is_found_whole() -> None:
    found = json.loads(call("doctor", "--json").stdout)
    assert found["ok"] is True
    named = {item["name"]: item for item in found["findings"]}
    assert {
        "python",
        "accelsim",
        "numpy",
        "numba",
        "llvmlite",
        "simpy",
        "pydantic",
        "matplotlib",
        "presets",
        "traces",
        "cores",
    } <= named.keys()
    assert {"import", "torch"} <= named.keys()
    assert call("doctor", "-q").stdout == "ok\n"


def test_the_self_check_knows_the_golden_number_of_cycles() -> None:
    chip, trace, cycles = doctor.SELF_CHECK
    assert json.loads(GOLDEN.read_text())["points"][f"{chip} {trace}"]["total_cycles"] == cycles


def test_a_broken_installation_ends_with_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACCELSIM_PATH", str(tmp_path / "none"))
    found = json.loads(call("doctor", "--json", status=1).stdout)
    assert [item["name"] for item in found["findings"] if item["state"] == "broken"] == ["presets"]
    assert "broken: presets" in call("doctor", status=1).stdout


def test_another_number_of_cycles_is_a_broken_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SELF_CHECK", ("edge-32x32", "tiny_vit_ssvq", 1))
    assert "cycles, but 1 are right" in call("doctor", "-q", status=1).stdout


def test_an_extra_that_is_missing_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda _: ['no-such-project>=1; extra == "import"', "numpy>=2.1"])
    named = {item["name"]: item for item in json.loads(call("doctor", "--json").stdout)["findings"]}
    assert named["import"]["state"] == "missing"
    assert "pip install 'accelsim[import]'" in named["import"]["text"]
