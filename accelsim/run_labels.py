"""Names of runs: in full, as short as tells several apart, and the part that all of them share."""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.result import Result


def label(result: Result) -> str:
    """'ACCELERATOR:TRACE'."""
    return f"{result.accelerator_name}:{result.trace_name}"


def short_labels(results: Iterable[Result]) -> tuple[str, ...]:
    """The part of each label that tells the runs apart: the traces on one accelerator, the accelerators of one trace, or both.

    A chip that is another one of these with fields changed ('NAME+path=value') is named by the changes alone.
    """
    runs = tuple(results)
    if len({item.accelerator for item in runs}) == 1:
        return tuple(item.trace_name for item in runs)
    names = [item.accelerator_name for item in runs]
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
    return traces.pop() if len(traces) == 1 and len({item.accelerator_name for item in runs}) == len(runs) else ""
