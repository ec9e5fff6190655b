"""Values of a mixture of experts during the walk: the choice of experts, and products that wait for its weights.

Recognized is the batched form, in which each token and each of its experts is a row: indices of the largest scores select matrices out of
a stack, rows meet them one by one, and are summed up with the scores as weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Constant


@dataclass
class Choice:
    """The experts that each row of scores chooses; the layer that makes the choice is made by its first reader.

    Attributes
    ----------
    scores
        (tokens, experts).
    top_k
        Experts per token.
    name
        Of the layer.
    normalized
        Whether the weights read last were divided by their sum.
    made
        The layers so far, without and with that division.
    """

    scores: View
    top_k: int
    name: str
    normalized: bool = False
    made: dict[bool, View] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Chosen:
    """Something of each token's chosen experts: their numbers, their scores, or the sum of those."""

    choice: Choice
    what: Literal["numbers", "scores", "sums"]
    shape: tuple[int, ...]
    normalized: bool = False

    def __repr__(self) -> str:
        return f"the {self.what} of the experts that {self.choice.name!r} chooses"


@dataclass(frozen=True, repr=False)
class ChosenMatrices:
    """A matrix out of a stack (experts, outputs, inputs) for each token and expert."""

    choice: Choice
    stack: Constant

    def __repr__(self) -> str:
        return f"the matrices of the experts that {self.choice.name!r} chooses"

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return (self.choice.scores.shape[0] * self.choice.top_k, *self.stack.array.shape[1:])


@dataclass(frozen=True, repr=False)
class Weighted:
    """Rows of each token's experts times their scores, which are still to be summed up."""

    rows: View
    scores: Chosen
    shape: tuple[int, ...]

    def __repr__(self) -> str:
        return f"rows of experts times the scores of {self.scores.choice.name!r}"
