"""Values of a graph's tensors during the walk: constants, activations, and activations whose layer is not made yet.

A linear layer is not made when its node is met but when its result is needed: scales, biases and normalizations that follow alone
are folded into it first. Folding is exact in real numbers; the weights are rounded to float32 once, after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import ImportModelError
from accelsim.importers.graph.layout import View, whole

Array = npt.NDArray[Any]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Constant:
    """A value known without the input.

    Attributes
    ----------
    array
        The value.
    sources
        The initializers that it was computed from.
    label
        The tensor's own name: exporters store equal tensors once, and give each copy its name.
    """

    array: Array
    sources: tuple[str, ...] = ()
    label: str = ""

    def __repr__(self) -> str:
        return f"a constant of shape {self.array.shape}"

    def turned(self) -> Constant:
        """The same with its dimensions in reverse."""
        return replace(self, array=self.array.T)


@dataclass(frozen=True, repr=False)
class Plain:
    """An activation as it lies in memory."""

    view: View

    def __repr__(self) -> str:
        return f"an activation of shape {self.shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return self.view.shape


@dataclass(frozen=True, repr=False)
class Indices:
    """Integer inputs (token ids), and integers computed from them and from known ones, which can only select rows of a table.

    Attributes
    ----------
    source
        The model's input.
    shape
        Logical shape.
    computed
        They are a part of the input, or a function of it: columns, sums with offsets.
    """

    source: str
    shape: tuple[int, ...]
    computed: bool = False

    def __repr__(self) -> str:
        return f"the integers of input {self.source!r} (if all elements are equal, give --fill {self.source}=VALUE)"


@dataclass(frozen=True, repr=False)
class Masked:
    """Scores of attention before their softmax: each row hides those of later columns, or a known bias (or any mask) is added.

    Attributes
    ----------
    view
        The scores.
    causal
        Each row hides those of later columns.
    reach
        Of a sliding window: columns that a row shows of those up to its own; 0 for all.
    bias
        Added to the scores; broadcast to their shape.
    """

    view: View
    causal: bool = False
    bias: Constant | None = None
    reach: int = 0

    def __repr__(self) -> str:
        return f"an activation of shape {self.shape} under a mask or a bias"

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return self.view.shape


@dataclass(frozen=True, repr=False)
class Padded:
    """An image with zeros around it, (top, left) and (bottom, right), which only a convolution reads."""

    view: View
    before: tuple[int, int]
    after: tuple[int, int]

    def __repr__(self) -> str:
        return f"an activation of shape {self.shape} with zeros around it"

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        batch, channels, height, width = self.view.shape
        (top, left), (bottom, right) = self.before, self.after
        return batch, channels, height + top + bottom, width + left + right


@dataclass(frozen=True, repr=False)
class Spectrum:
    """The Fourier transform of an activation over some dimensions, complex numbers of which only the real part is read."""

    view: View
    dims: tuple[int, ...]

    def __repr__(self) -> str:
        return f"the Fourier transform of an activation of shape {self.shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return self.view.shape


@dataclass(frozen=True, repr=False)
class Deferred:
    """The result of a layer that is made once all that folds into it is known.

    Attributes
    ----------
    shape
        Logical shape of the result.
    axis
        The dimension of its channels.
    make
        Makes the layer from the folded factors and terms.
    per_channel
        False if only one factor for all channels, and no sum, can be folded (a product of two activations).
    heads
        The dimension of the heads, of a product of two activations: a factor for each can be folded before any other is.
    scale, shift
        Folded so far: one value per channel, or one for all; None for nothing.
    folded
        Constants that went into it besides the layer's own.
    columns
        Makes a part of the channels as a layer of its own, from `first` to `stop`; None where that cannot be.
    """

    shape: tuple[int, ...]
    axis: int
    make: Callable[[Deferred], View]
    per_channel: bool = True
    heads: int | None = None
    scale: Vector | None = None
    shift: Vector | None = None
    folded: tuple[Constant, ...] = ()
    columns: Callable[[Deferred, int, int], View] | None = None

    def __repr__(self) -> str:
        return f"an activation of shape {self.shape}"

    def view(self) -> View:
        """Make the layer."""
        return self.make(self)

    def vector(self, constant: Constant) -> Vector | None:
        """The constant as one value, or one per channel; None if it is neither."""
        array = constant.array
        if array.size == 1 and array.ndim <= len(self.shape):
            return array.reshape(()).astype(np.float64)
        padded = (1,) * (len(self.shape) - array.ndim) + array.shape
        channels = self.shape[self.axis]
        wanted = tuple(channels if axis == self.axis else 1 for axis in range(len(self.shape)))
        if not self.per_channel and self.heads is not None and self.scale is None:
            wanted = tuple(size if axis == self.heads else 1 for axis, size in enumerate(self.shape))
            return array.reshape(-1).astype(np.float64) if padded == wanted else None
        return array.reshape(-1).astype(np.float64) if self.per_channel and padded == wanted else None

    @property
    def sources(self) -> tuple[str, ...]:
        """Initializers that were folded into it."""
        return tuple(name for constant in self.folded for name in constant.sources)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the tensors that were folded into it."""
        return tuple(constant.label for constant in self.folded)

    def scaled(self, factor: Vector, *origin: Constant) -> Deferred:
        """The result times a factor."""
        scale = factor if self.scale is None else self.scale * factor
        return replace(self, scale=scale, shift=None if self.shift is None else self.shift * factor, folded=self.folded + origin)

    def shifted(self, term: Vector, *origin: Constant) -> Deferred:
        """The result plus a term."""
        return replace(self, shift=term if self.shift is None else self.shift + term, folded=self.folded + origin)


@dataclass(frozen=True, repr=False)
class Fused:
    """A linear layer whose result is cut along its channels (q, k, v in one): each part becomes a layer when it is taken.

    `place` says which channels a logical dimension counts through; its producer has no name yet.
    """

    linear: Deferred
    place: View
    made: dict[tuple[int, int], View] = field(default_factory=dict)

    @classmethod
    def of(cls, linear: Deferred) -> Fused:
        """The whole result."""
        channels = linear.shape[-1]
        rows = int(np.prod(linear.shape[:-1], dtype=np.int64))
        return cls(linear, whole("", (("group", 1), ("row", rows), ("column", channels))).reshape(linear.shape))

    def __repr__(self) -> str:
        return f"an activation of shape {self.shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return self.place.shape

    def counts_channels(self, axis: int) -> bool:
        """True if the channels are split along this dimension."""
        dim = self.place.dims[axis]
        return len(dim) == 1 and dim[0].axis == "column" and dim[0].stride * dim[0].size == self.linear.shape[-1]

    def view(self) -> View:
        """All channels, as one layer."""
        return replace(self.place, producer=self._part(0, self.linear.shape[-1]).producer)

    def part(self, axis: int, first: int, stop: int) -> View:
        """Indices `first` to `stop` of a dimension that `counts_channels`."""
        (digit,) = self.place.dims[axis]
        made = self._part(first * digit.stride, stop * digit.stride)
        dims = list(self.place.dims)
        dims[axis] = (replace(digit, size=stop - first),) if stop - first > 1 else ()
        return replace(self.place, producer=made.producer, dims=tuple(dims))

    def _part(self, first: int, stop: int) -> View:
        if (first, stop) not in self.made:
            if any(first < end and begin < stop for begin, end in self.made):
                raise ImportModelError(f"channels {first} to {stop} of {self.linear!r} are read by several layers, cut differently")
            wide = stop - first == self.linear.shape[-1]
            columns = self.linear.columns
            self.made[first, stop] = self.linear.view() if wide or columns is None else columns(self.linear, first, stop)
        return self.made[first, stop]
