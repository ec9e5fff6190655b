"""The items of a comparison as text: ACCEL:TRACE, in which a part left out is that of the first, and NAME+path=value for a changed chip."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.accelerator import Accelerator
from accelsim.api.inputs import Overrides, Warn, accelerator_of, as_warning, fitted, override_texts
from accelsim.api.trace import trace_of
from accelsim.errors import ConfigError
from accelsim.trace.trace import Trace

MAX_NAME = 100  # characters of an accelerator's name


def pairs(items: Sequence[str]) -> list[tuple[str, str]]:
    """(accelerator, trace) of each ACCEL:TRACE; ':TRACE', 'TRACE' and 'ACCEL:' take the missing part from the first item.

    An accelerator may carry changes, 'NAME+codebook.ports=4'; '+codebook.ports=4:' changes the first one.

    Raises
    ------
    ConfigError
        Fewer than two items, or a first one that is not ACCEL:TRACE.
    """
    if len(items) < 2:
        raise ConfigError(f"compare needs a baseline and at least one other ACCEL:TRACE; given: {', '.join(items) or 'nothing'}")
    first_accel, _, first_trace = items[0].partition(":")
    if not first_accel or not first_trace:
        raise ConfigError(f"the first item of compare must be ACCEL:TRACE; given: {items[0]!r}")
    out = [(first_accel, first_trace)]
    for item in items[1:]:
        accel, colon, trace = item.partition(":")
        if "@" in accel:  # the colon is that of TRACE@FORMAT
            accel, colon, trace = "", "", item
        elif accel.startswith("+"):
            accel, colon = first_accel.partition("+")[0] + accel, ":"
        out.append((accel or first_accel, trace or first_trace) if colon else (first_accel, item))
    return out


def load_pairs(
    items: Sequence[str], overrides: Overrides | None = None, *, fit: bool = False, warn: Warn = as_warning
) -> list[tuple[Accelerator, Trace]]:
    """The chips and networks of the items; `overrides` hold for all chips, before the changes that an item carries.

    Raises
    ------
    ConfigError, TraceError
        As `pairs`, `accelerator_of` and `trace_of`.
    """
    return [_load(accel, trace, override_texts(overrides), fit, warn) for accel, trace in pairs(items)]


def _load(accel: str, trace: str, overrides: list[str], fit: bool, warn: Warn) -> tuple[Accelerator, Trace]:
    """The changes are part of the chip's name."""
    name, *changes = accel.split("+")
    machine, network = accelerator_of(name, [*overrides, *changes], warn), trace_of(trace)
    machine = fitted(machine, network) if fit else machine
    if not changes:
        return machine, network
    label = "+".join([machine.name, *changes])
    return machine.with_fields(name=label if len(label) <= MAX_NAME else f"{label[: MAX_NAME - 1]}…"), network
