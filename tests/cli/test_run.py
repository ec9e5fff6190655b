"""run and compare on the tiny network: printed and written results, and that both agree."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.cost.compare_costs import costs_of
from accelsim.cost.technology import load_technology
from accelsim.functional import FunctionalReport, LayerCheck
from accelsim.report import verdict_warnings
from accelsim.report.export.run import PICTURES
from accelsim.report.findings import checked_in_words
from accelsim.report.tables.summary import render_summary, summary_lines
from accelsim.report.verdict import decide
from accelsim.result import CATEGORIES, RESOURCES, Gain, Verdict
from accelsim.stored_result import load_result, parse_result
from tests.synthetic_results import int8, layer, on_chip, result

RUN = ("run", "edge-32x32", "tiny_vit_ssvq")
COMPARE = ("compare", "edge-64x64-x16:tiny_vit_int8", "tiny_vit_ssvq")


def call(*words: object) -> str:
    outcome = CliRunner().invoke(app, [str(word) for word in words])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stderr == ""
    return outcome.stdout


def numbers(line: str) -> list[int]:
    return [int(word.replace(",", "")) for word in line.split() if word.replace(",", "").isdigit()]


def test_a_run_prints_tables_of_80_columns_without_escapes():
    text = call(*RUN, "--full")
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    for title in ("Where the cycles go", "Layers, repeated blocks summed", "Traffic", "Bounds", "Compiler choices"):
        assert title in text


def test_the_full_tables_print_the_warnings_that_the_summary_counts():
    said = json.loads(call(*RUN, "--json"))["area"]["warnings"]
    text = " ".join(call(*RUN, "--full").split())
    assert said
    assert all(f"warning: {' '.join(warning.split())}" in text for warning in said)


def test_the_printed_causes_add_up_to_the_printed_total():
    lines = call(*RUN, "--full").split("Where the cycles go\n")[1].split("\n\n")[0].splitlines()[1:]
    *causes, total = ([line.split()[0], numbers(line)[0]] for line in lines)
    assert sum(cycles for _, cycles in causes) == total[1]
    assert {name for name, _ in causes} <= set(CATEGORIES)


def test_the_list_of_all_layers_adds_up_to_the_same_total():
    shown = call(*RUN, "--layers").split("Layers\n")[1].split("\n\n")[0].splitlines()[2:]
    *layers, total = (numbers(line)[0] for line in shown)
    assert sum(layers) == total
    assert sum(line.startswith("vit.layers.1.mlp.fc2 ") for line in shown) == 1


def test_json_holds_the_whole_result():
    found = json.loads(call(*RUN, "--json"))
    result = parse_result(json.dumps(found["result"]), "stdout")
    assert found["summary"]["total_cycles"] == result.total_cycles
    assert sum(found["summary"]["cycles"].values()) == result.total_cycles
    assert found["summary"]["bus_bytes"] >= found["summary"]["useful_bytes"]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "more", [(), ("--frames", 3), ("--then", "tiny_vit_int8"), ("-o", "{tmp}/out"), ("--set", "clock=3 GHz"), ("--set", "cores=2")], ids=str
)
def test_a_summary_has_at_most_20_lines_that_fit(columns, more, tmp_path, monkeypatch):
    monkeypatch.setattr("accelsim.report.tables.terminal.PIPE_COLUMNS", columns)
    lines = call(*RUN, *(str(word).format(tmp=tmp_path) for word in more)).splitlines()
    assert len(lines) <= 20
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= columns
    starts = [line.split("  ")[0] for line in lines]
    for label in ("time", "limit", "bounds", "cycles", "traffic", "energy", "area", "weights", "more"):
        assert label in starts
    assert "--full" in " ".join(lines[-3:])


def test_a_summary_says_the_figures_of_the_whole_result():
    text, found = " ".join(call(*RUN).split()), json.loads(call(*RUN, "--json"))
    summary = found["summary"]
    assert f"{summary['total_cycles']:,} cycles" in text
    assert summary["limiting_sentence"] in text
    busy = 100 * summary["cycles"]["busy"] / summary["total_cycles"]
    assert f"busy {busy:.1f} %" in text
    assert f"{summary['bus_bytes'] / 1e3:.3f} kB on the bus" in text


def test_a_summary_names_the_stalls_and_the_bound_of_the_resource_that_limits_and_what_equals_the_last_one():
    cycles = {"busy": 300, "swap": 200, "dram": 150, "vector": 120, "port": 120, "decode": 60, "issue": 50}
    bounds = {"array": 300, "dram": 200, "vector": 100, "buffer_width": 90, "decode": 80}
    gains = (
        Gain("decoder", 1.3),
        *(Gain(name, 1.1) for name in ("memory", "L2 port", "vector unit", "control")),
        Gain("accumulators", 1.05),
    )
    run = replace(on_chip(result((layer("a", cycles, bounds=bounds),))), verdict=Verdict("decoder", 1.3, gains[1], "memory", "It.", gains))
    (cost,) = costs_of([run], load_technology("nangate45"))
    lines = {line.split("  ")[0]: " ".join(line.split()) for line, _ in summary_lines(cost, 200, "--full")}
    assert lines["cycles"] == "cycles busy 30.0 %, swap 20.0 %, dram 15.0 %, port 12.0 %, vector 12.0 %, decode 6.0 %, others 5.0 %"
    assert lines["bounds"].endswith(": array 30.0 %, dram 20.0 %, vector 10.0 %, buffer_width 9.0 %, decode 8.0 %")
    assert lines["if free"].endswith("decoder 1.30x, memory 1.10x, L2 port 1.10x, vector unit 1.10x, control 1.10x, others at most 1.05x")
    folded = [line for columns in range(60, 120) for line, _ in summary_lines(cost, columns, "--full")]
    assert not [line for line in folded if line.lstrip().startswith("%")]  # a number and its unit share a line


def test_a_summary_gives_the_whole_verdict_and_no_shares_of_nothing():
    """The reason why the array is not named stood in the fifth line and was cut: '..., but ...'."""
    why = "; ".join(f"clause {number} of a verdict that names two resources and says why not a third" for number in range(5)) + "."
    cycles = {"busy": 66_000, "vector": 18_000, "dram": 12_000, "accumulator": 2_500, "port": 1_490, "codebook_load": 10}
    run = replace(on_chip(result((layer("a", cycles),))), verdict=Verdict("memory", 1.13, None, "decoder", why, (Gain("memory", 1.13),)))
    (cost,) = costs_of([run], load_technology("nangate45"))
    lines = [line for line, _ in summary_lines(cost, 80, "--full")]
    assert len(lines) <= 20
    assert why in " ".join(" ".join(lines).split())
    assert "codebook_load" not in " ".join(lines)
    long = replace(run, verdict=replace(run.verdict, sentence=" ".join([why] * 5)))
    (cost,) = costs_of([long], load_technology("nangate45"))
    assert len(summary_lines(cost, 80, "--full", [("check", "bit-exact")] * 2)) <= 20


def test_warnings_that_find_no_room_are_counted():
    warnings = tuple(f"warning {number} {'word ' * 30}" for number in range(9))
    (cost,) = costs_of([replace(on_chip(int8()), warnings=warnings)], load_technology("nangate45"))
    lines = [line for line, _ in summary_lines(cost, 80, "--full")]
    assert len(lines) <= 20
    shown = sum(f"warning {number} " in line for number in range(9) for line in lines)
    (left,) = (int(line.split()[1]) for line in lines if line.endswith(" not shown here"))
    assert 1 <= shown <= 9
    assert left >= 9 - shown  # the technology adds warnings of its own


def test_a_run_whose_sums_can_overflow_says_so_below_its_verdict_and_in_its_line():
    narrow = (*RUN, "--set", "array.psum_bits=16")
    lines = call(*narrow).splitlines()
    first = next(line for line in lines if line.startswith("warning"))
    assert first.startswith("warning  array.psum_bits = 16: sums of 18 layers can overflow")
    assert len(lines) <= 20
    assert "; sums can overflow; " in call(*narrow, "-q")
    assert "overflow" not in call(*RUN, "-q")


@pytest.mark.parametrize("checks", range(6))  # each takes a line; a run has two at most
def test_a_warning_that_concerns_the_verdict_is_cut_short_before_it_is_counted(checks):
    about = "512 B of reads in flight over 90 ns carry 5.69 GB/s at most " + "word " * 40
    (cost,) = costs_of([replace(on_chip(int8()), warnings=("of something else", about))], load_technology("nangate45"))
    lines = [line for line, _ in summary_lines(cost, 80, "--full", [("check", "bit-exact")] * checks)]
    first = next(number for number, line in enumerate(lines) if line.startswith("warning"))
    assert len(lines) <= 20
    assert lines[first].startswith("warning  512 B of reads in flight")
    assert lines[first - 1].split()[0] != "bounds"
    assert any(line.startswith("bounds") for line in lines[first:])


def test_a_warning_that_concerns_the_verdict_stands_below_it():
    limit = decide(int8()).resource
    assert limit == "memory"
    about = "512 B of reads in flight over 90 ns carry 5.69 GB/s at most"
    (cost,) = costs_of([replace(on_chip(int8()), warnings=("of something else", about))], load_technology("nangate45"))
    lines = [" ".join(line.split()) for line, _ in summary_lines(cost, 120, "--full")]
    place = lines.index(f"warning {about}")
    assert [line.split()[0] for line in (*lines[1:place], lines[place + 1])] == ["time", "limit", "bounds"]
    assert lines.index("warning of something else") > place + 1


def test_each_phrase_of_a_warning_is_one_that_the_simulator_writes():
    package = Path(verdict_warnings.__file__).parents[1]
    sources = "".join(path.read_text() for path in package.rglob("*.py") if path != Path(verdict_warnings.__file__))
    phrases = verdict_warnings._PHRASES
    assert set(phrases) <= set(RESOURCES)
    assert [text for found in phrases.values() for text in found if text not in sources] == []


def test_a_summary_has_colour_where_the_terminal_has_it_and_none_where_it_is_not_wanted(monkeypatch):
    (cost,) = costs_of([replace(on_chip(int8()), warnings=("a caveat",))], load_technology("nangate45"))
    shown = {}
    for wanted in ("", "1"):
        monkeypatch.setenv("NO_COLOR", wanted)
        console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=80)
        render_summary(console, cost, elsewhere="--full")
        shown[wanted] = console.file.getvalue()
    assert "\x1b[36mtime" in shown[""]
    assert "\x1b[33mwarning" in shown[""]
    assert not re.search(r"\x1b\[[\d;]*3[36]", shown["1"])


def test_quiet_is_one_line():
    assert call(*RUN, "--quiet").count("\n") == 1


@pytest.mark.parametrize("pair", [RUN[1:], ("edge-64x64", "tiny_vit_ssvq")])  # the second: estimated, the shadow weights; they gain less
@pytest.mark.parametrize("asked", [(), ("--what-if",)])
def test_the_line_has_the_verdict_and_the_gain_of_the_run(pair, asked):
    verdict = json.loads(call("run", *pair, "--what-if", "--json"))["verdict"]
    line = call("run", *pair, *asked, "--quiet")
    assert line.strip().endswith(f"; {verdict['resource']} limits ({verdict['gain']:.2f}x if free)")


def test_a_run_folder_says_what_the_screen_says(tmp_path):
    call(*RUN, "-o", tmp_path / "out", "--quiet")
    result = load_result(tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "layers.csv").read_text().splitlines()))
    assert sum(int(row["total_cycles"]) for row in rows) == result.total_cycles
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {f"{name}.png" for name in PICTURES}
    again = call("run", tmp_path / "out" / "accelerator.yaml", "tiny_vit_ssvq", "--json")
    assert json.loads(again)["summary"]["run_id"] == result.run_id


def test_an_override_changes_the_machine_and_is_saved(tmp_path):
    call(*RUN, "--set", "dram.device=lpddr5-6400-x16", "-o", tmp_path / "out", "--quiet")
    assert "device: lpddr5-6400-x16" in (tmp_path / "out" / "accelerator.yaml").read_text()


def test_frames_report_the_cold_start_and_the_steady_state():
    assert "cold start" in call(*RUN, "--frames", 3)


def test_the_same_command_prints_the_same_text():
    assert call(*RUN) == call(*RUN)


def test_a_comparison_first_says_what_limits_the_baseline():
    lines = call(*COMPARE).splitlines()
    assert lines[0] == "baseline edge-64x64-x16:tiny_vit_int8"
    assert " limits" in lines[1] or lines[1].startswith("The array waits for the ")


def test_the_printed_savings_add_up_to_the_difference():
    text = call(*COMPARE)
    for title in ("By category, in cycles\n", "By layer, repeated blocks summed, in cycles\n"):
        *parts, total = text.split(title)[1].split("\n\n")[0].splitlines()[1:]
        saved = [
            int(word.replace(",", ""))
            for line in (*parts, total)
            for word in line.split()
            if word[0] in "+-" and "%" not in word and "." not in word
        ]
        assert sum(saved[:-1]) == saved[-1]


def test_a_line_on_runs_that_take_the_same_time_says_so():
    assert call("compare", "edge-32x32:tiny_vit_ssvq", "edge-32x32:tiny_vit_ssvq", "-q").strip().endswith(" no difference")


def test_a_comparison_folder_holds_both_runs_and_two_waterfalls(tmp_path):
    call(*COMPARE, "-o", tmp_path / "cmp", "--quiet")
    assert [load_result(tmp_path / "cmp" / "runs" / name).trace_name for name in "01"] == ["tiny_vit_int8", "tiny_vit_ssvq"]
    assert {"waterfall_cause.svg", "waterfall_layer.png"} <= {path.name for path in (tmp_path / "cmp").iterdir()}
    found = json.loads((tmp_path / "cmp" / "comparison.json").read_text())["others"][0]
    for split in ("by_cause", "by_layer"):
        assert sum(part["saved_ticks"] for part in found[split]) == found["baseline_ticks"] - found["other_ticks"]


def test_accelerators_of_different_clocks_compare_in_time():
    text = call("compare", "edge-32x32:tiny_vit_ssvq", "mcu-16x16:")
    assert "in microseconds (the clocks differ)" in text


@pytest.mark.parametrize("command", [RUN, COMPARE])
def test_no_progress_is_drawn_where_nobody_watches(command):
    assert CliRunner().invoke(app, list(command)).stderr == ""


def test_every_layer_of_a_functional_run_is_bit_exact(tmp_path):
    text = call(*RUN, "--functional", "--full", "-o", tmp_path / "out")
    shown = text.split("Functional check")[1]
    rows = list(csv.DictReader((tmp_path / "out" / "functional.csv").read_text().splitlines()))
    assert {row["bit_exact"] for row in rows} == {"True"}
    assert shown.count("bit-exact") == len(rows) + 1  # and the sentence below


@pytest.mark.parametrize(("check", "outputs"), [(["--functional"], 0), (["--functional", "network"], 2)])
def test_a_checked_run_prints_20_lines_at_most_and_the_outputs(check, outputs):
    text = call(*RUN, *check)
    assert len(text.splitlines()) <= 20 + outputs
    assert "18 layers decoded and multiplied, bit-exact" in " ".join(text.split())


def test_layers_that_are_wrong_are_named_in_the_summary():
    found = {"a": "bit-exact", "b": "tile 0 differs", "c": "tile 1 differs"}
    layers = tuple(LayerCheck(name, "gemm", message == "bit-exact", 1, message) for name, message in found.items())
    words = checked_in_words(FunctionalReport(layers, 0.0042))
    assert words.startswith("3 layers decoded and multiplied, 2 of them WRONG: b: tile 0 differs; c; codebooks are integers here")
    assert words.endswith("0.42% of their root mean square")


def test_what_if_names_what_each_resource_is_worth():
    found = json.loads(call(*RUN, "--what-if", "--json"))
    cycles = found["summary"]["total_cycles"]
    assert len(found["what_if"]) > 3
    for item in found["what_if"]:
        assert item["speed_up"] == pytest.approx(cycles / item["total_cycles"])
        assert item["speed_up"] >= 1 or item["note"]


def test_energy_and_area_stand_beside_the_result(tmp_path):
    found = json.loads(call(*RUN, "--json", "--technology", "nangate45", "-o", tmp_path / "out"))
    rows = list(csv.DictReader((tmp_path / "out" / "energy.csv").read_text().splitlines()))
    assert sum(float(row["energy_uj"]) for row in rows) == pytest.approx(found["energy"]["energy_uj"]["value"])
    assert found["area"]["technology"] == "nangate45"


def test_networks_that_take_turns_are_listed_frame_by_frame(tmp_path):
    text = call(*RUN, "--full", "--then", "tiny_vit_int8", "--frames", 2, "--functional", "-o", tmp_path / "run")
    assert max(map(len, text.splitlines())) <= 80
    lines = text.split("Networks in turn\n")[1].split("\n\n")[0].splitlines()
    assert [name for line in lines for name in ("tiny_vit_ssvq", "tiny_vit_int8") if name in line] == ["tiny_vit_ssvq", "tiny_vit_int8"] * 2
    result = load_result(tmp_path / "run")
    assert [frame.trace for frame in result.frames] == ["tiny_vit_ssvq", "tiny_vit_int8"] * 2
    rows = list(csv.DictReader((tmp_path / "run" / "layers.csv").read_text().splitlines()))
    assert sum(int(row["total_cycles"]) for row in rows if row["trace"] == "tiny_vit_int8") == sum(
        frame.total_cycles for frame in result.frames if frame.trace == "tiny_vit_int8"
    )


def test_a_network_named_twice_is_one_message():
    outcome = CliRunner().invoke(app, [*RUN, "--then", "tiny_vit_ssvq"])
    assert outcome.exit_code == 2
    assert "2 networks are called 'tiny_vit_ssvq'" in outcome.stderr
