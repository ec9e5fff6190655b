"""The tensors of a language model by their shapes alone: what its configuration says, where no file holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelsim.formats.float32 import Float32Format
from accelsim.importers.language_models.language_model import LanguageModel
from accelsim.importers.language_models.stored_tensors import Floats, StoredMatrix


@dataclass(frozen=True)
class ShapesAlone:
    """Floats of the model's shapes, without values."""

    model: LanguageModel

    def vector(self, name: str) -> Floats:
        """Zeros."""
        return np.zeros(self.model.tensors()[name], np.float32)

    def matrix(self, name: str, first: int, stop: int) -> StoredMatrix:
        """Its format and sizes; of experts, whose matrices are stacked, those of all."""
        return StoredMatrix(Float32Format(), self.model.tensors()[name][-1], stop - first, dict, f"tensor {name!r}")
