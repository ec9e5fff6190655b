"""Shell completion of names: presets, traces, technologies, formats, devices, fields.

A path is the shell's own business: where no name fits, it completes files. Bash parts words at ':', '=' and '@'; here they are put
together again, and the part that bash already has is dropped.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout

import typer

from accelsim.cli.names import accelerator_paths, field_paths, kinds, parameters
from accelsim.errors import ConfigError
from accelsim.presets import REFERENCES, TRACES, preset_names
from accelsim.reference.kinds import KINDS
from accelsim.trace.trace_name import STEP_DEFAULTS

INSTRUCTION = "_ACCELSIM_COMPLETE"
_BREAKS = re.compile(r"[:=@]+")
_STEPS = tuple(f"step:{name}=" for name in STEP_DEFAULTS)
_IDEAL = "ideal"  # the DRAM device without a file


def presets(kind: str) -> Callable[[str], list[str]]:
    """The completion of presets of a kind."""
    return lambda incomplete: _starting(incomplete, _known(kind))


def references(kind: str) -> Callable[[str], list[str]]:
    """The completion of reference figures for one part of the model."""
    return presets(f"{REFERENCES}/{kind}")


def choices(*names: str) -> Callable[[str], list[str]]:
    """The completion of a fixed set of names."""
    return lambda incomplete: _starting(incomplete, names)


def formats(incomplete: str) -> list[str]:
    """KIND, then KIND:name= for each parameter that is not given yet."""
    kind, colon, rest = incomplete.partition(":")
    if not colon:
        return _starting(incomplete, kinds("formats"))
    given, comma, _ = rest.rpartition(",")
    taken = {item.partition("=")[0] for item in given.split(",")}
    return _starting(incomplete, (f"{kind}:{given}{comma}{name}=" for name in parameters(kind) if name not in taken))


def traces(incomplete: str) -> list[str]:
    """Names of traces; after NAME@ the formats and the step."""
    name, sign, text = incomplete.rpartition("@")
    if sign:
        return [f"{name}@{item}" for item in (*formats(text), *_starting(text, _STEPS))]
    return _starting(incomplete, _known(TRACES))


def overrides(incomplete: str) -> list[str]:
    """PATH= of each field of an accelerator; after dram.device= the devices."""
    path, equals, text = incomplete.partition("=")
    if equals:
        return [f"{path}={item}" for item in _starting(text, (*_known("dram"), _IDEAL))] if path == "dram.device" else []
    return _starting(incomplete, (f"{item}=" for item in accelerator_paths()))


def described_fields(incomplete: str) -> list[str]:
    """Fields and groups of an accelerator, kinds of files, and after KIND. the fields of that kind."""
    kind, dot, rest = incomplete.partition(".")
    file = KINDS.get(kind)
    inside = [f"{kind}.{path}" for path in field_paths(file.module, file.record) if path.startswith(rest)] if file and dot else []
    values = accelerator_paths()
    groups = {path.rpartition(".")[0] for path in values} - {""}
    return [*dict.fromkeys([*_starting(incomplete, [*values, *sorted(groups), *KINDS]), *inside])]


def pairs(incomplete: str) -> list[str]:
    """ACCEL:, ACCEL:TRACE, and what `compare` takes besides: TRACE alone, ACCEL+PATH=."""
    accel, colon, trace = incomplete.partition(":")
    if "@" in accel:
        return traces(incomplete)
    if colon:
        return [f"{accel}:{item}" for item in traces(trace)]
    name, plus, change = accel.rpartition("+")
    if plus:
        return [f"{name}+{item}" for item in overrides(change)]
    return [*_starting(incomplete, (f"{item}:" for item in _known("accelerators"))), *traces(incomplete)]


def _known(kind: str) -> list[str]:
    """Names of presets; none where ACCELSIM_PATH is wrong, which is for the command to say, not for a completion."""
    try:
        return preset_names(kind)
    except ConfigError:
        return []


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


@contextmanager
def bash_words() -> Iterator[None]:
    """While a completion for bash is answered: the words as they were typed, and an answer without the part before the last break."""
    if os.environ.get(INSTRUCTION) != "complete_bash":
        yield
        return
    words, current = joined(os.environ.get("COMP_WORDS", "").split("\n"), int(os.environ.get("COMP_CWORD", "0")))
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(current)
    word = words[current] if current < len(words) else ""
    value = word.partition("=")[2] if word.startswith("--") else word
    breaks = list(_BREAKS.finditer(value))
    has = value[: breaks[-1].end()] if breaks else ""
    answer = io.StringIO()
    try:
        with redirect_stdout(answer):
            yield
    finally:
        for line in answer.getvalue().splitlines():
            typer.echo(line.removeprefix(has))


def joined(words: list[str], current: int) -> tuple[list[str], int]:
    """Words that bash split at ':', '=' or '@', put together: (['compare', 'a', ':', 't'], 3) -> (['compare', 'a:t'], 1)."""
    out: list[str] = []
    place = current
    sticks = False
    for index, word in enumerate(words):
        breaks = _BREAKS.fullmatch(word) is not None
        if out and (sticks or breaks):
            out[-1] += word
            place -= index <= current
        else:
            out.append(word)
        sticks = breaks
    return out, place
