"""`accelsim calibrate`: a chip's known fields come back from its own simulated times with noise, and mistakes are one sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from accelsim.accelerator import build_accelerator, read_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.simulation import simulate
from tests.cli.test_manners import call, refused

FORMATS = ("vq:k=16,d=4", "uniform:bits=4", "uniform:bits=6")
NETWORKS = ("tiny_vit_int8", "tiny_vit_ssvq", *(f"tiny_vit_float@{name}" for name in FORMATS))


def chip(**changes: Any) -> dict[str, Any]:
    fields, _ = read_accelerator("edge-32x32")
    return {**fields, "dram": {"device": "ideal", "bandwidth": "3 GB/s", "latency": "100 ns"}, **changes}


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """The chip as its user first writes it: bandwidth and clock are guesses."""
    file = tmp_path / "start.yaml"
    file.write_text(yaml.safe_dump(chip(dram={"device": "ideal", "bandwidth": "8 GB/s", "latency": "100 ns"})))
    return file


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_bandwidth_and_clock_come_back_and_a_held_row_is_predicted(start: Path, tmp_path: Path) -> None:
    machine = build_accelerator(chip(clock="700 MHz"), "truth")
    noise = np.random.default_rng(3)
    results = {name: simulate(machine, open_trace(name)) for name in NETWORKS}
    rows = [
        {"network": name, "milliseconds": result.total_cycles / 700e3 * (1 + 0.005 * noise.standard_normal())}
        for name, result in results.items()
    ]
    out = tmp_path / "fitted.yaml"
    outcome = call("calibrate", start, write(tmp_path / "m.csv", rows), "--fit", "dram.bandwidth,clock", "--hold", "2", "-o", out, "--json")
    assert outcome.exit_code == 0, outcome.output
    found = json.loads(outcome.stdout)
    assert found["verdict"] == "fitted"
    values = {item["path"]: item["value"] for item in found["parameters"]}
    assert values == {"dram.bandwidth": pytest.approx(3e9, rel=0.05), "clock": pytest.approx(700e6, rel=0.05)}
    assert [row["row"] for row in found["rows"] if row["held"]] == [2]
    assert found["rms_held"] < 0.03
    again = build_accelerator(yaml.safe_load(out.read_text()), str(out))
    assert again.clock == values["clock"]


def test_the_time_of_a_layer_is_that_layers_alone(start: Path, tmp_path: Path) -> None:
    result = simulate(build_accelerator(chip(), "truth"), open_trace("tiny_vit_int8"))
    rows = [
        {"network": "tiny_vit_int8", "layer": layer.name, "milliseconds": layer.total_cycles / result.clock_hz * 1e3}
        for layer in result.layers
        if layer.macs and layer.total_cycles > 500
    ]
    outcome = call("calibrate", start, write(tmp_path / "m.csv", rows), "--fit", "dram.bandwidth", "--json")
    found = json.loads(outcome.stdout)
    assert found["parameters"][0]["value"] == pytest.approx(3e9, rel=0.02)
    assert max(abs(row["error"]) for row in found["rows"]) < 0.02


def test_two_rows_for_two_fields_are_called_reproduced_on_the_terminal_too(start: Path, tmp_path: Path) -> None:
    rows = [{"network": name, "milliseconds": 0.02} for name in NETWORKS[:2]]
    outcome = call("calibrate", start, write(tmp_path / "m.csv", rows), "--fit", "dram.bandwidth,clock")
    assert "Calibration: reproduced" in outcome.stdout
    assert "predicts nothing" in " ".join(outcome.stdout.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fit", "dram.width"], "the chip has no field `dram.width`"),
        (["--fit", "name"], "field `name` is no whole number"),
        (["--fit", "array.rows=8..64"], "a field of few values is a sweep's axis"),
        (["--fit", "clock=1 GHz"], "bounds have the form clock=LOW..HIGH"),
        (["--fit", "clock=1 GHz..abc"], "'abc' is not a frequency"),
        (["--fit", "clock=2 GHz..4 GHz"], "1 GHz, is outside of its bounds"),
        (["--fit", "clock,clock"], "field `clock` is given twice"),
        (["--fit", "clock,"], "fields of the chip with commas between them"),
        (["--fit", "clock", "--hold", "9"], "the file has rows 1 to 2"),
        (["--fit", "clock", "--hold", "x"], "allowed: numbers of rows"),
        (["--fit", "clock", "--hold", "1-2"], "has 0 rows to fit, which cannot determine 1 parameters"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(options: list[str], message: str, start: Path, tmp_path: Path) -> None:
    rows = write(tmp_path / "m.csv", [{"network": name, "milliseconds": 0.02} for name in NETWORKS[:2]])
    assert message in refused("calibrate", start, rows, *options)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"network": "tiny_vit_int8", "milliseconds": "0"}, "a time from 1e-09 to 1e+12 ms"),
        ({"network": "tiny_vit_int8", "milliseconds": "nan"}, "column milliseconds"),
        ({"network": "", "milliseconds": "1"}, "a trace's name"),
        ({"network": "tiny_vit_int9", "milliseconds": "1"}, "tiny_vit_int9"),
        ({"network": "tiny_vit_int8", "milliseconds": "1", "layer": "vit.fc9"}, "has no layer 'vit.fc9'"),
        ({"network": "tiny_vit_int8", "milliseconds": "1", "batch": "0"}, "column batch"),
        ({"network": "tiny_vit_int8", "ms": "1"}, "column 'milliseconds' is missing"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(row: dict[str, str], message: str, start: Path, tmp_path: Path) -> None:
    assert message in refused("calibrate", start, write(tmp_path / "m.csv", [row]), "--fit", "clock")
