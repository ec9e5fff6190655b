"""A comparison as tables: the baseline's limiting resource, the speed-ups, their breakdown, and the traffic of all runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console

from accelsim.report.compare import Comparison, Contribution, Speedup, fold_layers, no_difference, waterfall
from accelsim.report.metrics import traffic_lines
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import count, decimal_bytes, milliseconds, percent, times
from accelsim.report.verdict import decide
from accelsim.result import OPERANDS, Result
from accelsim.run_labels import label, short_labels
from accelsim.wording import first_names

TOP_LAYERS = 10
_LISTED_NAMES = 8
_HEADING_CHARS = 62


def render_comparison(console: Console, comparison: Comparison) -> None:
    """All tables of a comparison."""
    names = short_labels(comparison.results)
    say(console, f"baseline {label(comparison.baseline)}", style="bold")
    say(console, comparison.limit)
    _render_speedups(console, comparison, names)
    for name, speedup in zip(names[1:], comparison.speedups, strict=True):
        console.print()
        say(console, f"{name}: {times(speedup.speedup)} over {names[0]}", style="bold")
        say(console, decide(speedup.other).sentence)
        if speedup.same:
            say(console, no_difference(speedup))
        else:
            _render_split(console, "By category", "category", speedup, speedup.by_cause, None)
            _render_split(console, "By layer, repeated blocks summed", "layer", speedup, fold_layers(speedup.by_layer), TOP_LAYERS)
        _render_unmatched(console, speedup)
    _render_traffic(console, comparison.results, names)
    for name, speedup in zip(names[1:], comparison.speedups, strict=True):
        say(console, f"{name}: {traffic_sentence(speedup)}")
    for warning in dict.fromkeys(warning for result in comparison.results for warning in result.warnings):
        runs = [name for result, name in zip(comparison.results, names, strict=True) if warning in result.warnings]
        say(console, f"warning: {warning}" if len(runs) == len(names) else f"warning: {', '.join(runs)}: {warning}", style="yellow")


def _render_speedups(console: Console, comparison: Comparison, names: Sequence[str]) -> None:
    out = table([">run", "", ">ms", ">cycles", ">speed-up", "limited by"])
    ratios = (1.0, *(item.speedup for item in comparison.speedups))
    for index, (result, name, ratio) in enumerate(zip(comparison.results, names, ratios, strict=True)):
        row(
            out,
            str(index),
            name,
            milliseconds(result.milliseconds),
            count(result.total_cycles),
            times(ratio),
            decide(result).label,
        )
    show(console, "Speed-up", out)


def _render_split(console: Console, title: str, what: str, speedup: Speedup, parts: Iterable[Contribution], top: int | None) -> None:
    moved = {part.name: part for part in parts if part.saved_ticks}
    difference = speedup.baseline_ticks - speedup.other_ticks
    of, whole = speedup.share_of
    out = table([what, ">baseline", ">this run", ">saved", f">of the {of}", ">so far"])
    for step in waterfall(speedup, moved.values(), top):
        part = moved.get(step.name)
        row(
            out,
            step.name,
            _time(speedup, part.baseline_ticks) if part else "",
            _time(speedup, part.other_ticks) if part else "",
            _time(speedup, step.saved_ticks, sign="+"),
            percent(step.saved_ticks, whole),
            times(step.speedup),
        )
    row(
        out,
        "all",
        _time(speedup, speedup.baseline_ticks),
        _time(speedup, speedup.other_ticks),
        _time(speedup, difference, sign="+"),
        percent(difference, whole),
        times(speedup.speedup),
        style="bold",
    )
    show(console, f"{title}, in {'cycles' if speedup.ticks_are_cycles else 'microseconds (the clocks differ)'}", out)


def _time(speedup: Speedup, ticks: int, sign: str = "") -> str:
    """Cycles, or microseconds where the runs have no common cycle; a gain carries its sign."""
    return f"{ticks:{sign},}" if speedup.ticks_are_cycles else f"{1e6 * ticks / speedup.tick_hz:{sign},.3f}"


def _render_unmatched(console: Console, speedup: Speedup) -> None:
    for where, names in (("the baseline", speedup.only_in_baseline), ("this run", speedup.only_in_other)):
        if names:
            say(console, f"only in {where}: {first_names(names, _LISTED_NAMES)}")


def traffic_sentence(speedup: Speedup) -> str:
    """Both ratios of the traffic: that of the whole model, and that of the matrices whose format differs."""
    ratio = speedup.traffic
    if ratio.whole_model is None:
        return "moves no bytes."
    text = (
        f"useful bytes of the whole model {decimal_bytes(ratio.useful_baseline_bits / 8)} in the baseline, "
        f"{decimal_bytes(ratio.useful_other_bits / 8)} here: a ratio of {ratio.whole_model:.2f}"
    )
    if ratio.matrices_alone is None:
        return f"{text}."
    return f"{text}; the weights of the {len(ratio.matrices)} matrices whose format differs, alone: {ratio.matrices_alone:.2f}."


def _render_traffic(console: Console, results: Sequence[Result], names: Sequence[str]) -> None:
    fits = sum(max(len(name), 12) + 2 for name in names) <= _HEADING_CHARS
    out = table(["operand", *(f">{name}" if fits else f">run {index}" for index, name in enumerate(names))])
    bits = [dict.fromkeys(OPERANDS, 0) for _ in results]
    for found, result in zip(bits, results, strict=True):
        for item in traffic_lines(result):
            found[item.operand] = found.get(item.operand, 0) + item.bits
    for operand in dict.fromkeys(name for found in bits for name in found):
        if any(found.get(operand) for found in bits):
            row(out, operand, *(f"{found.get(operand, 0) / 8:,.0f}" for found in bits))
    row(out, "useful", *(count(result.useful_bytes) for result in results), style="bold")
    row(out, "on the bus", *(count(result.bus_bytes) for result in results), style="bold")
    show(console, "Traffic in bytes, reads and writes", out)
