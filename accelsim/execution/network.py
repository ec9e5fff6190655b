"""A network as the chip computes it: integers from layer to layer, sums out of the weight image, vector operations by their twins.

Disputable assumptions: each layer's result is rounded to its own width, also where it is fused into the requantization before it;
trained constants of vector operations are used as stored, in float32; sums of scaled groups are float32 and requantized as such.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim import functional_twin as twin
from accelsim.accelerator import Accelerator
from accelsim.compiler.target import Target, target_of
from accelsim.compression.compress_trace import materialize
from accelsim.errors import CompileError, TraceError
from accelsim.execution.calibration import calibrate
from accelsim.execution.graph import Activation, check_flow, constants_of, float_weights, flow
from accelsim.execution.inputs import checked_inputs
from accelsim.execution.loaded_operands import loaded
from accelsim.functional import FunctionalReport, LayerCheck, check_computable, codebook_error, multiply_layer
from accelsim.ops.grid import Grid, Requantizer
from accelsim.progress import Progress
from accelsim.trace.layers import Layer, MacLayer
from accelsim.trace.trace import Trace

_MOST_READS = 1 << 25  # activations that a layer reads at a time, over all samples
_TYPES = {8: np.int8, 16: np.int16, 32: np.int32}


@dataclass(frozen=True)
class Execution:
    """A network, executed.

    Attributes
    ----------
    trace : with its bits
    trace_sha256 : of the trace as it was given
    report : each product's comparison with the twin, on these activations; a sum that overflows is a difference
    samples : inputs executed
    scale_rule : where the scales come from
    grids : of every activation, by name
    kept : integers of the activations that were asked for, by name: (samples, groups, rows, width) of their width
    """

    trace: Trace
    trace_sha256: str
    report: FunctionalReport
    samples: int
    scale_rule: str
    grids: Mapping[str, Grid]
    kept: Mapping[str, npt.NDArray[Any]]

    def __repr__(self) -> str:
        return f"<Execution of {self.trace!r} on {self.samples} samples: {self.report!r}>"

    @property
    def layers(self) -> dict[str, str]:
        """The layer that holds each of the network's outputs, by the output's name: the model's, or the layer's where none is recorded."""
        record = self.trace.manifest.interface
        return {output.name: output.layer for output in record.outputs} if record else {name: name for name in self.trace.manifest.outputs}

    @property
    def outputs(self) -> dict[str, npt.NDArray[Any]]:
        """Integers of the network's outputs by name, in the model's order (`ModelOutput.of`), or as kept where none is recorded."""
        record = self.trace.manifest.interface
        if record is None:
            return {name: self.kept[name] for name in self.trace.manifest.outputs}
        return {output.name: output.of(self.kept[output.layer]) for output in record.outputs}

    def real(self, name: str) -> npt.NDArray[np.float32]:
        """The values for which a kept activation stands."""
        return self.grids[name].real(self.kept[name]).astype(np.float32)


def execute(
    accelerator: Accelerator,
    trace: Trace,
    inputs: Mapping[str, npt.NDArray[Any]] | None = None,
    *,
    seed: int = 0,
    keep: Sequence[str] = (),
    progress: Progress | None = None,
) -> Execution:
    """Execute a network on inputs.

    Parameters
    ----------
    inputs
        By name, as `checked_inputs` takes them; None draws one sample from `seed`.
    keep
        Activations to return besides the outputs.

    Raises
    ------
    TraceError, CompileError
        The inputs do not fit; the chip finds scales per token; a layer cannot be executed: it reads a cache, its constants are not stored,
        its format is only timed, or it does not fit the chip.
    """
    arrays = check_executable(accelerator, trace, inputs or {}, seed)
    whole = materialize(trace, progress)
    target = target_of(accelerator, [whole])
    record = trace.manifest.calibration
    rule = f"scales of the trace: {record.method} of {record.samples} samples" if record else "not calibrated: scales cover these inputs"
    scales = (record or calibrate(whole, arrays, "max", progress)).scales
    grids = {name: Grid(scales[name], shape.bits, shape.zero_point) for name, shape in whole.shapes.items()}
    wanted, samples = {*whole.manifest.outputs, *keep}, len(next(iter(arrays.values())))
    kept: dict[str, list[Activation]] = {name: [] for name in wanted}
    checks: dict[str, LayerCheck] = {}
    step = max(1, _MOST_READS // max(layer.m * layer.k for layer in whole.products())) if whole.products() else samples
    for start in range(0, samples, step):
        integers = {name: _entering(array[start : start + step], grids[name]) for name, array in arrays.items()}
        run = _Run(target, accelerator.array.psum_bits, whole, grids, checks)
        for done, (name, values) in enumerate(flow(whole, integers, run.evaluate)):
            if progress is not None:
                progress("network execution", start * len(grids) + done * min(step, samples - start), samples * len(grids))
            if name in wanted:
                kept[name].append(values.astype(_TYPES[grids[name].bits]))
    report = FunctionalReport(tuple(checks.values()), codebook_error(trace))
    return Execution(whole, trace.sha256, report, samples, rule, grids, {name: np.concatenate(parts) for name, parts in kept.items()})


def check_executable(
    accelerator: Accelerator, trace: Trace, inputs: Mapping[str, npt.NDArray[Any]], seed: int = 0
) -> dict[str, npt.NDArray[Any]]:
    """The inputs as `checked_inputs` returns them, after all that can be refused without computing; errors as `execute`."""
    if accelerator.vector_unit.activation_scales == "token":
        raise CompileError(
            f"a network is executed with one scale per activation, found beforehand; vector_unit.activation_scales of {accelerator.name!r} "
            "is 'token'; allowed: 'tensor'"
        )
    check_flow(trace)
    check_computable(trace)
    return checked_inputs(trace, inputs, seed)


def _entering(array: npt.NDArray[Any], grid: Grid) -> Activation:
    """An input's integers."""
    return array if np.issubdtype(array.dtype, np.integer) else grid.quantize(array)


@dataclass(frozen=True)
class _Run:
    """Some samples on their way through the network; `checks` takes each product's comparison, the first wrong one of several."""

    target: Target
    psum_bits: int
    trace: Trace
    grids: Mapping[str, Grid]
    checks: dict[str, LayerCheck]

    def evaluate(self, layer: Layer, operands: Sequence[Activation]) -> Activation:
        """The integers of a layer's result."""
        grids, result = [self.grids[name] for name in layer.inputs], self.grids[layer.name]
        if layer.product is not None:
            return self._product(layer.product, operands, grids, result)
        assert layer.vector is not None  # the array or the vector unit computes a layer
        constants = constants_of(self.trace, layer)
        return np.stack([layer.vector.integers(sample, grids, constants, result) for sample in zip(*operands, strict=True)])

    def _product(self, layer: MacLayer, operands: Sequence[Activation], grids: Sequence[Grid], result: Grid) -> Activation:
        second, coarse = zip(*map(loaded, operands[1:], grids[1:]), strict=True) if len(operands) > 1 else ((), ())
        rows = operands[0].astype(_TYPES[grids[0].bits])
        sums = self._sums(layer, [rows, *second])
        zeros = [grid.zero for grid in (grids[0], *coarse)]
        if any(zeros):
            terms = [layer.zero_terms(sample, zeros, self._weights(layer)) for sample in zip(rows, *second, strict=True)]
            sums = sums - np.stack(terms).astype(sums.dtype)
        bias = constants_of(self.trace, layer).get("bias")
        steps = math.prod(grid.scale for grid in (grids[0], *coarse)) * layer.sum_factor * self._weight_scales(layer)
        if np.issubdtype(sums.dtype, np.floating):
            return result.quantize(sums * steps + (0.0 if bias is None else bias))
        unit, biases = self.target.vector_unit, np.zeros(1) if bias is None else bias / steps
        return Requantizer.of(steps / result.scale, biases, unit.multiplier_bits, unit.bias_bits).apply(sums, result)

    def _sums(self, layer: MacLayer, operands: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """The array's sums, as one activation."""
        read = iter([layer.as_read(operand) for operand in operands])
        check, parts = multiply_layer(self.target, self.psum_bits, self.trace, layer, lambda *shape: _padded(next(read), shape))
        if not parts:
            raise TraceError(check.message)
        if self.checks.setdefault(layer.name, check).ok:
            self.checks[layer.name] = check
        sums = layer.joined(parts, len(operands[0]))
        return sums if np.issubdtype(sums.dtype, np.floating) else sums.astype(np.int64)

    def _weights(self, layer: MacLayer) -> dict[str, npt.NDArray[np.float64]]:
        """Its weights in steps of its sums, under the name `weight`; nothing for a layer without."""
        weight = layer.weighted
        if weight is None:
            return {}
        if weight.weight.format.decode_path().scale_levels:
            return float_weights(self.trace, layer)
        return {"weight": twin.weights(self.trace, weight).astype(np.float64)}

    def _weight_scales(self, layer: MacLayer) -> npt.NDArray[np.float64]:
        """Scale of the weights of each column, or one for all; 1 where sums have it already, or no weights take part."""
        weight = layer.weights
        if weight is None or weight.format.decode_path().scale_levels:
            return np.ones(1)
        return weight.format.column_scales(self.trace.arrays(layer.name), weight.n)


def _padded(array: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Planes of zeros behind the last channel, where merged groups read more of them."""
    more = shape[0] - array.shape[1]
    return np.pad(array, ((0, 0), (0, more), *[(0, 0)] * (array.ndim - 2))) if more else array
