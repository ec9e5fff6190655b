"""Addresses of slots in a buffer, one after the other, each at the lowest that is free while it lives."""

from __future__ import annotations

import numpy as np

from accelsim.kernels.kernel import kernel


@kernel
def lowest_offsets(spans, order, highest, offsets):
    """Write the offset of each span, in `order`.

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
    entries, operations = 0, 1
    for index in order:
        entries += spans[index, 1] - spans[index, 0] + 1
        operations = max(operations, spans[index, 1] + 1)
    newest = np.full(operations, -1, np.int64)  # entry of the span that was placed last, of those that live during an operation
    older = np.empty(entries, np.int64)  # entry -> the one before it of the same operation
    placed = np.empty(entries, np.int64)  # entry -> its span
    seen = np.full(spans.shape[0], -1, np.int64)  # span -> the last one that met it
    near = np.empty(spans.shape[0], np.int64)
    entry = 0
    for index in order:
        first, last, size = spans[index, 0], spans[index, 1], spans[index, 2]
        count = 0
        for op in range(first, last + 1):
            at = newest[op]
            while at >= 0:
                other = placed[at]
                if seen[other] != index:
                    seen[other] = index
                    near[count] = other
                    count += 1
                at = older[at]
        offset, free = 0, False
        while not free:  # what overlaps leaves no room below its end
            free = True
            for place in range(count):
                other = near[place]
                if offset < offsets[other] + spans[other, 2] and offsets[other] < offset + size:
                    offset = offsets[other] + spans[other, 2]
                    free = False
        if offset > highest[index]:
            return index
        offsets[index] = offset
        for op in range(first, last + 1):
            placed[entry], older[entry], newest[op] = index, newest[op], entry
            entry += 1
    return -1
