"""accelsim run over tokens: what it prints, and its figures as JSON."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.trace.trace import save_trace
from tests.trace.test_token_step import KV_HEADS, WIDTH, model

RUN = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    save_trace(model(), tmp_path / "lm")
    return str(tmp_path / "lm")


def test_time_to_first_token_and_tokens_per_second_are_printed(folder: str) -> None:
    steps = ["run", "edge-64x64", folder, "--prefill", "12", "--decode", "2", "--context", "50"]
    found = RUN.invoke(app, steps)
    assert found.exit_code == 0
    rows = [line.split() for line in found.stdout.splitlines() if line.startswith(("prefill ", "decode "))]
    assert [row[:3] for row in rows[:3]] == [["prefill", "12", "50"], ["decode", "62", rows[1][2]], ["decode", "63", rows[2][2]]]
    assert all(len(line) <= 80 for line in found.stdout.splitlines())
    quiet = RUN.invoke(app, [*steps, "--quiet"]).stdout
    assert re.fullmatch(r"edge-64x64 \S+: first token after [\d.]+ ms, [\d,.]+ to [\d,.]+ tokens per second; (.*)\n", quiet)
    assert quiet.endswith("; head uniform, cache of 8 bits, activations of 8 bits\n")


def test_json_has_the_figures_of_each_context_and_the_operands(folder: str) -> None:
    found = RUN.invoke(app, ["run", "edge-64x64", folder, "--prefill", "12", "--decode", "9", "--batch", "2", "--json", "--quiet"])
    assert found.exit_code == 0
    said = json.loads(found.stdout)
    assert list(said["tokens_per_second"]) == list(said["joules_per_token"]) == ["12", "14", "17", "20"]
    assert said["time_to_first_token_ms"] == said["prefill"]["milliseconds"] > 0
    row = 2 * KV_HEADS * WIDTH
    assert [step["bytes"]["kv_read"] for step in said["decode"]] == [2 * row * (context + 1) for context in (12, 14, 17, 20)]
    assert {step["bytes"]["kv_write"] for step in said["decode"]} == {2 * row}
    assert said["prefill"]["bytes"]["kv_write"] == 2 * row * 12
    for step in said["decode"]:
        assert step["tokens_per_second"] == pytest.approx(2e3 / step["milliseconds"])


def test_each_step_is_launched_as_a_token(folder: str) -> None:
    steps = ["run", "edge-64x64", folder, "--prefill", "12", "--decode", "1", "--what-if", "--json", "--quiet", "--set"]
    without, launched = (json.loads(RUN.invoke(app, [*steps, f"control.overhead.token={time}"]).stdout) for time in ("0 ms", "9 ms"))
    for phase, found in (("prefill", launched["prefill"]), ("decode", launched["decode"][0])):
        unlaunched = without[phase] if phase == "prefill" else without[phase][0]
        assert found["limiter"] == found["verdict"]["resource"] == "launch overhead"
        assert found["verdict"]["gain"] == pytest.approx(found["milliseconds"] / unlaunched["milliseconds"], rel=1e-6)
    assert launched["time_to_first_token_ms"] == pytest.approx(without["time_to_first_token_ms"] + 9, rel=0.01)
    assert launched["tokens_per_second"]["12"] == pytest.approx(1e3 / (without["decode"][0]["milliseconds"] + 9), rel=0.01)


def test_a_folder_has_each_step_and_a_picture_that_marks_what_limits(folder: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["run", "edge-64x64", folder, "--prefill", "12", "--decode", "9", "-o", str(out), "--json", "--quiet"]
    said = json.loads(RUN.invoke(app, options).stdout)
    names = ["tokens.csv", "tokens.json", "tokens_per_second.png", "tokens_per_second.svg"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert json.loads((out / "tokens.json").read_text()) == said
    rows = list(csv.DictReader((out / "tokens.csv").read_text().splitlines()))
    assert [(row["phase"], row["context"]) for row in rows] == [("prefill", "0"), *(("decode", at) for at in ("12", "14", "17", "20"))]
    assert [(row["limiter"], float(row["gain"]), row["basis"]) for row in rows[1:]] == [
        (step["limiter"], pytest.approx(max(step["gains"].values())), "what-if") for step in said["decode"]
    ]
    assert {(row["head_format"], row["cache_bits"], row["activation_bits"]) for row in rows} == {("uniform", "8", "8")}
    texts = re.findall(r">([^<>]+)</text>", (out / "tokens_per_second.svg").read_text())
    assert "head uniform, cache of 8 bits, activations of 8 bits" in " ".join(texts)
    assert [int(row["kv_read_bytes"]) for row in rows[1:]] == [step["bytes"]["kv_read"] for step in said["decode"]]
    assert RUN.invoke(app, options).exit_code == 0  # again, in its place


def test_what_reads_a_result_says_that_a_run_over_tokens_has_none(folder: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert RUN.invoke(app, ["run", "edge-64x64", folder, "--decode", "1", "-o", str(out), "--quiet"]).exit_code == 0
    for words in (["report"], ["timeline", "-o", str(tmp_path / "t.json")]):
        for given in (out, out / "tokens.json", out / "result.json"):
            found = RUN.invoke(app, [*words, str(given)])
            assert found.exit_code == 2
            assert f"{given}: holds the figures of a run over tokens, not a result; the result of a step: accelsim run" in found.stderr


def test_what_is_printed_of_a_step_is_its_verdict(folder: str) -> None:
    steps = ["run", "edge-64x64", folder, "--decode", "1", "--context", "50", "--what-if"]
    said = json.loads(RUN.invoke(app, [*steps, "--json"]).stdout)["decode"][0]
    gain = f"{said['verdict']['gain']:.2f}x"
    line = f"{said['limiter']} limit{'' if said['limiter'].endswith('s') else 's'} ({gain} if free)"
    printed = " ".join(RUN.invoke(app, steps).stdout.split())
    assert f" {said['limiter']} {gain} " in printed
    assert f"decode: {line} at the simulated context" in printed
    assert "(estimated) at" not in printed
    assert "--what-if" not in printed


def test_warnings_of_the_steps_are_said_once(folder: str) -> None:
    steps = ["run", "edge-64x64", folder, "--decode", "3", "--cache-bits", "16", "--context", "9"]
    words = "the cache's elements of 16 bits are rounded to 8"
    assert " ".join(RUN.invoke(app, steps).stdout.split()).count(f"warning: {words}") == 1
    assert [text.startswith(words) for text in json.loads(RUN.invoke(app, [*steps, "--json"]).stdout)["warnings"]].count(True) == 1


def test_a_prefill_alone_has_no_picture(folder: str, tmp_path: Path) -> None:
    assert RUN.invoke(app, ["run", "edge-64x64", folder, "--prefill", "12", "-o", str(tmp_path / "out"), "--quiet"]).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tokens.csv", "tokens.json"]


def test_a_folder_of_something_else_is_not_replaced(folder: str) -> None:
    found = RUN.invoke(app, ["run", "edge-64x64", folder, "--decode", "1", "-o", folder, "--quiet"])
    assert found.exit_code == 2
    assert "allowed: a new folder" in found.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--context", "5"], "prefill = 0 and decode = 0"),
        (["--decode", "0"], "prefill = 0 and decode = 0: allowed: tokens of at least one of them"),
        (["--prefill", "0", "--context", "0"], "prefill = 0 and decode = 0"),
        (["--decode", "1", "--functional"], "--functional: allowed without --prefill"),
        (["--decode", "1", "--full"], "--full: allowed without --prefill"),
        (["--prefill", "1", "--layers"], "--layers: allowed without --prefill"),
        (["--decode", "2000000"], "decode = 2000000: allowed: 0..1048576"),
    ],
)
def test_what_cannot_be_run_over_tokens_is_one_message(options: list[str], message: str, folder: str) -> None:
    found = RUN.invoke(app, ["run", "edge-64x64", folder, *options])
    assert found.exit_code == 2
    assert message in found.stderr
