"""Axes over the format of a trace: `format` (a kind, or KIND:name=value) and `format.NAME`, one of a format's parameters.

    axes: {trace: [deit_tiny_float], format: [ssvq, vq], format.k: [16, 64, 256], format.d: 4..16 x2}

The point's trace is NAME@FORMAT with these parameters, in place of those that NAME@FORMAT or `format` writes itself; null leaves one as it
is. Only a float trace has a format to choose, and nothing is encoded: such a point says nothing of the error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from accelsim.errors import ConfigError, FormatError
from accelsim.formats.catalog import format_kinds, format_module, parse_format
from accelsim.trace.trace_name import SIGN, TraceName

FORMAT = "format"
_DOT = f"{FORMAT}."


@cache
def format_fields() -> tuple[str, ...]:
    """`format` and `format.NAME` for every parameter of every format."""
    specs = [format_module(kind).SPEC for kind in format_kinds()]
    names = {name for spec in specs for name in spec.model_fields if name not in spec.unwritten}
    return (FORMAT, *(_DOT + name for name in sorted(names)))


def is_format_field(name: str) -> bool:
    """Whether `name` is `format` or `format.NAME`."""
    return name == FORMAT or name.startswith(_DOT)


def trace_in_format(trace: str, fields: Mapping[str, Any]) -> str:
    """`trace` with the format that `fields` (`format`, `format.NAME`) choose.

    Raises
    ------
    ConfigError
        A format for a trace that has one, a parameter without a format, or a value that is neither text nor a number.
    """
    given = {name: _text(name, value) for name, value in fields.items() if value is not None}
    if not given:
        return trace
    parts = TraceName.parse(trace)
    if FORMAT in given:
        if parts.format is not None:
            raise ConfigError(f"`{FORMAT}`: trace {trace!r} names its format; allowed: a trace without {SIGN}FORMAT")
        text = given.pop(FORMAT)
    elif parts.format is None:
        raise ConfigError(f"`{next(iter(given))}`: trace {trace!r} has no format; allowed: NAME{SIGN}FORMAT, or an axis `{FORMAT}`")
    else:
        text = parts.format
    kind, _, written = text.partition(":")
    parameters = dict(item.partition("=")[::2] for item in written.split(",") if item)
    parameters |= {name.removeprefix(_DOT): value for name, value in given.items()}
    text = kind + (":" + ",".join(f"{name}={value}" for name, value in parameters.items()) if parameters else "")
    return str(replace(parts, format=text))


def format_value(trace: str, name: str) -> Any:
    """`format` (the kind) or `format.NAME` of the trace NAME@FORMAT, for constraints; None where it has none."""
    try:
        parts = TraceName.parse(trace)
        spec = parse_format(parts.layers_and_format[1]) if parts.format is not None else None
    except FormatError:
        return None
    return spec.kind if spec is not None and name == FORMAT else getattr(spec and spec.quantizer, name.removeprefix(_DOT), None)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or (name != FORMAT and set(str(value)) & set(",=: ")):
        raise ConfigError(f"`{name}`: {value!r:.80} is not allowed; allowed: a whole number or text")
    return str(value)
