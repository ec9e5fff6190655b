"""The pictures of a sweep whose file asks for none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelsim.report.plots.picture import look
from accelsim.sweeps.default_pictures import pictures_for
from accelsim.sweeps.pictures import draw, pictures_of
from accelsim.sweeps.spec import Sweep, load_sweep
from accelsim.sweeps.table import Table, steps_of


def sweep(**axes: Any) -> Sweep:
    return load_sweep({"name": "plain", "base": {"accelerator": "edge-32x32", "seed": 1}, "axes": {"trace": ["a"], **axes}})


def table(wanted: Sweep) -> Table:
    """Made-up figures at every point."""
    places = np.arange(wanted.size)
    at = [wanted.at(int(place)) for place in places]
    columns: dict[str, Any] = {name: np.array([item[name] for item in at], object) for name in wanted.axes}
    figures = ("milliseconds_per_inference", "energy_uj", "area_mm2")
    return Table(
        wanted, places, steps_of(wanted, places), columns | {name: 1.0 + places * (1 + number) for number, name in enumerate(figures)}
    )


def test_a_sweep_without_pictures_leaves_pictures():
    wanted = sweep(trace=["a", "b"], **{"array.rows": [16, 32], "weight_buffer.capacity": "16..64 KiB x2"})
    found = {(item.kind, item.name) for item in pictures_for(wanted)}
    assert found == {
        ("pareto", "time_area"),
        ("pareto", "time_energy"),
        ("lines", "time_by_array_rows"),
        ("lines", "time_by_weight_buffer_capacity"),
        ("heat_map", "time_map"),
    }
    files = draw(table(wanted))
    lines = {"time_by_array_rows.png", "time_by_weight_buffer_capacity.png"}
    assert {name for name in files if name.endswith(".png")} == lines | {
        f"time_{name}.png" for name in ("area", "energy", "map_a", "map_b")
    }


def test_a_sweep_of_one_axis_has_one_line():
    wanted = sweep(**{"array.rows": [16, 32]})
    (line,) = [item for item in pictures_for(wanted) if item.kind == "lines"]
    assert line.lines is None
    assert {"time_by_array_rows.svg", "time_area.svg", "time_energy.svg"} <= set(draw(table(wanted)))


def test_pictures_of_the_file_go_before_and_one_point_has_none():
    asked = {"kind": "pareto", "name": "mine", "x": "area_mm2", "y": "energy_uj"}
    wanted = load_sweep({"name": "x", "base": {"accelerator": "edge-32x32"}, "axes": {"trace": ["a", "b"]}, "pictures": [asked]})
    assert [item.name for item in pictures_for(wanted)] == ["mine"]
    assert pictures_for(sweep()) == ()


def test_an_axis_of_more_values_than_colours_is_no_group():
    wanted = sweep(trace=[f"t{number}" for number in range(9)], **{"array.rows": [16, 32]})
    assert {item.groups for item in pictures_for(wanted) if item.kind == "pareto"} == {"array.rows"}
    draw(table(wanted))


@pytest.mark.parametrize(
    ("axes", "label"),
    [
        ({"control.overlap": ["prefetch", "none"]}, "control.overlap"),
        ({"array.dataflow": ["weight_stationary", "output_stationary"], "array.rows": [16, 32]}, "array.dataflow"),
        ({"array.rows": [16, 32], "array.cols": [16, 32, 64]}, "array.rows (PEs)"),
        ({"trace": ["a", "b"], "array.rows": [16, 32]}, "trace"),
        ({"weight_buffer.capacity": ["16 KiB", "32 KiB"], "array.cols": [16, 32, 64]}, "weight_buffer.capacity"),
        ({"weight_buffer.capacity": [16384, 32768], "array.cols": [16, 32, 64]}, "weight_buffer.capacity (bytes)"),
    ],
)
def test_every_legend_and_axis_names_its_field_and_its_unit(axes: dict[str, Any], label: str):
    """Of every default picture: what the colours mean stands above their names, an axis of bare numbers has its unit."""
    found = table(sweep(**axes))
    legends = set()
    with look():
        for item in pictures_of(found):
            (ax, *_) = item.figure().axes
            legend = ax.get_legend()
            kinds = [text.get_text() for text in legend.get_texts() if "front" not in text.get_text()] if legend else []
            if kinds:
                legends.add(legend.get_title().get_text())
            if item.name.startswith("time_by_array_cols"):
                assert ax.get_xlabel().splitlines()[0] == "array.cols (PEs)"
    assert legends == {label}
