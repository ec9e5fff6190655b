"""The order in which the heads of an attention run, and an estimate of what each order costs.

Scores of a head, then its softmax on the vector unit, then its context. `sequential` finishes a head before the next and needs
least buffer; `pipelined` computes the next head's scores while the vector unit is on this one; `grouped` computes all scores first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

HeadOrder = Literal["pipelined", "grouped", "sequential"]
HEAD_ORDERS: tuple[HeadOrder, ...] = get_args(HeadOrder)
Step = Literal["scores", "context"]


def head_steps(order: HeadOrder, heads: int) -> Iterator[tuple[Step, int]]:
    """(step, head) in the order in which they are issued to the array."""
    if order == "sequential":
        for head in range(heads):
            yield "scores", head
            yield "context", head
    elif order == "grouped":
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


def estimate_cycles(order: HeadOrder, heads: int, scores: int, softmax: int, context: int) -> int:
    """Cycles of array and vector unit together, each in order, when a context waits for its head's softmax.

    A two-machine schedule of whole operations: good for ranking orders, not for predicting cycles.
    """
    array = vector = 0
    softmax_end = [0] * heads
    for step, head in head_steps(order, heads):
        if step == "scores":
            array += scores
            vector = max(vector, array) + softmax
            softmax_end[head] = vector
        else:
            array = max(array, softmax_end[head]) + context
    return array
