"""A sweep of traces that state an accuracy over several chips: the column, and the front by the definition."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

from typer.testing import CliRunner

import accelsim
from accelsim.cli import app
from accelsim.trace.trace import save_trace, with_metrics
from notebooks.examples import trace_accuracy

CHIPS = ("mcu-16x16", "edge-32x32")
ACCURACIES = {"uniform:bits=8": 0.95, "uniform:bits=4": 0.9, "vq:k=64,d=4": 0.8, "ssvq:k=16,d=8": 0.85}


def test_accuracy_latency_and_area_of_exported_traces(tmp_path: Path) -> None:
    names = {text: f"net{place}" for place, text in enumerate(ACCURACIES)}
    for text, value in ACCURACIES.items():
        packed = accelsim.compress("tiny_vit_float", text, name=names[text]).record
        save_trace(with_metrics(packed, {trace_accuracy.METRIC: value}), tmp_path / names[text])
    sweep = trace_accuracy.write_sweep(tmp_path, list(names.values()), CHIPS)
    words = ["sweep", str(sweep), "--store", str(tmp_path / "store.sqlite"), "--workers", "1", "-q", "-o", str(tmp_path / "out")]
    words += ["--accuracy", f"{trace_accuracy.__file__}:accuracy", "--pareto", "accuracy,milliseconds,area_mm2", "--tolerance", "0"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    with (tmp_path / "out" / "pareto_front.csv").open(newline="") as file:
        found = {(row["accelerator"], Path(row["trace"]).name): float(row["accuracy"]) for row in csv.DictReader(file)}
    runs = {
        (chip, names[text]): (accelsim.simulate(chip, tmp_path / names[text], fit_codebook=True), value)
        for chip, (text, value) in product(CHIPS, ACCURACIES.items())
    }
    costs = {key: (run.milliseconds, run.cost().area_mm2.nominal, -value) for key, (run, value) in runs.items()}
    beaten = {
        key
        for key, own in costs.items()
        if any(other != own and all(a <= b for a, b in zip(other, own, strict=True)) for other in costs.values())
    }
    assert set(found) == set(costs) - beaten
    assert found == {key: -costs[key][2] for key in found}
