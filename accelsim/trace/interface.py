"""Inputs and outputs as the model has them: their shapes, and where each element of an output lies in the layer that holds it.

An input lies in memory as the model has it, row-major, so its shape says all. An output lies as its layer writes it: an image's channels
last, heads one after the other, a transposed matrix as it was before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy.typing as npt
from pydantic import Field, StringConstraints

from accelsim.errors import TraceError
from accelsim.ops.move import Loops, addresses
from accelsim.ops.operation import Name
from accelsim.ops.shapes import Bound, ManifestRecord, TensorShape

Values = npt.NDArray[Any]
Sizes = Annotated[tuple[Bound, ...], Field(max_length=32)]


class ModelOutput(ManifestRecord):
    """An output as the model has it.

    Attributes
    ----------
    nest
        (size, stride) of loops over the layer's result, the slowest first: they pass the elements in the row-major order of `shape`.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(description="the model's name of it")
    layer: Name = Field(description="layer that holds its elements")
    shape: Sizes = Field(description="its shape in the model")
    nest: Annotated[Loops, Field(min_length=1, max_length=32, description="size and stride of each loop over the layer's result")]

    def check(self, stored: TensorShape) -> None:
        """TraceError unless the loops pass as many elements as the shape has, all inside the layer's result."""
        passed, reach = math.prod(size for size, _ in self.nest), sum((size - 1) * stride for size, stride in self.nest)
        if passed != math.prod(self.shape) or reach >= stored.elements or any(stride < 0 for _, stride in self.nest):
            raise TraceError(
                f"interface.outputs: {self.name!r} of shape {self.shape} is not passed by loops {self.nest} over {stored.describe()}"
            )

    def of(self, stored: Values) -> Values:
        """Its elements in the model's order.

        Parameters
        ----------
        stored : (samples, groups, rows, width) of the layer

        Returns
        -------
        The model's shape for one sample; several lie along its leading dimension where that is 1, else along one before it.
        """
        passed = stored.reshape(len(stored), -1)[:, addresses(0, self.nest).reshape(-1)]
        return passed.reshape(of_samples(self.shape, len(stored)))


class Interface(ManifestRecord):
    """Inputs and outputs of the model, by the model's names, in the model's shapes."""

    inputs: dict[Name, Sizes] = Field(default_factory=dict, description="shape of each input in the model")
    outputs: tuple[ModelOutput, ...] = Field(default=(), description="outputs in the model's order")

    def check(self, inputs: Sequence[tuple[Name, TensorShape]], shapes: dict[Name, TensorShape], outputs: Sequence[Name]) -> None:
        """TraceError for what the network's own inputs and outputs do not have."""
        elements = {name: shape.elements for name, shape in inputs}
        for name, sizes in self.inputs.items():
            if elements.get(name) != math.prod(sizes):
                raise TraceError(f"interface.inputs: {name!r} of shape {sizes}; allowed: a model input, with as many elements")
        if {output.layer for output in self.outputs} != set(outputs) or len({output.name for output in self.outputs}) < len(self.outputs):
            raise TraceError(f"interface.outputs: allowed: one or more of each of the layers {', '.join(outputs)}, each name once")
        for output in self.outputs:
            output.check(shapes[output.layer])


def of_samples(shape: Sequence[int], samples: int) -> tuple[int, ...]:
    """The shape of several samples: along a leading dimension of 1, else along one before it; that of one sample is its own."""
    if samples == 1:
        return tuple(shape)
    return (samples, *(shape[1:] if shape[:1] == (1,) else shape))


def samples_in(array: Values, shape: Sequence[int]) -> int | None:
    """Samples of an array in the model's shape: one, or several along its leading dimension of 1, or before it; None if it has another."""
    if array.shape == tuple(shape):
        return 1
    rest = array.shape[1:]
    fits = rest == tuple(shape) or (tuple(shape[:1]) == (1,) and rest == tuple(shape[1:]))
    return array.shape[0] if array.ndim and fits else None
