"""Measured boards: files are read or refused by their cells, unknown rows are misses, recipes are formats, and predictions hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.errors import ConfigError, FormatError, ReferenceDataError
from accelsim.formats.catalog import describe_format
from accelsim.presets import find_reference, preset_names
from accelsim.studies.networks.catalog import network
from accelsim.trace.token_step import at_tokens
from accelsim.validate.silicon import SiliconReport, validate_silicon
from accelsim.validate.silicon_bench import Bench
from accelsim.validate.silicon_recipes import encoded
from accelsim.validate.silicon_rows import COLUMNS, Work, read_rows, work_of
from tests.silicon_page import PAGE, part, tables

HEADER = ",".join(COLUMNS)
CARRIED = find_reference("silicon", "measured")


def written(folder: Path, *lines: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n")
    return path


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> SiliconReport:
    rows = [line for line in CARRIED.read_text().splitlines() if line.startswith("board,") or ",qwen2_0.5b," in line]
    path = tmp_path_factory.mktemp("silicon") / "rows.csv"
    path.write_text("\n".join(rows) + "\n")
    return validate_silicon(path)


def test_every_carried_row_has_a_known_role_and_unit() -> None:
    rows = read_rows(CARRIED)
    assert len(rows) == 75
    assert {row.role for row in rows} == {"fit", "predict", "context"}


@pytest.mark.parametrize("name", preset_names("accelerators/silicon"))
def test_a_board_is_found_by_its_group_and_name(name: str) -> None:
    assert load_accelerator(f"silicon/{name}").array.rows > 0


def test_a_group_names_its_presets_when_one_is_unknown() -> None:
    with pytest.raises(ConfigError, match=r"unknown accelerator of silicon/ 'rk3567'; known: alif-dk-e8, .*did you mean 'rk3576'"):
        load_accelerator("silicon/rk3567")
    with pytest.raises(ConfigError, match="no such file"):
        load_accelerator("nowhere/rk3576")


def test_a_model_is_predicted_from_the_overhead_of_its_8_bit_row(qwen2: SiliconReport) -> None:
    by_recipe = {row.recipe: row for row in qwen2.rows}
    assert by_recipe["w8a8"].error_pct == pytest.approx(0.0, abs=1e-3)  # the wait hides the latency of the first load, 110 cycles
    assert by_recipe["w8a8"].overhead_ms == by_recipe["w4a16"].overhead_ms > 0
    assert abs(by_recipe["w4a16"].error_pct or 99) < 7
    (pair,) = qwen2.pairs
    assert pair.role == "predict"
    assert pair.measured_speedup == pytest.approx(32.56 / 21.73)
    assert abs(pair.speedup_error_pct) < 7


def test_a_step_waits_for_its_host_before_it_loads(tmp_path: Path) -> None:
    """5 ms more, less what loads meanwhile: the inputs of one token, under 1 us."""
    layer = '"llama_layer:hidden=256,ffn=512,heads=4,kv_heads=4"'
    (row,) = read_rows(written(tmp_path, f"b,rk3576,{layer},w8a8,decode,latency,5,ms,fit"))
    bench = Bench()
    assert bench.milliseconds(row, 5 * 10**9) - bench.milliseconds(row) == pytest.approx(5, abs=1e-3)


def test_the_page_has_the_figures_of_a_run(qwen2: SiliconReport) -> None:
    made, page = tables(qwen2), PAGE.read_text(encoding="utf-8")
    for name in ("predicted", "fitted", "pairs"):
        for line in made[name].splitlines()[2:]:
            assert line in part(page, name), "run `python -m tests.silicon_page`"


def test_rows_of_unknown_boards_networks_and_recipes_are_named_and_count_as_misses(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "Some board,nowhere,resnet50,int8,,latency,5,ms,predict",
        "Coral,coral,resnet55,int8,,latency,5,ms,predict",
        "Coral,coral,resnet50,int3,,latency,5,ms,predict",
        "Apple M9 (x),,resnet50,int8,,latency,5,ms,context",
    )
    report = validate_silicon(path)
    assert [row.simulated for row in report.rows] == [None] * 4
    assert [row.line for row in report.misses] == [2, 3, 4]
    assert "unknown board 'nowhere'" in report.rows[0].problem
    assert "unknown network 'resnet55'" in report.rows[1].problem
    assert "unknown recipe 'int3'" in report.rows[2].problem
    assert report.rows[3].chip == "apple-m9"
    assert not report.ok
    assert json.loads(json.dumps(report.to_dict()))["median_error_pct"] == {"fit": 0.0, "predict": "inf"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b,coral,resnet50,int8,,latency,5,ms,guess", "column role: 'guess' is not allowed; allowed: fit, predict, context"),
        ("b,coral,resnet50,int8,,latency,5,hours,fit", "column unit: 'hours' is not allowed; allowed: ms, s, us, tok/s, inf/s"),
        (
            "b,coral,resnet50,int8,,latency,0,ms,fit",
            "column value: '0' is not allowed; allowed: a time from 1e-09 to 1e+12 ms, or its rate",
        ),
        ("b,coral,resnet50,int8,,latency,5e-324,ms,fit", "column value: '5e-324' is not allowed; allowed: a time from"),
        ("b,coral,resnet50,int8,,throughput,1e300,inf/s,fit", "column value: '1e300' is not allowed; allowed: a time from"),
        ("b,coral,resnet50,int8,,latency,1e10,s,fit", "column value: '1e10' is not allowed; allowed: a time from"),
    ],
)
def test_a_cell_that_cannot_be_read_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ReferenceDataError) as error:
        read_rows(written(tmp_path, line))
    assert message in str(error.value)


def test_the_context_column_says_which_steps_are_timed() -> None:
    assert work_of("decode, 128 in, 64 out") == Work(tokens=1, context=160)
    assert work_of("decode") == Work(tokens=1, context=128)
    assert work_of("prefill 128") == work_of("prefill 128 tokens") == Work(tokens=128)
    assert work_of("prefill, 128 in") == work_of("prefill, 128 in, 64 out") == Work(tokens=128)
    assert work_of("prefill, 64 out") == Work()
    assert work_of("a layer, slope of 8 and 16 layers") == Work(chain=(8, 16))
    assert work_of("MLPerf Tiny") == Work()
    assert work_of("128 in, 64 out") == Work()
    assert work_of("128 in, 64 out", "decode_rate") == Work(tokens=1, context=160)
    assert work_of("128 in, 64 out", "prefill_rate") == Work(tokens=128)


@pytest.mark.parametrize("context", ["prefill 128", "128 in, 64 out", "decode, 128 in, 64 out", "prefill, 128 in"])
def test_the_first_token_comes_of_a_prefill(context: str, tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path, f'b,rk3588,qwen2_0.5b,w8a8,"{context}",TTFT,150,ms,predict'))
    assert (row.work, row.milliseconds) == (Work(tokens=128), 150)


@pytest.mark.parametrize(
    ("board", "chip"),
    [("RK3588 board", "rk3588"), ("AX650N M.2 card", "ax650n"), ("Coral Dev Board", "coral"), ("STM32N6570-DK", "stm32n6570-dk")],
)
def test_a_board_without_a_chip_is_found_by_its_name(board: str, chip: str, tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path, f"{board},,resnet50,int8,,latency,5,ms,predict"))
    assert row.chip == chip
    assert Bench().chip(row.chip).name


def test_a_rate_of_a_prefill_counts_the_tokens_of_the_prompt(tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path, "b,rk3576,qwen2_0.5b,w4a16,prefill 128,prefill_rate,512,tok/s,fit"))
    assert row.milliseconds == 250  # 128 / 512 s
    assert row.shown(250) == 512


@pytest.mark.parametrize(("spelled", "unit"), [("tokens/s", "tok/s"), ("FPS", "inf/s"), ("inferences/s", "inf/s")])
def test_common_spellings_of_a_rate_are_one_unit(spelled: str, unit: str, tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path, f"b,rk3576,qwen2_0.5b,w4a16,decode,decode_rate,20,{spelled},fit"))
    assert (row.unit, row.milliseconds) == (unit, 50)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("coral,resnet18,int8,,energy,5,ms", "unknown metric 'energy'; allowed: latency, ttft, decode_rate, prefill_rate, throughput"),
        ("coral,resnet18,int8,,latency,5,tok/s", "metric 'latency' has the unit 'tok/s'; allowed: ms, s, us"),
        ("rk3576,qwen2_0.5b,w4a16,128 tokens,decode_rate,5,tok/s", "context '128 tokens' names no step of the language model 'qwen2_0.5b'"),
        ("coral,64x64_1x1_convolution_4x4_input,int8,,latency,5,ms", "context '' does not say how many layers of"),
    ],
)
def test_a_row_that_does_not_say_what_it_times_is_not_simulated(cells: str, message: str, tmp_path: Path) -> None:
    (row,) = validate_silicon(written(tmp_path, f"b,{cells},predict")).rows
    assert message in row.problem
    assert not row.ok


def test_as_many_first_layers_stay_on_the_chip_as_fit(tmp_path: Path) -> None:
    """DenseNet-121's padded records exceed 8 MiB, though its bytes at 8 bits (7.98 million) do not: some layers stream."""
    (row,) = validate_silicon(written(tmp_path, "b,coral,densenet121,int8,,latency,5,ms,context")).rows
    assert row.problem == ""


def test_stored_bytes_in_an_id_are_a_recipe(tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path, 'b,coral,"resnet50:resolution=224,stored_bytes=15120466",,,latency,5,ms,fit'))
    assert (row.network, row.recipe) == ("resnet50:resolution=224", "stored_bytes=15120466")


def test_recipes_are_formats_of_layers() -> None:
    trace = network("mobilenet_v2")
    (whole, tail) = (encoded(trace, recipe)[0][1].weighted_layers() for recipe in ("uint8", "w4_tail"))
    assert {describe_format(layer.weight.format) for layer in whole} == {"uniform"}
    assert [layer.name for layer in tail if "bits=4" in describe_format(layer.weight.format)] == ["last_conv", "classifier"]
    narrow = encoded(trace, "int4")[0][1].weighted_layers()
    assert {describe_format(layer.weight.format) for layer in narrow} == {"uniform:bits=4"}


def test_activations_and_caches_have_the_bits_of_the_recipe() -> None:
    step = at_tokens(network("llama_layer:hidden=256,ffn=512,heads=4,kv_heads=2"), 1, 64)
    for recipe, bits in (("w8a8", 8), ("w4a16", 16), ("s8", 16)):
        ((_, found),) = encoded(step, recipe)
        assert {shape.bits for shape in found.shapes.values()} == {bits}
        assert {layer.head_product.cache_bits for layer in found.layers if layer.head_product} == {bits}


def test_a_mean_width_lies_between_the_two_integer_widths_around_it() -> None:
    trace = network("resnet50")
    weights = sum(layer.weight.count for layer in trace.weighted_layers())
    (low, first), (high, second) = encoded(trace, f"stored_bytes={weights * 9 // 16}")  # 4.5 bits
    assert (low, high) == (pytest.approx(0.5, abs=1e-6), pytest.approx(0.5, abs=1e-6))
    assert [layer.weight.format.kind for layer in (*first.weighted_layers()[:1], *second.weighted_layers()[:1])] == ["uniform"] * 2
    with pytest.raises(FormatError, match=r"16\.00 bits per weight; allowed: 2 to 8"):
        encoded(trace, f"stored_bytes={2 * weights}")


def test_the_command_prints_json_and_fails_on_a_miss(tmp_path: Path) -> None:
    path = written(tmp_path, "Some board,nowhere,resnet50,int8,,latency,5,ms,predict")
    done = CliRunner().invoke(app, ["validate", "silicon", str(path), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["misses"] == [2]


def test_a_narrow_table_names_each_network_and_its_options(tmp_path: Path) -> None:
    ids = [f"{name}:depth=1,resolution=224,classes=1000" for name in ("mobilenet_v1", "mobilenet_v2")]
    path = written(tmp_path, *(f'RK3588 board,nowhere,"{name}",int8,"128 in, 64 out",latency,5,ms,predict' for name in ids))
    done = CliRunner().invoke(app, ["validate", "silicon", str(path)])
    assert "…" not in done.stdout
    assert all(word in done.stdout.split() for word in ("mobilenet_v1:", "mobilenet_v2:", "depth=1,", "resolution=224,", "classes=1000"))
