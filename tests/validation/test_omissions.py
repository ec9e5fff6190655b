"""The page of model assumptions: its table has a row for each case that is measured, and each case is a machine that can be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace
from tests.validation.measure_omissions import CASES, CHIPS, NO_REFRESH, without_refresh

PAGE = Path(__file__).resolve().parents[2] / "docs" / "model_assumptions.md"


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("name", "overrides"), CASES, ids=[name for name, _ in CASES])
def test_every_case_is_a_machine_and_differs_from_the_preset(chip: str, name: str, overrides: tuple[str, ...], tmp_path: Path) -> None:
    device = str(without_refresh(tmp_path))
    turned = load_accelerator(chip, [item.replace(NO_REFRESH, device) for item in overrides])
    assert turned != load_accelerator(chip), name


def test_the_page_has_a_row_for_every_case_in_order() -> None:
    rows = [line.split("|")[1].strip() for line in PAGE.read_text(encoding="utf-8").splitlines() if line.count("|") == 9]
    assert rows == ["turned", "---", "nothing", *(name for name, _ in CASES)]


def test_only_the_device_without_refresh_is_never_refreshed(tmp_path: Path) -> None:
    trace = load_trace(built_in().traces / "deit_tiny_int8")
    chips = [load_accelerator(CHIPS[0], overrides) for overrides in ((), (f"dram.device={without_refresh(tmp_path)}",))]
    refreshed, never = (simulate(chip, trace).counters["dram_refreshes"] for chip in chips)
    assert refreshed > 300  # a run of 1.4 ms, every 3.9 us
    assert never == 0
