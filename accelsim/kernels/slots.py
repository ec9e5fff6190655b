"""Addresses of slots in a buffer, one after the other, each at the lowest that is free while it lives."""

from __future__ import annotations

import numpy as np

from accelsim.kernels.kernel import kernel


@kernel
def _sink(starts, spans_at, count, at):
    """Restore the order of a binary heap, smallest start first, from the entry `at` down."""
    start, span = starts[at], spans_at[at]
    child = 2 * at + 1
    while child < count:
        if child + 1 < count and starts[child + 1] < starts[child]:
            child += 1
        if starts[child] >= start:
            break
        starts[at], spans_at[at] = starts[child], spans_at[child]
        at, child = child, 2 * child + 1
    starts[at], spans_at[at] = start, span


@kernel
def lowest_offsets(spans, order, highest, offsets):
    """Write the offset of each span, in `order`.

    A span meets those that live when it begins, which a segment tree over the operations finds, and those that begin during its life.
    They leave a heap in the order of their addresses, of which the first few are asked for: most spans find room low in the buffer.

    Parameters
    ----------
    spans : int64 (n, 3): first and last operation, from 0 on, and bytes
    order : int64 (m,), places in `spans`
    highest : int64 (n,), offsets that are not exceeded
    offsets : int64 (n,), written

    Returns
    -------
    The first place in `spans` that would lie beyond its highest offset; the rest is left. -1: all have one.
    """
    leaves, entries = 1, 0
    for index in order:
        while leaves <= spans[index, 1]:
            leaves *= 2
        life = spans[index, 1] - spans[index, 0] + 1
        while life:  # at most two nodes per level hold a span
            entries, life = entries + 2, life // 2
    newest = np.full(2 * leaves, -1, np.int64)  # node -> entry of the span that was put into it last
    older = np.empty(entries, np.int64)  # entry -> the one before it in the same node
    held = np.empty(entries, np.int64)  # entry -> its span
    begun = np.full(leaves, -1, np.int64)  # operation -> the span that was placed last, of those that begin with it
    before = np.empty(spans.shape[0], np.int64)  # span -> the one before it that begins with the same operation
    near = np.empty(spans.shape[0], np.int64)
    starts = np.empty(spans.shape[0], np.int64)
    entry = 0
    for index in order:
        first, last, size = spans[index, 0], spans[index, 1], spans[index, 2]
        count = 0
        node = leaves + first
        while node:
            at = newest[node]
            while at >= 0:
                near[count], starts[count] = held[at], offsets[held[at]]
                count += 1
                at = older[at]
            node //= 2
        for op in range(first + 1, last + 1):
            other = begun[op]
            while other >= 0:
                near[count], starts[count] = other, offsets[other]
                count += 1
                other = before[other]
        offset = 0
        for at in range(count // 2 - 1, -1, -1):
            _sink(starts, near, count, at)
        while count and starts[0] < offset + size:
            offset = max(offset, starts[0] + spans[near[0], 2])
            count -= 1
            starts[0], near[0] = starts[count], near[count]
            _sink(starts, near, count, 0)
        if offset > highest[index]:
            return index
        offsets[index] = offset
        before[index], begun[first] = begun[first], index
        low, high = leaves + first, leaves + last + 1
        while low < high:  # the nodes that hold each operation of the span once
            if low % 2:
                held[entry], older[entry], newest[low] = index, newest[low], entry
                entry, low = entry + 1, low + 1
            if high % 2:
                high -= 1
                held[entry], older[entry], newest[high] = index, newest[high], entry
                entry += 1
            low, high = low // 2, high // 2
    return -1
