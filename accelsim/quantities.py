"""Quantities with units, converted to integers: bytes, picoseconds, hertz, bytes per second.

Binary prefixes (KiB, MiB, GiB) are powers of 1024, decimal ones (kB, MB, GB) powers of 1000, as IEC 80000-13 has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from accelsim.wording import shown

# At most 40 digits before and behind the point and two in the exponent: more than any field takes, and exact arithmetic stays quick.
_NUMBER = re.compile(r"^\s*([+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?)\s*([A-Za-z/]*)\s*$")

_BYTES = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PS = {"ps": 1, "ns": 10**3, "us": 10**6, "ms": 10**9, "s": 10**12}
_HZ = {"": 1, "Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
_BYTES_PER_S = {"B/s": 1, "kB/s": 10**3, "MB/s": 10**6, "GB/s": 10**9, "KiB/s": 2**10, "MiB/s": 2**20, "GiB/s": 2**30}

# Every unit by its name: no name means two things.
UNITS = {name: scale for table in (_BYTES, _PS, _HZ, _BYTES_PER_S) for name, scale in table.items() if name}


def _parse(value: object, units: dict[str, int], what: str) -> int:
    """Return `value` in the base unit of `units`; ValueError (pydantic turns it into a message with the field) if it is not exact."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{shown(value)} is not {what}")
    if isinstance(value, str):
        match = _NUMBER.match(value)
        if match is None:
            raise ValueError(f"{shown(value)} is not {what}; allowed: a number and one of {_names(units)}")
        number, unit = Fraction(match.group(1)), match.group(2)
    else:
        try:
            number, unit = Fraction(value), ""
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{shown(value)} is not {what}") from error
    if unit not in units:
        raise ValueError(f"{shown(value)} has unit {unit!r}, which is not one of {what}; allowed: {_names(units)}")
    scaled = number * units[unit]
    if scaled.denominator != 1:
        raise ValueError(f"{shown(value)} is not a whole number of the smallest unit of {what}")
    return int(scaled)


def _names(units: dict[str, int]) -> str:
    return ", ".join(unit for unit in units if unit)


def parse_bytes(value: object) -> int:
    """'64 KiB' -> 65536 bytes."""
    return _parse(value, _BYTES, "a size in bytes")


def _parse_bytes_or_none(value: object) -> int | None:
    return None if value is None else parse_bytes(value)


def parse_ps(value: object) -> int:
    """'1.25 ns' -> 1250 ps. A bare number is refused unless it is 0: times have too many customary units."""
    if value == 0 and not isinstance(value, bool):
        return 0
    return _parse(value, _PS, "a time")


def parse_hz(value: object) -> int:
    """'800 MHz' -> 800,000,000 Hz."""
    return _parse(value, _HZ, "a frequency")


def _parse_hz_or_none(value: object) -> int | None:
    return None if value is None else parse_hz(value)


def parse_bytes_per_s(value: object) -> int:
    """'0.4 GB/s' -> 400,000,000 bytes per second. A bare number is refused unless it is 0."""
    if value == 0 and not isinstance(value, bool):
        return 0
    return _parse(value, _BYTES_PER_S, "a bandwidth")


@dataclass(frozen=True)
class Unit:
    """The unit of a field, as metadata of its type.

    Attributes
    ----------
    name : as a person reads it: "bytes", "cycles"
    scales : units that a file may write behind the number; empty if it writes the number alone
    """

    name: str
    scales: Mapping[str, int] | None = None

    def written(self, value: int) -> int | str:
        """The value as a person writes it in a file, exactly: 65536 bytes -> '64 KiB'."""
        if not self.scales or not value:
            return value
        scale, largest = max((scale, name) for name, scale in self.scales.items() if name and value % scale == 0)
        return f"{value // scale} {largest}"

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A number, or text with one of the units."""
        plain = handler(schema)
        if not self.scales:
            return plain
        bare = plain if "" in self.scales else {**plain, "const": 0}
        names = "|".join(re.escape(name) for name in self.scales if name)
        text = rf"^\s*\+?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*({names}){'?' if '' in self.scales else ''}\s*$"
        return {"anyOf": [bare, {"type": "string", "pattern": text}]}


def unit(name: str) -> Unit:
    """The unit of a field that a file gives as a bare number: `rows: Annotated[int, unit("PEs")]`."""
    return Unit(name)


Bytes = Annotated[int, BeforeValidator(parse_bytes), Unit("bytes", _BYTES)]
BytesOrNone = Annotated[int | None, BeforeValidator(_parse_bytes_or_none), Unit("bytes", _BYTES)]
Picoseconds = Annotated[int, BeforeValidator(parse_ps), Unit("ps", _PS)]
Hertz = Annotated[int, BeforeValidator(parse_hz), Unit("Hz", _HZ)]
HertzOrNone = Annotated[int | None, BeforeValidator(_parse_hz_or_none), Unit("Hz", _HZ)]
BytesPerSecond = Annotated[int, BeforeValidator(parse_bytes_per_s), Unit("B/s", _BYTES_PER_S)]
Cycles = Annotated[int, Unit("cycles")]
Bits = Annotated[int, Unit("bits")]

PS_PER_S = 10**12


def edge_ps(cycle: int, clock_hz: int) -> int:
    """Time of clock edge `cycle`: ceil(cycle * 10^12 / clock_hz) picoseconds."""
    return -(-cycle * PS_PER_S // clock_hz)


def cycle_at(time_ps: int, clock_hz: int) -> int:
    """First cycle whose edge is at or after `time_ps` (the inverse of edge_ps, rounded up)."""
    return -(-(time_ps * clock_hz - clock_hz + 1) // PS_PER_S) if time_ps > 0 else 0


def human_bytes(value: int) -> str:
    """5308416 -> '5.06 MiB'."""
    size = float(value)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} GiB"
