"""Run networks on a chip; the command line's `run` and `compare` call the same function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelsim import simulation
from accelsim.accelerator import Accelerator
from accelsim.api.checks import check_flags, count_of, wrong_type
from accelsim.api.display import watched
from accelsim.api.inputs import AcceleratorLike, Overrides, accelerator_of, fitted
from accelsim.api.result import Result
from accelsim.api.trace import TraceLike, trace_of
from accelsim.presets import TRACES, presets
from accelsim.progress import Progress
from accelsim.result import Result as RunRecord
from accelsim.trace import trace as core

MOST = 1024  # frames, or images of a batch


def simulate(
    accelerator: AcceleratorLike,
    trace: TraceLike,
    *,
    then: Sequence[TraceLike] = (),
    set: Overrides | None = None,
    fit_codebook: bool = False,
    frames: int = 1,
    batch: int = 1,
    seed: int = 0,
    what_if: bool = False,
    functional: bool = False,
    progress: bool | Progress = False,
) -> Result:
    """Run a network on a chip, cycle by cycle.

    Parameters
    ----------
    accelerator : a preset's name, a YAML file, a mapping of fields, or an `Accelerator`
    trace : a name, a trace's directory, NAME@FORMAT, or a `Trace`
    then : other networks that take turns with the first on the same chip; with `control.core_split: networks` each has a core of its own
    set : fields of the chip to override: {'codebook.ports': 2} or ['codebook.ports=2']
    fit_codebook : give the chip the codebook that the trace asks for
    frames, batch : inferences of each network, one after the other, and images per inference, 1 to 1,024
    seed : of the values that a trace leaves open
    what_if : also simulate each idealization; of a short run, the verdict does so anyway
    functional : also decode the memory image and multiply, checked bit for bit
    progress : True for a bar in a terminal, or a function that is called with (phase, done, total)

    Raises
    ------
    AccelsimError
        An unknown name, a wrong field, a network that does not fit the chip; the sentences of the command line.
    """
    frames, batch, seed = count_of("frames", frames, 1, MOST), count_of("batch", batch, 1, MOST), count_of("seed", seed, 0)
    check_flags(fit_codebook=fit_codebook, what_if=what_if, functional=functional)
    if isinstance(then, str) or not isinstance(then, Sequence):
        raise wrong_type("then", then, "a list of traces")
    machine, networks = accelerator_of(accelerator, set), [trace_of(item) for item in (trace, *then)]
    if fit_codebook:
        machine = fitted(machine, networks[0])
    with watched(progress) as update:
        record = simulation.simulate(machine, *networks, frames=frames, batch=batch, seed=seed, progress=update)
        return examined(machine, networks, record, what_if=what_if, functional=functional, seed=seed, progress=update)


def examined(
    accelerator: Accelerator,
    traces: Sequence[core.Trace],
    record: RunRecord,
    *,
    what_if: bool,
    functional: bool,
    seed: int = 0,
    progress: Progress | None = None,
) -> Result:
    """A run's record with the idealized runs and the functional check that are asked for."""
    ideals = checked = None
    first, *others = traces
    if what_if:
        from accelsim.what_if import what_if as run_what_if

        ideals = run_what_if(accelerator, first, record, progress=progress, then=others, seed=seed)
    if functional:
        from accelsim.functional import check_functional

        checked = check_functional(accelerator, first, *others, seed=seed, progress=progress)
    return Result(replace(record, trace_directories=_directories(traces)), ideals, checked, tuple(traces), seed)


def _directories(traces: Sequence[core.Trace]) -> tuple[str, ...]:
    """Where each trace was read, '' for one that its name finds or that is in memory; nothing if that is all of them."""
    known = presets(TRACES)
    found = []
    for trace in traces:
        there = trace.directory.resolve() if trace.directory is not None else None
        by_name = known[trace.name].path.resolve() if trace.name in known else None
        found.append("" if there is None or there == by_name else str(there))
    return tuple(found) if any(found) else ()
