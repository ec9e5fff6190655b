"""Addresses of slots in a buffer, one after the other, each at the lowest that is free while it lives."""

from __future__ import annotations

import numpy as np

from accelsim.kernels.kernel import kernel


@kernel
def lowest_offsets(spans, order, highest, offsets):
    """Write the offset of each span, in `order`.

    A span meets those that live when it begins, which a segment tree over the operations finds, and those that begin during its life.

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
    leaves, depth = 1, 1
    for index in order:
        while leaves <= spans[index, 1]:
            leaves, depth = 2 * leaves, depth + 1
    newest = np.full(2 * leaves, -1, np.int64)  # node -> entry of the span that was put into it last
    older = np.empty(2 * depth * order.size, np.int64)  # entry -> the one before it in the same node
    held = np.empty(2 * depth * order.size, np.int64)  # entry -> its span
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
        for place in np.argsort(starts[:count]):
            if starts[place] >= offset + size:
                break
            offset = max(offset, starts[place] + spans[near[place], 2])
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
