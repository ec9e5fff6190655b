"""Cores that share a network and move more bytes than one: the remark, worked by hand, and where it is not made."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from accelsim.accelerator import Accelerator
from accelsim.api.result import Result as Run
from accelsim.simulation import simulate, simulate_recorded
from accelsim.trace.trace import Trace
from tests.tiny_machines import gemm_chain, tiny_accelerator

REMARK = "sharing each layer may cost more time than it saves"
TRACE = gemm_chain(8, [8, 64], ["int8"], [""])


def chip(cores: int, split: str = "rows", rate: str = "1 GB/s", **more: Any) -> Accelerator:
    control = {"core_split": split, **more.pop("control", {})}
    return tiny_accelerator(cores=cores, control=control, dram={"device": "ideal", "bandwidth": rate}, **more)


def remarks(accelerator: Accelerator, trace: Trace = TRACE) -> list[str]:
    return [text for text in simulate(accelerator, trace).warnings if REMARK in text]


def test_weights_that_each_core_reads_are_counted() -> None:
    """8 x 64 weights, and 8 bytes of scale and bias per output: 1,024 B, read twice more at a byte per cycle of 1 GHz."""
    (text,) = remarks(chip(3))
    assert "3 cores need the DRAM for 2,048 cycles more than one" in text
    assert simulate(chip(3), TRACE).total_cycles > simulate(chip(1), TRACE).total_cycles


def test_the_busiest_unit_of_a_core_says_how_much_is_saved() -> None:
    """256 steps of the array (8 rows, 32 tiles) on one core and 96 (3 rows) on three: the lanes have less to do."""
    one, three = (simulate(chip(cores, vector_unit={"lanes": 0, "latency": 0}), TRACE) for cores in (1, 3))
    assert (one.bounds["array"], three.bounds["array"]) == (256, 96)
    units = {name for name in one.bounds if name not in ("dram", "flash", "l2")}
    saved = max(one.bounds[name] for name in units) - max(three.bounds[name] for name in units)
    (text,) = remarks(chip(3, vector_unit={"lanes": 0, "latency": 0}))
    assert f"their units save {saved:,} (by bounds)" in text


@pytest.mark.parametrize(
    ("accelerator", "why"),
    [
        (chip(1), "one core shares with nobody"),
        (chip(3, "stripes"), "each weight is read once, and 128 B of the rows twice more"),
        (chip(3, rate="64 GB/s"), "32 cycles of the memory"),
        (chip(3, control={"weight_broadcast": True}), "weights are read once"),
        (chip(3, "networks"), "nothing is shared"),
    ],
)
def test_no_remark_is_made_where_sharing_moves_little(accelerator: Accelerator, why: str) -> None:
    assert remarks(accelerator) == [], why


def test_a_recorded_run_says_the_same() -> None:
    assert simulate_recorded(chip(3), TRACE).result.warnings == simulate(chip(3), TRACE).warnings


def test_the_remark_stands_below_the_verdict() -> None:
    run = Run(simulate(chip(3), TRACE), None, None, (TRACE,), 0)
    out = io.StringIO()
    run.findings().render_summary(Console(file=out, width=100), elsewhere="elsewhere")
    assert "one core may be faster (--full says why)" in " ".join(out.getvalue().split())
    lines = [line.split()[0] for line in out.getvalue().splitlines() if line[:1].strip()]
    assert "memory" in run.limiting_resource
    assert lines.index("warning") == lines.index("limit") + 1 or lines[lines.index("limit") + 1 : lines.index("warning")] == ["if"]
