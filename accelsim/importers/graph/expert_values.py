"""Values of a mixture of experts during the walk: the choice of experts, and products that wait for its weights.

Recognized is the batched form, in which each token and each of its experts is a row: indices of the largest scores select matrices out of
a stack, rows meet them one by one, and are summed up with the scores as weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Constant


class Treatment(NamedTuple):
    """Whether the weights of a token's experts are divided by their sum, and the factor by which they are multiplied."""

    normalized: bool
    factor: float


PLAIN = Treatment(False, 1.0)


@dataclass
class Choice:
    """The experts that each row of scores chooses; the layer that makes the choice is made by its first reader.

    Attributes
    ----------
    scores
        By which it is made, (tokens, experts).
    top_k
        Experts per token.
    name
        Of the layer.
    weights
        Of all experts, (tokens, experts); None: the scores.
    last
        How the weights read last were treated.
    made
        The layers so far, by the treatment of their weights.
    """

    scores: View
    top_k: int
    name: str
    weights: View | None = None
    last: Treatment = PLAIN
    made: dict[Treatment, View] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Chosen:
    """Something of each token's chosen experts: their numbers, their scores, or the sum of those."""

    choice: Choice
    what: Literal["numbers", "scores", "sums"]
    shape: tuple[int, ...]
    treatment: Treatment = PLAIN

    def treated(self, treatment: Treatment) -> Chosen:
        """The scores with another treatment, noted as that read last."""
        self.choice.last = treatment
        return replace(self, treatment=treatment)

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
