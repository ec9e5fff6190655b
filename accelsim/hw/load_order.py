"""The ends of tasks that lie before each load, so that the cluster knows of a load that cannot have come without asking the memory side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from accelsim.kernels.compute_state import DRAIN, LOAD
from accelsim.program import ActivationJob, Structured


def with_load_order(tasks: Structured, jobs: Sequence[ActivationJob]) -> Structured:
    """Tasks (n,) with `before_drains` and `before_rows`: jobs are issued in order, so a load comes after all ends that jobs wait for.

    Of a load these are the drains, and the row functions, that have to end before the first job that fills a part of it is issued.
    """
    out = tasks.copy()
    kinds, ordinals = tasks["kind"], tasks["ordinal"]
    needed = [[(kinds[task] == DRAIN, int(ordinals[task]) + 1) for task in job.after] for job in jobs]
    for field, of_drain in (("before_drains", True), ("before_rows", False)):
        ends = (max((count for drain, count in each if drain == of_drain), default=0) for each in needed)
        first = {job.load: count for job, count in reversed(list(zip(jobs, accumulate(ends, max), strict=True))) if not job.write}
        loads = np.flatnonzero(kinds == LOAD)
        out[field][loads] = [first.get(int(ordinal), 0) for ordinal in ordinals[loads]]
    return out
