"""A quantized matrix of a folder: its format and shape, which follow from shapes and settings, and its values, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from accelsim.formats.weight_format import CODEBOOK, WeightFormat
from accelsim.importers.from_huggingface.quantized.module import QuantizedModule

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class QuantizedMatrix:
    """Wt[K,N] in a format; `read` gives the arrays that its `pack` takes."""

    format: WeightFormat
    k: int
    n: int
    read: Callable[[], Arrays]

    def outputs(self, first: int, stop: int) -> Arrays:
        """The arrays of outputs `first` to `stop`; they share a codebook."""
        return {
            name: values if name == CODEBOOK else values[first:stop] if values.ndim == 1 else values[:, first:stop]
            for name, values in self.read().items()
        }


class Scheme(Protocol):
    """How a package stores quantized weights."""

    def quantizes(self, parts: Collection[str]) -> bool:
        """Whether a module with tensors of these last names is quantized."""

    def matrix(self, module: QuantizedModule) -> QuantizedMatrix:
        """The weight of a quantized module.

        Raises
        ------
        ImportModelError
            Tensors or settings that do not fit each other, or that no format has.
        """

    def codebook_error(self, modules: Sequence[QuantizedModule]) -> float | None:
        """The largest error of requantized codebooks, relative to their root mean square; None where values are those that are stored."""
