"""inspect, compress, area and validate, on committed traces and references."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.presets import find_trace

CORE_CSV = Path(__file__).parents[1] / "validation" / "data" / "core" / "core_cycles.csv"


def call(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_inspect_counts_the_bits_of_the_streams():
    found = json.loads(call("inspect", "tiny_vit_ssvq", "--json").stdout)
    bits = {(item["format"], item["stream"]): item["bits"] for item in found["streams"]}
    # k=16, d=8: an index of 4 bits for 8 weights and a sign bit for each
    weights = bits["ssvq:k=16,d=8", "signs"]
    assert bits["ssvq:k=16,d=8", "indices"] == weights // 8 * 4
    layers = [layer for layer in found["layers"] if layer["format"].startswith("ssvq")]
    assert bits["ssvq:k=16,d=8", "codebook"] == len(layers) * 16 * 8 * 8
    assert sum(layer["weights"] for layer in layers) == weights
    assert found["macs"] == sum(layer["macs"] for layer in found["layers"])


def test_inspect_prints_a_table_of_80_columns():
    outcome = call("inspect", "tiny_vit_ssvq")
    assert outcome.exit_code == 0
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert "Bits of the weights by stream" in outcome.stdout


def test_inspect_prints_equal_layers_of_repeated_blocks_once_unless_all_are_asked_for():
    short, long = (call("inspect", "deit_tiny_ssvq_k16d8", *flags).stdout.splitlines() for flags in ((), ("--layers",)))
    assert len(short) <= 60
    (folded,) = (line.split() for line in short if ".mlp.fc1" in line)
    assert folded[1:] == ["x12", "gemm", "197", "x", "192", "x", "768", "29.05", "ssvq:k=16,d=8", "1.51"]
    assert sum(".mlp.fc1" in line and "gemm" in line for line in long) == 12
    assert sum("mlp.fc1" in line and "/16 " in line for line in long) == 12  # codebook use of each


def test_a_trace_is_found_by_path_and_by_name():
    assert find_trace("tiny_vit_int8").samefile(Path(__file__).parents[2] / "traces" / "tiny_vit_int8")
    assert find_trace("./tiny") == Path("tiny")


def test_names_from_a_manifest_cannot_steer_the_terminal(tmp_path):
    source = find_trace("tiny_vit_float") / "trace.json"
    text = source.read_text().replace("classifier", "cl\u202e[red]\u009b31mfier")
    (tmp_path / "trace.json").write_text(text)
    outcome = call("inspect", tmp_path)
    if outcome.exit_code == 0:
        assert "[red]" in outcome.stdout
    assert not {"\u202e", "\u009b", "\x1b"} & set(outcome.output)


def test_a_truncated_gguf_file_is_one_message_and_exit_status_2(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    outcome = call("import", tmp_path / "m.gguf", "-o", tmp_path / "trace")
    assert outcome.exit_code == 2
    assert "ends after 8 bytes, within the number of tensors" in " ".join(outcome.output.split())
    assert not (tmp_path / "trace").exists()


def test_compress_writes_a_trace_that_inspect_reads(tmp_path):
    outcome = call("compress", "tiny_vit_float", "--format", "ssvq:k=4,d=4", "-o", tmp_path / "packed", "--seed", 3)
    assert outcome.exit_code == 0, outcome.output
    assert "ssvq:k=4,d=4" in outcome.stdout
    formats = {layer["format"] for layer in json.loads(call("inspect", tmp_path / "packed", "--json").stdout)["layers"]}
    assert "ssvq:k=4,d=4" in formats


def test_area_prints_each_component_and_its_total():
    found = json.loads(call("area", "edge-32x32", "--technology", "nangate45", "--json").stdout)
    parts = [row["area_um2"] for row in found["rows"] if not row["component"].startswith("total")]
    total = next(row["area_um2"] for row in found["rows"] if row["component"] == "total, cells and macros")
    assert abs(sum(parts) - total) < 1e-6 * total
    assert "total, placed" in call("area", "edge-32x32").stdout


def test_area_follows_an_override():
    small, large = (
        json.loads(call("area", "edge-32x32", "--set", f"array.max_m={rows}", "--json").stdout)["groups_um2"]["accumulators"]
        for rows in (128, 256)
    )
    assert small < large


def test_validation_of_the_rtl_passes_and_prints_every_row_as_json():
    outcome = call("validate", "core", CORE_CSV, "--json")
    found = json.loads(outcome.stdout)
    assert outcome.exit_code == 0
    assert (found["ok"], found["largest_error"]) == (True, 0)


def test_a_reference_that_the_model_misses_is_status_1(tmp_path):
    rows = list(csv.DictReader(CORE_CSV.read_text().splitlines()))[:2]
    rows[0]["cycles"] = str(int(rows[0]["cycles"]) + 1)
    path = tmp_path / "wrong.csv"
    path.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n")
    outcome = call("validate", "core", path)
    assert outcome.exit_code == 1
    assert "1 outside their tolerance" in outcome.stdout
    assert "OUT" in outcome.stdout


def test_a_replay_of_four_reads_of_a_row_opens_it_once(tmp_path):
    path = tmp_path / "reads.txt"
    path.write_text("".join(f"0 R {64 * index:#x}\n" for index in range(4)))
    found = json.loads(call("dram", "replay", path, "--device", "ddr4-2400-x64", "--json").stdout)
    assert (found["reads"], found["activate_commands"], found["row_hits"]) == (4, 1, 3)
    assert "row_hits" in call("dram", "replay", path, "--device", "ddr4-2400-x64").stdout


def test_a_memory_trace_that_is_none_is_one_message(tmp_path):
    path = tmp_path / "reads.txt"
    path.write_text("0 R 0x0\n1 X 0x40\n")
    outcome = call("dram", "replay", path, "--device", "ddr4-2400-x64")
    assert outcome.exit_code == 2
    assert "reads.txt:2: '1 X 0x40' is not a burst" in outcome.stderr
    assert "did you mean 'ddr4-2400-x64'?" in call("dram", "replay", path, "--device", "ddr4-2400-x46").stderr


def test_a_trace_can_be_written_without_its_bits(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    done = CliRunner().invoke(app, ["compress", "tiny_vit_float", "--format", "uniform:bits=8", "--no-payload", "-o", str(folder), "-q"])
    assert done.exit_code == 0
    assert [item.name for item in folder.iterdir()] == ["trace.json"]


def test_compress_replaces_a_trace_only_when_told_to(tmp_path: Path) -> None:
    words = ("compress", "tiny_vit_float", "--no-payload", "-q", "-o", tmp_path / "packed", "--format")
    assert call(*words, "uniform:bits=8").exit_code == 0
    before = (tmp_path / "packed" / "trace.json").read_text()
    refused = call(*words, "uniform:bits=4")
    assert refused.exit_code == 2
    assert f"{tmp_path / 'packed'}: holds a trace; allowed: another directory, or --force to replace it" in refused.stderr
    assert (tmp_path / "packed" / "trace.json").read_text() == before
    assert call(*words, "uniform:bits=4", "--force").exit_code == 0
    assert (tmp_path / "packed" / "trace.json").read_text() != before


def test_compress_takes_a_recipe_and_lists_layers_and_both_ratios(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text('rules: [{layers: "*.fc1", format: "vq:k=8,d=4"}]\nrest: uniform:bits=4\n')
    outcome = call("compress", "tiny_vit_float", "--recipe", recipe, "--per-layer", "-o", tmp_path / "packed")
    assert outcome.exit_code == 0, outcome.output
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert "layers.0.mlp.fc1" in outcome.stdout
    assert "Smaller than float32: the compressed matrices" in outcome.stdout
    again = call("compress", "tiny_vit_float", "--recipe", recipe, "-o", tmp_path / "packed", "--force", "--json")
    found = json.loads(again.stdout)["compression"]
    assert {name: item["paper_bits_per_weight"] for name, item in found["by_format"].items()} == {"uniform:bits=4": 4, "vq:k=8,d=4": 0.75}
    assert len(found["layers"]) == 14


def test_a_quiet_compress_is_one_line(tmp_path: Path) -> None:
    outcome = call("compress", "tiny_vit_float", "--format", "vecq:bits=3", "-o", tmp_path / "packed", "--quiet")
    assert outcome.exit_code == 0
    # 36,864 weights in twelve matrices, each with one float32 scale: 3 + 12 * 32 / 36,864 bits
    assert outcome.stdout.startswith("packed: 3.0000 bits/weight, 3.0104 stored, 10.63x smaller, relative MSE 0.03")
    assert outcome.stdout.count("\n") == 1


def test_compress_says_why_it_takes_no_shapes(tmp_path: Path) -> None:
    outcome = call("compress", "tiny_vit_float@ssvq:k=16,d=8", "--format", "vq:k=16,d=4", "-o", tmp_path / "packed")
    assert outcome.exit_code == 2
    assert "NAME@FORMAT is shapes without weights to encode" in outcome.stderr
    assert "'tiny_vit_float' (with --format ssvq:k=16,d=8" in outcome.stderr
    assert not (tmp_path / "packed").exists()


def test_compress_wants_a_format_or_a_recipe(tmp_path: Path) -> None:
    for words in ((), ("--format", "uniform", "--recipe", "r.yaml"), ("--recipe", "r.yaml", "--layers", "*")):
        outcome = call("compress", "tiny_vit_float", *words, "-o", tmp_path / "packed")
        assert outcome.exit_code == 2
        assert "needs one of --format FORMAT" in outcome.stderr
    assert not (tmp_path / "packed").exists()


def test_inspect_and_compress_refuse_a_payload_with_a_flipped_bit(tmp_path: Path) -> None:
    for name, command in (("tiny_vit_int8", ["inspect"]), ("tiny_vit_int8", ["compress", "--format", "vecq", "-o", str(tmp_path / "out")])):
        folder = tmp_path / command[0]
        shutil.copytree(find_trace(name), folder)
        payload = folder / "tensors.safetensors"
        data = bytearray(payload.read_bytes())
        data[-1] ^= 0x10
        payload.write_bytes(bytes(data))
        result = CliRunner().invoke(app, [command[0], str(folder), *command[1:]])
        assert result.exit_code == 2
        assert "is corrupted: bit" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
