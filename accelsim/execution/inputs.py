"""Inputs of a network: read from `.npy`, checked against the trace, or drawn from a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import TraceError
from accelsim.ops.shapes import TensorShape
from accelsim.reading import check_file
from accelsim.registry import suggest
from accelsim.trace.interface import of_samples, samples_in
from accelsim.trace.trace import Trace

Array = npt.NDArray[Any]
_MALFORMED = (ValueError, TypeError, EOFError, OverflowError, SyntaxError, TokenError, RecursionError)  # of NumPy's parser of headers


def read_npy(path: Path) -> Array:
    """The array of a file, mapped, without pickles; TraceError if it is none."""
    try:
        check_file(path, TraceError)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _MALFORMED as error:
        raise TraceError(f"{path}: is not a .npy file of numbers: {error or 'it is empty'}".splitlines()[0]) from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise TraceError(f"{path}: holds several arrays (.npz); allowed: a .npy file with one")
    return array


def checked_inputs(trace: Trace, given: Mapping[str, Array], seed: int) -> dict[str, Array]:
    """All inputs of a network, (samples, groups, rows, width) each: float64, or int64 where they are given as integers.

    Parameters
    ----------
    given : by name; if there are none, one sample is drawn

    Raises
    ------
    TraceError
        An unknown or missing name, a wrong shape or type, integers out of range or without a scale, numbers that are not finite.
    """
    sources = {source.name: source.shape for source in trace.manifest.inputs}
    for name in given:
        if name not in sources:
            raise TraceError(f"trace {trace.name!r} has no input {name!r}; known: {', '.join(sources)}{suggest(name, sources)}")
    if not given:
        return {name: _drawn(trace, name, shape, seed) for name, shape in sources.items()}
    missing = [name for name in sources if name not in given]
    if missing:
        raise TraceError(f"trace {trace.name!r}: input {missing[0]!r} is not given; its inputs: {', '.join(sources)}")
    calibrated = trace.manifest.calibration is not None
    models = trace.manifest.interface.inputs if trace.manifest.interface is not None else {}
    arrays = {name: _checked(name, given[name], shape, models.get(name), calibrated) for name, shape in sources.items()}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        raise TraceError(f"inputs hold different numbers of samples: {counts}")
    return arrays


def _leading(array: Array, own: Sequence[int]) -> int:
    """Samples of an array in the trace's shape, whose leading dimensions of 1 may be left out; 0 if it has another."""
    lead = array.shape[: max(0, array.ndim - len(own))]
    fits = list(array.shape[len(lead) :]) == list(own) and sum(size != 1 for size in lead) <= 1
    return math.prod(lead) if fits else 0


def _shapes(own: Sequence[int]) -> str:
    """A shape, and that of several samples."""
    text = ", ".join(map(str, own))
    several = ", ".join(map(str, of_samples(own, 2)[1:]))
    return f"({text}{',' if len(own) == 1 else ''}) or (samples, {several})"


def _drawn(trace: Trace, name: str, shape: TensorShape, seed: int) -> Array:
    """One sample, uniform over the integers of a calibrated input, or over -1 to 1."""
    highest = (1 << shape.bits - 1) - 1
    scale = 1 / highest if trace.manifest.calibration is None else trace.manifest.calibration.scales[name]
    place = [source.name for source in trace.manifest.inputs].index(name)
    rng = np.random.default_rng([seed, place])
    return scale * highest * rng.uniform(-1, 1, (1, *shape.dims))


def _checked(name: str, array: Array, shape: TensorShape, model: Sequence[int] | None, calibrated: bool) -> Array:
    """An array as (samples, groups, rows, width): in the shape of the model or of the trace."""
    own = list(shape.dims)
    while len(own) > 1 and own[0] == 1:
        own.pop(0)
    samples = (samples_in(array, model) if model is not None else None) or _leading(array, own)
    if not samples or not array.size:
        raise TraceError(f"input {name!r} has shape {array.shape}; allowed: {_shapes(own if model is None else model)}")
    array = array.reshape(samples, *shape.dims)
    if np.issubdtype(array.dtype, np.floating):
        if not bool(np.isfinite(array).all()):
            raise TraceError(f"input {name!r} holds NaN or an infinity; allowed: finite numbers")
        return array.astype(np.float64)
    if not np.issubdtype(array.dtype, np.integer):
        raise TraceError(f"input {name!r} has the type {array.dtype}; allowed: floating-point numbers, or integers of {shape.bits} bits")
    if not calibrated:
        raise TraceError(f"input {name!r} holds integers, but the trace has no calibration that gives their scale; allowed: floats")
    low, high = -(1 << shape.bits - 1), (1 << shape.bits - 1) - 1
    if int(array.min()) < low or int(array.max()) > high:
        raise TraceError(f"input {name!r} holds integers from {array.min()} to {array.max()}; allowed: {low} to {high} ({shape.bits} bits)")
    return array.astype(np.int64)
