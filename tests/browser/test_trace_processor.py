"""A timeline in Perfetto's own trace processor: nothing is dropped, its sums are those of the result, and the rules we wrote down hold."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.presets import find_trace
from accelsim.simulation import simulate_recorded
from accelsim.trace.trace import load_trace
from tests.browser.chromium import PROGRAM, Browser, chromium
from tests.browser.trace_processor import trace_processor
from tests.engine.machines import machines
from tests.timeline.perfetto_rules import Imported, import_trace
from tests.timeline.test_perfetto_rules import CASES, CHIPS, check, write

pytestmark = [pytest.mark.browser, pytest.mark.skipif(PROGRAM is None, reason="Chromium is not there; `make test-extras` installs it")]

MACHINES = machines()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


def read_by_perfetto(browser: Browser, path: Path, picture: str = "") -> Imported:
    with trace_processor(browser, path) as processor:
        found = processor.tables()
        if picture and (folder := os.environ.get("ACCELSIM_SCREENSHOTS")):
            (Path(folder) / f"timeline-{picture}.png").write_bytes(processor.picture())
        return found


def as_sets(found: Imported) -> dict[str, Any]:
    """Tables without the order of their rows; values in 12 digits, as Perfetto's reader of decimals can miss the last bit of a double."""
    keys = {id(item): (item.thread, item.ts, item.dur, item.depth, item.name) for item in found.slices}
    return {
        "slices": Counter(keys.values()),
        "flows": Counter((keys[id(before)], keys[id(after)]) for before, after in found.flows),
        "counters": {key: Counter((at, f"{value:.12g}") for at, value in series) for key, series in found.counters.items()},
        "threads": found.threads,
        "processes": {pid: name for pid, name in found.processes.items() if name},
        "errors": found.errors,
    }


@pytest.mark.parametrize(("chip", "overrides"), CHIPS, ids=lambda item: item if isinstance(item, str) else "+".join(item)[:20])
def test_perfetto_shows_all_of_a_preset(chip: str, overrides: tuple[str, ...], browser: Browser, tmp_path: Path) -> None:
    run = simulate_recorded(load_accelerator(chip, overrides), load_trace(find_trace("tiny_vit_ssvq")))
    path = write(run, tmp_path, "t.json.gz")
    found = read_by_perfetto(browser, path, f"{chip}-{len(overrides)}")
    check(run, found)
    assert as_sets(found) == as_sets(import_trace(path))


def test_busy_time_in_perfetto_is_that_of_the_result(browser: Browser, tmp_path: Path) -> None:
    """At 1 GHz a cycle is a nanosecond: what the viewer sums are cycles. The whole of DeiT-tiny."""
    run = simulate_recorded(load_accelerator("edge-64x64-x16"), load_trace(find_trace("deit_tiny_ssvq_k16d8")))
    with trace_processor(browser, write(run, tmp_path, "t.json.gz")) as processor:
        sums = processor.query(
            "SELECT thread.name, slice.name, SUM(dur) FROM slice JOIN thread_track ON track_id = thread_track.id "
            "JOIN thread USING (utid) GROUP BY 1, 2"
        )
        errors = processor.query("SELECT * FROM stats WHERE severity != 'info' AND value != 0")
    time = {(track, name): dur for track, name, dur in sums}
    assert errors == []
    assert {name: time.get(("MAC array", name), 0) for name in run.result.cycles} == dict(run.result.cycles)
    assert sum(dur for (track, _), dur in time.items() if track == "vector unit") == run.result.counters["vector_busy_cycles"]


def test_perfetto_shows_all_of_machines_that_collide(browser: Browser, tmp_path: Path) -> None:
    for name in list(MACHINES)[::4]:
        run = simulate_recorded(*MACHINES[name])
        path = write(run, tmp_path, f"{name}.json")
        found = read_by_perfetto(browser, path)
        check(run, found)
        assert as_sets(found) == as_sets(import_trace(path)), name


def test_the_rules_are_perfettos(browser: Browser, tmp_path: Path) -> None:
    for name, (events, _, _) in CASES.items():
        path = tmp_path / "t.json"
        path.write_text(json.dumps({"traceEvents": events}))
        assert as_sets(read_by_perfetto(browser, path)) == as_sets(import_trace(path)), name
