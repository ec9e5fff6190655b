"""A sweep from end to end: what runs, what is taken from the store, what fails, and what a process that dies costs."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.sram_grid import grid_file
from accelsim.errors import ConfigError
from accelsim.simulation import simulate
from accelsim.sweeps import metrics, runner, worker
from accelsim.sweeps import pool as pool_module
from accelsim.sweeps import store as store_module
from accelsim.sweeps.metrics import costing_id
from accelsim.sweeps.points import Point, expand
from accelsim.sweeps.pool import ProcessPool
from accelsim.sweeps.runner import run_sweep
from accelsim.sweeps.store import open_store
from accelsim.sweeps.worker import run_point
from accelsim.trace.trace import load_trace
from tests.sweep.small_sweeps import TECHNOLOGY, Here, modelled_rows, sweep

TRACES = Path(__file__).parents[2] / "traces"


def run(path: Path, backend=None, **options):
    with open_store(path) as store:
        return run_sweep(options.pop("of", sweep()), store, backend or Here(), TECHNOLOGY, **options)


def test_a_row_says_what_a_run_by_hand_says(tmp_path):
    run(tmp_path / "s.sqlite", limit=1)
    accelerator = load_accelerator("edge-32x32", ["codebook.ports=1", "codebook.codewords=16", "activation_buffer.capacity=8 KiB"])
    result = simulate(accelerator, load_trace(TRACES / "tiny_vit_int8"))
    energy, area = energy_of(result, accelerator, TECHNOLOGY).energy_pj(), area_of(accelerator, TECHNOLOGY).placed_um2
    with open_store(tmp_path / "s.sqlite") as store:
        (row,) = store.rows(
            ("run_id", "total_cycles", "busy_cycles", "bus_bytes", "raw_weights_bits", "energy_low_uj", "energy_high_uj", "area_mm2",
             "milliseconds", "configuration")
        )  # fmt: skip
    raw = sum(bits for key, bits in result.traffic.items() if key.operand == "raw_weights")
    assert row[:5] == (result.run_id, result.total_cycles, result.cycles["busy"], result.bus_bytes, raw)
    assert row[5:8] == (energy.low / 1e6, energy.high / 1e6, area.nominal / 1e6)
    assert row[8] == result.milliseconds
    assert load_accelerator(json.loads(row[9])) == accelerator


def test_the_same_command_continues_and_runs_nothing_twice(tmp_path):
    path = tmp_path / "s.sqlite"
    first, second, third = Here(), Here(), Here()
    some = run(path, first, limit=7)
    rest = run(path, second)
    none = run(path, third)
    # 2 traces x 3 ports x 2 ROMs x 2 buffers; 4 ports with 16 codewords are dropped
    assert (some.ok, rest.ok, rest.reused, none.ok, none.reused) == (7, 13, 7, 0, 20)
    assert rest.dropped == {"codebook.ports <= 2 or codebook.codewords == 128": 4}
    assert not set(first.ran) & set(second.ran)
    assert third.ran == []
    run(tmp_path / "other.sqlite")
    assert modelled_rows(path) == modelled_rows(tmp_path / "other.sqlite")


@pytest.mark.parametrize("flush_seconds", [-1.0, 60.0])
@pytest.mark.parametrize("lookup", [1, 4, 256])
def test_equal_points_run_once_whenever_rows_are_stored(tmp_path, monkeypatch, flush_seconds, lookup):
    monkeypatch.setattr(runner, "FLUSH_SECONDS", flush_seconds)
    monkeypatch.setattr(runner, "LOOKUP", lookup)
    axes = {"trace": ["tiny_vit_int8"], "codebook.ports": [1, 1, 2], "weight_buffer.capacity": ["64 KiB", 65536]}
    backend = Here()
    summary = run(tmp_path / "s.sqlite", backend, of=sweep(axes=axes, constraints=[]))
    assert (summary.ok, summary.ok + summary.equal + summary.reused) == (2, 6)
    assert len(backend.ran) == 2
    assert len(modelled_rows(tmp_path / "s.sqlite")) == 6  # all six are points of the sweep


def test_a_point_that_fails_is_recorded_and_tried_again_only_when_asked(tmp_path, monkeypatch):
    path = tmp_path / "s.sqlite"
    axes = {"activation_buffer.capacity": ["1 KiB", "384 KiB"], "trace": ["tiny_vit_int8"], "placement.activations": ["none"]}
    wanted = sweep(axes=axes, constraints=[])
    first = run(path, of=wanted)
    assert (first.ok, first.failed) == (1, 1)
    (message,) = first.messages
    assert "activation_buffer.capacity = 1024 B is short by" in message
    second = run(path, of=wanted)
    assert (second.ok, second.failed, second.reused, second.failed_before) == (0, 0, 1, 1)
    again = run(path, of=wanted, retry_failed=True)
    assert (again.failed, again.reused) == (1, 1)
    with open_store(path) as store:
        assert list(store.rows(["message", "total_cycles"], status="failed")) == [(message, None)]


def test_a_bug_at_one_point_costs_only_that_point(tmp_path, monkeypatch):
    def buggy(accelerator, *args, **options):
        if accelerator.codebook.ports == 2:
            raise KeyError("lost")
        return simulate(accelerator, *args, **options)

    monkeypatch.setattr(worker, "simulate", buggy)
    summary = run(tmp_path / "s.sqlite")
    assert (summary.ok, summary.failed) == (12, 8)
    assert summary.messages == {"internal error, KeyError: 'lost'": 8}


def test_a_trace_that_vanishes_or_changes_under_a_sweep_fails_its_points(tmp_path):
    trace = tmp_path / "trace"
    shutil.copytree(TRACES / "tiny_vit_int8", trace)
    (point,) = expand(sweep(axes={"trace": [str(trace)]}, constraints=[]))
    assert isinstance(point, Point)
    changed = run_point(replace(point, trace_sha256="0" * 64), TECHNOLOGY)
    assert changed["status"] == "failed"
    assert changed["message"] == f"trace '{trace}' has changed since the sweep began; start the sweep again"
    shutil.rmtree(trace)
    gone = run_point(point, TECHNOLOGY)
    assert gone["status"] == "failed"
    assert "is not a directory" in gone["message"]


def test_a_device_that_is_another_one_where_a_point_runs_fails_it():
    (point,) = expand(sweep(axes={"trace": ["tiny_vit_int8"]}, constraints=[]))
    assert isinstance(point, Point)
    assert run_point(point, TECHNOLOGY)["status"] == "ok"
    other = run_point(replace(point, run_id="0" * 64), TECHNOLOGY)
    assert other["status"] == "failed"
    assert "`dram.device`" in other["message"]


def test_invalid_configurations_are_counted_and_kept(tmp_path):
    path = tmp_path / "s.sqlite"
    summary = run(path, of=sweep(axes={"trace": ["tiny_vit_int8"], "array.cols": [12, 16]}, constraints=[]))
    assert (summary.ok, summary.invalid) == (1, 1)
    with open_store(path) as store:
        (item,) = store.invalid(summary.sweep)
    assert item.axes == {"trace": "tiny_vit_int8", "array.cols": 12}


def test_a_sweep_of_too_many_points_is_refused_unless_it_is_limited(tmp_path):
    many = {"vector_unit.latency": list(range(1, 1001)), "control.issue_overhead_cycles": list(range(1001)), "trace": ["tiny_vit_int8"]}
    huge = sweep(axes=many, constraints=[])
    with pytest.raises(ConfigError, match=r"has 1,001,000 points before constraints; allowed: 1,000,000, or the first N with --limit N"):
        run(tmp_path / "s.sqlite", of=huge)
    assert run(tmp_path / "s.sqlite", of=huge, limit=2).ok == 2


def test_progress_says_how_far_a_sweep_is(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "FLUSH_SECONDS", 0.0)
    seen: list[runner.Progress] = []
    run(tmp_path / "s.sqlite", progress=seen.append)
    assert [state.done for state in seen] == sorted(state.done for state in seen)
    assert (seen[-1].done, seen[-1].total, seen[-1].failed) == (20, 20, 0)


def test_an_edit_of_what_costs_a_run_runs_it_again(tmp_path):
    path = tmp_path / "s.sqlite"
    assert run(path, limit=1).ok == 1
    other = TECHNOLOGY.with_fields(name="other")
    assert costing_id(other) != costing_id(TECHNOLOGY)
    with open_store(path) as store:
        assert run_sweep(sweep(), store, Here(), other, limit=1).ok == 1


def test_an_edit_of_the_memories_points_runs_it_again(tmp_path, monkeypatch):
    before = costing_id(TECHNOLOGY)
    grid = tmp_path / "grid.csv"
    grid.write_bytes(grid_file().read_bytes() + b"\n")
    monkeypatch.setattr(metrics, "grid_file", lambda: grid)
    costing_id.cache_clear()
    assert costing_id(TECHNOLOGY) != before
    costing_id.cache_clear()


def test_runs_of_an_older_model_are_no_points_of_a_sweep_that_has_not_come_to_them(tmp_path, monkeypatch):
    path = tmp_path / "s.sqlite"
    old = run(path)
    monkeypatch.setattr(store_module, "model_hash", lambda: "a newer model")
    new = run(path, limit=3)
    assert new.sweep != old.sweep
    with open_store(path) as store:
        assert [len(list(store.rows(("position",), sweep=summary.sweep))) for summary in (old, new)] == [20, 3]


def test_the_pool_gives_row_for_row_what_one_process_gives(tmp_path):
    run(tmp_path / "here.sqlite")
    summary = run(tmp_path / "pool.sqlite", ProcessPool(2, TECHNOLOGY))
    assert summary.ok == 20
    assert modelled_rows(tmp_path / "pool.sqlite") == modelled_rows(tmp_path / "here.sqlite")


class _Killing(ProcessPool):
    """A pool whose process at some rows is killed, each time at the side of another point, so that no point is taken for the culprit."""

    def __init__(self, *args):
        super().__init__(*args)
        self.kills = 0
        self.started, self.hit = [], []

    def _start(self):
        self.started.append(super()._start())
        return self.started[-1]

    def _blame(self, worker, *args):
        self.hit.append(worker.points[0].run_id)
        return super()._blame(worker, *args)

    def run(self, points):
        for row in super().run(points):
            yield row
            if self.kills < 3 and len(self.hit) == self.kills and (victim := self._victim()):
                os.kill(victim.process.pid, signal.SIGKILL)
                self.kills += 1

    def _victim(self):
        """A process that runs points of which none was hit before."""
        ready = (worker for worker in self.started if worker.ready and worker.points and worker.process.is_alive())
        return next((worker for worker in ready if not {point.run_id for point in worker.points} & set(self.hit)), None)


def test_a_process_that_is_killed_costs_no_point(tmp_path):
    run(tmp_path / "here.sqlite")
    pool = _Killing(2, TECHNOLOGY)
    summary = run(tmp_path / "pool.sqlite", pool)
    assert (pool.kills, len(set(pool.hit)), summary.ok, summary.failed) == (3, 3, 20, 0)
    assert modelled_rows(tmp_path / "pool.sqlite") == modelled_rows(tmp_path / "here.sqlite")
    with open_store(tmp_path / "pool.sqlite") as store:
        assert store.attempts() == 20


def test_a_process_that_dies_after_its_last_answer_costs_nothing():
    point = next(item for item in expand(sweep()) if isinstance(item, Point))
    with closing(ProcessPool(1, TECHNOLOGY)) as pool:
        rows = pool.run(iter([point]))
        assert next(rows)["status"] == "ok"
        (child,) = multiprocessing.active_children()
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert list(rows) == []
        assert [row["status"] for row in pool.run(iter([point]))] == ["ok"]  # another takes its place
    assert multiprocessing.active_children() == []


def test_the_processes_of_a_pool_stay_until_it_is_closed():
    points = [item for item in expand(sweep()) if isinstance(item, Point)]
    with closing(ProcessPool(2, TECHNOLOGY)) as pool:
        assert len(list(pool.run(iter(points[:3])))) == 3
        first = {child.pid for child in multiprocessing.active_children()}
        assert len(list(pool.run(iter(points[3:6])))) == 3
        assert {child.pid for child in multiprocessing.active_children()} == first
        rows = pool.run(iter(points))
        next(rows)
        rows.close()
        assert multiprocessing.active_children() == []  # they were at points that nobody waits for any more


def test_a_process_that_does_not_react_is_ended_all_the_same(monkeypatch):
    monkeypatch.setattr(pool_module, "GRACE_SECONDS", 0.1)
    point = next(item for item in expand(sweep()) if isinstance(item, Point))
    with closing(ProcessPool(1, TECHNOLOGY)) as pool:
        list(pool.run(iter([point])))
        (child,) = multiprocessing.active_children()
        os.kill(child.pid, signal.SIGSTOP)
    assert multiprocessing.active_children() == []


class _Poison(Point):
    """A point that ends the process that takes it in."""

    def __reduce__(self):
        return (os._exit, (9,))


def test_a_point_that_ends_three_processes_is_recorded_as_failed():
    points = [item for item in expand(sweep()) if isinstance(item, Point)][:6]
    points[2] = _Poison(**{name: getattr(points[2], name) for name in Point.__dataclass_fields__})
    with closing(ProcessPool(2, TECHNOLOGY)) as pool:
        rows = {row["run_id"]: row for row in pool.run(iter(points))}
    assert set(rows) == {point.run_id for point in points}
    bad = rows.pop(points[2].run_id)
    assert (bad["status"], bad["message"]) == ("failed", "its process died 3 times (exit status 9); --retry-failed runs it again")
    assert all(row["status"] == "ok" for row in rows.values())


def test_a_pool_of_nothing_starts_no_process():
    assert list(ProcessPool(2, TECHNOLOGY).run(iter(()))) == []
    assert multiprocessing.active_children() == []
    with pytest.raises(ConfigError, match="at least 1"):
        ProcessPool(0, TECHNOLOGY)


class _Hanging(Point):
    """A point that sleeps in the process that takes it in."""

    def __reduce__(self):
        return (time.sleep, (600,))


def test_a_point_that_hangs_fails_at_its_time_limit_and_the_others_run():
    points = [item for item in expand(sweep()) if isinstance(item, Point)][:4]
    points[1] = _Hanging(**{name: getattr(points[1], name) for name in Point.__dataclass_fields__})
    with closing(ProcessPool(1, TECHNOLOGY, time_limit=10.0)) as pool:
        rows = {row["run_id"]: row for row in pool.run(iter(points))}
    bad = rows.pop(points[1].run_id)
    assert (bad["status"], bad["message"]) == ("failed", "ran for more than 10 s, the time limit; --retry-failed runs it again")
    assert [row["status"] for row in rows.values()] == ["ok"] * 3


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_limit_that_cannot_be_is_refused(seconds):
    with pytest.raises(ConfigError, match=r"time limit .* s: allowed: more than 0 and at most 31,536,000 s, a year"):
        ProcessPool(1, TECHNOLOGY, time_limit=seconds)
