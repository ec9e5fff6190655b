"""A saved result, run again with a recorder: a result holds sums, a timeline needs events.

The accelerator is the one in the result; traces are given, or found where they were read or by name, and must match the result's SHA-256.
The run is accepted only if it reproduces the saved cycles, traffic and counters; other sources of the model are fine as long as the
numbers agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.errors import ConfigError
from accelsim.presets import TRACES, presets
from accelsim.progress import Progress
from accelsim.provenance import run_id, traces_sha256
from accelsim.reading import parse_yaml
from accelsim.result import LayerResult, Result
from accelsim.simulation import RecordedRun, simulate_recorded
from accelsim.trace.trace import Trace, load_trace
from accelsim.trace.trace_name import SIGN


def reproduce(saved: Result, source: str, *, traces: Sequence[Path] = (), seed: int = 0, progress: Progress | None = None) -> RecordedRun:
    """Run a saved result again, recorded.

    Parameters
    ----------
    source : the result's file, for messages
    traces : directories of its networks; those that are not given are looked up by their names
    seed : that it was run with

    Raises
    ------
    ConfigError
        A network is not found or does not match, or the run does not reproduce the result.
    """
    accelerator = _accelerator(saved, source)
    networks = _networks(saved, source, traces)
    options = {"frames": len(saved.frames) // len(networks), "batch": saved.batch, "seed": seed}
    run = simulate_recorded(accelerator, *networks, **options, progress=progress)
    difference = _difference(saved, run.result)
    if difference:
        why = "although both runs have the same id"
        if run_id(accelerator, networks, options) != saved.run_id:
            made = (
                f"the result is from accelsim {saved.versions.get('accelsim', '?')}, from other sources of the model or with another seed"
            )
            why = f"{made}: run it again, or give its seed with --seed"
        raise ConfigError(f"{source}: cannot be reproduced: {difference}; {why}")
    return replace(run, result=replace(run.result, verdict=saved.verdict))


def _accelerator(saved: Result, source: str) -> Accelerator:
    try:
        fields = parse_yaml(saved.accelerator)
    except yaml.YAMLError:
        fields = None
    if not isinstance(fields, dict):
        raise ConfigError(f"{source}: field `accelerator`: is not the YAML text of an accelerator")
    try:
        return load_accelerator(fields)
    except ConfigError as error:
        raise ConfigError(f"{source}: field `accelerator`: {error}") from error


def _networks(saved: Result, source: str, given: Sequence[Path]) -> tuple[Trace, ...]:
    """The result's networks in their order."""
    names = list(dict.fromkeys(frame.trace for frame in saved.frames))
    loaded = {trace.name: trace for trace in map(load_trace, given)}
    strange = [name for name in loaded if name not in names]
    if strange:
        raise ConfigError(f"{source}: was run with {', '.join(map(repr, names))}; --trace gives {', '.join(map(repr, strange))}")
    read_from = dict(zip(names, saved.trace_directories, strict=False))
    for name in names:
        if name not in loaded:
            loaded[name] = _found(name, read_from.get(name, ""), source)
    traces = tuple(loaded[name] for name in names)
    found = traces_sha256(traces)
    if found != saved.trace_sha256:
        raise ConfigError(
            f"{source}: field `trace_sha256`: the result is of a network {saved.trace_sha256[:12]}..., {' + '.join(names)} here is "
            f"{found[:12]}...; give the directory that was run with --trace DIR"
        )
    return traces


def _found(name: str, directory: str, source: str) -> Trace:
    """A network from the directory that the run read, else by its name, which may be NAME@FORMAT."""
    if directory and Path(directory).is_dir():
        return load_trace(directory)
    known = presets(TRACES)
    if name in known:
        return load_trace(known[name].path)
    if SIGN in name:
        return open_trace(name)
    gone = f"was read from {directory}, which is gone" if directory else "is not a known trace (accelsim list traces)"
    raise ConfigError(f"{source}: its network {name!r} {gone}; give its directory with --trace DIR")


def _difference(saved: Result, found: Result) -> str:
    """The first number in which two results differ, in words; '' if none does."""
    if saved.total_cycles != found.total_cycles:
        return f"the result has {saved.total_cycles} cycles, the run here {found.total_cycles}"
    if len(saved.layers) != len(found.layers):
        return f"the result has {len(saved.layers)} layers, the run here {len(found.layers)}"
    for was, now in zip(saved.layers, found.layers, strict=True):
        if _numbers(was) != _numbers(now):
            return f"layer {was.name!r} has other cycles or bytes here"
    for name, value in found.counters.items():
        if saved.counters.get(name, value) != value:
            return f"{name} is {saved.counters[name]} in the result and {value} here"
    return ""


def _numbers(layer: LayerResult) -> tuple[object, ...]:
    traffic = sorted((item.operand, item.memory, item.write, item.bits) for item in layer.traffic)
    cycles = {name: count for name, count in layer.cycles.items() if count}  # an older result knows fewer categories
    return layer.name, cycles, layer.start_cycle, layer.end_cycle, traffic
