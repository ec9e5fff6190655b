"""A network evaluated layer by layer, for several samples at once: what flows, and the trained constants that the layers need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import TraceError
from accelsim.ops.operation import Floats
from accelsim.trace.layers import Layer
from accelsim.trace.manifest import SeededSource
from accelsim.trace.trace import Trace

Activation = npt.NDArray[Any]  # (samples, groups, rows, width)
Evaluate = Callable[[Layer, Sequence[Activation]], Activation]


def flow(trace: Trace, inputs: Mapping[str, Activation], evaluate: Evaluate) -> Iterator[tuple[str, Activation]]:
    """Each activation by name, inputs first; one is dropped after its last reader."""
    last = {name: layer.name for layer in trace.layers for name in layer.inputs}
    held = dict(inputs)
    yield from inputs.items()
    for layer in trace.layers:
        made = evaluate(layer, [held[name] for name in layer.inputs])
        yield layer.name, made
        held[layer.name] = made
        for name in (*layer.inputs, layer.name):
            if last.get(name, layer.name) == layer.name:
                held.pop(name, None)


def constants_of(trace: Trace, layer: Layer) -> dict[str, Floats]:
    """Trained constants of a layer, float64, 1-D: as stored, or the neutral ones of a seeded trace, which stores none.

    Raises
    ------
    TraceError
        A trace of a real model that lacks them.
    """
    if layer.constants:
        return {name: trace.constant(layer.name, name).astype(np.float64) for name in layer.constants}
    sizes = layer.constant_sizes
    if sizes and not isinstance(trace.manifest.source, SeededSource):
        raise TraceError(
            f"trace {trace.name!r}, layer {layer.name!r}: its constants {', '.join(sizes)} are not stored; allowed: all of them"
        )
    return {name: np.full(size, layer.neutral_constants.get(name, 0.0)) for name, size in sizes.items()}


def float_weights(trace: Trace, layer: Layer) -> dict[str, Floats]:
    """The weights for which the bits of a layer stand, float64 (K, N), under the name `weight`; nothing for a layer without."""
    weight = layer.weights
    if weight is None:
        return {}
    return {"weight": weight.format.reconstruct(trace.arrays(layer.name), weight.k, weight.n)}


def check_flow(trace: Trace) -> None:
    """TraceError, before any work, for a layer with an input that no layer of the trace makes."""
    for layer in trace.layers:
        if layer.from_cache:
            raise TraceError(
                f"trace {trace.name!r}, layer {layer.name!r}: reads a cache of earlier tokens, which no layer makes; "
                "allowed: a network without caches"
            )
