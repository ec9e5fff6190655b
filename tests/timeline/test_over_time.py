"""Bandwidth over time sums to the bytes of the result, occupancy stays within the buffers, and bins keep sums and peaks."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.hw.channel import burst_bytes
from accelsim.presets import built_in
from accelsim.report.plots.over_time import Panel, Steps, plot_over_time
from accelsim.report.plots.style import Paint
from accelsim.simulation import simulate_recorded
from accelsim.timeline.over_time import _PAINTS, counters_of, over_time_pictures
from accelsim.timeline.window import make_window
from accelsim.trace.trace import load_trace
from tests.report.overlaps import axes, check_texts

BLUE, RED = Paint("#0072B2"), Paint("#D55E00")


@pytest.fixture(scope="module", params=[("edge-32x32", "tiny_vit_ssvq"), ("mcu-16x16", "tiny_vit_int8")])
def recorded(request):
    chip, trace = request.param
    return simulate_recorded(load_accelerator(chip), load_trace(built_in().traces / trace))


def test_the_bins_of_the_bandwidth_sum_to_the_bytes_of_the_result(recorded):
    """Of the writes, to those that crossed the bus: a write is posted, and its memory may still hold it when the run ends."""
    counters, result = counters_of(recorded, make_window(recorded.result, None, None)), recorded.result
    tracks = [item for name, item in counters.items() if "bandwidth" in name]
    moved = {write: sum(bits for key, bits in result.traffic.items() if key.write == write) / 8 for write in (False, True)}
    assert sum(item["read"].integral for item in tracks) == moved[False]
    assert sum(item["write"].integral for item in tracks) == result.counters.get("dram_writes", 0) * burst_bytes(recorded.accelerator.dram)
    assert 0 <= moved[True] - sum(item["write"].integral for item in tracks) <= 64 * burst_bytes(recorded.accelerator.dram)


def test_no_buffer_holds_more_than_it_can_and_every_byte_of_the_weights_passes(recorded):
    counters = counters_of(recorded, make_window(recorded.result, None, None))
    chip = recorded.accelerator
    weights, held = counters["weight buffer (B)"], counters["activation buffer (B)"]["held"]
    filled, reserved = (np.array(weights[name].values) for name in ("filled", "reserved"))
    assert 0 < (filled + reserved).max() <= chip.weight_buffer.capacity
    assert 0 < max(held.values) <= chip.activation_buffer.capacity
    assert min(filled.min(), reserved.min(), *held.values) >= 0


def test_there_is_a_picture_for_each_counter(recorded):
    counters = counters_of(recorded, make_window(recorded.result, None, None))
    stems = {item.name for item in over_time_pictures(recorded, counters)}
    memories = {f"bandwidth_{name}" for name in recorded.notes.requests if recorded.notes.requests[name]}
    assert stems == {"weight_buffer", "activation_buffer"} | memories


def test_a_bin_has_the_mean_or_the_peak_of_its_cycles():
    """2 in cycles 0..3, 8 in cycles 4..5, 0 up to 10: means of five cycles (4 x 2 + 8) / 5 and 8 / 5."""
    steps = Steps((0, 4, 6), (2.0, 8.0, 0.0), 10)
    edges = np.array([0.0, 5.0, 10.0])
    assert steps.integral == 24
    assert steps.binned(edges, "mean").tolist() == [3.2, 1.6]
    assert steps.binned(edges, "peak").tolist() == [8.0, 8.0]
    assert steps.binned(np.array([0.0, 4.0, 6.0, 10.0]), "peak").tolist() == [2.0, 8.0, 0.0]


def test_bins_are_those_of_a_walk_over_every_cycle():
    rng = np.random.default_rng(5)
    for _ in range(30):
        cycles = np.unique(rng.integers(0, 60, 12))
        steps = Steps(tuple(cycles.tolist()), tuple(rng.integers(0, 9, cycles.size).astype(float).tolist()), 70)
        walk = [0.0] * 80
        for cycle in range(80):
            walk[cycle] = next((v for c, v in zip(steps.cycles[::-1], steps.values[::-1], strict=True) if c <= cycle), 0.0) * (cycle < 70)
        edges = np.arange(0.0, 81.0, 8.0)
        pieces = [walk[start : start + 8] for start in range(0, 80, 8)]
        assert steps.binned(edges, "mean") == pytest.approx([sum(piece) / 8 for piece in pieces])
        assert steps.binned(edges, "peak").tolist() == [max(piece) for piece in pieces]


def test_a_stack_is_as_high_as_the_highest_sum_and_not_as_the_sum_of_the_highest():
    ax = axes()
    plot_over_time(ax, Panel({"a": Steps((0, 5), (4.0, 0.0), 10), "b": Steps((0, 5), (0.0, 4.0), 10)}, [BLUE, RED], "KiB", "peak"))
    assert ax.dataLim.y1 == 4.0
    assert (Steps((2,), (1.0,), 4) + Steps((3,), (5.0,), 8)) == Steps((2, 3, 4), (1.0, 6.0, 5.0), 8)


@pytest.mark.parametrize("wrong", [((), (), 1), ((0, 0), (1.0, 1.0), 2), ((0,), (), 2), ((5,), (1.0,), 4)])
def test_steps_that_do_not_rise_are_refused(wrong):
    with pytest.raises(ValueError, match="step"):
        Steps(*wrong)


def test_no_series_is_refused():
    with pytest.raises(ValueError, match="needs a paint"):
        Panel({}, [], "B")


def test_no_text_overlaps_or_leaves_the_picture_at_column_width():
    long = {"filled": Steps((0, 400_000), (1e5, 0.0), 123_456_789), "reserved": Steps((0,), (5e4,), 123_456_789)}
    check_texts(lambda ax: plot_over_time(ax, Panel(long, [BLUE, RED], "weight buffer (KiB)", limit=("capacity", 262144.0))), 45)
    short = {"read": Steps((7,), (0.0,), 7)}
    check_texts(lambda ax: plot_over_time(ax, Panel(short, [BLUE], "dram bandwidth (B/core cycle)")), 45)


def test_the_command_writes_figures_and_every_step_or_refuses_before_it_starts(tmp_path):
    run, folder = tmp_path / "run", tmp_path / "figures"
    call = CliRunner().invoke
    assert call(app, ["run", "edge-32x32", "tiny_vit_ssvq", "-o", str(run), "--quiet"]).exit_code == 0
    assert call(app, ["timeline", str(run), "--plot", str(folder), "--quiet"]).exit_code == 0
    assert {"counters.csv", "bandwidth_dram.svg", "weight_buffer.png", "activation_buffer.svg"} <= {item.name for item in folder.iterdir()}
    with (folder / "counters.csv").open() as file:
        assert {row["series"] for row in csv.DictReader(file)} == {"read", "write", "filled", "reserved", "held"}
    assert call(app, ["timeline", str(run), "--plot", str(run)]).exit_code == 2
    assert (run / "result.json").exists()


def test_the_interactive_page_holds_every_layer_or_is_refused_without_figures(tmp_path):
    run, folder = tmp_path / "run", tmp_path / "figures"
    call = CliRunner().invoke
    assert call(app, ["run", "edge-32x32", "tiny_vit_ssvq", "-o", str(run), "--quiet"]).exit_code == 0
    assert call(app, ["timeline", str(run), "--plot", str(folder), "--interactive"]).exit_code == 0
    page = (folder / "over_time.html").read_text()
    layers = [
        layer["name"]
        for layer in json.loads((run / "result.json").read_text())["frames"][0]["layers"]
        if layer["end_cycle"] > layer["start_cycle"]
    ]
    assert layers
    assert all(f'"{name}"' in page for name in layers)
    assert call(app, ["timeline", str(run), "--plot", str(folder)]).exit_code == 0  # replaces both
    assert not (folder / "over_time.html").exists()
    refused = call(app, ["timeline", str(run), "-o", str(tmp_path / "t.json"), "--interactive"])
    assert refused.exit_code == 2
    assert "--plot DIR" in refused.stderr


def test_a_limit_far_above_the_values_is_named_and_not_drawn_and_a_near_one_is():
    """384 KiB above at most 5 KiB would leave a stripe along the axis; 6.4 above 6 is on the axis."""
    far = Panel({"held": Steps((0,), (5.0,), 10)}, [BLUE], "KiB", "peak", ("capacity", 384.0))
    near = Panel({"read": Steps((0,), (6.0,), 10)}, [BLUE], "B/cycle", "mean", ("peak", 6.4))
    none = Panel({"held": Steps((0,), (0.0,), 10)}, [BLUE], "KiB", "peak", ("capacity", 384.0))
    tops = {}
    for name, panel in {"far": far, "near": near, "none": none}.items():
        ax = axes()
        plot_over_time(ax, panel)
        tops[name] = ax.get_ylim()[1]
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels[-1] == {"far": "capacity 384, above the axis", "near": "peak 6.4", "none": "capacity 384"}[name]
    assert tops["far"] < 6 < 6.4 < tops["near"]
    assert tops["none"] > 384


def test_lines_of_the_interactive_page_can_be_seen_on_its_light_and_its_dark_ground():
    """A contrast of 3 at least, as WCAG 2.1 (1.4.11) asks of graphics: (L1 + 0.05) / (L2 + 0.05) of the relative luminances."""

    def luminance(color: str) -> float:
        parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name, paint in _PAINTS.items():
        for ground in ("#ffffff", "#1a1e23"):
            high, low = sorted((luminance(paint.color), luminance(ground)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 3, (name, ground)
