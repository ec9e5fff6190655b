"""The order in which a drain puts out its units, a row of an N-tile each: `unit_place` of the kernels, the other way round.

N-tiles come one after the other, each with all its rows; those of a fold come together, row by row, as each row meets all their weights.
"""

from __future__ import annotations

from collections.abc import Mapping


def unit_of(drain: Mapping[str, int], tile: int, row: int) -> int:
    """The unit that holds a row of an N-tile, which counts through all groups."""
    tiles, rows, file = -(-drain["width"] // drain["tile_cols"]), drain["rows"], drain["file"]
    inside = tile % tiles
    first = inside // file * file
    return (tile - inside + first) * rows + row * min(file, tiles - first) + inside - first


def last_units(task: Mapping[str, int]) -> tuple[int, int]:
    """(unit of row 0, units from one row to the next) of what completes each row of a task's result: a drain's last N-tile."""
    if "tile_cols" not in task:
        return 0, 1
    if task["turned"]:  # rows side by side, one channel after the other: all are taken as whole with the last one
        return task["units"] - 1, 0
    last = task["units"] // task["rows"] - 1  # N-tile
    first = unit_of(task, last, 0)
    return first, unit_of(task, last, 1) - first
