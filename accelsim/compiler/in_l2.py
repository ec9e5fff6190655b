"""Room that activations take in the shared level, when they lie there.

Disputable assumptions: a tensor takes its room from the first job that moves it to the last one, and the level has no holes: the most bytes
that are live at once are all that is needed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from accelsim.program import ActivationJob


def most_live_bytes(jobs: Sequence[ActivationJob], regions: Sequence[tuple[int, int]]) -> int:
    """Most bytes of activations that lie in the level at once, in the order of the jobs.

    Parameters
    ----------
    regions : (address, bytes) of each tensor, in the order of the addresses
    """
    starts = [start for start, _ in regions]
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, job in enumerate(jobs):
        if job.address >= 0:
            region = bisect_right(starts, job.address) - 1
            first.setdefault(region, number)
            last[region] = number
    changes: Counter[int] = Counter()
    for region, begin in first.items():
        changes[begin] += regions[region][1]
        changes[last[region] + 1] -= regions[region][1]
    live = most = 0
    for number in sorted(changes):
        live += changes[number]
        most = max(most, live)
    return most
