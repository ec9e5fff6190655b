"""A sweep described in YAML: common fields, axes, linked axes, constraints.

    name: rom_and_buffer
    base: {accelerator: edge-32x32, dram.device: lpddr5-6400-x16}
    axes:
      trace: [deit_tiny_int8, deit_tiny_ssvq_k16d8]
      codebook.ports: 1..8 x2
      weight_buffer.capacity: 16 KiB..256 KiB x2
    linked:
      - {array.rows: [16, 32, 64], array.cols: [16, 32, 64]}
    constraints:
      - weight_buffer.capacity >= array.rows * array.cols

A constraint may also name `psum_bits_needed`: `array.psum_bits >= psum_bits_needed` drops points whose sums can overflow.

With `fit_codebook: true` each point's chip has the codebook that its trace asks for, as far as no axis and no `base` says otherwise.
`pictures` says the pictures to draw of the points that ran (see `picture_spec`).

`then` names a network, or several with ' + ' between them, that run with the trace: they take turns, or have a core each with
`control.core_split: networks`; null stands for none.

An axis goes over any field of an accelerator, over `accelerator`, `trace`, `then`, `frames`, `batch` and `seed`, over the format of the
trace (`format`, `format.k` and the like, see `format_axes`), or over a language model's step (see `step_axes`). The points are the
product of all axes; linked axes step together. The last axis moves fastest: axes, then linked groups, in the order of the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import prod
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from accelsim.accelerator import Accelerator
from accelsim.errors import ConfigError
from accelsim.presets import find_preset, preset_names, source_name
from accelsim.reading import read_yaml
from accelsim.records import Record, build, field_at, field_paths, unit_of
from accelsim.registry import KnownNames, suggest
from accelsim.sweeps.axis import axis_values
from accelsim.sweeps.columns import ACCURACY, NUMERIC
from accelsim.sweeps.expression import Expression, check_names, parse_expression
from accelsim.sweeps.format_axes import FORMAT, format_fields
from accelsim.sweeps.picture_spec import Picture
from accelsim.sweeps.step_axes import STEP_FIELDS

FOLDER, TECHNOLOGIES = "sweeps", "technology"
RUN_NAMES = ("accelerator", "trace", "then", "frames", "batch", "seed")  # axes besides the fields of an accelerator
THEN = "then"  # networks that run with the point's trace, as those of `accelsim run --then`
PSUM_BITS_NEEDED = "psum_bits_needed"  # in constraints: accumulator bits with which no sum of the point's trace can overflow
RUN_DEFAULTS: Mapping[str, int] = {"frames": 1, "batch": 1, "seed": 0}

_PARAMETER = re.compile(r"[A-Za-z_]\w*=[^,@]*$")  # 'd=8', what is left of an unquoted 'ssvq:k=16,d=8' in a list or in braces

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class SweepSpec(Record):
    """The fields of a sweep file, as written."""

    name: Name = Field(description="name of the sweep's store and files")
    description: str = Field(default="", max_length=10_000, description="one line for lists and reports")
    technology: Annotated[str, KnownNames(lambda: preset_names(TECHNOLOGIES), or_file=True)] = Field(
        default="nangate45", description="technology for area and energy"
    )
    base: dict[str, Any] = Field(default={}, description="field -> value, for all points")
    axes: dict[str, Any] = Field(default={}, description="field -> values: a list or a range")
    linked: tuple[dict[str, Any], ...] = Field(default=(), description="groups of axes that step together")
    constraints: tuple[str, ...] = Field(default=(), max_length=100, description="conditions that a point must meet")
    fit_codebook: bool = Field(default=False, description="true: each chip has the codebook that its trace asks for")
    pictures: tuple[Picture, ...] = Field(default=(), max_length=100, description="pictures to draw")


@dataclass(frozen=True)
class AxisGroup:
    """Axes that step together (one, if it is not linked): `steps[i]` gives the value of each at step i."""

    names: tuple[str, ...]
    steps: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Sweep:
    """A sweep that was checked.

    Attributes
    ----------
    source : its file, as messages name it
    base : field -> value common to all points
    groups : axes and linked axes; the last moves fastest
    fit_codebook : each chip has the codebook that its trace asks for, unless an axis or `base` says otherwise
    sha256 : identity of the sweep's points (not of its name, description and pictures)
    """

    source: str
    name: str
    description: str
    technology: str
    base: Mapping[str, Any]
    groups: tuple[AxisGroup, ...]
    constraints: tuple[Expression, ...]
    fit_codebook: bool
    pictures: tuple[Picture, ...]
    sha256: str

    @property
    def size(self) -> int:
        """Points before constraints."""
        return prod(len(group.steps) for group in self.groups)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of all axes, in order."""
        return tuple(name for group in self.groups for name in group.names)

    def group_of(self, axis: str) -> AxisGroup:
        """The axes that step together with `axis`, which is one of the sweep."""
        return next(group for group in self.groups if axis in group.names)

    def axis_title(self, axis: str) -> str:
        """The axis with the unit of its values where they are bare numbers: 'array.rows (PEs)'; '16 KiB' has its own."""
        group = self.group_of(axis)
        values = [step[group.names.index(axis)] for step in group.steps]
        field = field_at(Accelerator, axis)
        unit = unit_of(field) if field is not None else None
        bare = any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        return f"{axis} ({unit.name})" if unit is not None and bare and unit.name != axis.rpartition(".")[2] else axis

    def at(self, position: int) -> dict[str, Any]:
        """The value of each axis at a position in 0..size-1, as written."""
        steps: list[tuple[AxisGroup, int]] = []
        for group in reversed(self.groups):
            position, step = divmod(position, len(group.steps))
            steps.append((group, step))
        return {name: value for group, step in reversed(steps) for name, value in zip(group.names, group.steps[step], strict=True)}


def load_sweep(source: str | Mapping[str, Any]) -> Sweep:
    """The sweep of a preset's name, a YAML file or a mapping.

    Raises
    ------
    ConfigError
        Unreadable, an unknown field, an axis without values or given twice, linked axes of different length, a constraint that
        cannot be read, no accelerator or no trace: names the file, the field, the value and what is allowed.
    """
    if isinstance(source, str):
        path = find_preset(FOLDER, source, "sweep")
        where, fields = source_name(path), read_yaml(path)
        _check_braces(where, fields)
        return _located(where, build(SweepSpec, fields, where))
    return _located("sweep", build(SweepSpec, source, "sweep"))


def _check_braces(where: str, fields: Mapping[str, Any]) -> None:
    """ConfigError with a hint for values whose commas YAML took for those of the braces around them."""
    linked = fields.get("linked")
    for group in (fields.get("base"), fields.get("axes"), *(linked if isinstance(linked, list) else ())):
        for (name, written), (piece, nothing) in pairwise(group.items() if isinstance(group, dict) else ()):
            if nothing is None and (not isinstance(piece, str) or _PARAMETER.match(piece)):
                raise ConfigError(
                    f"{where}: `{name}`: {piece} is a piece of {written},{piece}: YAML parts what stands in braces at each comma; "
                    f"put a text in quotes, '{written},{piece}', and several values in brackets"
                )


def _located(where: str, spec: SweepSpec) -> Sweep:
    try:
        return _sweep(where, spec)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _sweep(source: str, spec: SweepSpec) -> Sweep:
    groups = [AxisGroup((name,), tuple((value,) for value in _values(name, written))) for name, written in spec.axes.items()]
    groups += [_linked(fields) for fields in spec.linked]
    names = [*spec.base, *(name for group in groups for name in group.names)]
    for index, name in enumerate(names):
        _check_name(name)
        if name in names[:index]:
            raise ConfigError(f"`{name}` is given twice; allowed: once in `base`, `axes` or `linked`")
    for name in ("accelerator", "trace"):
        if name not in names:
            raise ConfigError(f"there is no `{name}`: give one in `base`, or several in `axes`")
    constraints = tuple(parse_expression(text) for text in spec.constraints)
    known = {**known_names(), PSUM_BITS_NEEDED: None}
    for constraint in constraints:
        check_names(constraint, known.__contains__, list(known))
    _check_pictures(spec.pictures, [name for group in groups for name in group.names])
    asked = spec.model_dump(mode="json", exclude={"name", "description", "pictures"})
    return Sweep(
        source=source,
        name=spec.name,
        description=spec.description,
        technology=spec.technology,
        base=spec.base,
        groups=tuple(groups),
        constraints=constraints,
        fit_codebook=spec.fit_codebook,
        pictures=spec.pictures,
        sha256=hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest(),
    )


def _check_pictures(pictures: tuple[Picture, ...], axes: list[str]) -> None:
    """Every axis that a picture names is one of the sweep, and every figure per column of its store."""
    taken: list[str] = []
    for picture in pictures:
        where = f"picture `{picture.name}`"
        if picture.name in taken:
            raise ConfigError(f"{where}: the name is given twice")
        taken.append(picture.name)
        for name in picture.axes_named():
            if name not in axes:
                raise ConfigError(f"{where}: `{name}` is not an axis of the sweep{suggest(name, axes)}; allowed: {', '.join(axes)}")
        for name in picture.figures_named():
            if name not in (*NUMERIC, ACCURACY):
                raise ConfigError(f"{where}: there is no figure `{name}`{suggest(name, NUMERIC)}; allowed: a column that is a number")


def _values(name: str, written: Any) -> tuple[Any, ...]:
    """The values of an axis; ConfigError with a hint for a format whose commas YAML took for those of its list."""
    values = axis_values(name, written)
    for before, value in pairwise(values):
        if name in ("trace", FORMAT) and isinstance(value, str) and _PARAMETER.match(value) and ":" in str(before):
            raise ConfigError(
                f"axis `{name}`: {value!r} is a piece of {before},{value}: YAML parts a list in brackets at each comma; "
                f"put the whole in quotes: ['{before},{value}']"
            )
    return values


def _linked(fields: Mapping[str, Any]) -> AxisGroup:
    if not fields:
        raise ConfigError("linked: a group is empty; allowed: at least one axis")
    values = {name: _values(name, written) for name, written in fields.items()}
    lengths = {name: len(items) for name, items in values.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError(f"linked: axes that step together must have equally many values, have {lengths}")
    return AxisGroup(tuple(values), tuple(zip(*values.values(), strict=True)))


@cache
def known_names() -> dict[str, None]:
    """All that `base`, `axes` and `linked` may name, in order."""
    return dict.fromkeys((*RUN_NAMES, *format_fields(), *STEP_FIELDS, *field_paths(Accelerator)))


def _check_name(name: str) -> None:
    known = known_names()
    if name not in known:
        allowed = f"{', '.join(RUN_NAMES)}, format, format.NAME, step.NAME, or a field of an accelerator"
        raise ConfigError(f"there is no field `{name}` to set{suggest(name, known)}; allowed: {allowed}")
