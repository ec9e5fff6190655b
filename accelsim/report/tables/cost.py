"""Latency, traffic, energy and area of several runs as tables: absolute with ranges, relative to the first, and the codebooks."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from accelsim.cost.compare_costs import RunCost
from accelsim.report.tables.sign import render_sign_costs
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import decimal_bytes, ends, milliseconds, short, times


def render_costs(console: Console, costs: Sequence[RunCost]) -> None:
    """All runs, the baseline first."""
    technology = costs[0].cost.area.technology
    _render_absolute(console, costs, technology)
    _render_relative(console, costs)
    _render_codebooks(console, costs)
    signed = {str(index): item.signs for index, item in enumerate(costs) if item.sign_megabytes}
    if signed:
        moved = ", ".join(f"{decimal_bytes(1e6 * costs[int(index)].sign_megabytes)} (run {index})" for index in signed)
        render_sign_costs(console, f"Cost of a sign bit by circuit, besides the signs that cross the memories: {moved}", signed)
    for warning in dict.fromkeys(warning for item in costs for warning in item.cost.area.warnings):
        names = [item.name for item in costs if warning in item.cost.area.warnings]
        say(console, f"warning: {warning}" if len(names) == len(costs) else f"warning: {', '.join(names)}: {warning}", style="yellow")


def _render_absolute(console: Console, costs: Sequence[RunCost], technology: str) -> None:
    out = table([">", "run", ">ms", ">MB", ">uJ", ">low-high", ">mm2", ">low-high"], dense=True)
    for index, item in enumerate(costs):
        row(
            out,
            str(index),
            item.name,
            milliseconds(item.milliseconds),
            f"{item.bus_megabytes:.3f}",
            short(item.energy_uj.nominal),
            ends(item.energy_uj),
            short(item.area_mm2.nominal),
            ends(item.area_mm2),
        )
    show(console, f"Side by side: one inference, bus traffic, energy and placed area in {technology}", out)


def _render_relative(console: Console, costs: Sequence[RunCost]) -> None:
    first = costs[0]
    out = table([">", "run", ">time", ">bytes", ">energy", ">area", ">EDP", ">TOPS/W", ">on chip"], dense=True)
    for index, item in enumerate(costs):
        energy, base = item.cost.energy, first.cost.energy
        delay = energy.energy_delay_product_js.nominal / base.energy_delay_product_js.nominal
        row(
            out,
            str(index),
            item.name,
            times(item.milliseconds / first.milliseconds),
            times(item.bus_megabytes / first.bus_megabytes) if first.bus_megabytes else "-",
            times(item.energy_uj.nominal / first.energy_uj.nominal),
            times(item.area_mm2.nominal / first.area_mm2.nominal),
            times(delay),
            short(energy.tops_per_watt().nominal),
            short(energy.tops_per_watt(off_chip=False).nominal),
        )
    show(console, "Relative to run 0; EDP: energy x delay; TOPS/W with off-chip memories, and without", out)


def _render_codebooks(console: Console, costs: Sequence[RunCost]) -> None:
    out = table([">", "store, circuit", ">words", ">ports", ">uJ", ">low-high", ">mm2", ">low-high"], dense=True)
    for index, item in enumerate(costs):
        book, energy, area = item.cost.accelerator.codebook, item.codebook_energy_uj, item.codebook_area_mm2
        row(
            out,
            str(index),
            f"{book.store}, {book.circuit}",
            f"{book.codewords}x{book.codeword_length}" + (f", {book.element_bits} bits" if book.element_bits < 8 else ""),
            f"{book.ports} in {book.banks} banks" if book.banks else str(book.ports),
            short(energy.nominal),
            ends(energy),
            short(area.nominal),
            ends(area),
        )
    show(console, "Codebooks", out)
