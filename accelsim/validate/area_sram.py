"""CACTI's SRAM points against the grid that the model interpolates in: area, energies, leakage and cycle time.

Disputable assumption: a point that lies between the grid's sizes is as far off as the grid's own points are when each is left out, at most;
CACTI chooses its sub-arrays at every size, so neighbours scatter around a line between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast, get_args

from accelsim.cost.sram_grid import AREA_DEVICE, Device, SramPoint, SramPorts, grid_nodes, is_grid_point, sram_point
from accelsim.validate.figure_check import FigureCheck
from accelsim.validate.reference_csv import ReferenceRow

COLUMNS = ("size_B", "node_nm", "word_bits", "ports", "cell", "area_mm2")
OTHER_DEVICE_AREA_PCT = 33.0  # CACTI's other choices of sub-arrays: over the grid, hp and lstp are 0.79 to 1.31 times lop
MAX_BYTES, MAX_WORD_BITS = 2**30, 2**16

# Judged figures: unit, the reference's figure in it, the model's, and the largest error of the grid's inner points when each is left
# out, percent (tests/report/test_area_sram_grid.py measures it). Areas are those of device lop (`sram_grid`).
_Figure = tuple[str, Callable[[ReferenceRow], float], Callable[[SramPoint], float], float]
FIGURES: Mapping[str, _Figure] = {
    "area_mm2": ("mm2", lambda row: row.number("area_mm2"), lambda point: point.area_um2 / 1e6, 18),
    "read_nJ": ("pJ read", lambda row: 1e3 * row.number("read_nJ"), lambda point: point.read_pj, 27),
    "write_nJ": ("pJ write", lambda row: 1e3 * row.number("write_nJ"), lambda point: point.write_pj, 39),
    "leak_mW": ("mW", lambda row: row.number("leak_mW") + row.number("gate_leak_mW"), lambda point: point.leakage_mw, 19),
}


def sram_checks(row: ReferenceRow) -> Iterator[FigureCheck]:
    """The figures of one point; a point for which CACTI found no solution (`status`) has none."""
    if row.cells.get("status", "ok") != "ok":
        return
    devices, ports = get_args(Device), get_args(SramPorts)
    device, port = cast(Device, row.cells["cell"].removeprefix("itrs-")), cast(SramPorts, row.cells["ports"])
    if device not in devices:
        raise row.error("cell", ", ".join(f"itrs-{name}" for name in devices))
    if port not in ports:
        raise row.error("ports", ", ".join(ports))
    node = row.integer("node_nm", 1, 1000)
    if node not in grid_nodes():
        raise row.error("node_nm", f"a node with a table: {grid_nodes()}")
    size, width = row.integer("size_B", 1, MAX_BYTES), row.integer("word_bits", 1, MAX_WORD_BITS)
    point = sram_point(node, device, port, size, width)
    own = is_grid_point(node, device, port, size, width)
    for column, (unit, reference, model, tolerance) in FIGURES.items():
        if not row.cells.get(column) or (column == "leak_mW" and not row.cells.get("gate_leak_mW")):
            continue
        expected, got = reference(row), model(point)
        if expected == 0:
            raise row.error(column, "a number above 0")
        name = f"{size} B, {width} bits, {port}, {device}, {node} nm"
        if column == "area_mm2" and device != AREA_DEVICE:
            tolerance = OTHER_DEVICE_AREA_PCT
        yield FigureCheck("SRAM", name, "fitted" if own else "predicted", unit, expected, got, got, got, tolerance, "; ".join(point.notes))
