"""An obstacle: one place of a model that an import cannot take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Obstacle:
    """One place of a model.

    Attributes
    ----------
    message
        The node and its operation, the problem and the nearest thing that is allowed.
    shapes
        Of the operands, where they are known.
    behind
        Nodes that could not be judged, because they need the result and its shape is not known.
    """

    message: str
    shapes: tuple[tuple[int, ...], ...]
    behind: int = 0
