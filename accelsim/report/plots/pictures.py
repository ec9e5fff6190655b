"""The pictures of a run and of a comparison; each family of pictures has its own module."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.cost.compare_costs import RunCost
from accelsim.report.compare import Comparison, fold_layers
from accelsim.report.plots.area import area_bars_picture
from accelsim.report.plots.costs import cost_pictures
from accelsim.report.plots.energy import energy_pictures
from accelsim.report.plots.picture import Picture
from accelsim.report.plots.roofline import roofline_picture
from accelsim.report.plots.stalls import cycles_picture, layers_picture
from accelsim.report.plots.traffic import traffic_picture
from accelsim.report.plots.waterfall import waterfall_picture

TOP_LAYERS = 8


def run_pictures(run: RunCost) -> list[Picture]:
    """The pictures of one run: cycle breakdown, the same by layer, traffic, roofline, energy, the chip's area."""
    result = run.result
    roofline = roofline_picture(result)
    return [
        cycles_picture([result], 38),
        layers_picture(result),
        traffic_picture([result], 38),
        *([] if roofline is None else [roofline]),
        *energy_pictures([run]),
        area_bars_picture(run.cost.area),
    ]


def comparison_pictures(comparison: Comparison, costs: Sequence[RunCost]) -> list[Picture]:
    """The pictures of a comparison: all runs side by side, and the waterfalls."""
    height = 30 + 8 * len(comparison.results)
    out = [cycles_picture(comparison.results, height), traffic_picture(comparison.results, height)]
    return [*out, *waterfall_pictures(comparison), *cost_pictures(costs)]


def waterfall_pictures(comparison: Comparison) -> list[Picture]:
    """For each run whose time differs from the baseline's, where the difference comes from, by category and by layer."""
    out: list[Picture] = []
    for number, speedup in enumerate(comparison.speedups, start=1):
        if speedup.same:
            continue
        suffix = f"_{number}" if len(comparison.speedups) > 1 else ""
        out.append(waterfall_picture(f"waterfall_cause{suffix}", "category", speedup, speedup.by_cause))
        out.append(waterfall_picture(f"waterfall_layer{suffix}", "layer", speedup, fold_layers(speedup.by_layer), TOP_LAYERS))
    return out
