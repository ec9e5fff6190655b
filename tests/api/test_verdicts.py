"""One verdict for a run, wherever it is read: in Python, in its files, on its page, in its timeline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import accelsim
from accelsim import what_if
from accelsim.api import result as api_result
from accelsim.errors import CompileError
from accelsim.stored_result import load_result, parse_result
from accelsim.timeline.reproduce import reproduce
from accelsim.timeline.timeline import write_timeline
from accelsim.timeline.window import make_window
from tests.report.html_reader import Page

PAIR = ("edge-32x32", "tiny_vit_ssvq")


@pytest.fixture(scope="module")
def measured() -> accelsim.Result:
    """A short run whose idealizations were asked for."""
    return accelsim.simulate(*PAIR, what_if=True)


def fail(*_: object, **__: object) -> None:
    raise AssertionError("an idealization was simulated")


@pytest.mark.parametrize("pair", [PAIR, ("edge-64x64", "deit_tiny_ssvq_k16d8")])  # the second: estimated, another one
def test_a_short_run_has_the_verdict_that_its_idealizations_give(pair: tuple[str, str]) -> None:
    assert accelsim.simulate(*pair).verdict == accelsim.simulate(*pair, what_if=True).verdict


def test_figures_without_a_verdict_simulate_no_idealization(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(what_if, "what_if", fail)
    run = accelsim.simulate(*PAIR)
    assert run.milliseconds > 0
    assert run.cost().to_dict()
    with pytest.raises(AssertionError, match="was simulated"):
        _ = run.verdict


def test_a_longer_run_has_an_estimate_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    run = accelsim.simulate(*PAIR)
    monkeypatch.setattr(api_result, "CHEAP_CYCLES", run.cycles - 1)
    monkeypatch.setattr(what_if, "what_if", fail)
    assert run.verdict.partition(":")[0].endswith("(estimated)")
    assert run.decided == run.record


def test_an_ideal_chip_that_the_network_does_not_fit_leaves_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: object, **__: object) -> None:
        raise CompileError("does not fit")

    monkeypatch.setattr(what_if, "what_if", too_large)
    assert accelsim.simulate(*PAIR).verdict.partition(":")[0].endswith("(estimated)")


def test_files_pages_and_timelines_of_a_run_carry_its_verdict(measured: accelsim.Result, tmp_path: Path) -> None:
    file, page, timeline = tmp_path / "run.json", tmp_path / "run.html", tmp_path / "run.timeline.json"
    measured.save(file)
    saved = accelsim.load_result(file)
    assert saved.verdict == measured.verdict
    assert saved.to_dict()["verdict"] == measured.to_dict()["verdict"]
    saved.save(page)
    assert measured.verdict in page.read_text()
    record = load_result(file)
    write_timeline(reproduce(record, str(file)), make_window(record, None, None), timeline)
    assert json.loads(timeline.read_text())["otherData"]["limit"] == measured.verdict


def test_gains_bounds_and_stalls_stand_in_one_table(measured: accelsim.Result, tmp_path: Path) -> None:
    gains = {item.resource: item.speedup for item in measured.idealized or ()}
    assert all(row["speed_up"] == gains[row["resource"]] for row in measured.limits())
    page = Page(measured.save(tmp_path / "run.html").read_text())
    table = page.tables["t-limits"]
    shown = dict(zip(table.column("resource"), table.column("speed-up if free"), strict=True))
    assert shown == {name: f"{gains[name]:.2f}x" for name in shown}
    best = max(gains, key=lambda name: gains[name])
    assert table.column("resource")[0] == best
    assert f"Limited by{best}{gains[best]:.2f}x if it were free" in page.text


def test_a_comparison_has_the_verdicts_of_its_runs(measured: accelsim.Result) -> None:
    runs = accelsim.compare(":".join(PAIR), ":tiny_vit_int8")
    assert runs.runs()["verdict"][0] == measured.verdict
    assert runs.to_dict()["baseline"]["limit"] == measured.verdict


def test_a_result_without_a_verdict_is_written_and_read_as_before(measured: accelsim.Result) -> None:
    text = measured.record.to_json()
    assert "verdict" not in json.loads(text)
    assert parse_result(text, "result.json") == measured.record
