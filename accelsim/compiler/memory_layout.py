"""Addresses in the memories outside the buffers, handed out in the order in which they are asked for; all cores of a chip share them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from accelsim.compiler.plan import TensorId

ALIGNMENT = 4096  # bytes, of each activation


@dataclass
class MemoryLayout:
    """The contents of the memory of the weights, and of that of the activations.

    Attributes
    ----------
    weights, activations : bytes taken so far
    regions : (address, bytes) of each activation, in the order of the addresses
    shared : tensors so far that pass from core to core
    """

    weights: int = 0
    activations: int = 0
    shared: int = 0
    regions: list[tuple[int, int]] = field(default_factory=list)

    def take_activation(self, size: int) -> int:
        """The address of `size` more bytes of activations."""
        address = self.activations
        self.regions.append((address, size))
        self.activations += -(-size // ALIGNMENT) * ALIGNMENT
        return address


@dataclass
class InferenceMemory:
    """The tensors of one inference that are in memory already: what one core has placed, the others find.

    Attributes
    ----------
    layout : of all inferences
    images : a matrix, its part and the layout of that part -> address of its stream, scales and biases ahead
    activations : tensor -> address; a part of a tensor lies in the whole
    numbers : tensor that passes from core to core -> its number in the program
    """

    layout: MemoryLayout
    images: dict[Hashable, int] = field(default_factory=dict)
    activations: dict[TensorId, int] = field(default_factory=dict)
    numbers: dict[TensorId, int] = field(default_factory=dict)

    def activation(self, tensor: TensorId, size: int) -> int:
        """The address of a whole tensor of `size` bytes."""
        if tensor not in self.activations:
            self.activations[tensor] = self.layout.take_activation(size)
        return self.activations[tensor]

    def number(self, tensor: TensorId) -> int:
        """The number of a tensor that passes from core to core."""
        if tensor not in self.numbers:
            self.numbers[tensor] = self.layout.shared
            self.layout.shared += 1
        return self.numbers[tensor]
