"""Limits, walks and maps as tables of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from accelsim.report.speedup_cells import Cell, Limiter
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import bytes_column, count, milliseconds, times
from accelsim.studies.study_records import LimitCell, Walk


def render_presets(console: Console, cells: Sequence[Cell], names: tuple[str, str]) -> None:
    """All presets with equal weight: time, speed-up, weight traffic and the tightest bound of each run."""
    first, second = names
    headings = ["chip", f">{first}\nms", f">{second}\nms", ">speed-\nup", f">{first}\nweights", f">{second}\nweights", "tightest bound"]
    out = table(headings, dense=True)
    sizes = bytes_column([size for cell in cells for size in (cell.baseline_weight_bytes, cell.other_weight_bytes)])
    for cell, baseline, other in zip(cells, sizes[::2], sizes[1::2], strict=True):
        row(
            out,
            cell.point.preset,
            milliseconds(cell.baseline_ms),
            milliseconds(cell.other_ms),
            times(cell.speedup),
            baseline,
            other,
            f"{_limiter(cell.baseline_limiter)} → {_limiter(cell.other_limiter)}",
        )
    show(console, f"{second} over {first} on every preset", out)
    say(
        console,
        "Tightest bound: the resource that needs most cycles, in percent of those taken. Another may gain most if it is free: "
        "accelsim run CHIP NETWORK says it.",
    )


def _limiter(limiter: Limiter) -> str:
    return f"{limiter.resource} {limiter.percent:.0f}%"


def render_maps(console: Console, cells: Sequence[Cell], column_title: str) -> None:
    """Each map of `cells` as a table: speed-up, and below it the tightest bounds of both runs."""
    for name in dict.fromkeys(cell.point.map for cell in cells):
        block = [cell for cell in cells if cell.point.map == name]
        columns = list(dict.fromkeys(cell.point.column for cell in block))
        out = table(["", *columns], dense=True)
        for label in dict.fromkeys(cell.point.row for cell in block):
            found = {cell.point.column: cell for cell in block if cell.point.row == label}
            row(out, label, *(times(found[column].speedup) for column in columns), style="bold")
            row(out, "", *(found[column].limits for column in columns))
        show(console, f"{name}; columns: {column_title}", out)
    say(console, "Below each speed-up: tightest bound of the baseline → of the compressed run (one name: both).")


def render_limit_cells(console: Console, cells: Sequence[LimitCell], expected: Sequence[tuple[float, float]]) -> None:
    """Simulated speed-ups of the ideal machine, load then compute and overlapped, and their deviation from the closed form."""
    out = table(["array", *(f">{rate:g} B/cycle" for rate in dict.fromkeys(cell.bytes_per_cycle for cell in cells))])
    for array in dict.fromkeys(cell.array for cell in cells):
        found = [cell for cell in cells if cell.array == array]
        row(out, f"{array}x{array}", *(f"{cell.serial:.2f}/{cell.overlapped:.2f}" for cell in found))
    show(console, "Ideal machine, block matrices alone: load then compute / overlapped", out)
    ratios = [got / want - 1 for cell, pair in zip(cells, expected, strict=True) for got, want in zip(_both(cell), pair, strict=True)]
    say(console, f"{len(ratios)} simulated cells; the farthest from its closed form: {100 * max(map(abs, ratios)):.2f} %.")


def _both(cell: LimitCell) -> tuple[float, float]:
    return cell.serial, cell.overlapped


def render_walk(console: Console, walk: Walk, names: tuple[str, str]) -> None:
    """The steps of a walk with the cycles of both runs."""
    out = table(["step", ">speed-up", f">{names[0]}\ncycles", f">{names[1]}\ncycles"])
    for number, step in enumerate(walk.steps):
        cycles = ["" if run is None else count(run.total_cycles) for run in (step.baseline, step.other)]
        row(out, f"{'+ ' if number else ''}{step.name}", times(step.speedup), *cycles)
    show(console, f"{walk.accelerator_name}: from {times(walk.start)} on paper to {times(walk.end)} on the chip", out)
