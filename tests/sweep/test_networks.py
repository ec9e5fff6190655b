"""Several networks at a point of a sweep: the run is that of `simulate` with the same networks, and what names none is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim.accelerator import load_accelerator
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError, TraceError
from accelsim.presets import find_trace
from accelsim.simulation import simulate
from accelsim.sweeps.points import Point, expand
from accelsim.sweeps.spec import load_sweep
from accelsim.sweeps.worker import run_point
from accelsim.trace.trace import load_trace

FIRST, SECOND = "tiny_vit_ssvq", "tiny_vit_int8"


def sweep(**base: Any) -> dict[str, Any]:
    return {
        "name": "pair",
        "base": {"accelerator": "edge-32x32", "trace": FIRST, **base},
        "axes": {"control.core_split": ["stripes", "networks"]},
    }


@pytest.mark.parametrize("cores", [1, 2])
def test_a_point_of_two_networks_is_the_run_of_both(cores: int) -> None:
    """In turn, and at once on cores of their own; the traces and their identity are those of the run."""
    for point in expand(load_sweep(sweep(then=SECOND, cores=cores))):
        assert isinstance(point, Point)
        chip = load_accelerator("edge-32x32", [f"cores={cores}", f"control.core_split={point.axes['control.core_split']}"])
        both = simulate(chip, load_trace(find_trace(FIRST)), load_trace(find_trace(SECOND)))
        row = run_point(point, load_technology("nangate45"))
        assert row["status"] == "ok", row["message"]
        assert (row["total_cycles"], row["run_id"]) == (both.total_cycles, both.run_id)
        assert (row["trace"], row["trace_sha256"]) == (both.trace_name, both.trace_sha256)
        assert row["macs"] == both.macs


def test_an_axis_over_the_networks_that_run_with_the_trace(tmp_path: Path) -> None:
    """Alone, with one more, with two more; alone it is the run that a sweep without `then` makes."""
    spec = {**sweep(), "axes": {"then": [None, SECOND, f"{SECOND} + tiny_vit_float@uniform:bits=8"]}}
    table = accelsim.sweep(spec, store=tmp_path / "s.sqlite", workers=1)
    assert table.points.labels("then") == ["null", SECOND, f"{SECOND} + tiny_vit_float@uniform:bits=8"]
    (alone,) = expand(load_sweep({"name": "alone", "base": {"accelerator": "edge-32x32", "trace": FIRST}, "axes": {"frames": [1]}}))
    assert isinstance(alone, Point)
    first = next(iter(expand(load_sweep(spec))))
    assert isinstance(first, Point)
    assert (first.run_id, first.then) == (alone.run_id, ())
    macs = [load_trace(find_trace(name)).macs for name in (FIRST, SECOND)]
    assert table.points["macs"].tolist() == [macs[0], sum(macs), 2 * sum(macs) - macs[0]]


@pytest.mark.parametrize("wrong", [3, "", "a + ", [SECOND], f"{SECOND} + {SECOND}", True])
def test_what_names_no_networks_is_one_message(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"`then`: .*; allowed: a name, several as 'a \+ b', each once, or null"):
        list(expand(load_sweep(sweep(then=wrong))))


def test_a_network_that_is_not_there_is_named() -> None:
    with pytest.raises((ConfigError, TraceError), match="tiny_vit_int9"):
        list(expand(load_sweep(sweep(then="tiny_vit_int9"))))
