"""DeiT-tiny on the presets gives the numbers that were written down; a number that moves is listed in CHANGELOG under "Model changes".

These say that something moved, not that it was right: the references and twins of the other tests say that.
"""

from __future__ import annotations

import json

import pytest

from tests.golden.update import FILE, POINTS, measure

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))


def test_every_point_is_written_down_with_date_and_reason() -> None:
    assert set(GOLDEN["points"]) == {f"{preset} {trace}" for preset, trace in POINTS}
    assert GOLDEN["date"]
    assert GOLDEN["reason"]


@pytest.mark.parametrize(("preset", "trace"), POINTS)
def test_a_golden_number_has_not_moved(preset: str, trace: str) -> None:
    measured = measure(preset, trace)
    golden = GOLDEN["points"][f"{preset} {trace}"]
    assert measured == golden, f'run `python -m tests.golden.update "reason"` and list {preset} {trace} in CHANGELOG under "Model changes"'
