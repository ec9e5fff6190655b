"""What a change was allowed to move: runs are compared with the files that were written before it began.

`MOVED` names what CHANGELOG lists under "Model changes"; everything else equals the file, to the last bit of traffic.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.golden.before import CONVNETS, FOLDER, PRESETS, measure, points

FILES = sorted(FOLDER.glob("before_*.json"))
# Points that moved as accumulators were used again by another rule: all that ran but `tiny_vit_*` on the chips with DRAM.
ACCUMULATOR_REUSE = frozenset(
    [
        *(
            f"{chip} deit_tiny_{name}"
            for chip in PRESETS
            for name in ("int8", "ssvq_k16d8", "ssvq_k256d8", "uniform_b4", "vecq_b2", "vecq_b3", "vecq_b4")
        ),
        "mcu-16x16 tiny_vit_int8",
        "mcu-16x16 tiny_vit_ssvq",
        *(f"edge-64x64 {name}" for name in CONVNETS),
        "tiny encoder",
    ]
)
# Points that moved as raw weights got a path of their own: every run that is not refused, but that of the tiny chain.
RAW_PATH = ACCUMULATOR_REUSE | {f"{chip} {name}" for chip in PRESETS for name in ("tiny_vit_int8", "tiny_vit_ssvq")}
# File -> points that CHANGELOG says have moved since.
MOVED: dict[str, frozenset[str]] = dict.fromkeys(
    ("before_seams", "before_formats", "before_cluster", "before_families", "before_machine", "before_rawpath"), RAW_PATH
)


@pytest.fixture(scope="module")
def measured() -> dict[str, object]:
    """All points as they are now."""
    return {name: measure(accelerator, trace) for name, accelerator, trace in points()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_number_moved_but_those_that_the_changelog_lists(file: Path, measured: dict[str, object]) -> None:
    before = json.loads(file.read_text(encoding="utf-8"))
    assert before.keys() == measured.keys()
    assert {name for name, record in before.items() if record != measured[name]} == MOVED[file.stem]
