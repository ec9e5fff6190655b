"""Tables fit 80 columns whatever a file names its layers, and say what was checked and what it is worth."""

from __future__ import annotations

import io
from dataclasses import dataclass

from accelsim.report.compare import compare
from accelsim.report.tables.compare import render_comparison
from accelsim.report.tables.run import render_functional, render_run, render_what_if
from accelsim.report.tables.terminal import stdout_console
from accelsim.result import OPERANDS, Result
from tests.synthetic_results import int8, layer, read, result, ssvq


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    tiles: int
    message: str


@dataclass(frozen=True)
class Ideal:
    name: str
    description: str
    result: Result
    speedup: float
    explanation: str
    replanned: float | None = None


def text_of(monkeypatch, render, *items, **options) -> str:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    render(stdout_console(), *items, **options)
    return out.getvalue()


def hostile() -> Result:
    name = "\x1b[2J[bold red]block\u202e." + "very_long_part." * 12 + "fc"
    traffic = tuple(read(operand, 10**9) for operand in OPERANDS)
    parts = {"busy": 10**12, "dram_activation": 10**12}
    return result((layer(name, parts, traffic=traffic, bounds={"buffer_width": 10**12}),), trace=name, warnings=(name,))


def test_hostile_names_neither_steer_the_terminal_nor_break_the_width(monkeypatch):
    for text in (
        text_of(monkeypatch, render_run, hostile(), all_layers=True),
        text_of(monkeypatch, render_comparison, compare(hostile(), [hostile()])),
    ):
        assert not {"\x1b", "\u202e"} & set(text)
        assert "[bold red]" in " ".join(text.split())
        assert max(map(len, text.splitlines())) <= 80


def test_useful_bytes_and_overhead_are_apart(monkeypatch):
    lines = {line.split()[0]: line.split() for line in text_of(monkeypatch, render_run, int8()).splitlines() if line}
    assert lines["padding"][3] == "24"
    assert lines["burst_rounding"][3] == "16"
    assert lines["useful"][1] == "1,600"


def test_both_traffic_ratios_are_printed(monkeypatch):
    text = " ".join(text_of(monkeypatch, render_comparison, compare(int8(), [ssvq()])).split())
    assert "a ratio of 2.35; the weights of the 2 matrices whose format differs, alone: 4.29." in text  # 1600/680, 1200/280


def test_a_warning_of_every_run_is_printed_once(monkeypatch):
    one, two = (result((layer("a", {"busy": 1}),), trace=name, warnings=("W < n",)) for name in "xy")
    assert text_of(monkeypatch, render_comparison, compare(one, [two])).count("W < n") == 1


def test_a_functional_check_names_the_layer_that_is_wrong(monkeypatch):
    checks = (Check("fc1", True, 4, "bit-exact; float32 sums within 1.0e-07 of float64"), Check("fc2", False, 6, "tile 3 differs"))
    text = text_of(monkeypatch, render_functional, checks, False)
    assert "bit-exact; float32 sums within 1.0e-07 of float64" in text
    assert "WRONG: tile 3 differs" in text
    assert "the check failed" in text
    assert "Codebooks" not in text
    assert "differ by up to 0.42% of their root mean square" in " ".join(
        text_of(monkeypatch, render_functional, checks, False, 0.0042).split()
    )


def test_what_if_prints_what_a_free_resource_is_worth(monkeypatch):
    rows = (Ideal("DRAM", "weights arrive at once", ssvq(), 2.0, ""), Ideal("decode", "no lookups", int8(), 1.0, "nothing waits for it"))
    text = text_of(monkeypatch, render_what_if, rows)
    assert "2.00x" in text
    assert "nothing waits for it" in text


def test_a_bound_above_the_cycles_taken_is_explained(monkeypatch):
    run = result((layer("a", {"busy": 10}, bounds={"dram": 15}),))
    assert "prefetched during earlier layers" in text_of(monkeypatch, render_run, run)
    assert "prefetched during earlier layers" not in text_of(monkeypatch, render_run, int8())
