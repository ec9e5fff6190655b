"""The command of the accuracy table: it continues where it stopped, its page is the committed one, and a corner of it is repeated."""

from __future__ import annotations

import copy
import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.torch

from notebooks.examples import accuracy_cost, accuracy_front, accuracy_page, accuracy_table, accuracy_tasks  # noqa: E402 (they import torch)

TRIED = accuracy_table.Try(1e-3, 0.0)
ARMS = (accuracy_table.Arm("digits", 1.5, "vq:k=64,d=4"), accuracy_table.Arm("digits", 1.5, "ssvq:k=16,d=8", "no freezing"))


def line(seed: int, tuned: float, tried: Any = TRIED, data: str = "test", arm: Any = ARMS[0]) -> Any:
    return accuracy_table.Line("digits", arm.bits, arm.format, arm.variant, seed, tried.rate, tried.latent, data, 0.95, 0.5, tuned)


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
        *[(ARMS[0].format, "validation")] * 8,
        *[(ARMS[1].format, "validation")] * 3,
        *[(arm.format, "test") for arm in ARMS],
    ]
    assert len(flips.read_text().splitlines()) == 1 + 2  # a header, and two batches of at most 64
    text = table.read_text().splitlines(keepends=True)
    table.write_text("".join(text[:-1]))
    assert accuracy_table.measure("digits", ARMS, 1, table, tmp_path / "again.csv") == lines
    assert table.read_text() == "".join(text)
    monkeypatch.setattr(accuracy_table, "run", None)  # nothing is left to measure
    assert accuracy_table.measure("digits", ARMS, 1, table, flips) == lines


def test_every_arm_of_a_task_and_width_has_as_many_tries() -> None:
    """Eight, of rates alone or of rates times factors; three of the usual factor at 3 and 4 bits and on the other tasks."""
    for task in accuracy_tasks.TASKS:
        for arm in (arm for group in accuracy_table.groups(task) for arm in group):
            tries = accuracy_table.grid_of(arm).tries(arm)
            assert len(set(tries)) == (8 if task == "digits" and arm.bits not in (3.0, 4.0) and not arm.variant else 3)
            learns = arm.kind in ("ssvq", "universal_vq") and arm.variant != "fixed signs"
            assert all((tried.latent > 0) == learns for tried in tries)


def test_the_rates_of_the_best_validation_accuracy_are_taken_once_all_are_tried() -> None:
    tries = accuracy_table.grid_of(ARMS[0]).tries(ARMS[0])
    accuracies = (0.9, 0.94, 0.94, *[0.5] * 5)
    tried = [line(0, tuned, item, "validation") for tuned, item in zip(accuracies, tries, strict=True)]
    assert accuracy_table.best_try(tried[:-1], ARMS[0]) is None
    assert accuracy_table.best_try([*tried, line(0, 0.99, tries[-1])], ARMS[0]) == tries[1]
    assert accuracy_table.best_try(tried, ARMS[1]) is None
    tests = [line(0, 0.8, tries[1]), line(0, 0.9, tries[2]), line(1, 0.7, tries[1])]
    assert accuracy_table.reported([*tried, *tests]) == [tests[0], tests[2]]


def test_the_float_network_is_trained_on_as_a_prepared_one_is() -> None:
    """`finetune` with a single trainable bias beside a format that is frozen, against the loop of the ceiling."""
    import torch

    from accelsim import finetune

    torch.manual_seed(0)
    samples = torch.randn(20, 4), torch.randint(0, 3, (20,))
    network = torch.nn.Sequential(torch.nn.Linear(4, 3))
    settings = finetune.Settings(epochs=3, batch=8, learning_rate=0.1, weight_decay=0.1, seed=4)
    prepared = finetune.prepare(copy.deepcopy(network), "uniform:bits=8", layers="*")
    (layer,) = finetune.prepared_layers(prepared)
    plain = copy.deepcopy(network)
    with torch.no_grad():
        plain[0].weight.copy_(layer.module.weight)
    layer.parts[0].requires_grad_(False)
    plain[0].weight.requires_grad_(False)
    finetune.finetune(prepared, *samples, settings=settings, check_export=False)
    accuracy_tasks.train_on(plain, samples, settings)
    torch.testing.assert_close(plain[0].bias, prepared[0].bias)


def test_the_hours_are_the_runs_of_each_kind_times_its_cost() -> None:
    costs = {(task, kind): 36.0 for task in accuracy_tasks.TASKS for kind in ("vq", "ssvq", "float network")}
    # two runs of 36 s and five float networks; three float networks of the others
    found = accuracy_cost.hours([line(0, 0.9), line(1, 0.9, arm=ARMS[1])], costs)
    assert found == pytest.approx({"digits": 0.07, "shapes": 0.03, "characters": 0.03})


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
    found, _ = accuracy_table.run(committed.arm, committed.seed, committed.tried, "test")
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


def test_the_reverses_at_1_25_bits_are_decided_at_the_rates_of_three_tries_alone() -> None:
    """As the page says above its claims, of the committed table; Student's t at 97.5 % and 4 degrees of freedom is 2.776."""
    with accuracy_table.TABLE.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["task"], row["data"], row["bits"]) == ("digits", "test", "1.25")]

    def gain(rates: tuple[str, str], other: str, other_rates: tuple[str, str], other_format: str = "ssvq:k=4,d=8") -> tuple[float, float]:
        """Points of the usual SSVQ over another arm, paired by seed, and half of their interval."""
        arms = (("ssvq:k=4,d=8", "", *rates), (other_format, other, *other_rates))
        first, second = (
            {row["seed"]: 100 * float(row["tuned"]) for row in rows if (row["format"], row["variant"], row["rate"], row["latent"]) == arm}
            for arm in arms
        )
        points = np.array([first[seed] - second[seed] for seed in "01234"])
        return points.mean(), 2.776 * points.std(ddof=1) / 5**0.5

    three, equal = ("0.001", "10.0"), ("0.003", "1.0")
    for variant, of_three, of_equal in (
        ("fixed signs", ("0.003", "0.0"), ("0.003", "0.0")),
        ("no freezing", three, equal),
        ("average", three, equal),
    ):
        mean, half = gain(three, variant, of_three)
        assert mean < -half, variant
        mean, half = gain(equal, variant, of_equal)
        assert abs(mean) <= half, variant
    mean, half = gain(three, "", ("0.003", "0.0"), "vq:k=32,d=4")
    assert (round(mean, 2), round(half, 2)) == (-3.00, 1.60)
    assert "by 3.00 ± 1.60 points" in accuracy_page.CLAIMS_HEAD
