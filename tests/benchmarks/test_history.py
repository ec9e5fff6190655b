"""Figures of `make bench` are kept by commit and compared with the nearest commit before that has some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.benchmarks.history import commits_of, measured, nearest, save


def test_figures_are_compared_with_the_nearest_commit_before_that_has_some(tmp_path: Path) -> None:
    for commit, value in (("aaa", 1.0), ("ccc", 3.0)):
        save(tmp_path, measured(commit, {"speed": value}))
    found = nearest(tmp_path, ["ddd", "ccc", "bbb", "aaa"])
    assert found is not None
    assert (found.commit, found.values) == ("ccc", {"speed": 3.0})
    assert nearest(tmp_path, ["ddd"]) is None


def test_figures_of_another_processor_are_not_compared(tmp_path: Path) -> None:
    save(tmp_path, replace(measured("bbb", {"speed": 2.0}), processor="abacus"))
    save(tmp_path, measured("aaa", {"speed": 1.0}))
    found = nearest(tmp_path, ["bbb", "aaa"])
    assert found is not None
    assert found.commit == "aaa"


def test_outside_a_checkout_there_is_no_commit_before(tmp_path: Path) -> None:
    assert commits_of(tmp_path) == ("none", [])
