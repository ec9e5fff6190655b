"""Area, energy, leakage and cycle time of an SRAM: interpolated in a grid of CACTI 7 points, larger ones put together from macros.

Disputable assumptions: sizes and widths between two points follow a straight line in the logarithm of both; a word wider than
the grid is read from macros side by side, a capacity beyond it from several of its largest macros, of which one is read; a capacity
below the grid keeps the energy of the smallest point and the area a bit of it. CACTI's own choice of sub-arrays makes the grid uneven by
some 15 % from point to point; nothing here smooths it. Areas are those of device lop for all three: cells are of one size (the medians
of hp and lstp over lop are within 0.1 %), and what differs is which sub-arrays CACTI happens to choose.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import exp, log
from pathlib import Path
from typing import Literal

from accelsim.errors import ConfigError
from accelsim.presets import built_in

Device = Literal["hp", "lop", "lstp"]
SramPorts = Literal["1rw", "1r1w"]


@dataclass(frozen=True)
class SramPoint:
    """One memory, at the grid's node.

    Attributes
    ----------
    area_um2 : silicon of the macro or macros, um2
    read_pj, write_pj : energy of one access of the whole word, pJ
    leakage_mw : subthreshold and gate leakage, mW
    cycle_ns : least time between two accesses, ns
    notes : what was not interpolated, in words
    """

    area_um2: float
    read_pj: float
    write_pj: float
    leakage_mw: float
    cycle_ns: float
    notes: tuple[str, ...] = ()


_Column = Mapping[int, SramPoint]
AREA_DEVICE: Device = "lop"
_MACRO = ("node_nm", "ports", "word_bits", "size_bytes")


def grid_file() -> Path:
    """The table of CACTI points."""
    return built_in().configs / "technology" / "cacti7_sram.csv"


@cache
def _grid() -> dict[tuple[int, str, str], dict[int, dict[int, SramPoint]]]:
    """(node, device, ports) -> word bits -> bytes -> point."""
    with grid_file().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    areas = {tuple(row[name] for name in _MACRO): float(row["area_um2"]) for row in rows if row["device"] == AREA_DEVICE}
    tables: dict[tuple[int, str, str], dict[int, dict[int, SramPoint]]] = {}
    for row in rows:
        table = tables.setdefault((int(row["node_nm"]), row["device"], row["ports"]), {})
        read, write, leakage, cycle = (float(row[name]) for name in ("read_pj", "write_pj", "leakage_mw", "cycle_ns"))
        point = SramPoint(areas[tuple(row[name] for name in _MACRO)], read, write, leakage, cycle)
        table.setdefault(int(row["word_bits"]), {})[int(row["size_bytes"])] = point
    return tables


def grid_nodes() -> list[int]:
    """Nodes that the grid has, nm."""
    return sorted({node for node, _, _ in _grid()})


def is_grid_point(node_nm: int, device: Device, ports: SramPorts, size_bytes: int, word_bits: int) -> bool:
    """Whether the grid has this very memory, so that nothing is interpolated."""
    return size_bytes in _grid().get((node_nm, device, ports), {}).get(word_bits, {})


def sram_point(node_nm: int, device: Device, ports: SramPorts, size_bytes: int, word_bits: int) -> SramPoint:
    """The memory of `size_bytes` with words of `word_bits`; `notes` says what lies outside the grid.

    Raises
    ------
    ConfigError
        The grid has no such node.
    """
    table = _grid().get((node_nm, device, ports))
    if table is None:
        raise ConfigError(f"no SRAM table for {node_nm} nm, device {device!r}, ports {ports!r}; nodes with a table: {grid_nodes()} nm")
    widths = sorted(table)
    if word_bits > widths[-1]:
        count = -(-word_bits // widths[-1])
        part = sram_point(node_nm, device, ports, -(-size_bytes // count), -(-word_bits // count))
        note = f"word of {word_bits} bits is wider than the grid ({widths[-1]}): {count} macros side by side"
        return _several(part, count, count, note)
    largest = max(table[widths[-1]])
    if size_bytes > largest:
        share = size_bytes / largest
        part = sram_point(node_nm, device, ports, largest, word_bits)
        note = f"{size_bytes} B is beyond the grid: {share:.3g} macros of {largest} B, one read at a time; wires between them not counted"
        return _several(part, share, 1, note)
    if word_bits < widths[0]:
        point = _at_size(table[widths[0]], size_bytes)
        return _with_note(point, f"word of {word_bits} bits is narrower than the grid: taken as {widths[0]}")
    above = next(width for width in widths if width >= word_bits)
    if above == word_bits:
        return _at_size(table[above], size_bytes)
    below = max(width for width in widths if width < word_bits)
    weight = log(word_bits / below) / log(above / below)
    return _mix(_at_size(table[below], size_bytes), _at_size(table[above], size_bytes), weight)


def _at_size(column: _Column, size_bytes: int) -> SramPoint:
    """A memory of one of the grid's widths, interpolated in size."""
    sizes = sorted(column)
    if size_bytes < sizes[0]:
        smallest = column[sizes[0]]
        share = size_bytes / sizes[0]
        note = f"{size_bytes} B is below the grid ({sizes[0]} B at this width): area and leakage a bit as there, energy and cycle unchanged"
        return SramPoint(
            smallest.area_um2 * share, smallest.read_pj, smallest.write_pj, smallest.leakage_mw * share, smallest.cycle_ns, (note,)
        )
    if size_bytes in column:
        return column[size_bytes]
    place = bisect_right(sizes, size_bytes)
    low, high = sizes[place - 1], sizes[place]
    return _mix(column[low], column[high], log(size_bytes / low) / log(high / low))


def _mix(low: SramPoint, high: SramPoint, weight: float) -> SramPoint:
    """The point `weight` of the way from `low` to `high`, in logarithms."""

    def between(value: Callable[[SramPoint], float]) -> float:
        return exp((1 - weight) * log(value(low)) + weight * log(value(high)))

    return SramPoint(
        between(lambda point: point.area_um2),
        between(lambda point: point.read_pj),
        between(lambda point: point.write_pj),
        between(lambda point: point.leakage_mw),
        between(lambda point: point.cycle_ns),
        tuple(dict.fromkeys(low.notes + high.notes)),
    )


def _several(part: SramPoint, count: float, read: int, note: str) -> SramPoint:
    """`count` macros of which `read` take part in an access."""
    return SramPoint(
        part.area_um2 * count, part.read_pj * read, part.write_pj * read, part.leakage_mw * count, part.cycle_ns, (*part.notes, note)
    )


def _with_note(point: SramPoint, note: str) -> SramPoint:
    return SramPoint(point.area_um2, point.read_pj, point.write_pj, point.leakage_mw, point.cycle_ns, (*point.notes, note))
