"""One drawing of each family of pictures, from data made by hand, so that no change of a model moves a picture."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from accelsim.accelerator import load_accelerator
from accelsim.cost.area import AreaReport
from accelsim.cost.compare_costs import RunCost
from accelsim.cost.components import AreaComponent
from accelsim.cost.energy import EnergyLine, EnergyReport
from accelsim.cost.recost import Cost
from accelsim.cost.span import ZERO, Span
from accelsim.report.compare import compare
from accelsim.report.plots.area import plot_area_bars, plot_area_treemap
from accelsim.report.plots.costs import plot_area, plot_side_by_side
from accelsim.report.plots.energy import plot_energy, plot_energy_kinds
from accelsim.report.plots.heat_map import Tiles, plot_heat_map
from accelsim.report.plots.indices import plot_index_use, plot_signs
from accelsim.report.plots.lines import Curves, plot_lines
from accelsim.report.plots.over_time import Panel, Steps, plot_over_time
from accelsim.report.plots.pairs import plot_pairs
from accelsim.report.plots.pareto import DesignPoints, plot_pareto
from accelsim.report.plots.picture import look
from accelsim.report.plots.roofline import plot_roofline, roofline_of
from accelsim.report.plots.speedup_map import plot_maps
from accelsim.report.plots.stalls import plot_cycles, plot_layers
from accelsim.report.plots.style import PAPER_COLUMN_MM, SERIES_PAINT
from accelsim.report.plots.traffic import plot_traffic
from accelsim.report.plots.waterfall import plot_waterfall
from accelsim.report.speedup_cells import Cell, Limiter, Point
from accelsim.result import Result
from accelsim.studies.study_records import Walk, WalkStep
from accelsim.studies.walk_plot import plot_walk
from accelsim.trace.statistics import index_use
from tests.synthetic_results import int8, ssvq

DPI = 60
Draw = Callable[[Sequence[Axes]], None]


def render(height_mm: float, draw: Draw, grid: tuple[int, int] = (1, 1)) -> bytes:
    """A PNG at a paper's column width, 60 dots an inch: enough to see what is drawn, and small."""
    with look():
        figure = Figure(figsize=(PAPER_COLUMN_MM / 25.4, height_mm / 25.4), layout="constrained", dpi=DPI)
        FigureCanvasAgg(figure)
        draw(list(figure.subplots(*grid, sharey=True, squeeze=False).flat))
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()


def area() -> AreaReport:
    parts = [("PEs", "array", "logic", 4e5), ("weight macro", "buffers", "memory", 9e5), ("unpack", "decoder", "logic", 8e4),
             ("codewords", "codebook", "memory", 5e4)]  # fmt: skip
    items = tuple(AreaComponent(name, group, kind, None, Span(um2, 0.8 * um2, 1.3 * um2), "by hand") for name, group, kind, um2 in parts)
    return AreaReport("chip", "paper", 45, items, Span.exact(0.8), "by hand", (), ())


def cost(name: str, run: Result, scale: float) -> RunCost:
    parts = [("PE array", "dynamic", 6e6), ("dram", "dynamic", 4e6 * scale), ("dram", "background", 1e6), ("weight buffer", "leakage", 5e5),
             ("logic", "leakage", 8e5)]  # fmt: skip
    lines = tuple(EnergyLine(what, "all", "by hand", kind, ZERO, ZERO, Span(pj, 0.7 * pj, 1.6 * pj), "by hand") for what, kind, pj in parts)
    energy = EnergyReport("chip", run.trace_name, "paper", "hp", 1e-6, 2 * run.macs, lines, (), {})
    return RunCost(name, run, Cost(load_accelerator("edge-32x32"), area(), energy))


def cells() -> list[Cell]:
    memory, array = Limiter("weight memory", 50.0, "weight memory"), Limiter("MAC array", 90.0, "MAC array")
    places = [(row, column, 1000 * (4 - at)) for at, (row, column) in enumerate((r, c) for r in ("16-x", "32-x") for c in ("1", "2"))]
    return [Cell(Point("DRAM", row, column, "chip", ()), 4000, cycles, 4.0, 1.0, 8, 3, memory, array) for row, column, cycles in places]


def one(draw: Callable[[Axes], None]) -> Draw:
    return lambda axes: draw(axes[0])


def pictures() -> dict[str, bytes]:
    """Name -> PNG."""
    runs = [int8(), ssvq()]
    costs = [cost("net_int8", runs[0], 1.0), cost("net_ssvq", runs[1], 0.3)]
    (speedup,) = compare(runs[0], runs[1:]).speedups
    steps = (("bits", 3.2), ("array and bandwidth", 2.4), ("decoder", 1.9), ("vector unit", 2.0))
    walk = Walk("chip", tuple(WalkStep(name, "", value, None, None) for name, value in steps))
    roofline = roofline_of(runs[1])
    counts = np.array([40, 3, 0, 9, 22, 15, 0, 7])
    filled, reserved = Steps((0, 300, 700), (40.0, 90.0, 10.0), 1000), Steps((0, 500), (20.0, 5.0), 1000)
    table: dict[str, tuple[Any, ...]] = {
        "cycles": (42, one(lambda ax: plot_cycles(ax, runs))),
        "layers": (40, one(lambda ax: plot_layers(ax, runs[0]))),
        "traffic": (44, one(lambda ax: plot_traffic(ax, runs))),
        "waterfall": (52, one(lambda ax: plot_waterfall(ax, speedup, speedup.by_cause))),
        "pairs": (42, one(lambda ax: plot_pairs(ax, [(runs[0], runs[1])], ("int8", "ssvq")))),
        "roofline": (72, one(lambda ax: plot_roofline(ax, roofline))),  # type: ignore[arg-type]
        "side_by_side": (60, lambda axes: plot_side_by_side(axes, costs), (2, 2)),
        "energy": (52, one(lambda ax: plot_energy(ax, costs))),
        "energy_kinds": (66, one(lambda ax: plot_energy_kinds(ax, costs))),
        "area": (50, one(lambda ax: plot_area(ax, costs))),
        "area_bars": (46, one(lambda ax: plot_area_bars(ax, area()))),
        "area_treemap": (60, one(lambda ax: plot_area_treemap(ax, area()))),
        "heat_map": (44, one(lambda ax: plot_heat_map(ax, Tiles([[1.0, 2.1, 4.4], [1.1, None, 3.0]], ["a", "b"], ["1", "2", "4"], "x")))),
        "pareto": (
            55,
            one(
                lambda ax: plot_pareto(
                    ax,
                    DesignPoints(
                        [1.0, 2.0, 3.0, 4.0],
                        [9.0, 5.0, 6.0, 2.0],
                        [True, True, False, True],
                        x_label="area (mm²)",
                        y_label="energy (µJ)",
                        groups=["a", "b", "a", "b"],
                    ),
                )
            ),
        ),
        "lines": (52, one(lambda ax: plot_lines(ax, Curves(["1", "2", "4"], {"a": [1, 2, 3], "b": [3, 2.5, 2]}, "ports", "ms")))),
        "map": (36, one(lambda ax: plot_maps(ax, cells(), "columns: GB/s"))),
        "walk": (42, one(lambda ax: plot_walk(ax, walk))),
        "indices": (55, one(lambda ax: plot_index_use(ax, "ssvq:k=8,d=8", index_use(counts, 3)))),
        "signs": (38, one(lambda ax: plot_signs(ax, {"uniform": 0.47, "ssvq:k=8,d=8": 0.51}))),
        "time": (
            45,
            one(
                lambda ax: plot_over_time(
                    ax,
                    Panel(
                        {"filled": filled, "reserved": reserved},
                        [SERIES_PAINT[0], SERIES_PAINT[5]],
                        "weight buffer (KiB)",
                        "peak",
                        ("capacity", 128.0),
                    ),
                )
            ),
        ),
    }
    return {name: render(*item) for name, item in table.items()}
