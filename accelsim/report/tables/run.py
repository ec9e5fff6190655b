"""A run as tables of 80 columns: headline, cycle breakdown, layers, traffic, bounds, choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from rich.console import Console

from accelsim.report.metrics import (
    CATEGORY_MEANING,
    OVERHEAD_OPERANDS,
    Summary,
    bus_bits,
    category_cycles,
    group_layers,
    summarize,
    tightest_bound,
    traffic_lines,
)
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import count, decimal_bytes, duration, milliseconds, percent, times
from accelsim.report.tables.time_line import time_line
from accelsim.report.verdict import IdealizedRun, limit_rows
from accelsim.result import Result


class CheckedLayer(Protocol):
    """Verdict of the functional check on one layer."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def tiles(self) -> int: ...
    @property
    def message(self) -> str: ...


def render_run(console: Console, result: Result, *, all_layers: bool = False) -> None:
    """All tables of a run."""
    summary = summarize(result)
    render_headline(console, result, summary)
    render_limits(console, result)
    render_cycles(console, result)
    render_cores(console, result)
    render_layers(console, result, all_layers=all_layers)
    render_traffic(console, result, summary)
    render_bounds(console, result)
    render_choices(console, result)
    for warning in result.warnings:
        say(console, f"warning: {warning}", style="yellow")


def render_headline(console: Console, result: Result, summary: Summary) -> None:
    """Time, rates and the limiting resource, in sentences."""
    say(console, f"{summary.accelerator} runs {summary.trace}", style="bold")
    say(console, time_line(summary, result))
    if len({frame.trace for frame in result.frames}) > 1:
        render_frames(console, result)
    elif summary.frames > 1:
        say(
            console,
            f"cold start {duration(summary.cold_ms)} (first inference), steady state {duration(summary.steady_ms)} (last)",
        )
    say(
        console,
        f"{decimal_bytes(summary.useful_bytes)} useful, {decimal_bytes(summary.bus_bytes)} on the bus; "
        f"array utilization {summary.utilization_pct:.1f} % of the MAC slots",
    )
    say(console, summary.limiting_sentence)
    say(console, f"weights: {result.weights_source}", style="dim")
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    say(console, f"run {summary.run_id[:16]}{'; ' if versions else ''}{versions}", style="dim")


def render_frames(console: Console, result: Result) -> None:
    """Each inference of a run of several networks: in turn, or on cores of their own."""
    cores = result.core_of_frames
    out = table([">frame", *([">core"] if cores else []), "network", ">cycles", ">ms", ">bus\nkB", ">codebook\nkB"])
    for index, frame in enumerate(result.own_frames):
        moved = tuple(item for layer in frame.layers for item in layer.traffic)
        codebook = sum(item.bits for item in moved if item.operand == "codebook")
        ms = 1e3 * frame.total_cycles / result.clock_hz
        row(
            out,
            str(index),
            *([str(cores[index])] if cores else []),
            frame.trace,
            count(frame.total_cycles),
            milliseconds(ms),
            f"{bus_bits(moved) / 8e3:,.1f}",
            f"{codebook / 8e3:,.1f}",
        )
    show(console, "Networks, each on a core of its own" if cores else "Networks in turn", out)


def render_cycles(console: Console, result: Result) -> None:
    """Where the cycles go, by category; the categories add up to all cycles."""
    out = table(["category", ">cycles", ">share", "the array ..."])
    cycles = category_cycles(result)
    for name, value in cycles.items():
        if value:
            row(out, name, count(value), percent(value, result.total_cycles), CATEGORY_MEANING.get(name, ""))
    row(out, "total", count(sum(cycles.values())), percent(sum(cycles.values()), result.total_cycles), "", style="bold")
    show(console, "Where the cycles go", out)


def render_cores(console: Console, result: Result) -> None:
    """Each of several cores: its MACs, the share of its MAC slots that they fill, and its longest waits."""
    if not result.cores:
        return
    out = table([">core", ">MACs", ">utilization", ">busy", "waits, the longest first"])
    for number, core in enumerate(result.cores):
        busy = percent(core.cycles["busy"], core.total_cycles)
        row(out, str(number), count(core.macs), f"{100 * core.utilization:.1f} %", busy, longest_waits(core.cycles))
    show(console, "Cores", out)
    told = "Of each layer its own core tells the cycles, of the run the core that ended last"
    told = told if result.core_of_frames else "The other tables of cycles are those of the core that ended last"
    say(console, f"{told}; MACs, traffic and energy are those of all cores.")


def longest_waits(cycles: Mapping[str, int]) -> str:
    """'dram 40.1 %, decode 12.0 %, swap 3.1 %': the three longest of a core's stalls, of all its cycles."""
    waits = sorted(((taken, name) for name, taken in cycles.items() if name != "busy" and taken), reverse=True)
    return ", ".join(f"{name} {percent(taken, sum(cycles.values()))}" for taken, name in waits[:3])


def render_layers(console: Console, result: Result, *, all_layers: bool) -> None:
    """The layers: repeated blocks summed, or each one."""
    groups = group_layers(result, fold=not all_layers)
    frames = f", {len(result.frames)} frames summed" if len(result.frames) > 1 else ""
    title = f"Layers{frames}" if all_layers else f"Layers, repeated blocks summed{frames} (--layers lists each)"
    out = table(["layer", "", ">cycles", ">share", ">bus\nkB", ">tightest\nbound", ">main stall\nreason"], dense=True)
    for group in groups:
        cycles = group.total_cycles
        row(
            out,
            group.name,
            f"x{len(group.names)}" if len(group.names) > 1 else "",
            count(cycles),
            percent(cycles, result.total_cycles),
            f"{group.bus_bytes / 1e3:,.1f}",
            _named_share(tightest_bound(group.bounds), cycles),
            _named_share(group.top_stall, cycles),
        )
    bus = sum(group.bus_bytes for group in groups)
    row(out, "total", "", count(result.total_cycles), percent(1, 1), f"{bus / 1e3:,.1f}", "", "", style="bold")
    show(console, title, out)
    if any(tightest_bound(group.bounds)[1] > group.total_cycles > 0 for group in groups):
        say(console, "A bound above 100 %: the layer's data was prefetched during earlier layers.")


def _named_share(item: tuple[str, int], cycles: int) -> str:
    """'dram 60%' of a layer's cycles; '' where there is nothing to name."""
    name, value = item
    return f"{name} {100 * value / cycles:.0f}%" if name and cycles else ""


def render_traffic(console: Console, result: Result, summary: Summary) -> None:
    """Memory traffic by operand; useful bytes and overhead separately."""
    out = table(["operand", "memory", "direction", ">bytes", ">of the bus", ">bytes/MAC"])
    whole = sum(item.bits for item in traffic_lines(result)) / 8
    for item in traffic_lines(result):
        size = item.bits / 8
        row(
            out,
            item.operand,
            item.memory,
            "write" if item.write else "read",
            f"{size:,.0f}",
            percent(size, whole),
            _per(size, summary.macs),
        )
    overhead = {name: sum(item.bits for item in traffic_lines(result) if item.operand == name) / 8 for name in OVERHEAD_OPERANDS}
    useful = whole - sum(overhead.values())
    row(out, "useful", "", "", f"{useful:,.0f}", percent(useful, whole), _per(useful, summary.macs), style="bold")
    row(out, "on the bus", "", "", f"{whole:,.0f}", percent(whole, whole), _per(whole, summary.macs), style="bold")
    show(console, "Traffic", out)
    say(
        console,
        f"bus traffic: {summary.bus_gb_per_s:.3f} GB/s, {summary.bus_bytes_per_cycle:.3f} B/cycle, "
        f"{summary.bus_bytes_per_mac:.4f} bytes/MAC (average over the run)",
    )


def _per(part: float, whole: int) -> str:
    return f"{part / whole:.5f}" if whole else "-"


def render_limits(console: Console, result: Result) -> None:
    """Gain, cycles and bound of each resource, side by side."""
    whole = result.total_cycles
    out = table(["resource", ">speed-up\nif free", ">works or is\nwaited for", ">least\nneeded"])
    rows = limit_rows(result)
    for item in rows:
        gain = "-" if item.speed_up is None else times(item.speed_up)
        row(out, item.resource, gain, percent(item.own_cycles, whole), "-" if item.bound is None else percent(item.bound, whole))
    show(console, "What limits, in shares of the cycles taken", out)
    for item in rows:
        if item.anomaly:
            say(console, f"anomaly: {item.resource} if free: {item.anomaly}", style="yellow")


def render_bounds(console: Console, result: Result) -> None:
    """The least cycles of each resource, beside the cycles taken."""
    tightest, _ = tightest_bound(result.bounds)
    out = table(["resource", ">least cycles", ">of the cycles taken", ""])
    for name, value in sorted(result.bounds.items(), key=lambda item: -item[1]):
        note = "tightest" if name == tightest else ""
        row(out, name, count(value), percent(value, result.total_cycles), note)
    row(out, "taken", count(result.total_cycles), percent(1, 1) if result.total_cycles else "-", "", style="bold")
    show(console, "Bounds: the least cycles that each resource needs", out)


def render_choices(console: Console, result: Result) -> None:
    """The compiler's choices."""
    if not result.choices:
        return
    out = table(["choice", "taken"])
    for name, value in result.choices.items():
        row(out, name, str(value))
    show(console, "Compiler choices", out)


def render_functional(console: Console, layers: Iterable[CheckedLayer], ok: bool, codebook_error: float | None = None) -> None:
    """One line for each layer that was decoded and multiplied for real; then the error of codebooks that were rounded to integers."""
    out = table(["layer", ">tiles", "verdict"])
    checked = 0
    for layer in layers:
        checked += 1
        row(
            out, layer.name, count(layer.tiles), layer.message if layer.ok else f"WRONG: {layer.message}", style=None if layer.ok else "red"
        )
    show(console, "Functional check: decoded and multiplied", out)
    say(console, f"{checked} layers bit-exact" if ok else "the check failed", style="green" if ok else "red")
    if codebook_error is not None:
        error = f"{codebook_error:.2%} of their root mean square"
        say(console, f"Codebooks are integers here: the floats that they were rounded from differ by up to {error}.")


def render_what_if(console: Console, runs: Iterable[IdealizedRun]) -> None:
    """The table of idealizations."""
    out = table(["if free", ">cycles", ">speed-up", "meaning"])
    for item in runs:
        replanned = "" if item.replanned is None else f"with a new plan: {times(item.replanned)}"
        notes = "; ".join(text for text in (item.explanation, replanned) if text)
        note = f" ({notes})" if notes else ""
        row(out, item.name, count(item.result.total_cycles), times(item.speedup), f"{item.description}{note}")
    show(console, "Idealizations, one at a time", out)
