"""A field of a chip that a calibration may change, within bounds.

A search moves on one axis from 0 (lower bound) to 1 (upper bound), logarithmic where the lower bound is positive: a bandwidth of 0.1 to
10 GB/s is searched by factors, an overhead of 0 to 10,000 cycles by differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from accelsim.accelerator import Accelerator, build_accelerator, set_field
from accelsim.errors import ConfigError
from accelsim.records import unit_of

FACTOR = 10  # default bounds: a tenth of the file's value and ten times it
FEWEST_VALUES = 100  # whole numbers between the bounds: with fewer, a search by slopes finds none


@dataclass(frozen=True)
class Parameter:
    """A fitted field.

    Attributes
    ----------
    path : dotted, as `--set` takes it
    scales : units that its file may write, with their sizes; empty for a bare number
    start, low, high : the file's value and the bounds, in the smallest unit
    """

    path: str
    scales: Mapping[str, int]
    start: int
    low: int
    high: int

    def at(self, place: float) -> int:
        """The value at a place of the axis, 0 to 1; outside, the nearer bound."""
        inside = min(max(place, 0.0), 1.0)
        value = self.low * (self.high / self.low) ** inside if self.low else inside * self.high
        return min(max(round(value), self.low), self.high)

    def place(self, value: int) -> float:
        """The place of a value on the axis."""
        return math.log(value / self.low) / math.log(self.high / self.low) if self.low else value / self.high

    def written(self, value: int) -> int | str:
        """The value as its file writes it, exactly."""
        smallest = next((name for name, size in self.scales.items() if name and size == 1), "")
        return f"{value} {smallest}" if smallest else value

    def shown(self, value: int) -> str:
        """The value for a person: in the largest unit that leaves one digit before the point."""
        units = [(size, name) for name, size in self.scales.items() if size <= max(value, 1) and not name.endswith("iB/s")]
        size, name = max(units, default=(1, ""))
        return f"{value / size:,.4g} {name}" if name else f"{value:,}"


def parse_parameters(text: str, fields: Mapping[str, Any], where: str) -> tuple[Parameter, ...]:
    """The parameters of 'dram.bandwidth,clock=500 MHz..2 GHz'.

    Raises
    ------
    ConfigError
        An unknown field, one that is no whole number, a bound that the field does not allow, or an interval too narrow to search.
    """
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise ConfigError(f"--fit {text!r}: allowed: fields of the chip with commas between them, each with =LOW..HIGH if need be")
    found = tuple(_parse(item, fields, where) for item in items)
    paths = [parameter.path for parameter in found]
    for path in paths:
        if paths.count(path) > 1:
            raise ConfigError(f"--fit: field `{path}` is given twice")
    return found


def apply(fields: Mapping[str, Any], parameters: Sequence[Parameter], values: Sequence[int]) -> dict[str, Any]:
    """A chip's fields with the parameters at these values."""
    out = dict(fields)
    for parameter, value in zip(parameters, values, strict=True):
        out = set_field(out, parameter.path, parameter.written(value))
    return out


def _parse(item: str, fields: Mapping[str, Any], where: str) -> Parameter:
    path, equals, interval = (part.strip() for part in item.partition("="))
    scales, start = _read(path, build_accelerator(fields, where))
    bounds = tuple(bound.strip() for bound in interval.split(".."))
    if equals and (len(bounds) != 2 or not all(bounds)):
        raise ConfigError(f"--fit {item!r}: bounds have the form {path}=LOW..HIGH")
    if not equals and not start:
        raise ConfigError(f"--fit {path}: its value in the file is 0, so its bounds must be given: {path}=LOW..HIGH")
    if equals:
        low, high = (_read(path, build_accelerator(set_field(fields, path, bound), f"--fit {item}"))[1] for bound in bounds)
    else:
        low, high = max(start // FACTOR, 1), start * FACTOR
    parameter = Parameter(path, scales, start, low, high)
    if high - low < FEWEST_VALUES:
        few = f"has {max(high - low + 1, 0)} values between its bounds; allowed: at least {FEWEST_VALUES}"
        raise ConfigError(f"--fit {item}: {few} (a field of few values is a sweep's axis)")
    if not low <= start <= high:
        raise ConfigError(f"--fit {item}: its value in the file, {parameter.shown(start)}, is outside of its bounds")
    return parameter


def _read(path: str, accelerator: Accelerator) -> tuple[Mapping[str, int], int]:
    """Units and value of a field; ConfigError unless it is a whole number."""
    here: Any = accelerator
    field = None
    for name in path.split("."):
        if not isinstance(here, BaseModel) or name not in type(here).model_fields:
            raise ConfigError(f"--fit: the chip has no field `{path}` (accelsim describe accelerator lists them)")
        field, here = type(here).model_fields[name], getattr(here, name)
    if isinstance(here, bool) or not isinstance(here, int) or field is None:
        raise ConfigError(f"--fit: field `{path}` is no whole number, so it cannot be fitted")
    unit = unit_of(field)
    return (unit.scales or {}) if unit is not None else {}, here
