"""The parts of a trace's name: `llama_1b_float@ssvq:k=256,d=8@step:context=2047` is a model, a format of its weights, and a step.

A format may name the layers that take it, the others keep 8 bits: `llama_1b_float@*=ssvq:k=256,d=8`. The parts are text; what reads
them decides what they may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.errors import TraceError
from accelsim.registry import suggest

SIGN = "@"
STEP = "step"
STEP_DEFAULTS: Mapping[str, int] = {"tokens": 1, "context": 0, "cache_bits": 8}
MOST_TOKENS = 1 << 20


@dataclass(frozen=True)
class TraceName:
    """A name in its parts.

    Attributes
    ----------
    source : of the trace that is stored, or its directory
    format : FORMAT, or LAYERS=FORMAT; None for the trace's own
    step : `step:tokens=1,context=99`; None for the trace's own tokens
    """

    source: str
    format: str | None = None
    step: str | None = None

    @classmethod
    def parse(cls, text: str) -> TraceName:
        """The parts of a text: NAME, NAME@FORMAT, and with or without a format NAME@step:..."""
        rest, sign, last = text.rpartition(SIGN)
        step = None
        if sign and last.partition(":")[0] == STEP:
            text, step = rest, last
        source, sign, form = text.rpartition(SIGN)
        return cls(source, form, step) if sign else cls(text, None, step)

    def __str__(self) -> str:
        return SIGN.join(part for part in (self.source, self.format, self.step) if part is not None)

    @property
    def layers_and_format(self) -> tuple[str | None, str]:
        """(pattern of the layers' names or None, format) of a name that has a format."""
        text = self.format or ""
        pattern, equals, form = text.partition("=")
        return (pattern, form) if equals and ":" not in pattern else (None, text)


def parse_step(text: str) -> dict[str, int]:
    """The fields of a step, `step:tokens=1,context=99`, those that are not given at their defaults.

    Raises
    ------
    TraceError
        A field that no step has, is given twice, or is not a whole number in its range.
    """
    found: dict[str, int] = {}
    _, colon, rest = text.partition(":")
    for item in rest.split(",") if colon else ():
        name, equals, value = (part.strip() for part in item.partition("="))
        if name not in STEP_DEFAULTS:
            raise TraceError(f"{text!r}: a step has no field {name!r}; known: {', '.join(STEP_DEFAULTS)}{suggest(name, STEP_DEFAULTS)}")
        if name in found:
            raise TraceError(f"{text!r}: {name!r} is given twice")
        if not (equals and value.isascii() and value.isdigit() and len(value) <= len(str(MOST_TOKENS))):
            raise TraceError(f"{text!r}: {name} has value {value!r}; allowed: a whole number up to {MOST_TOKENS:,}")
        found[name] = int(value)
    return {**STEP_DEFAULTS, **found}


def step_text(fields: Mapping[str, int]) -> str:
    """The text that `parse_step` reads; a cache of 8 bits goes without saying."""
    return f"{STEP}:" + ",".join(f"{name}={value}" for name, value in fields.items() if (name, value) != ("cache_bits", 8))
