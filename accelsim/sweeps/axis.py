"""The values of an axis: a list as YAML writes it, or a range in one line.

    16..256 x2            16, 32, 64, 128, 256
    1..8 +1               1, 2, ..., 8
    16 KiB..256 KiB x2    16 KiB, 32 KiB, ..., 256 KiB ("16..256 KiB x2" is the same)

A range ends with its last value that does not exceed the second number; it grows, or it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from accelsim.errors import ConfigError
from accelsim.quantities import UNITS

MAX_VALUES = 10_000  # of one axis
_NUMBER = r"(\d+(?:\.\d+)?)\s*([A-Za-z/]*)"
_RANGE = re.compile(rf"^\s*{_NUMBER}\s*\.\.\s*{_NUMBER}\s+([x+])\s*(\d+(?:\.\d+)?)\s*$")


def axis_values(name: str, written: Any) -> tuple[Any, ...]:
    """The values of axis `name`, at least one.

    Raises
    ------
    ConfigError
        Neither a list nor a range, no value, a range that never ends, that falls, or that has too many values.
    """
    if isinstance(written, list):
        if not written:
            raise ConfigError(f"axis `{name}`: is empty; allowed: at least one value")
        if len(written) > MAX_VALUES:
            raise ConfigError(f"axis `{name}`: has {len(written)} values; allowed: at most {MAX_VALUES}")
        return tuple(written)
    if isinstance(written, str):
        match = _RANGE.match(written)
        if match is not None:
            return tuple(_range(name, written, match))
        if ".." in written:
            raise ConfigError(f"axis `{name}`: {written!r} is not a range; allowed: 'FIRST..LAST xFACTOR' or 'FIRST..LAST +STEP'")
    raise ConfigError(f"axis `{name}`: {written!r:.80} is not a list [a, b, ...] or a range such as '16..256 x2'; a single value: `base`")


def axis_text(value: Any) -> str:
    """A value of an axis as YAML writes it: null, true, 16 KiB."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _range(name: str, written: str, match: re.Match[str]) -> Iterator[Any]:
    first, first_unit, last, unit, sign, by = match.groups()
    where = f"axis `{name}`: range {written!r}"
    for given in (first_unit, unit):
        if given and given not in UNITS:
            raise ConfigError(f"{where}: {given!r} is not a unit; allowed: {', '.join(UNITS)}")
    if first_unit and not unit:
        raise ConfigError(f"{where}: the last value has no unit")
    scale = Fraction(UNITS[first_unit or unit], UNITS[unit]) if unit else Fraction(1)
    low, high, step = Fraction(first) * scale, Fraction(last), Fraction(by)
    if low > high:
        raise ConfigError(f"{where}: falls; allowed: a first value that is not above the last")
    if (sign == "x" and (step <= 1 or not low)) or (sign == "+" and step <= 0):
        raise ConfigError(f"{where}: never ends; allowed: a factor above 1 of a first value above 0, or a step above 0")
    if sign == "+" and (high - low) / step >= MAX_VALUES:
        raise ConfigError(f"{where}: has {int((high - low) / step) + 1} values; allowed: at most {MAX_VALUES}")
    count = 0
    while low <= high:
        if count == MAX_VALUES:
            raise ConfigError(f"{where}: has more than {MAX_VALUES} values")
        yield _written(low, unit)
        low = low * step if sign == "x" else low + step
        count += 1


def _written(value: Fraction, unit: str) -> Any:
    """A number as YAML would have given it; with a unit, as text."""
    number: int | float = int(value) if value.denominator == 1 else float(value)
    return f"{number} {unit}" if unit else number
