"""Slots at the lowest free addresses: each placement beside the one of the definition."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.kernels.slots import lowest_offsets
from accelsim.program import Int64


def lowest_by_definition(spans: Int64, order: Int64, highest: Int64) -> tuple[int, dict[int, int]]:
    """(the first span without room or -1, span -> offset): of 0 and the ends of what lives at the same time, the lowest that is free."""
    placed: dict[int, int] = {}
    for index in order.tolist():
        first, last, size = spans[index].tolist()
        beside = [(at, at + spans[other, 2]) for other, at in placed.items() if spans[other, 0] <= last and spans[other, 1] >= first]
        free = min(at for at in (0, *(end for _, end in beside)) if all(at >= end or at + size <= start for start, end in beside))
        if free > highest[index]:
            return index, placed
        placed[index] = free
    return -1, placed


@pytest.mark.parametrize("seed", range(60))
def test_each_span_lies_at_the_lowest_address_that_is_free_while_it_lives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, operations = int(rng.integers(1, 40)), int(rng.integers(1, 50))
    ends = np.sort(rng.integers(0, operations, (count, 2)), axis=1)
    spans = np.column_stack([ends, rng.integers(1, 9, count)]).astype(np.int64)
    order = rng.permutation(count).astype(np.int64)[: int(rng.integers(1, count + 1))]
    highest = rng.integers(10, 120, count).astype(np.int64) - spans[:, 2]
    offsets = np.zeros(count, np.int64)
    stuck = int(lowest_offsets(spans, order, highest, offsets))
    expected, placed = lowest_by_definition(spans, order, highest)
    assert stuck == expected
    assert {index: int(offsets[index]) for index in placed} == placed
