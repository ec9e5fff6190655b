"""The demonstration in small: the tiny network on two chips; what it writes, says and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from accelsim.errors import OutputError
from accelsim.report.speedup_cells import Cell, Limiter, Point
from accelsim.studies.demo import Scope, run_demo, where_it_holds
from accelsim.studies.speedup_map import bandwidth_points, batch_points, lane_points, measure, port_points
from accelsim.trace.trace import load_trace

ROOT = Path(__file__).resolve().parents[1]
TINY = (ROOT / "traces/tiny_vit_int8", ROOT / "traces/tiny_vit_ssvq")
PRESETS = ("edge-64x64-x16", "mcu-16x16")
SMALL = Scope(
    PRESETS,
    {"bandwidth": bandwidth_points((16, 64), (0.5, 8.0)), "lanes": lane_points(PRESETS[:1], (16, 0))},
    cells=False,
)


def test_the_demonstration_writes_what_it_says(tmp_path: Path) -> None:
    said: list[str] = []
    phases: set[str] = set()
    out = run_demo(tmp_path / "out", said.append, lambda phase, *_: phases.add(phase), scope=SMALL, traces=TINY, workers=1)
    assert (out / "demo.txt").read_text(encoding="utf-8") == "\n".join(said) + "\n"
    rows = list(csv.DictReader((out / "speedups.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 2 + 8 + 2
    assert [row["preset"] for row in rows[:2]] == list(PRESETS)
    walks = json.loads((out / "demo.json").read_text(encoding="utf-8"))["walks"]
    assert [walks[9]["speed_up"], walks[19]["speed_up"]] == [pytest.approx(float(row["speed_up"])) for row in rows[:2]]
    assert {path.name for path in out.glob("*.png")} == {
        "map_bandwidth.png", "map_lanes.png", "presets.png", "walk_edge-64x64-x16.png", "walk_mcu-16x16.png",
    }  # fmt: skip
    assert phases == {"simulations of the maps", "walks"}
    assert all(len(line) <= 80 for line in "\n".join(said).splitlines())


def test_processes_give_the_same_bytes_as_one(tmp_path: Path) -> None:
    scope = Scope(PRESETS[1:], {"ports": port_points(PRESETS[1], (1, 2))}, cells=False)
    one = run_demo(tmp_path / "one", lambda _: None, scope=scope, traces=TINY, workers=1)
    two = run_demo(tmp_path / "two", lambda _: None, scope=scope, traces=TINY, workers=2)
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {path.name: path.read_bytes() for path in two.iterdir()}


def test_a_folder_with_other_things_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x", encoding="utf-8")
    said: list[str] = []
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        run_demo(tmp_path, said.append, scope=SMALL, traces=TINY, workers=1)
    assert not said


def test_the_whole_scope_covers_every_preset_and_axis() -> None:
    scope = Scope.full()
    assert scope.presets == ("edge-32x32", "edge-32x32-x32", "edge-64x64", "edge-64x64-x16", "mcu-16x16", "sbc-6tops", "soc-1tops")
    assert {name: len(points) for name, points in scope.points.items()} == {"bandwidth": 30, "lanes": 35, "ports": 4, "batch": 3}


def cell(row: str, column: str, speedup: float, limiter: str) -> Cell:
    limits = Limiter(limiter, 90.0, "MAC array"), Limiter("array", 90.0, "MAC array")
    return Cell(Point("overlap: layer", row, column, "chip", ()), round(1000 * speedup), 1000, 1.0, 1.0, 8, 2, *limits)


def test_where_it_holds_is_read_off_the_cells() -> None:
    cells = [cell("16x16", "1", 3.0, "memory"), cell("16x16", "2", 2.0, "memory"), cell("32x32", "8", 1.0, "array")]
    assert where_it_holds(cells) == (
        "About 3x (2.5 to 3.5) holds in 1 of 3 cells, where memory is the baseline's tightest bound: 16x16 with overlap = layer at 1 bytes "
        "per cycle. About 1x (below 1.1) holds in 1, where array is the baseline's tightest bound: 32x32 with overlap = layer at 8 bytes "
        "per cycle."
    )
    assert where_it_holds(cells[1:2]) == "About 3x (2.5 to 3.5) holds in 0 of 1 cells. About 1x (below 1.1) holds in 0."


def test_limits_are_named_once_where_both_runs_share_them() -> None:
    assert cell("16x16", "1", 3.0, "memory").limits == "mem→array"
    assert cell("16x16", "1", 3.0, "array").limits == "array"


def test_a_starved_array_is_limited_by_memory_and_a_fed_one_is_not() -> None:
    traces = [load_trace(path) for path in TINY]
    starved, fed = (measure(point, *traces) for point in bandwidth_points((64,), (0.5, 64.0), ("prefetch",)))
    assert starved.baseline_limiter.resource == "memory"
    assert starved.baseline_limiter.percent > 95
    assert fed.baseline_limiter.resource != "memory"
    assert starved.speedup > fed.speedup
    assert starved.baseline_cycles * 0.5 >= starved.baseline_weight_bytes


def test_lanes_bring_their_banks_along() -> None:
    points = {point.column: point.overrides for point in lane_points(["edge-32x32"], (16, 64, 0))}
    assert "activation_buffer.banks=16" in points["64"]  # 8 banks for 32 lanes
    assert points["16"] == ("vector_unit.lanes=16", "activation_buffer.banks=8")
    assert points["ideal"] == ("vector_unit.lanes=0", "activation_buffer.banks=8", "vector_unit.latency=0")


def test_every_batch_has_the_same_room() -> None:
    assert [(point.batch, point.overrides) for point in batch_points()] == [
        (batch, ("activation_buffer.capacity=2 MiB",)) for batch in (1, 2, 4)
    ]
