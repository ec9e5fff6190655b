"""Where the energy goes: a stacked bar per run by component, and each component by kind (dynamic, leakage, background) with its range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from accelsim.cost.compare_costs import ENERGY_GROUPS, RunCost
from accelsim.cost.energy import KINDS, Kind
from accelsim.cost.span import Span, total
from accelsim.report.plots.bars import draw_range, fold_label, legend_above, name_rows, stacked_bars
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import GROUP_PAINT, KIND_PAINT, bar_style, group_paint
from accelsim.run_labels import common_label

WHOLE = "everything"
MAX_RUNS = 4  # bars of a component that remain distinguishable
_PITCH = 0.84  # of the room of a component, shared by the runs
_BAR, _BAR_UP, _WHISKER_DOWN = 0.52, 0.2, 0.3  # of a run's share: height of its bar, and both from its middle


def plot_energy(ax: Axes, costs: Sequence[RunCost]) -> None:
    """One stacked bar per run: energy per inference, by component."""
    bars = [{name: span.nominal for name, span in item.energy_by_group_uj.items()} for item in costs]
    stacked_bars(ax, [fold_label(item.name) for item in costs], bars, group_paint, tuple(GROUP_PAINT), [item.energy_uj for item in costs])
    ax.set_xlabel(f"energy per inference (µJ)\n{costs[0].cost.energy.technology}, low to high")


def energy_by_kind_uj(cost: RunCost) -> dict[str, dict[Kind, Span]]:
    """Group of components -> kind -> energy per inference; all of them add up to `cost.energy_uj`."""
    scale = 1e-6 / cost.inferences
    lines = [(ENERGY_GROUPS.get(line.component, line.component), line) for line in cost.cost.energy.lines]
    found = dict.fromkeys(group for group, _ in lines)
    groups = [*(name for name in GROUP_PAINT if name in found), *(name for name in found if name not in GROUP_PAINT)]
    return {
        group: {kind: total(line.energy_pj for name, line in lines if name == group and line.kind == kind) * scale for kind in KINDS}
        for group in groups
    }


def plot_energy_kinds(ax: Axes, costs: Sequence[RunCost]) -> None:
    """A row per component over the runs' bars, in their order from the top; the first row is the whole. Whiskers below: low to high.

    Raises
    ------
    ValueError
        There are no runs, or more than MAX_RUNS.
    """
    if not 0 < len(costs) <= MAX_RUNS:
        raise ValueError(f"a picture of kinds holds 1 to {MAX_RUNS} runs; got {len(costs)}")
    tables = [energy_by_kind_uj(cost) for cost in costs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    height = _PITCH / len(costs)
    end = 0.0
    for run, (cost, table) in enumerate(zip(costs, tables, strict=True)):
        everything = {kind: total(parts[kind] for parts in table.values()) for kind in KINDS}
        rows: list[Mapping[Kind, Span]] = [everything, *(table.get(name, {}) for name in names)]
        for row, parts in enumerate(rows):
            place = row - _PITCH / 2 + (run + 0.5) * height
            left = 0.0
            for kind, span in parts.items():
                ax.barh(place - _BAR_UP * height, span.nominal, left=left, height=_BAR * height, **bar_style(KIND_PAINT[kind]))
                left += span.nominal
            if parts:
                draw_range(ax, total(parts.values()), place + _WHISKER_DOWN * height)
        end = max(end, cost.energy_uj.high)
    name_rows(ax, [WHOLE, *names])
    ax.set_xlim(0, 1.06 * end or 1)
    ax.locator_params(axis="x", nbins=5)
    order = "" if len(costs) == 1 else "\nfrom the top: " + "; ".join(fold_label(cost.name).replace("\n", " ") for cost in costs)
    ax.set_xlabel(f"energy per inference (µJ)\n{costs[0].cost.energy.technology}, low to high{_wrapped(order)}")
    handles = [Patch(label=kind, **bar_style(KIND_PAINT[kind])) for kind in KINDS]
    legend_above(ax, handles=handles)


def _wrapped(text: str) -> str:
    """A line per run."""
    return text.replace("; ", ";\n")


def energy_pictures(costs: Sequence[RunCost]) -> list[Picture]:
    """The pictures of the runs' energy; by kind if they are few enough."""
    of = common_label([item.result for item in costs])
    bars = 40 + 8 * len(costs)
    out = [picture("energy", f"Energy per inference by component\n{of}", bars, lambda ax: plot_energy(ax, costs))]
    if len(costs) <= MAX_RUNS:
        rows = 1 + len({name for cost in costs for name in energy_by_kind_uj(cost)})
        height = 26 + (3 + 2.4 * len(costs)) * rows + 3 * len(costs)
        title = f"Energy per inference by component and kind\n{of}"
        out.append(picture("energy_kinds", title, height, lambda ax: plot_energy_kinds(ax, costs)))
    return out
