"""Names of runs: in full, as short as tells several apart, and the part that all of them share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from accelsim.reading import parse_yaml
from accelsim.result import Result


def label(result: Result) -> str:
    """'ACCELERATOR:TRACE'."""
    return f"{result.accelerator_name}:{result.trace_name}"


def short_labels(results: Iterable[Result]) -> tuple[str, ...]:
    """The part of each label that tells the runs apart: the traces on one accelerator, the accelerators of one trace, or both.

    A chip that is another one of these with fields changed ('NAME+path=value') is named by the changes alone; of chips of one name, all but
    the first are such if the traces do not tell the runs apart.
    """
    runs = tuple(results)
    if len({item.accelerator for item in runs}) == 1:
        return tuple(item.trace_name for item in runs)
    names = _chip_names(runs)
    changes = [name[name.index("+") :] if "+" in name and name.partition("+")[0] in names else name for name in names]
    if len({item.trace_name for item in runs}) == 1 and len(set(names)) == len(runs):
        return tuple(changes)
    return tuple(f"{name}:{item.trace_name}" for name, item in zip(changes, runs, strict=True))


def common_label(results: Iterable[Result]) -> str:
    """The part of the labels that `short_labels` leaves out, the same in all runs; the whole label of a single run."""
    runs = tuple(results)
    if len(runs) == 1:
        return label(runs[0])
    if len({item.accelerator for item in runs}) == 1:
        return f"on {runs[0].accelerator_name}"
    traces = {item.trace_name for item in runs}
    return traces.pop() if len(traces) == 1 and len(set(_chip_names(runs))) == len(runs) else ""


def of_which_core(results: Iterable[Result]) -> str:
    """', of the core that ended last' where a run has several: whose cycles by category a picture shows; else ''."""
    return ", of the core that ended last" if any(item.cores for item in results) else ""


def _chip_names(runs: Sequence[Result]) -> list[str]:
    """Names of the chips; where two labels are alike, a chip with the name of one before and other fields is called 'NAME+path=value'."""
    if len({label(run) for run in runs}) == len(runs):
        return [run.accelerator_name for run in runs]
    first: dict[str, str] = {}
    names = []
    for run in runs:
        base = first.setdefault(run.accelerator_name, run.accelerator)
        changed = [] if base == run.accelerator else _changes(parse_yaml(base), parse_yaml(run.accelerator))
        names.append("".join([run.accelerator_name, *(f"+{path}={value}" for path, value in changed)]))
    return names


def _changes(base: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of each field in which a chip differs from another one, but for its description."""
    if not isinstance(other, Mapping):
        if base != other:
            yield path, "null" if other is None else other
        return
    for name, value in other.items():
        inner = base.get(name) if isinstance(base, Mapping) else None
        if path or name != "description":
            yield from _changes(inner, value, f"{path}.{name}" if path else str(name))
