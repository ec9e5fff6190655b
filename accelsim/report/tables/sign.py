"""The cost of a sign bit as a table: a line per circuit, for one run or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from accelsim.cost.sign_cost import SignCost
from accelsim.report.tables.terminal import row, show, table
from accelsim.report.tables.text import ends, short


def render_sign_costs(console: Console, title: str, runs: Mapping[str, Sequence[SignCost]]) -> None:
    """The circuits of each run, which a name or a number stands for; one run needs none."""
    out = table([">", "circuit", ">GE", ">um2", ">of the PEs", ">uJ", ">low-high", ">of the run"], dense=True)
    for run, circuits in runs.items():
        for item in circuits:
            component = item.choice.component
            row(
                out,
                run,
                component.name,
                short(component.gates.nominal if component.gates else 0.0),
                short(component.area_um2.nominal),
                f"{item.choice.share_of_array_pct:.2f} %",
                short(item.energy_uj.nominal),
                ends(item.energy_uj),
                f"{item.share_of_run_pct:.2f} %",
            )
    show(console, title, out)
