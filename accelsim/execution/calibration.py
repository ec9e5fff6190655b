"""Scales of activations, measured: the float network runs on samples, and each activation gets the step that fits its values.

The float network has the weights for which the trace's bits stand, and float64 everywhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from accelsim.execution.graph import check_flow, constants_of, float_weights, flow
from accelsim.ops.grid import Grid
from accelsim.progress import Progress
from accelsim.trace.layers import Layer
from accelsim.trace.manifest import CalibrationRecord
from accelsim.trace.trace import Trace

Method = Literal["max", "percentile", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)
PERCENTILE = 99.99  # of the magnitudes
CLIPPED = tuple(step / 40 for step in range(40, 7, -1))  # shares of the largest magnitude that `mse` tries, the largest first
MOST_VALUES = 1 << 18  # of an activation, on which `mse` is computed


def calibrate(trace: Trace, inputs: Mapping[str, npt.NDArray[Any]], method: Method, progress: Progress | None = None) -> CalibrationRecord:
    """Measure the scales of all activations.

    Parameters
    ----------
    inputs : float (samples, groups, rows, width) by name
    method : "max": no value saturates; "percentile": one in 10,000 may; "mse": least squared error, of saturation and rounding together

    Raises
    ------
    TraceError
        The network reads a cache, or weights or constants are not stored.
    """
    check_flow(trace)
    scales: dict[str, float] = {}

    def evaluate(layer: Layer, operands: Any) -> npt.NDArray[Any]:
        constants = constants_of(trace, layer) | float_weights(trace, layer)
        with np.errstate(all="ignore"):
            return np.stack([layer.evaluate(sample, constants) for sample in zip(*operands, strict=True)])

    for name, values in flow(trace, inputs, evaluate):
        scales[name] = scale_of(values, trace.shapes[name].bits, method, trace.shapes[name].zero_point)
        if progress is not None:
            progress("activations measured", len(scales), len(trace.shapes))
    samples = len(next(iter(inputs.values())))
    return CalibrationRecord(method=method, samples=samples, scales=scales)


def scale_of(values: npt.NDArray[Any], bits: int, method: Method, zero: int = 0) -> float:
    """The step of `bits`-bit integers with a zero point for values, of which only the finite ones count."""
    finite = np.asarray(values[np.isfinite(values)], np.float64)
    sizes = Grid.sizes_of(finite, bits, zero)
    largest = float(sizes.max(initial=0.0))
    if method == "percentile":
        largest = float(np.quantile(sizes, PERCENTILE / 100)) or largest if sizes.size else 0.0
    if method == "mse" and bits == 8 and largest > 0:
        compared = (finite if zero else sizes)[:: math.ceil(sizes.size / MOST_VALUES)]
        grids = [Grid.covering(share * largest, bits, zero) for share in CLIPPED]
        return min(grids, key=lambda grid: float(((grid.real(grid.quantize(compared)) - compared) ** 2).sum())).scale
    return Grid.covering(largest, bits, zero).scale
