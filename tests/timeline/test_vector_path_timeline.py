"""A depthwise layer on the lanes in the timeline: its stripes on the array's track, its work on the vector unit's."""

from __future__ import annotations

from pathlib import Path

from accelsim.simulation import simulate_recorded
from tests.system.test_column_feed import depthwise
from tests.system.test_vector_path import bench
from tests.timeline.test_timeline import check, draw


def test_the_array_gives_stripes_and_the_lanes_do_the_work(tmp_path: Path) -> None:
    # 8 channels on 4 lanes: two stripes, given in cycles 10 and 19; 2 x 16 positions of 9 + 1 cycles on the lanes.
    run = simulate_recorded(bench(4, 4, 1, 4), depthwise(8, 4, 4, 3, 1))
    trace = draw(run, tmp_path)
    check(run, trace)
    tiles = [tile for tile in trace.track("MAC array") if not tile.name.endswith("[drain]")]
    assert [tile.args["mapping"] for tile in tiles] == ["vector path"] * 2
    assert sum(piece.args["cycles"] for piece in trace.track("vector unit")) == 2 * 16 * 10
