"""A quantized matrix of a folder: its format and shape, which follow from shapes and settings, and its values, read when asked for.

A matrix whose inputs are stored in another order, in parts, or with factors and terms of their own is composed of several products.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import ImportModelError
from accelsim.formats.weight_format import CODEBOOK, WeightFormat
from accelsim.importers.from_huggingface.quantized.module import Integers, QuantizedModule
from accelsim.importers.language_models.stored_tensors import Surroundings
from accelsim.importers.weights_file import Floats

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class QuantizedMatrix:
    """Wt[K,N] in a format; `read` gives the arrays that its `pack` takes, `where` names the module in messages."""

    format: WeightFormat
    k: int
    n: int
    read: Callable[[], Arrays]
    where: str

    def outputs(self, first: int, stop: int) -> Arrays:
        """The arrays of outputs `first` to `stop`; they share a codebook.

        Raises
        ------
        ImportModelError
            The cut parts a codeword.
        """
        return {name: values if name == CODEBOOK else self._part(values, first, stop) for name, values in self.read().items()}

    def _part(self, values: npt.NDArray[Any], first: int, stop: int) -> npt.NDArray[Any]:
        """Of one value per output, or of rows that all outputs share equally."""
        if values.ndim == 1:
            return values[first:stop]
        each = self.n // values.shape[1]  # outputs of a column
        if first % each or stop % each:
            raise ImportModelError(f"outputs {first} to {stop} cut codewords of {each} outputs; allowed: multiples of {each}")
        return values[:, first // each : stop // each]


@dataclass(frozen=True)
class ComposedMatrix:
    """Wt[K,N] as products of stored matrices, and the vectors around them.

    Attributes
    ----------
    around : the layers that it needs
    matrices, vectors : by the suffixes that `Surroundings` gives them
    """

    k: int
    n: int
    around: Surroundings
    matrices: Mapping[str, QuantizedMatrix]
    vectors: Mapping[str, Callable[[], Floats]] = field(default_factory=dict)

    @cached_property
    def format(self) -> WeightFormat:
        """That of its last piece: those before are of fewer inputs."""
        return self.matrices[f".{len(self.around.pieces) - 1}" if self.around.pieces else ""].format


StoredWeight = QuantizedMatrix | ComposedMatrix


def steps_to(places: Integers) -> Floats:
    """The steps of a gather of elements `places`."""
    return (places - np.arange(places.size)).astype(np.float32)


class Scheme(ABC):
    """How a package stores quantized weights.

    Attributes
    ----------
    notes : on what the folder states and the trace leaves out
    """

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def tensor_name(self, name: str) -> str:
        """MODULE.PART of a tensor: its name, unless the package names parts in another way."""
        return name

    @abstractmethod
    def quantizes(self, parts: Collection[str]) -> bool:
        """Whether a module with tensors of these last names is quantized."""

    @abstractmethod
    def matrix(self, module: QuantizedModule) -> StoredWeight:
        """The weight of a quantized module.

        Raises
        ------
        ImportModelError
            Tensors or settings that do not fit each other, or that no format has.
        """

    def codebook_error(self, modules: Sequence[QuantizedModule]) -> float | None:
        """The largest error of requantized codebooks, relative to their root mean square; None where values are those that are stored."""
        return None
