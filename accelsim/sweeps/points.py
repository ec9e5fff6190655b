"""The points of a sweep, one after the other: configurations built and checked, constraints applied, each with its run id.

A point that a constraint refuses is dropped; one with an impossible configuration is invalid. If both hold, it is dropped if
the constraint can be evaluated on the valid parts of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from accelsim.accelerator import Accelerator, read_accelerator, set_field
from accelsim.compiler.accumulator_range import most_accumulator_bits
from accelsim.compiler.codebook_fit import codebook_fields
from accelsim.compression.open_trace import open_trace
from accelsim.errors import AccelsimError, ConfigError, FormatError
from accelsim.provenance import run_id
from accelsim.records import build
from accelsim.sweeps.expression import Expression
from accelsim.sweeps.format_axes import format_value, is_format_field, trace_in_format
from accelsim.sweeps.spec import PSUM_BITS_NEEDED, RUN_DEFAULTS, RUN_NAMES, THEN, Sweep
from accelsim.sweeps.step_axes import is_step_field, step_value, trace_at_step
from accelsim.trace.trace import Trace

MAX_COUNT = 1024  # frames and batch, as the compiler allows
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Point:
    """One simulation to be done.

    Attributes
    ----------
    position : in the sweep's product, from 0
    run_id : of accelerator, trace and options; two points with one run id are one run
    trace : as the sweep names it, with the format and the step of its axes; trace_sha256 : what it must be when it is loaded to run
    then : (name, SHA-256) of each network that runs with it
    axes : axis -> its value here, as the loaded configuration holds it (bytes, ps, Hz as integers)
    """

    position: int
    run_id: str
    accelerator: Accelerator
    trace: str
    trace_sha256: str
    frames: int
    batch: int
    seed: int
    axes: Mapping[str, Any]
    then: tuple[tuple[str, str], ...] = ()

    @property
    def networks(self) -> tuple[tuple[str, str], ...]:
        """(name, SHA-256) of every network of the run, in order."""
        return ((self.trace, self.trace_sha256), *self.then)


@dataclass(frozen=True)
class Dropped:
    """A point that a constraint refuses."""

    position: int
    constraint: str


@dataclass(frozen=True)
class Invalid:
    """A point with an invalid configuration: its axes as written, and the reason."""

    position: int
    axes: Mapping[str, Any]
    message: str


Candidate = Point | Dropped | Invalid


def expand(sweep: Sweep) -> Iterator[Candidate]:
    """Every point of `sweep`, in order, made when it is asked for.

    Raises
    ------
    ConfigError, TraceError
        An accelerator or trace that cannot be read, or a constraint that has no meaning at a point: the sweep itself is wrong.
    """
    for cached in (_fields, _trace):
        cached.cache_clear()  # a file that was edited since the last sweep of this process is read again
    for position in range(sweep.size):
        yield candidate(sweep, position)


def candidate(sweep: Sweep, position: int) -> Candidate:
    """The point at `position`; raises as `expand`."""
    try:
        return _candidate(sweep, position)
    except AccelsimError as error:
        raise type(error)(f"{sweep.source}: {error}") from error


def _candidate(sweep: Sweep, position: int) -> Candidate:
    written = {**sweep.base, **sweep.at(position)}
    run = {**RUN_DEFAULTS, **{name: written.pop(name) for name in RUN_NAMES if name in written}}
    formats = {name: written.pop(name) for name in list(written) if is_format_field(name)}
    steps = {name: written.pop(name) for name in list(written) if is_step_field(name)}
    name, trace, problem = _trace_and_problem(_text("trace", run["trace"]), formats, steps)
    others = {other: _trace(other) for other in _others(run.get(THEN))}
    options = {name: _count(name, run[name]) for name in RUN_DEFAULTS}
    chip = _text("accelerator", run["accelerator"])
    if sweep.fit_codebook and trace is not None:
        written = {**_codebook(chip, name), **written}
    accelerator, fields, wrong = _chip(chip, written, sweep.source)
    for constraint in sweep.constraints:
        stated = {
            **run,
            **{path: format_value(name, path) for path in constraint.paths if is_format_field(path)},
            **{path: step_value(name, path) for path in constraint.paths if is_step_field(path)},
        }
        if not _holds(constraint, stated, accelerator, fields, None if trace is None else (trace, *others.values())):
            return Dropped(position, constraint.text)
    if accelerator is None or trace is None:
        return Invalid(position, sweep.at(position), f"{sweep.source}: {problem}" if problem else wrong)
    plain = {**run, **formats, **steps}  # axes that are no field of the accelerator
    return Point(
        position=position,
        run_id=run_id(accelerator, (trace, *others.values()), options),
        accelerator=accelerator,
        trace=name,
        trace_sha256=trace.sha256,
        then=tuple((other, loaded.sha256) for other, loaded in others.items()),
        **options,
        axes={axis: plain[axis] if axis in plain else _plain(field_at(accelerator, axis)) for axis in sweep.axes},
    )


def _chip(chip: str, written: Mapping[str, Any], sweep: str) -> tuple[Accelerator | None, Mapping[str, Any], str]:
    """(chip, its fields, problem) with the fields that a sweep gives: a mistake is the sweep's unless the chip's file alone has it."""
    alone, where = _fields(chip)
    fields = alone
    try:
        for path, value in written.items():
            fields = set_field(fields, path, value)
    except ConfigError as error:
        return None, fields, f"{sweep} with {where}: {error}"
    accelerator, message = _built(fields, where)
    if accelerator is None and not set(message.splitlines()) <= set(_built(alone, where)[1].splitlines()):
        message = _built(fields, f"{sweep} with {where}")[1]
    return accelerator, fields, message


def _built(fields: Mapping[str, Any], where: str) -> tuple[Accelerator | None, str]:
    """(accelerator, "") of its fields, or (None, the message about them)."""
    try:
        return build(Accelerator, fields, where), ""
    except ConfigError as error:
        return None, str(error)


def field_at(accelerator: Accelerator, path: str) -> Any:
    """The value at a dotted path; None below a group that is absent."""
    value: Any = accelerator
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _holds(
    constraint: Expression,
    run: Mapping[str, Any],
    accelerator: Accelerator | None,
    fields: Mapping[str, Any],
    traces: tuple[Trace, ...] | None,
) -> bool:
    """Whether a point meets a constraint; of an invalid configuration, as far as its parts can tell."""
    if accelerator is not None and traces is not None:
        whole, loaded = accelerator, traces
        derived = {PSUM_BITS_NEEDED: lambda: most_accumulator_bits(whole.array, loaded)}
        return constraint.holds(
            lambda path: derived[path]() if path in derived else run[path] if path in run else _plain(field_at(whole, path))
        )
    try:
        return constraint.holds(lambda path: run[path] if path in run else _part(fields, path))
    except ConfigError:
        return True  # the invalid configuration is what is reported


def _part(fields: Mapping[str, Any], path: str) -> Any:
    """The value at a path of an inconsistent configuration: its first part is read alone."""
    if path == PSUM_BITS_NEEDED:
        raise ConfigError("the bits that sums need are those of a whole configuration")
    first, _, rest = path.partition(".")
    info = Accelerator.model_fields[first]
    try:
        value = _reader(first).validate_python(fields[first]) if first in fields else info.get_default(call_default_factory=True)
    except ValidationError as error:
        raise ConfigError(f"field `{first}` is wrong") from error
    for name in rest.split(".") if rest else ():
        value = getattr(value, name, None)
    return _plain(value)


@cache
def _reader(field: str) -> TypeAdapter[Any]:
    """Parser of a single field of an accelerator."""
    info = Accelerator.model_fields[field]
    return TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type]  # a type made at run time


@lru_cache(maxsize=64)
def _fields(source: str) -> tuple[Mapping[str, Any], str]:
    return read_accelerator(source)


@lru_cache(maxsize=64)
def _trace(name: str) -> Trace:
    return open_trace(name)


def _trace_and_problem(name: str, formats: Mapping[str, Any], steps: Mapping[str, Any]) -> tuple[str, Trace | None, str]:
    """(name, trace, problem) of a trace in the format and at the step of its axes: one that does not fit concerns its points only."""
    if not formats and not steps:
        return name, _trace(name), ""
    try:
        name = trace_at_step(trace_in_format(name, formats), steps)
    except ConfigError as error:
        return name, None, str(error)
    try:
        return name, _trace(name), ""
    except FormatError as error:
        return name, None, str(error)


@lru_cache(maxsize=1024)
def _codebook(accelerator: str, trace: str) -> Mapping[str, Any]:
    """The codebook that a trace needs on a chip."""
    fields, where = _fields(accelerator)
    return codebook_fields(build(Accelerator, fields, where), _trace(trace))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"`{name}`: {value!r:.80} is not the name of one")
    return value


def _others(value: Any) -> list[str]:
    """The networks that `then` names: 'a + b' are two, null is none."""
    if value is None:
        return []
    names = [name.strip() for name in value.split(" + ")] if isinstance(value, str) else []
    if not names or not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"`{THEN}`: {value!r:.80} names no networks; allowed: a name, several as 'a + b', each once, or null")
    return names


def _count(name: str, value: Any) -> int:
    low, high = (0, MAX_SEED) if name == "seed" else (1, MAX_COUNT)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"`{name}`: {value!r:.80} is not allowed; allowed: {low}..{high}")
    return value
