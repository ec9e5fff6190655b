"""The error that changed weights cause in the outputs of the float network, on samples.

The measure is the squared error of the outputs over their square, averaged over the outputs. It needs no labels, is never negative, so
that few samples cannot make a coarse format look better than the float weights, and adds up over layers as long as errors are small and
independent. Disputable assumption: an error of a logit that changes no class weighs as much as one that does. Activations are float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import TraceError
from accelsim.execution.graph import Activation, check_flow, constants_of, flow
from accelsim.progress import Progress
from accelsim.trace.layers import Layer
from accelsim.trace.seeded import float_weights
from accelsim.trace.trace import Trace

Weights = npt.NDArray[np.float64]  # (K, N)
Change = Mapping[str, Callable[[], Weights]]  # layer -> its weights in place of the float ones
MOST_VALUES = 1 << 25  # activations that are kept at a time


def output_errors(
    trace: Trace, inputs: Mapping[str, npt.NDArray[Any]], changes: Sequence[Change], progress: Progress | None = None
) -> list[float]:
    """The relative squared error of the outputs under each change.

    Parameters
    ----------
    trace : a float trace
    inputs : float (samples, groups, rows, width) by name
    progress : called as ("output errors", changes done, changes in all)

    Raises
    ------
    TraceError
        The network reads a cache, weights or constants are not stored, or the outputs of the float network are not finite.
    """
    check_flow(trace)
    outputs = tuple(trace.manifest.outputs)
    samples = len(next(iter(inputs.values())))
    elements = sum(math.prod(shape.dims) for shape in trace.shapes.values())
    step = max(1, MOST_VALUES // elements)
    network = _Network(trace)
    powers = np.zeros(len(outputs))
    errors = np.zeros((len(changes), len(outputs)))
    starts = range(0, samples, step)
    for part, start in enumerate(starts):
        reference = network.evaluated({name: array[start : start + step] for name, array in inputs.items()})
        powers += [float(np.square(reference[name]).sum()) for name in outputs]
        for place, change in enumerate(changes):
            changed = network.changed(reference, {name: load() for name, load in change.items()})
            errors[place] += [float(np.square(changed[name] - reference[name]).sum()) for name in outputs]
            if progress is not None:
                progress("output errors", part * len(changes) + place + 1, len(starts) * len(changes))
    if not np.isfinite(powers).all():
        raise TraceError(f"trace {trace.name!r}: the outputs of the float network are NaN or infinite on these samples")
    found: list[float] = (errors / np.where(powers > 0, powers, 1.0)).mean(axis=1).tolist()
    return found


class _Network:
    """A float network with its constants at hand."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.constants = {layer.name: constants_of(trace, layer) for layer in trace.layers}

    def evaluated(self, inputs: Mapping[str, Activation]) -> dict[str, Activation]:
        """All activations under the float weights."""
        return dict(flow(self.trace, inputs, lambda layer, operands: self._value(layer, operands, None)))

    def changed(self, reference: Mapping[str, Activation], weights: Mapping[str, Weights]) -> dict[str, Activation]:
        """The activations under other weights of some layers; only what depends on these is computed again."""
        values = dict(reference)
        again: set[str] = set()
        for layer in self.trace.layers:
            if layer.name in weights or not again.isdisjoint(layer.inputs):
                again.add(layer.name)
                values[layer.name] = self._value(layer, [values[name] for name in layer.inputs], weights.get(layer.name))
        return values

    def _value(self, layer: Layer, operands: Sequence[Activation], weights: Weights | None) -> Activation:
        constants = self.constants[layer.name]
        if layer.weights is not None:
            own = float_weights(self.trace, layer.name).astype(np.float64) if weights is None else weights
            constants = {**constants, "weight": own}
        with np.errstate(all="ignore"):
            return np.stack([layer.evaluate(sample, constants) for sample in zip(*operands, strict=True)])
