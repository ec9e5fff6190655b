"""Which pictures a run has, and which a comparison; each family of pictures is a module of its own."""

from __future__ import annotations

from accelsim.report.compare import Comparison, fold_layers
from accelsim.report.plots.roofline import roofline_picture
from accelsim.report.plots.stalls import cycles_picture, layers_picture
from accelsim.report.plots.traffic import traffic_picture
from accelsim.report.plots.waterfall import waterfall_picture
from accelsim.result import Result

TOP_LAYERS = 8


def run_pictures(result: Result) -> dict[str, bytes]:
    """The pictures of one run: where its cycles go, the same by layer, its traffic, its roofline."""
    return {
        **cycles_picture([result], 38),
        **layers_picture(result),
        **traffic_picture([result], 38),
        **roofline_picture(result),
    }


def comparison_pictures(comparison: Comparison) -> dict[str, bytes]:
    """The pictures of a comparison: all runs side by side, and for each other run its waterfalls by cause and by layer."""
    height = 30 + 8 * len(comparison.results)
    out = {**cycles_picture(comparison.results, height), **traffic_picture(comparison.results, height)}
    for number, speedup in enumerate(comparison.speedups, start=1):
        suffix = f"_{number}" if len(comparison.speedups) > 1 else ""
        out |= waterfall_picture(f"waterfall_cause{suffix}", speedup, speedup.by_cause)
        out |= waterfall_picture(f"waterfall_layer{suffix}", speedup, fold_layers(speedup.by_layer), TOP_LAYERS)
    return out
