"""Accuracy against latency against area: each format of the accuracy table, on three chips.

Accuracies are the means of the table's seeds; latency and area are simulated for the table's digits network in that format. Neither depends
on the values of the weights, so shapes do. Each chip has the codebook that the format needs.

    python -m notebooks.examples accuracy_front
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch

import accelsim
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.open_trace import in_format
from accelsim.compression.recipe import make_recipe
from accelsim.sweeps.pareto import pareto_front
from notebooks.examples.accuracy_table import DOCS, FORMATS, TABLE, Line, read, reported
from notebooks.examples.accuracy_tasks import TASKS
from notebooks.examples.confidence import half_width

TASK = "digits"
CHIPS = ("mcu-16x16", "edge-32x32", "edge-64x64")
POINTS = DOCS / "data" / "accuracy_front.csv"


@dataclass(frozen=True)
class Point:
    """A format on a chip; `accuracy` is the mean over `seeds`, `half_width` that of its 95 % confidence interval."""

    chip: str
    bits: float
    format: str
    seeds: int
    accuracy: float
    half_width: float
    us: float
    area_mm2: float


def measure(lines: Sequence[Line], chips: Sequence[str] = CHIPS) -> list[Point]:
    """Simulate every format that has all seeds in the table on every chip."""
    network, example = TASKS[TASK].network().eval(), TASKS[TASK].load(0).test[0][:1]
    source = accelsim.import_model(torch.export.export(network, (example,)), name="digits_vit").record
    chosen, points = reported(lines), []
    for bits, text in ((bits, text) for bits, texts in FORMATS.items() for text in texts):
        found = [line.tuned for line in chosen if (line.task, line.format, line.variant) == (TASK, text, "")]
        if len(found) < TASKS[TASK].seeds:
            continue  # means over other seeds are of other networks
        trace = accelsim.Trace(in_format(source, make_recipe(text), text))
        for name in chips:
            chip = accelsim.load_accelerator(name)
            result = accelsim.simulate(accelsim.load_accelerator(name, set=codebook_overrides(chip, trace.record)), trace)
            figures = 1e3 * result.milliseconds, result.cost().area_mm2.nominal
            means = round(float(np.mean(found)), 5), round(half_width(np.array(found)), 5)
            points.append(Point(name, bits, text, len(found), *means, *(round(value, 3) for value in figures)))
    return points


def on_front(points: Sequence[Point]) -> list[Point]:
    """The points that none beats in accuracy, latency and area together."""
    costs = np.array([(-point.accuracy, point.us, point.area_mm2) for point in points])
    return [point for point, best in zip(points, pareto_front(costs), strict=True) if best]


def read_points(path: Path = POINTS) -> list[Point]:
    """The points of a file; none if there is no file."""
    if not path.exists():
        return []
    kinds = {field.name: {"int": int, "float": float, "str": str}[str(field.type)] for field in fields(Point)}
    with path.open(newline="") as file:
        return [Point(**{name: kinds[name](text) for name, text in row.items()}) for row in csv.DictReader(file)]


def table(points: Sequence[Point]) -> str:
    """The front in Markdown, the fastest point first."""
    rows = ["| chip | format | bits | seeds | accuracy | us | area, mm2 |", "|---|---|---|---|---|---|---|"]
    for point in sorted(on_front(points), key=lambda point: point.us):
        figures = f"{100 * point.accuracy:.2f} ± {100 * point.half_width:.2f} % | {point.us:.2f} | {point.area_mm2:.2f}"
        rows.append(f"| `{point.chip}` | `{point.format}` | {point.bits:g} | {point.seeds} | {figures} |")
    return "\n".join(rows) + "\n"


def draw(points: Sequence[Point], out: Path) -> None:
    """Draw accuracy against latency, a panel per chip; the front's points are filled, bars are 95 % confidence intervals."""
    from matplotlib.figure import Figure

    best = set(on_front(points))
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    for axis, chip in zip(figure.subplots(1, len(CHIPS), sharey=True), CHIPS, strict=True):
        mine = [point for point in points if point.chip == chip]
        for kind in dict.fromkeys(point.format.partition(":")[0] for point in points):
            some = [point for point in mine if point.format.partition(":")[0] == kind]
            drawn = axis.plot([point.us for point in some], [100 * point.accuracy for point in some], "o", mfc="none", label=kind)
            colour = drawn[0].get_color()
            for point in some:
                axis.errorbar(point.us, 100 * point.accuracy, 100 * point.half_width, color=colour, elinewidth=0.8, capsize=2)
            filled = [point for point in some if point in best]
            axis.plot([point.us for point in filled], [100 * point.accuracy for point in filled], "o", color=colour)
        axis.set(title=chip, xlabel="latency, us")
    figure.axes[0].set_ylabel("test accuracy, %")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Write the points; `accuracy_page` shows them."""
    torch.set_num_threads(1)
    points = measure(read(TABLE))
    with POINTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Point)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)


if __name__ == "__main__":
    main()
