"""The framework-independent interface of a graph node: its location for messages, and names for its layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol


class Node(Protocol):
    """One node of a graph."""

    @property
    def where(self) -> str:
        """The node's place for a message."""

    def path(self, operation: str = "") -> str:
        """The innermost module around the node, and the operation: 'vit.layers.0.attention.matmul'."""

    def layer_names(self, trained: Iterable[str], operation: str = "") -> Iterator[str]:
        """Names for the layer that reads these trained tensors, best first."""
