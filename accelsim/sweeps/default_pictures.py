"""Pictures of a sweep whose file asks for none: cost against time, and time over the axes that are numbers.

Disputable assumption: the axis of fewest values but more than one, a trace or a format before others, tells the designs apart by colour.
"""

from __future__ import annotations

from accelsim.report.plots.style import SERIES_MARKERS
from accelsim.sweeps.format_axes import FORMAT
from accelsim.sweeps.picture_spec import HeatMap, Lines, ParetoScatter, Picture
from accelsim.sweeps.spec import Sweep

TIME, ENERGY, AREA = "milliseconds_per_inference", "energy_uj", "area_mm2"
MOST_MAPS = 4  # one for each value of the axis of the groups


def pictures_for(sweep: Sweep) -> tuple[Picture, ...]:
    """The pictures that the file asks for, else the usual ones of its axes; none of a single point."""
    if sweep.pictures or sweep.size == 1:
        return sweep.pictures
    groups = _group_axis(sweep)
    scales = [name for name in _axes(sweep) if name != groups and _rises(sweep, name)]
    drawn: list[Picture] = [
        ParetoScatter(kind="pareto", name="time_area", x=AREA, y=TIME, groups=groups),
        ParetoScatter(kind="pareto", name="time_energy", x=ENERGY, y=TIME, groups=groups),
    ]
    for name in scales:
        drawn.append(Lines(kind="lines", name=f"time_by_{_plain(name)}", x=name, y=TIME, lines=groups))
    if len(scales) > 1:
        rows, columns = scales[:2]
        each = (groups,) if groups and len(sweep.group_of(groups).steps) <= MOST_MAPS else ()
        drawn.append(HeatMap(kind="heat_map", name="time_map", figure=TIME, rows=rows, columns=columns, each=each))
    return tuple(drawn)


def _axes(sweep: Sweep) -> list[str]:
    """The first axis of each group that has several values."""
    return [group.names[0] for group in sweep.groups if len(group.steps) > 1]


def _group_axis(sweep: Sweep) -> str | None:
    """The axis whose values have a colour each; None if no axis has few enough besides the only one that is a scale."""
    few = [name for name in _axes(sweep) if len(sweep.group_of(name).steps) <= len(SERIES_MARKERS)]
    named = [name for name in few if name in ("trace", FORMAT)] + [name for name in few if not _rises(sweep, name)]
    if named:
        return named[0]
    return min(few, key=lambda name: len(sweep.group_of(name).steps)) if len(_axes(sweep)) > 1 and few else None


def _rises(sweep: Sweep, name: str) -> bool:
    """Whether the values of an axis, all different, are numbers or quantities: '16 KiB'."""
    values = [step[0] for step in sweep.group_of(name).steps]
    return all(not isinstance(value, bool) and str(value)[:1].isdigit() for value in values)


def _plain(name: str) -> str:
    """The name of a field as part of a file's name."""
    return "".join(sign if sign.isalnum() else "_" for sign in name.lower()).strip("_")[:48]
