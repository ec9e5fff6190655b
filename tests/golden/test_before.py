"""What a change was allowed to move: runs are compared with the files that were written before it began.

`MOVED` names what CHANGELOG lists under "Model changes"; everything else equals the file, to the last bit of traffic.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.golden.before import FOLDER, measure, points

FILES = sorted(FOLDER.glob("before_*.json"))
# File -> points that CHANGELOG says have moved since.
MOVED: dict[str, frozenset[str]] = {"before_seams": frozenset(), "before_cluster": frozenset()}


@pytest.fixture(scope="module")
def measured() -> dict[str, object]:
    """All points as they are now."""
    return {name: measure(accelerator, trace) for name, accelerator, trace in points()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_number_moved_but_those_that_the_changelog_lists(file: Path, measured: dict[str, object]) -> None:
    before = json.loads(file.read_text(encoding="utf-8"))
    assert before.keys() == measured.keys()
    assert {name for name, record in before.items() if record != measured[name]} == MOVED[file.stem]
