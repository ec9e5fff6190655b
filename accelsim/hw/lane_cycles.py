"""Cycles of the vector unit's lanes that a task's record carries, so that no step of a kernel divides for them."""

from __future__ import annotations

import numpy as np

from accelsim.kernels.compute_state import DRAIN
from accelsim.program import Int64, Structured


def with_lane_cycles(tasks: Structured, machine: Structured) -> Structured:
    """Tasks (n,) with `stripes`, `full_cycles` and `last_cycles`, which follow from their other fields and from `machine` (1,)."""
    out = tasks.copy()
    width = tasks["width"]
    tile = np.where(tasks["kind"] == DRAIN, tasks["tile_cols"], width)
    out["stripes"] = stripes = np.maximum(-(-width // np.maximum(tile, 1)), 1)
    out["full_cycles"] = _cycles(tasks, tile, machine)
    out["last_cycles"] = _cycles(tasks, width - (stripes - 1) * tile, machine)
    return out


def _cycles(tasks: Structured, elements: Int64, machine: Structured) -> Int64:
    """Cycles for which rows of so many elements occupy the lanes; a pass with more accesses than the ports serve takes several."""
    lanes, ports = int(machine["lanes"][0]), int(machine["port_accesses"][0])
    if lanes == 0:
        return np.zeros(tasks.size, np.int64)
    passes: Int64 = tasks["passes"] * -(-elements // lanes)
    stretched: Int64 = np.where(tasks["accesses"] > ports, passes * -(-tasks["accesses"] // max(ports, 1)), passes)
    return stretched
