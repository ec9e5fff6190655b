"""Roofs and points are what the result says; nothing stands above a roof but what was fed while other layers ran."""

from __future__ import annotations

import itertools
import math

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.presets import built_in
from accelsim.report.metrics import group_layers
from accelsim.report.plots.picture import look
from accelsim.report.plots.roofline import MAX_POINTS, plot_roofline, roofline_of, roofline_picture
from accelsim.simulation import simulate
from accelsim.trace.layers import MacLayer
from accelsim.trace.trace import load_trace
from tests.report.overlaps import axes, check_texts
from tests.synthetic_results import int8, layer, read, result, ssvq


def test_the_roofs_and_points_of_a_small_run_are_those_worked_out_by_hand():
    """int8: 1200 MACs in 400 cycles over 600 bytes, twice; 16 multipliers; 600 bytes need 240 cycles: 2.5 bytes per cycle."""
    roofline = roofline_of(int8())
    blocks, head = roofline.layers
    assert (roofline.peak_macs_per_cycle, roofline.peak_bytes_per_cycle) == (16, 2.5)
    assert (blocks.macs_per_cycle, blocks.macs_per_byte, blocks.decode_roof) == (3.0, 2.0, math.inf)
    assert (head.macs_per_cycle, head.macs_per_byte) == (480 / 200, 480 / 440)
    assert (roofline.run.macs_per_cycle, roofline.run.macs_per_byte) == (2880 / 1000, 2880 / 1640)
    assert roofline_of(ssvq()).layers[0].decode_roof == 1200 / 155
    assert (blocks.cause, roofline.run.cause) == ("dram", "dram")


@pytest.mark.parametrize("overlap", ["none", "prefetch"])
@pytest.mark.parametrize("trace", ["tiny_vit_int8", "tiny_vit_ssvq"])
def test_a_run_lies_under_its_roofs_and_without_overlap_so_does_every_layer(trace, overlap):
    machine = load_accelerator("edge-32x32", [f"control.overlap={overlap}"])
    found = roofline_of(simulate(machine, load_trace(built_in().traces / trace)))
    assert found.peak_macs_per_cycle == machine.array.rows * machine.array.cols
    assert found.holds(found.run)
    if overlap == "none":
        assert all(found.holds(point) for point in found.layers)


def test_the_roof_of_several_cores_is_that_of_all_their_arrays():
    machine = load_accelerator("edge-32x32", ["cores=3"])
    found = roofline_of(simulate(machine, load_trace(built_in().traces / "tiny_vit_ssvq")))
    assert found.peak_macs_per_cycle == 3 * machine.array.rows * machine.array.cols


def test_numbers_of_two_points_never_read_as_one():
    """Two points of an equal height, a little more than a number apart, as those of 2 and 9 of an encoder were."""
    layers = tuple(
        layer(name, {"busy": 10}, macs=1600, pe_cycles=1600, traffic=(read("indices", size),), bounds={"dram": size // 10, "array": 10})
        for name, size in (("a", 100), ("b", 135), ("c", 180), ("d", 240))
    )
    with look():
        ax = axes()
        plot_roofline(ax, roofline_of(result(layers)))
        ax.figure.canvas.draw()
        boxes = [text.get_window_extent() for text in ax.texts if text.get_text().replace(",", "").isdigit()]
        dots_per_mm = ax.figure.dpi / 25.4
    for one, other in itertools.permutations(boxes, 2):
        same_line = one.y0 < other.y1 and other.y0 < one.y1
        assert not (same_line and one.x0 <= other.x0 and other.x0 - one.x1 < 0.5 * dots_per_mm)


def test_the_decode_roof_is_lookups_a_cycle_times_weights_of_a_lookup_times_rows_of_the_layer():
    """CORE 2: T = rows x G records a tile, P a cycle; where P divides them, K*N/(P*d) cycles decode K*N weights, each used M times."""
    machine, trace = load_accelerator("edge-32x32", ["array.rows=16", "array.cols=16"]), load_trace(built_in().traces / "tiny_vit_ssvq")
    run = simulate(machine, trace)
    rate = machine.codebook.ports * machine.codebook.codeword_length
    sizes = {item.name: item for item in trace.layers if isinstance(item, MacLayer)}
    checked = 0
    for group, point in zip((g for g in group_layers(run, fold=True) if g.macs), roofline_of(run).layers, strict=True):
        shape = sizes[group.layers[0].name]
        if group.op == "gemm" and shape.k % machine.array.rows == shape.n % machine.array.cols == 0 and shape.m <= machine.array.max_m:
            assert point.decode_roof == pytest.approx(rate * shape.m)
            checked += 1
    assert checked


def test_what_stands_above_a_roof_is_hollow():
    late = layer("late", {"busy": 10}, macs=160, pe_cycles=160, traffic=(read("indices", 100),), bounds={"dram": 50, "array": 10})
    early = layer(
        "early", {"busy": 10, "dram": 90}, macs=160, pe_cycles=160, traffic=(read("indices", 10),), bounds={"dram": 5, "array": 10}
    )
    ax = axes()
    roofline = roofline_of(result((early, late)))
    plot_roofline(ax, roofline)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "white" for line in points] == [False, True]
    assert [roofline.holds(point) for point in (*roofline.layers, roofline.run)] == [True, False, True]


def test_a_layer_without_traffic_stands_apart_and_a_memory_without_limit_has_no_roof():
    alone = layer("product", {"busy": 10}, macs=160, pe_cycles=160, bounds={"array": 10})
    fed = layer("fed", {"busy": 10}, macs=160, pe_cycles=160, traffic=(read("indices", 10),), bounds={"dram": 0, "array": 10})
    roofline = roofline_of(result((alone, fed)))
    ax = axes()
    plot_roofline(ax, roofline)
    assert roofline.peak_bytes_per_cycle == math.inf
    assert [line.get_marker() for line in ax.lines if line.get_marker() in "o>"] == [">", "o"]
    check_texts(lambda ax: plot_roofline(ax, roofline), 80)


def test_a_run_without_products_has_no_roofline():
    assert roofline_picture(result((layer("softmax", {"vector": 5}),))) is None
    assert roofline_picture(result(())) is None


def crowd(count, macs):
    bounds, traffic = {"dram": 8, "decode": 5}, (read("indices", 100),)
    busy = [10 + index // 3 for index in range(count)]
    names = [f"a.part_{chr(97 + index)}.of.some.length" for index in range(count)]
    return result(
        tuple(
            layer(name, {"busy": cycles, "decode": 5}, macs=macs + index, pe_cycles=4096 * cycles, traffic=traffic, bounds=bounds)
            for index, (name, cycles) in enumerate(zip(names, busy, strict=True))
        )
    )


@pytest.mark.parametrize(("count", "macs"), [(1, 40000), (9, 40000), (30, 40000), (16, 3)])
def test_no_text_overlaps_or_leaves_the_picture_at_column_width(count, macs):
    roofline = roofline_of(crowd(count, macs))
    assert len(roofline.layers) == min(count, MAX_POINTS)
    check_texts(lambda ax: plot_roofline(ax, roofline), 66 + 3.1 * -(-len(roofline.layers) // 2), dpi=300)


def test_equal_results_give_equal_pictures():
    assert roofline_picture(ssvq()).files() == roofline_picture(ssvq()).files()
