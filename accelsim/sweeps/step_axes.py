"""Axes over the step of a language model: `step.tokens`, `step.context` and `step.cache_bits`.

    axes: {trace: ['llama_1b_float@ssvq:k=256,d=8'], step.context: [128, 2048, 8192]}

The point's trace is NAME@step:... with these numbers, in place of those that the name writes itself; null leaves one as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from accelsim.errors import ConfigError, TraceError
from accelsim.trace.trace_name import STEP, STEP_DEFAULTS, TraceName, parse_step, step_text

_DOT = f"{STEP}."
STEP_FIELDS = tuple(_DOT + name for name in STEP_DEFAULTS)


def is_step_field(name: str) -> bool:
    """Whether `name` is one of STEP_FIELDS."""
    return name.startswith(_DOT)


def trace_at_step(trace: str, fields: Mapping[str, Any]) -> str:
    """`trace` at the step that `fields` choose.

    Raises
    ------
    ConfigError
        A value that is no whole number.
    TraceError
        A step of the trace's own that cannot be read.
    """
    given = {name.removeprefix(_DOT): _number(name, value) for name, value in fields.items() if value is not None}
    if not given:
        return trace
    parts = TraceName.parse(trace)
    written = parse_step(parts.step) if parts.step is not None else {}
    return str(replace(parts, step=step_text({**STEP_DEFAULTS, **written, **given})))


def step_value(trace: str, name: str) -> int | None:
    """A number of the step of a trace's name, for constraints; None where it has none."""
    step = TraceName.parse(trace).step
    try:
        return None if step is None else parse_step(step)[name.removeprefix(_DOT)]
    except TraceError:
        return None


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"`{name}`: {value!r:.80} is not allowed; allowed: a whole number")
    return value
