"""The interactive page of a sweep: each two figures of the front against each other, a pointer on a point shows its configuration."""

from __future__ import annotations

from itertools import combinations

from accelsim.report.interactive.designs import designs_page
from accelsim.report.plots.pareto import DesignPoints
from accelsim.sweeps.best import costs_of
from accelsim.sweeps.default_pictures import pictures_for
from accelsim.sweeps.findings import SweepFindings, point_rows
from accelsim.sweeps.pareto import pareto_front
from accelsim.sweeps.picture_spec import ParetoScatter
from accelsim.sweeps.pictures import goal_of
from accelsim.sweeps.table import Table, drawn_title

PAGE = "points.html"


def points_page(findings: SweepFindings) -> dict[str, bytes]:
    """The page of the points that meet the conditions, by file name; nothing if there is no point."""
    table, figures = findings.table, findings.question.figures
    if not len(table):
        return {}
    by = next((item.groups for item in pictures_for(table.sweep) if isinstance(item, ParetoScatter) and item.groups), None)
    groups = table.labels(by) if by else None
    planes = [_plane(table, x, y, groups, table.sweep.axis_title(by) if by else "") for y, x in combinations(figures, 2)]
    rows = point_rows(table, figures)
    hover = {drawn_title(name): ["-" if row[name] is None else _shown(row[name]) for row in rows] for name in rows[0]}
    name = table.sweep.name
    sentences = [
        f"{len(table):,} points. A pointer on a point shows its configuration; points chosen in one plane (box, tap) are marked in all; "
        "a click on a name hides its points. Filled points are on the front of their plane.",
        *(
            f"{len(item.positions):,} without {drawn_title(item.figure)} are left out of its planes: {item.points}."
            for item in findings.left_out
            if item.figure in figures
        ),
    ]
    return {PAGE: designs_page(f"Points of {name}", sentences, planes, hover)}


def _plane(table: Table, x: str, y: str, groups: list[str] | None, group_label: str) -> DesignPoints:
    return DesignPoints(
        table.numbers(x).tolist(),
        table.numbers(y).tolist(),
        pareto_front(costs_of(table, [x, y])).tolist(),
        x_label=drawn_title(x),
        y_label=drawn_title(y),
        goals=(goal_of(x), goal_of(y)),
        groups=groups,
        group_label=group_label,
    )


def _shown(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
