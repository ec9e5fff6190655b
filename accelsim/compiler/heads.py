"""The order in which the heads of an attention run, and the estimated cycles of each order.

Scores of a head, then its softmax on the vector unit, then its context. `sequential` finishes a head before the next and needs
least buffer; `pipelined` computes the next head's scores while the vector unit is on this one; `grouped` computes all scores first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Step = Literal["scores", "context"]


@dataclass(frozen=True)
class HeadOrder:
    """An order of the heads, and whether the values' projection waits until the vector unit is on the first softmax."""

    heads: Literal["pipelined", "grouped", "sequential"]
    late_values: bool

    @property
    def at_once(self) -> int:
        """Heads whose scores are in the buffer at once; 0 for all."""
        return {"sequential": 1, "pipelined": 2, "grouped": 0}[self.heads]

    def __str__(self) -> str:
        return f"{self.heads}, values {'late' if self.late_values else 'early'}"


HEAD_ORDERS = tuple(HeadOrder(heads, late) for heads in ("pipelined", "grouped", "sequential") for late in (True, False))


def head_steps(order: HeadOrder, heads: int) -> Iterator[tuple[Step, int]]:
    """(step, head) in the order in which they are issued to the array."""
    if order.heads == "sequential":
        for head in range(heads):
            yield "scores", head
            yield "context", head
    elif order.heads == "grouped":
        for head in range(heads):
            yield "scores", head
        for head in range(heads):
            yield "context", head
    else:
        for head in range(heads):
            yield "scores", head
            if head:
                yield "context", head - 1
        if heads:
            yield "context", heads - 1


def estimate_cycles(order: HeadOrder, heads: int, scores: int, softmax: int, context: int, values: int) -> int:
    """Cycles of array and vector unit together, each in order, when a context waits for its head's softmax.

    A two-machine schedule of whole operations: good for ranking orders, not for predicting cycles. `values` is the projection that
    an order with late values puts before the first context.
    """
    array = 0 if order.late_values else values
    late = values if order.late_values else 0
    vector = 0
    softmax_end = [0] * heads
    for step, head in head_steps(order, heads):
        if step == "scores":
            array += scores
            vector = max(vector, array) + softmax
            softmax_end[head] = vector
        else:
            array, late = max(array + late, softmax_end[head]) + context, 0
    return array
