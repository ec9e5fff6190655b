"""An ablation as tables: each part of the decoder in both runs, its saving, and the cost of a sign bit by circuit."""

from __future__ import annotations

from rich.console import Console

from accelsim.cost.ablation import Ablation, Part
from accelsim.report.tables.sign import render_sign_costs
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import decimal_bytes, ends, short


def render_ablation(console: Console, ablation: Ablation) -> None:
    """Cycles, energy and area, the ranges of decoding's share, and the circuits for signs."""
    coded, raw = ablation.whole("coded"), ablation.whole("raw")
    say(console, f"{ablation.coded.trace_name} on {ablation.coded.accelerator_name}, against {ablation.raw.trace_name} without the decoder")
    out = table(["part", ">cycles", ">raw", ">uJ", ">raw", ">mm2", ">raw"], dense=True)
    for part in (*ablation.parts, Part("whole", coded, raw, "")):
        row(
            out,
            part.name,
            f"{part.coded.cycles:,.0f}",
            f"{part.raw.cycles:,.0f}",
            short(part.coded.energy_uj.nominal),
            short(part.raw.energy_uj.nominal),
            short(part.coded.area_mm2.nominal),
            short(part.raw.area_mm2.nominal),
            style="bold" if part.name == "whole" else None,
        )
    show(console, f"One inference by part, in {ablation.technology}; cycles that wait for the part", out)
    _render_ranges(console, ablation)
    _render_signs(console, ablation)
    say(console, "--json and the files of -o have the source of each figure.")
    say(
        console,
        f"{coded.cycles / raw.cycles:.2f}x the cycles, {coded.energy_uj.nominal / raw.energy_uj.nominal:.2f}x the energy and "
        f"{coded.area_mm2.nominal / raw.area_mm2.nominal:.2f}x the area of the chip without a decoder.",
    )


def _render_ranges(console: Console, ablation: Ablation) -> None:
    out = table(["part", ">uJ", ">low-high", ">mm2", ">low-high"])
    for part in ablation.parts[:-1]:
        energy, area = part.coded.energy_uj, part.coded.area_mm2
        row(out, part.name, short(energy.nominal), ends(energy), short(area.nominal), ends(area))
    show(console, "Parts of the coded run, with ranges", out)


def _render_signs(console: Console, ablation: Ablation) -> None:
    if not ablation.sign_bits:
        say(console, "The coded trace holds no signs.")
        return
    moved = decimal_bytes(ablation.sign_bits / 8)
    render_sign_costs(console, f"Cost of a sign bit, besides the {moved} of signs that cross the memories", {"": ablation.signs})
