"""The command of the accuracy table: it continues where it stopped, its page is the committed one, and a corner of it is repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.torch

from notebooks.examples import accuracy_front, accuracy_page, accuracy_table, accuracy_tasks  # noqa: E402 (they import torch)

ARMS = (accuracy_table.Arm("digits", 1.5, "vq:k=64,d=4"), accuracy_table.Arm("digits", 1.5, "ssvq:k=16,d=8", "no freezing"))


def line(seed: int, tuned: float, rate: float = 1e-3, data: str = "test", arm: Any = ARMS[0]) -> Any:
    return accuracy_table.Line("digits", arm.bits, arm.format, arm.variant, seed, rate, data, 0.95, 0.5, tuned)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digits with 100 images and one epoch of each training."""

    def load(seed: int) -> Any:
        data = accuracy_tasks.digits(seed)
        return replace(data, train=tuple(part[:100] for part in data.train))

    monkeypatch.setitem(accuracy_tasks.TASKS, "digits", replace(accuracy_tasks.TASKS["digits"], load=load, float_epochs=1, epochs=1))
    accuracy_table.float_network.cache_clear()
    yield
    accuracy_table.float_network.cache_clear()


@pytest.mark.usefixtures("short")
def test_a_table_that_was_interrupted_is_continued_to_the_same_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, flips = tmp_path / "table.csv", tmp_path / "flips.csv"
    lines = accuracy_table.measure("digits", ARMS, 1, table, flips)
    assert accuracy_table.read(table) == lines
    assert [(item.format, item.data) for item in lines] == [
        *[(arm.format, "validation") for arm in ARMS for _ in accuracy_table.RATES],
        *[(arm.format, "test") for arm in ARMS],
    ]
    assert len(flips.read_text().splitlines()) == 1 + 2  # a header, and two batches of at most 64
    text = table.read_text().splitlines(keepends=True)
    table.write_text("".join(text[:-1]))
    assert accuracy_table.measure("digits", ARMS, 1, table, tmp_path / "again.csv") == lines
    assert table.read_text() == "".join(text)
    monkeypatch.setattr(accuracy_table, "run", None)  # nothing is left to measure
    assert accuracy_table.measure("digits", ARMS, 1, table, flips) == lines


def test_the_rate_of_the_best_validation_accuracy_is_taken_once_all_are_tried() -> None:
    tried = [line(0, tuned, rate, "validation") for tuned, rate in zip((0.9, 0.94, 0.94), accuracy_table.RATES, strict=True)]
    assert accuracy_table.best_rate(tried[:2], ARMS[0]) is None
    assert accuracy_table.best_rate([*tried, line(0, 0.99, 3e-3)], ARMS[0]) == 1e-3
    assert accuracy_table.best_rate(tried, ARMS[1]) is None


def test_an_interval_is_students_t_over_the_seeds() -> None:
    """90, 92, 94: deviation 2; 4.303 * 2 / sqrt(3) = 4.97."""
    assert accuracy_page.mean_of([0.90, 0.92, 0.94]) == "92.00 ± 4.97 %"
    assert accuracy_page.mean_of([0.9]) == "90.00 %"


def test_differences_are_paired_by_the_seeds_that_both_have() -> None:
    ssvq = accuracy_table.Arm("digits", 1.5, "ssvq:k=16,d=8")
    lines = [line(0, 0.90), line(1, 0.80), line(0, 0.92, arm=ssvq), line(1, 0.84, arm=ssvq), line(2, 0.1, arm=ssvq)]
    # 2 and 4 points: mean 3, deviation sqrt(2); 12.706 * sqrt(2) / sqrt(2)
    assert "| 1.5 | `vq:k=64,d=4` | 2 | +3.00 ± 12.71 |" in accuracy_page.differences(lines, "digits")


def test_a_claim_holds_where_its_interval_is_above_0() -> None:
    ssvq = accuracy_table.Arm("digits", 1.5, "ssvq:k=16,d=8")
    claim = "| SSVQ gains over VQ at 1.5 bits | digits | "
    gains = [line(seed, 0.90) for seed in range(3)] + [line(seed, 0.92, arm=ssvq) for seed in range(3)]
    assert f"{claim}+2.00 ± 0.00 | yes |" in accuracy_page.claims(gains)
    # 2 and 4 points: 3 ± 12.71
    assert f"{claim}+3.00 ± 12.71 | not decided |" in accuracy_page.claims(
        [line(0, 0.90), line(1, 0.80), line(0, 0.92, arm=ssvq), line(1, 0.84, arm=ssvq)]
    )
    losses = [line(seed, 0.92) for seed in range(3)] + [line(seed, 0.90, arm=ssvq) for seed in range(3)]
    assert f"{claim}-2.00 ± 0.00 | **no, the reverse** |" in accuracy_page.claims(losses)


def test_the_committed_page_is_that_of_the_committed_table() -> None:
    assert (accuracy_table.DOCS / "accuracy.md").read_text() == accuracy_page.page(accuracy_table.read(accuracy_table.TABLE))


def test_a_point_that_another_beats_in_all_figures_is_not_on_the_front() -> None:
    points = [
        accuracy_front.Point("slow", 2.0, "a", 5, 0.95, 0.01, 9.0, 1.0),
        accuracy_front.Point("fast", 2.0, "b", 5, 0.95, 0.01, 3.0, 4.0),
        accuracy_front.Point("fast", 2.0, "c", 5, 0.94, 0.01, 3.5, 4.0),  # b is more accurate, faster and as large
    ]
    assert [point.format for point in accuracy_front.on_front(points)] == ["a", "b"]


def test_the_committed_front_is_that_of_all_formats_that_are_measured() -> None:
    assert accuracy_front.measure(accuracy_table.read(accuracy_table.TABLE)) == accuracy_front.read_points()


def test_a_corner_of_the_table_is_measured_again() -> None:
    """The first test line, to 2 points: 8 of 400 images, which other machines' sums may turn."""
    accuracy_table.float_network.cache_clear()
    committed = next(item for item in accuracy_table.read(accuracy_table.TABLE) if item.data == "test")
    found, _ = accuracy_table.run(committed.arm, committed.seed, committed.rate, "test")
    for name in ("float32", "compressed", "tuned"):
        assert getattr(found, name) == pytest.approx(getattr(committed, name), abs=0.02 if name != "compressed" else 0.1)


@pytest.mark.parametrize("task", accuracy_tasks.TASKS)
def test_every_task_loads_data_that_its_network_takes(task: str) -> None:
    chosen = accuracy_tasks.TASKS[task]
    data, again, other = chosen.load(0), chosen.load(0), chosen.load(1)
    network = chosen.network()
    for name in ("train", "validation", "test"):
        inputs, classes = getattr(data, name)
        assert len(inputs) == len(classes)
        assert (inputs == getattr(again, name)[0]).all()
    assert (data.train[0] != other.train[0]).any()
    inputs, classes = data.test[0][:4], data.test[1][:4]
    logits = network(inputs)
    assert len(logits) == classes.numel()
    assert 0 <= int(data.train[1].min()) <= int(data.train[1].max()) < logits.shape[1]
