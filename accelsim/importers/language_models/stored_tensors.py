"""A file's tensors as a language model reads them: matrices in the format that they are stored in, and vectors of floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from accelsim.formats.weight_format import WeightFormat

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class StoredMatrix:
    """Wt[K,N] in a format.

    Attributes
    ----------
    read : gives the arrays that the format's `pack` takes, and touches no value before
    where : the file and the stored tensor or module, for messages
    """

    format: WeightFormat
    k: int
    n: int
    read: Callable[[], Mapping[str, npt.NDArray[Any]]]
    where: str


@dataclass(frozen=True)
class Surroundings:
    """Layers around the product of a stored matrix; by default none. The tensors that they read have its name and a suffix.

    Attributes
    ----------
    scaled
        Each input has a factor: vector `.scale`.
    pieces
        Inputs of each of the products that are summed: product i is of the matrix `.i` and the inputs to which the vector `.steps.i` leads
        (see `GatherLayer`). None: one product of all inputs in their order.
    shifted
        Each input has a term in all its weights: matrix `.shift` of one output, whose product is added to all outputs.
    turned
        Hadamard transforms of all inputs and of all outputs, with the signs of the vectors `.signs_in` and `.signs_out`; some outputs
        are taken from the product of all.
    """

    scaled: bool = False
    pieces: tuple[int, ...] = ()
    shifted: bool = False
    turned: bool = False


class TensorSource(Protocol):
    """The tensors of a file (or of a folder), under the names that a GGUF file gives them."""

    def vector(self, name: str) -> Floats:
        """A one-dimensional tensor."""

    def matrix(self, name: str, first: int, stop: int) -> StoredMatrix:
        """Outputs `first` to `stop` of a matrix."""
