"""Constants of an exported program: trained tensors, buffers and results computed from them, as PyTorch values.

A tensor on PyTorch's meta device has a shape and no numbers; one that the model stores stands for its shape then, any other is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from accelsim.errors import ImportModelError
from accelsim.importers.graph.values import Constant

NUMBER_TYPES = (bool, int, float)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True, repr=False)
class Known:
    """A value known without the input.

    Attributes
    ----------
    value
        A tensor, a number, or whatever else a call returned.
    sources
        The model's parameters and buffers that it was computed from.
    """

    value: Any
    sources: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"a constant of shape {tuple(self.value.shape)}" if isinstance(self.value, torch.Tensor) else repr(self.value)

    def constant(self, where: str) -> Constant:
        """The same for NumPy; ImportModelError if it is neither a tensor nor a number, or has no numbers that it must have."""
        label = self.sources[0] if len(self.sources) == 1 else ""
        if isinstance(self.value, NUMBER_TYPES):
            return Constant(np.array(self.value), self.sources, label)
        if not isinstance(self.value, torch.Tensor):
            raise ImportModelError(f"{where}: {self!r} is not understood; allowed: tensors and numbers")
        tensor = self.value.detach()
        if tensor.is_meta:
            if not self.sources and tensor.numel():
                raise ImportModelError(
                    f"{where}: reads a constant of shape {tuple(tensor.shape)} on the device 'meta', which has no numbers"
                )
            return Constant(np.broadcast_to(np.float32(1), tuple(tensor.shape)), self.sources, label)
        if tensor.is_floating_point() and tensor.dtype != torch.float64:
            tensor = tensor.to(torch.float32)
        return Constant(tensor.cpu().resolve_conj().resolve_neg().numpy(), self.sources, label)
