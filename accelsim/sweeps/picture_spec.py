"""Pictures that a sweep's file requests of its points.

    pictures:
      - {kind: speedup_map, name: map, baseline: {trace: deit_tiny_int8}, rows: array.rows, columns: dram.bandwidth, each: [trace]}
      - {kind: heat_map, name: buffers, figure: milliseconds, rows: weight_buffer.capacity, columns: codebook.ports, each: [trace]}
      - {kind: pareto, name: cost, x: area_mm2, y: milliseconds, groups: trace}
      - {kind: lines, name: ports, x: codebook.ports, y: milliseconds, lines: trace}

Disputable assumption: where axes remain that a picture does not name, it shows the least figure over them, which is what a designer
who is free to choose them gets. A map of speed-ups leaves no freedom: the axes that it does not name must have one value each.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from accelsim.records import Record
from accelsim.sweeps.axis import axis_text

FileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Title = Annotated[str, StringConstraints(max_length=200)]


class _Picture(Record):
    name: FileName = Field(description="of its files")
    title: Title = Field(default="", description="above the picture")
    each: tuple[str, ...] = Field(default=(), max_length=4, description="axes: one picture for each of their values")
    names: dict[str, dict[str | int | float, Title]] = Field(default={}, description="axis: {value: its label in the picture}")

    def shown(self, axis: str, label: str) -> str:
        """The picture's label of a value of an axis."""
        return {axis_text(value): name for value, name in self.names.get(axis, {}).items()}.get(label, label)

    def axes_named(self) -> list[str]:
        """The axes that the picture needs."""
        return [*self.each, *self.names]

    def figures_named(self) -> list[str]:
        """The figures that it needs."""
        return []


class SpeedupMap(_Picture):
    """Tiles with the speed-up over a baseline, and the tightest bounds of both runs."""

    kind: Literal["speedup_map"]
    baseline: dict[str, Any] = Field(min_length=1, max_length=1, description="axis: the value of the baseline")
    rows: str = Field(description="axis along the rows")
    columns: str = Field(description="axis along the columns")
    row_title: Title = Field(default="", description="heading of the rows; empty: the axis")
    column_title: Title = Field(default="", description="heading of the columns; empty: the axis")
    maps: tuple[str, ...] = Field(default=(), max_length=4, description="axes: one block of tiles for each of their values")

    @property
    def compared(self) -> str:
        """The axis on which the baseline stands."""
        return next(iter(self.baseline))

    def axes_named(self) -> list[str]:
        return [*super().axes_named(), self.compared, self.rows, self.columns, *self.maps]


class HeatMap(_Picture):
    """Tiles with a figure."""

    kind: Literal["heat_map"]
    figure: str = Field(description="column of the sweep's table to show")
    rows: str = Field(description="axis along the rows")
    columns: str = Field(description="axis along the columns")

    def axes_named(self) -> list[str]:
        return [*super().axes_named(), self.rows, self.columns]

    def figures_named(self) -> list[str]:
        return [self.figure]


class ParetoScatter(_Picture):
    """One marker per point, and the Pareto front; less is better in both figures."""

    kind: Literal["pareto"]
    x: str = Field(description="figure on the x axis")
    y: str = Field(description="figure on the y axis")
    groups: str | None = Field(default=None, description="axis: one colour for each of its values")
    log: bool = Field(default=False, description="true: logarithmic axes")

    def axes_named(self) -> list[str]:
        return [*super().axes_named(), *((self.groups,) if self.groups else ())]

    def figures_named(self) -> list[str]:
        return [self.x, self.y]


class Lines(_Picture):
    """A figure over an axis, one line for each value of another, if one is given."""

    kind: Literal["lines"]
    x: str = Field(description="axis of the sweep along x")
    y: str = Field(description="figure on the y axis")
    lines: str | None = Field(default=None, description="axis: one line for each of its values; null: a single line")

    def axes_named(self) -> list[str]:
        return [*super().axes_named(), self.x, *((self.lines,) if self.lines else ())]

    def figures_named(self) -> list[str]:
        return [self.y]


Picture = Annotated[SpeedupMap | HeatMap | ParetoScatter | Lines, Field(discriminator="kind")]
