"""A run's layers under their roofs: multiply-accumulates per cycle over multiply-accumulates per byte of memory traffic.

The roofs are the array, the peak rate of the memories and, for each layer, the rate at which its weights can be decoded: a weight that is
decoded serves as many multiply-accumulates as the layer has rows, so this roof is flat, and lower for a layer of few rows.

Disputable assumption: a layer's time is the array's. Its bytes may have come, and its first tile may have been decoded, while the array
worked on layers before it; then its point may lie above a roof, and is drawn hollow. The whole run lies under every roof.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from accelsim.report.metrics import LayerGroup, group_layers
from accelsim.report.plots.bars import group_labels, legend_above
from accelsim.report.plots.lettering import fitted
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import CATEGORY_PAINT, TOTAL_PAINT, category_paint, log_scale, width_mm_of
from accelsim.result import LayerResult, Result, total
from accelsim.run_labels import label

MAX_POINTS = 16  # numbered; the layers that take fewer cycles are left to the run's own point
_HEIGHT_MM, _LINE_MM = 66, 3.1
_BESIDE_MM, _FRAME_HEIGHT_MM = 15.0, 44.0  # left and right of the axes, and their height, about; for the places of the numbers
_LETTER, _LINE = 1.3, 2.6  # mm of a figure of the numbers' size
_NAMES_POINTS, _PITCH_POINTS = 32, 7.5  # from the axes to the baseline of the first name, and from one to the next
_APART_MM = 0.9  # between two numbers on a line, which else read as one
_NAME_POINTS = 92  # of half the list's width, beside the number
_HALO = withStroke(linewidth=1.2, foreground="white")  # keeps lines out of the numbers
_ROOM = 1.35  # of the highest roof, above it
Place = tuple[float, float]
Box = tuple[float, float, float, float]
_ARRAY_COLOR, _MEMORY_COLOR, _DECODE_COLOR = (CATEGORY_PAINT[name].color for name in ("busy", "dram", "decode"))


@dataclass(frozen=True)
class RooflinePoint:
    """Layers that are shown as one, or the whole run.

    Attributes
    ----------
    macs, cycles : useful multiply-accumulates, and core cycles of the array's time line
    bus_bytes : of all operands on the memory channels in whole bursts: weights, scales, activations, padding
    decode_cycles : least cycles for its codebook lookups, or for its raw weights; 0 without any
    cause : category that takes most of its cycles
    """

    name: str
    macs: int
    cycles: int
    bus_bytes: float
    decode_cycles: int
    cause: str

    @property
    def macs_per_cycle(self) -> float:
        """Achieved multiply-accumulates per cycle."""
        return self.macs / self.cycles

    @property
    def macs_per_byte(self) -> float:
        """Operational intensity; infinite without traffic."""
        return self.macs / self.bus_bytes if self.bus_bytes else math.inf

    @property
    def decode_roof(self) -> float:
        """Multiply-accumulates per cycle at the decoder's full rate: lookups x weights of a lookup x uses of a weight."""
        return self.macs / self.decode_cycles if self.decode_cycles else math.inf


@dataclass(frozen=True)
class Roofline:
    """Layers, the run, and the roofs that all of them share.

    Attributes
    ----------
    peak_macs_per_cycle : multiply-accumulators of the array, of those of all cores together
    peak_bytes_per_cycle : of all memories that the run uses, together; infinite if one of them is
    layers : of those with multiply-accumulates, at most `MAX_POINTS` that take most cycles, in program order
    """

    peak_macs_per_cycle: float
    peak_bytes_per_cycle: float
    layers: tuple[RooflinePoint, ...]
    run: RooflinePoint

    def shared_roof(self, macs_per_byte: float) -> float:
        """The lower one of array and memories at an intensity, multiply-accumulates per cycle."""
        return min(self.peak_macs_per_cycle, self.peak_bytes_per_cycle * macs_per_byte)

    def holds(self, point: RooflinePoint) -> bool:
        """Whether a point lies on or under all its roofs."""
        return point.macs_per_cycle <= min(self.shared_roof(point.macs_per_byte), point.decode_roof) * (1 + 1e-9)


def roofline_of(result: Result) -> Roofline | None:
    """The roofline of a run from the result alone; None if nothing is multiplied."""
    groups = [group for group in group_layers(result, fold=True) if group.macs and group.total_cycles]
    works = [core for core in result.of_cores if core.cycles.get("busy", 0)]
    peak = sum(sum(layer.pe_cycles for layer in core.layers) / core.cycles["busy"] for core in works)
    if not groups or not peak:
        return None
    peak *= len(result.of_cores) / len(works)  # cores are equal, also those that idle
    kept = {id(group) for group in sorted(groups, key=lambda item: -item.total_cycles)[:MAX_POINTS]}
    run = RooflinePoint(
        "the run", result.macs, result.total_cycles, result.bus_bytes, result.bounds.get("decode", 0), _cause(result.layers)
    )
    shown = [group for group in groups if id(group) in kept]
    points = tuple(_point(name, group) for name, group in zip(group_labels(shown), shown, strict=True))
    return Roofline(peak, _peak_bytes_per_cycle(result.layers), points, run)


def _point(name: str, group: LayerGroup) -> RooflinePoint:
    return RooflinePoint(name, group.macs, group.total_cycles, group.bus_bytes, group.bounds.get("decode", 0), _cause(group.layers))


def _cause(layers: Iterable[LayerResult]) -> str:
    cycles = total(layer.cycles for layer in layers)
    return max(cycles, key=lambda name: cycles[name])


def _peak_bytes_per_cycle(layers: Sequence[LayerResult]) -> float:
    """Peak rate of all memories that are used, from the layers' bounds: bytes over the least cycles for them.

    A bound is rounded down to a cycle, so each layer gives a little too much, and the least of them is nearest.
    """
    rates: dict[str, float] = {}
    for layer in layers:
        bits: Counter[str] = Counter()
        for item in layer.traffic:
            bits[item.memory] += item.bits
        for memory, count in bits.items():
            bound = layer.bounds.get(memory, 0)
            rates[memory] = min(rates.get(memory, math.inf), count / 8 / bound if bound else math.inf)
    return sum(rates.values()) if rates else math.inf


def plot_roofline(ax: Axes, roofline: Roofline) -> None:
    """Numbered points in the colour of the category that takes most of their cycles, hollow above a roof; decode rates as bars."""
    points = (*roofline.layers, roofline.run)
    left, right, edge = _width(roofline, points)
    roofs = [roofline.peak_macs_per_cycle, *(point.decode_roof for point in points if math.isfinite(point.decode_roof))]
    ax.set_xlim(left, right)
    ax.set_ylim(min(point.macs_per_cycle for point in points) / 2, max(roofs) * _ROOM)
    log_scale(ax.xaxis)
    log_scale(ax.yaxis)
    knee = min(max(left, roofline.peak_macs_per_cycle / roofline.peak_bytes_per_cycle), right)
    corners = [(end, roofline.shared_roof(end)) for end in ([left] if knee > left else []) + [knee, right]]
    for (start, low), (end, high) in pairwise(corners):
        ax.plot([start, end], [low, high], color=_ARRAY_COLOR if low == high else _MEMORY_COLOR, linewidth=1.1)
    for point in points:
        x = min(point.macs_per_byte, edge)
        if math.isfinite(point.decode_roof):
            ax.plot(x, point.decode_roof, marker="_", markersize=9, markeredgewidth=1.3, color=_DECODE_COLOR, zorder=2)
    for point in roofline.layers:
        fill = category_paint(point.cause).color if roofline.holds(point) else "white"
        _marker(ax, min(point.macs_per_byte, edge), point, ">" if math.isinf(point.macs_per_byte) else "o", fill)
    _marker(ax, min(roofline.run.macs_per_byte, edge), roofline.run, "*", TOTAL_PAINT.color, size=6)
    others = [(min(point.macs_per_byte, edge), point.decode_roof) for point in points if math.isfinite(point.decode_roof)]
    run = (min(roofline.run.macs_per_byte, edge), roofline.run.macs_per_cycle)
    _number(ax, [(min(point.macs_per_byte, edge), point.macs_per_cycle) for point in roofline.layers], [run], others, corners)
    ax.grid(axis="both")
    ax.set_ylabel("useful MACs per core cycle")
    ax.set_xlabel("useful MACs per byte of memory traffic, all operands")
    _legend(ax, roofline)


def _width(roofline: Roofline, points: Sequence[RooflinePoint]) -> tuple[float, float, float]:
    """(left end, right end, place of layers without traffic) of the axis."""
    finite = [point.macs_per_byte for point in points if math.isfinite(point.macs_per_byte)]
    knee = roofline.peak_macs_per_cycle / roofline.peak_bytes_per_cycle
    low = min([*finite, *([knee] if knee else [])], default=1.0) / 2
    high = max([*finite, knee], default=1.0) * 3
    if len(finite) == len(points):
        return low, high, high
    return low, high * 4, high * 2


def _marker(ax: Axes, x: float, point: RooflinePoint, marker: str, fill: str, size: float = 4) -> None:
    edge = category_paint(point.cause).color if fill == "white" else "#303030"
    ax.plot(
        x, point.macs_per_cycle, marker=marker, markersize=size, markerfacecolor=fill, markeredgecolor=edge,
        markeredgewidth=0.9 if fill == "white" else 0.4, linestyle="none", zorder=3,
    )  # fmt: skip


def _number(ax: Axes, places: Sequence[Place], stars: Sequence[Place], bars: Sequence[Place], roof: Sequence[Place]) -> None:
    """Numbers from 1 beside the points, one text for points that lie together, where no other text, point, star, bar or roof stands."""
    width, height = width_mm_of(ax) - _BESIDE_MM, _FRAME_HEIGHT_MM
    ends = [[math.log(end) for end in limits] for limits in (ax.get_xlim(), ax.get_ylim())]

    def on_paper(x: float, y: float) -> tuple[float, float]:
        shares = [(math.log(value) - low) / (high - low) for value, (low, high) in zip((x, y), ends, strict=True)]
        return shares[0] * width, shares[1] * height

    spots: list[tuple[float, float, list[int]]] = []
    for number, (x, y) in enumerate(places, start=1):
        at = on_paper(x, y)
        near = next((spot for spot in spots if math.dist(at, spot[:2]) < _LETTER), None)
        if near is None:
            spots.append((*at, [number]))
        else:
            near[2].append(number)
    taken = [(x - 0.8, y - 0.8, x + 0.8, y + 0.8) for x, y, _ in spots]
    taken += [(x - 1.1, y - 1.1, x + 1.1, y + 1.1) for x, y in (on_paper(*star) for star in stars)]
    taken += [(x - 1.6, y - 0.3, x + 1.6, y + 0.3) for x, y in (on_paper(*bar) for bar in bars)]
    for (x0, y0), (x1, y1) in pairwise(on_paper(*corner) for corner in roof):
        steps = max(1, math.ceil(math.dist((x0, y0), (x1, y1))))  # of a millimetre
        along = [(x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps) for step in range(steps + 1)]
        taken += [(x - 0.5, y - 0.4, x + 0.5, y + 0.4) for x, y in along]
    for x, y, numbers in spots:
        text = ",".join(map(str, numbers))
        box = _free_place(x, y, _LETTER * len(text), taken, (width, height))
        taken.append((box[0] - _APART_MM, box[1], box[2] + _APART_MM, box[3]))
        offset = ((box[0] - x) * 72 / 25.4, ((box[1] + box[3]) / 2 - y) * 72 / 25.4)
        point = places[numbers[0] - 1]
        away = abs((box[1] + box[3]) / 2 - y) > _LINE  # too far to be taken for the point's without a line
        ax.annotate(
            text, point, xytext=offset, textcoords="offset points", va="center", fontsize=6, zorder=4, path_effects=[_HALO],
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#606060", "shrinkA": 0, "shrinkB": 2} if away else None,
        )  # fmt: skip


def _free_place(x: float, y: float, wide: float, taken: Sequence[Box], frame: tuple[float, float]) -> Box:
    """The first place around (x, y), in mm, within the frame where a text meets nothing; beside the point if there is none."""
    half, (width, height) = _LINE / 2, frame
    for step in (_LINE / 2 * lines for lines in range(2 * math.ceil(height / _LINE))):
        for left, middle in ((x + 1.1, y + step), (x - 1.1 - wide, y + step), (x + 1.1, y - step), (x - 1.1 - wide, y - step)):
            box = (left, middle - half, left + wide, middle + half)
            inside = left >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height
            if inside and not any(box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken):
                return box
    return (x + 1.1, y - half, x + 1.1 + wide, y + half)


def _legend(ax: Axes, roofline: Roofline) -> None:
    """Roofs and marks above the axes, the names of the points under them."""
    roofs = [Line2D([], [], color=_ARRAY_COLOR, label=f"array: {roofline.peak_macs_per_cycle:,.4g} MAC/cycle")]
    if math.isfinite(roofline.peak_bytes_per_cycle):
        roofs.append(Line2D([], [], color=_MEMORY_COLOR, label=f"memory peak: {roofline.peak_bytes_per_cycle:.4g} B/cycle"))
    roofs.append(Line2D([], [], color=_DECODE_COLOR, label="decode rate, layer by layer"))
    style: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "#303030", "markersize": 4, "markeredgewidth": 0.4}
    causes = dict.fromkeys(point.cause for point in roofline.layers)
    marks = [Line2D([], [], marker="*", color=TOTAL_PAINT.color, linestyle="none", label="the run")]
    marks += [Line2D([], [], marker="o", color=category_paint(name).color, label=f"most cycles: {name}", **style) for name in causes]
    if any(not roofline.holds(point) for point in roofline.layers):
        marks.append(Line2D([], [], marker="o", color="white", label="fed before its turn", **style))
    if any(math.isinf(point.macs_per_byte) for point in roofline.layers):
        marks.append(Line2D([], [], marker=">", color="white", label="no traffic", **style))
    legend_above(ax, ncols=2, handles=[*roofs, *marks])
    names = [f"{number}  {fitted(point.name, 6, _NAME_POINTS)}" for number, point in enumerate(roofline.layers, start=1)]
    rows = _rows(roofline)
    for index, name in enumerate(names):
        column, line = divmod(index, rows)
        below = _NAMES_POINTS + line * _PITCH_POINTS
        ax.annotate(
            name, (0.5 * column, 0), xytext=(0, -below), xycoords="axes fraction", textcoords="offset points", va="baseline", fontsize=6
        )


def _rows(roofline: Roofline) -> int:
    """Lines of the list of names, which has two columns."""
    return -(-len(roofline.layers) // 2)


def roofline_picture(result: Result) -> Picture | None:
    """The picture of a run's roofline; None if nothing is multiplied."""
    roofline = roofline_of(result)
    if roofline is None:
        return None
    height = _HEIGHT_MM + _LINE_MM * _rows(roofline)
    return picture("roofline", f"Layers under their roofs\n{label(result)}", height, lambda ax: plot_roofline(ax, roofline))
