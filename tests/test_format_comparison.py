"""Formats side by side: every committed trace runs on every preset, and the table on the front page is what the command prints."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import numba
import pytest
from typer.testing import CliRunner

from accelsim.accelerator import FOLDER, load_accelerator
from accelsim.cli import app
from accelsim.cli.formats import packed_traces
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.decoder_presets import DECODER_PRESETS
from accelsim.compression.open_trace import open_trace
from accelsim.cost.area import area_of
from accelsim.cost.technology import load_technology
from accelsim.errors import CompileError, ConfigError
from accelsim.format_comparison import compare_formats
from accelsim.presets import preset_names
from accelsim.report.format_points import FormatPoint, short_names
from accelsim.trace.trace import load_trace

ROOT = Path(__file__).parents[1]
TRACES = ROOT / "traces"
CHIP = "edge-64x64-x16"
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def call(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@cache
def points(preset: str) -> tuple[FormatPoint, ...]:
    return compare_formats(load_accelerator(preset), packed_traces(["deit_tiny_int8", "deit_tiny_*"]), load_technology("nangate45"))


@compiled
@pytest.mark.parametrize("preset", preset_names(FOLDER))
def test_deit_tiny_in_every_format_runs_on_every_preset(preset: str) -> None:
    found = {point.trace: point for point in points(preset)}
    assert set(found) == {path.name for path in TRACES.glob("deit_tiny_*")} - {"deit_tiny_float"}
    kinds = {layer.weight.format.kind for name in found for layer in load_trace(TRACES / name).weighted_layers()}
    assert kinds == {"uniform", "ssvq", "vq", "universal_vq", "vecq", "masked_vq"}
    for point in found.values():
        assert 0 < point.limiter[1] <= 1
        # What crosses the memory is at least the bits that papers count.
        assert point.weight_bytes * 8 >= 5_308_416 * point.paper_bits_per_weight
        assert point.result.milliseconds <= 1.001 * found["deit_tiny_int8"].result.milliseconds  # fewer bits are never slower


@compiled
def test_bits_on_the_way_to_the_chip_are_those_of_the_formats_by_hand() -> None:
    by_hand = {
        "deit_tiny_vecq_b3": 3 * 5_308_416,
        "deit_tiny_ssvq_k16d8": 5_308_416 * 3 // 2 + 72 * 16 * 8 * 8,
        "deit_tiny_masked_vq_k512d16": 5_308_416 * 5 // 4 + 72 * 512 * 16 * 8,
        "deit_tiny_universal_vq_k4096d8": 5_308_416 * 3 // 2,
    }
    rest = 8 * (768 * 192 + 192 * 1000)  # patch embedding and classifier stay at 8 bit
    found = {point.trace: 8 * point.weight_bytes for point in points("edge-64x64")}
    assert {name: found[name] for name in by_hand} == {name: bits + rest for name, bits in by_hand.items()}


@compiled
@pytest.mark.parametrize(
    ("form", "bits"), [("int_group:bits=4,group=32", 4 + 16 / 32), ("int_group:bits=4,group=64,zero=1", 4 + (16 + 4) / 64)]
)
def test_scales_and_zero_points_of_groups_are_counted_with_the_weights(form: str, bits: float) -> None:
    (point,) = compare_formats(load_accelerator("edge-64x64"), packed_traces([f"deit_tiny_float@{form}"]), load_technology("nangate45"))
    assert 8 * point.weight_bytes == bits * 5_308_416 + 8 * (768 * 192 + 192 * 1000)


@compiled
def test_the_table_on_the_front_page_is_what_the_command_prints() -> None:
    outcome = call("formats", CHIP, "deit_tiny_int8", "deit_tiny_*", "--markdown")
    assert outcome.exit_code == 0, outcome.output
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert outcome.stdout in readme
    assert f"accelsim formats {CHIP} deit_tiny_int8 'deit_tiny_*'" in readme


@compiled
def test_the_command_prints_a_table_of_80_columns_and_json() -> None:
    words = ("formats", "mcu-16x16", "tiny_vit_int8", "tiny_vit_*")
    outcome = call(*words)
    assert outcome.exit_code == 0, outcome.output
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert call(*words, "--quiet").stdout.startswith("tiny_vit_ssvq ")
    found = json.loads(call(*words, "--json").stdout)
    assert [item["trace"] for item in found["points"]] == ["tiny_vit_int8", "tiny_vit_ssvq"]
    assert found["points"][0]["speed_up"] == 1
    assert found["points"][1]["relative_mse"] == load_trace(TRACES / "tiny_vit_ssvq").manifest.metrics["relative_mse"]


@compiled
def test_the_command_writes_a_folder_and_replaces_only_its_like(tmp_path: Path) -> None:
    words = ("formats", "edge-32x32", "tiny_vit_int8", "tiny_vit_*", "-q", "-o")
    for _ in range(2):
        assert call(*words, tmp_path / "out").exit_code == 0
    rows = list(csv.DictReader((tmp_path / "out" / "formats.csv").read_text().splitlines()))
    found = json.loads((tmp_path / "out" / "formats.json").read_text())["points"]
    assert [row["trace"] for row in rows] == ["tiny_vit_int8", "tiny_vit_ssvq"]
    assert [float(row["energy_pj_high"]) for row in rows] == [item["energy_pj"]["high"] for item in found]
    assert "`tiny_vit_ssvq`" in (tmp_path / "out" / "formats.md").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("")
    assert call(*words, tmp_path / "mine").exit_code == 2
    assert [item.name for item in (tmp_path / "mine").iterdir()] == ["diary.txt"]


def test_the_codebook_of_a_chip_is_the_one_that_the_trace_asks_for() -> None:
    wanted = {
        "deit_tiny_int8": ("1", "8", "ram", "flops"),
        "deit_tiny_ssvq_k16d8": ("16", "8", "ram", "flops"),  # 1,024 bits
        "deit_tiny_vq_k1024d8": ("1024", "8", "ram", "sram"),  # 65,536 bits
        "deit_tiny_masked_vq_k512d16": ("512", "16", "ram", "sram"),
        "deit_tiny_universal_vq_k4096d8": ("4096", "8", "rom", "rom_macro"),  # 262,144 bits
    }
    chip = load_accelerator("edge-32x32")
    for name, values in wanted.items():
        fields = ("codewords", "codeword_length", "store", "circuit")
        masks = ("codebook.mask.keep=4", "codebook.mask.of=16") if "masked" in name else ()
        assert codebook_overrides(chip, load_trace(TRACES / name)) == (
            *(f"codebook.{field}={value}" for field, value in zip(fields, values, strict=True)),
            "codebook.element_bits=8",
            "codebook.element_code=integer",
            *masks,
        )
    rom = load_accelerator("edge-32x32", ["codebook.store=rom", "codebook.circuit=logic_rom"])
    assert codebook_overrides(rom, load_trace(TRACES / "deit_tiny_int8"))[2:4] == ("codebook.store=ram", "codebook.circuit=flops")


def test_an_entry_of_a_fitted_codebook_is_as_long_as_the_longest_codeword() -> None:
    chip = load_accelerator("edge-32x32")
    for text, length in (("palette:bits=4", 1), ("palette:bits=4,d=2", 2), ("vq:k=16,d=4", 4), ("vq:k=16,d=16", 16), ("uniform:bits=4", 8)):
        assert codebook_overrides(chip, open_trace(f"deit_tiny_float@{text}"))[1] == f"codebook.codeword_length={length}"
    threes = load_accelerator("edge-32x32", ["array.rows=48", "array.cols=48"])  # four part raw records of 8 evenly, three do not
    assert codebook_overrides(threes, open_trace("deit_tiny_float@vq:k=16,d=3"))[1] == "codebook.codeword_length=4"


def test_a_palette_pays_for_single_values() -> None:
    """Two sets of 16 values of 8 bits in flops with 4 ports: 256 bits x (8.0 + 2.15 x 4) gates, and 45 x 4 of output registers."""
    chip = load_accelerator(CHIP)
    trace = open_trace("deit_tiny_float@palette:bits=4")
    parts = area_of(load_accelerator(CHIP, codebook_overrides(chip, trace)), load_technology("nangate45")).components
    gates = sum(part.gates.nominal for part in parts if part.group == "codebook" and part.gates is not None)
    assert gates == pytest.approx(256 * (8.0 + 2.15 * 4) + 45 * 4)


@compiled
def test_run_and_compare_take_the_codebook_that_a_trace_asks_for() -> None:
    outcome = call("run", "edge-32x32", "deit_tiny_vq_k1024d8", "-q")
    assert (outcome.exit_code, "k = 1024 codewords exceed codebook.codewords = 256" in outcome.stderr) == (2, True)
    assert call("run", "edge-32x32", "deit_tiny_vq_k1024d8", "-q", "--fit-codebook").exit_code == 0
    outcome = call("compare", "edge-32x32:deit_tiny_int8", "deit_tiny_universal_vq_k4096d8", "-q", "--fit-codebook")
    assert outcome.stdout.startswith("edge-32x32:deit_tiny_universal_vq_k4096d8 no difference")


@compiled
def test_a_format_that_fits_less_than_half_of_the_weights_is_the_one_described() -> None:
    """A block of IQ2_XXS is 256 weights along K in 66 bytes: of DeiT-tiny only matrices with K = 768 have some, but for the stem."""
    (trace,) = packed_traces(["deit_tiny_float@gguf:type=IQ2_XXS"])
    (point,) = compare_formats(load_accelerator("edge-64x64"), [trace], load_technology("nangate45"))
    stem, *others = trace.weighted_layers()
    fitting = sum(layer.weight.count for layer in others if layer.weight.k == 768)
    assert point.weights_share == pytest.approx(fitting / sum(layer.weight.count for layer in (stem, *others)))
    assert point.weights_share < 0.5
    assert point.stored_bits_per_weight == 66 * 8 / 256


def test_a_pattern_of_layers_is_no_pattern_of_traces() -> None:
    (trace,) = packed_traces(["tiny_vit_float@*mlp*=ssvq:k=16,d=8"])
    assert {layer.weight.format.kind for layer in trace.weighted_layers()} >= {"ssvq"}


def test_what_cannot_be_compared_is_one_message() -> None:
    with pytest.raises(ConfigError, match=r"no packed trace matches 'none\*'"):
        packed_traces(["none*"])
    with pytest.raises(ConfigError, match=r"unknown trace 'deit_tiny_int'.*did you mean 'deit_tiny_int8'"):
        packed_traces(["deit_tiny_int"])
    with pytest.raises(CompileError, match="32-bit weights do not fit"):
        compare_formats(load_accelerator("edge-32x32"), packed_traces(["tiny_vit_float"]), load_technology("nangate45"))
    with pytest.raises(ConfigError, match="allowed: traces of one network"):
        compare_formats(load_accelerator("edge-32x32"), packed_traces(["tiny_vit_int8", "deit_tiny_int8"]), load_technology("nangate45"))
    assert [trace.name for trace in packed_traces(["tiny_vit_*", "tiny_vit_int8"])] == ["tiny_vit_int8", "tiny_vit_ssvq"]


@compiled
def test_a_preset_that_fits_no_layer_is_told_with_its_reason_and_costs_no_other_its_row(tmp_path: Path) -> None:
    # Blocks of 256 weights along K: no matrix of this network has so many inputs.
    assert all(layer.weight.k % 256 for layer in load_trace(TRACES / "tiny_vit_float").weighted_layers())
    name = "tiny_vit_float@gguf:type=IQ2_XXS"
    asked = ["formats", "edge-32x32", "tiny_vit_float@presets", "-q"]
    made = json.loads(call(*asked, "--json", "-o", tmp_path / "out").stdout)
    presets = [f"tiny_vit_float@{text}" for text in DECODER_PRESETS]
    assert [point["trace"] for point in made["points"]] == [item for item in presets if item != name]
    assert list(made["left_out"]) == [name]
    assert "blocks of 256 weights (IQ2_XXS) do not fill K=48; allowed: a multiple of 256" in made["left_out"][name]
    assert json.loads((tmp_path / "out" / "formats.json").read_text())["left_out"] == made["left_out"]
    line = f"Without a row: {name}: {made['left_out'][name]}."
    assert line in (tmp_path / "out" / "formats.md").read_text()
    assert line in call(*asked[:3], "--markdown").stdout
    assert " ".join(line.split()) in " ".join(call(*asked[:3]).stdout.split())


def test_names_are_cut_by_the_words_that_all_share() -> None:
    assert short_names(["deit_tiny_int8", "deit_tiny_vq_k16"]) == ["int8", "vq_k16"]
    assert short_names(["a_b", "a_b"]) == ["b", "b"]
    assert short_names(["a", "b_c"]) == ["a", "b_c"]
