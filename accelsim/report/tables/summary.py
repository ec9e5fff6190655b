"""A run in at most 20 lines: time, limiting resource, bounds, stalls, traffic, energy, area, warnings, and where the rest is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from accelsim.cost.compare_costs import RunCost
from accelsim.report.metrics import Summary, summarize, traffic_lines
from accelsim.report.tables.markup import MARKUP
from accelsim.report.tables.terminal import PIPE_COLUMNS, say_line
from accelsim.report.tables.text import clean, decimal_bytes, duration, ends, percent, short, tail, times
from accelsim.report.tables.time_line import time_line
from accelsim.report.verdict import LEAST_GAIN, decide
from accelsim.report.verdict_warnings import SHARING, concerns, is_about_values
from accelsim.result import BOUND_RESOURCES, RESOURCES, Gain, Result
from accelsim.wording import first_names

MAX_LINES = 20
_UNFOLDED = 100_000  # columns: paragraphs of a page are folded by who shows it
# Stalls, operands, bounds that are named (the rest is summed) and lines of the verdict: as many as leave room for all entries.
_FITS = ((4, 20), (3, 20), (2, 20), (1, 20), (1, 4))
_NAME = 48  # columns of a chip's or network's name
_LABEL = 9  # columns of a line's heading
_NO_BREAK = "\N{NO-BREAK SPACE}"
_MAX_SENTENCE = 4  # lines of any other entry
_VERDICT = ("limit", "if free")  # entries of the verdict, the warnings about it below them
_Lines = list[tuple[str, str | None]]
Checked = Sequence[tuple[str, str]]  # (heading, sentence) of each check beside the run


def render_summary(console: Console, cost: RunCost, *, elsewhere: str, checked: Checked = ()) -> None:
    """Print the summary, headings in colour where the terminal has it; its last line is `elsewhere`, where the rest is."""
    columns = max(console.width, PIPE_COLUMNS) if MARKUP.get() is None else _UNFOLDED
    for line, style in summary_lines(cost, columns, elsewhere, checked):
        text = Text(line, style=style or "")
        if style is None:
            text.stylize("cyan", 0, _LABEL)
        say_line(console, text)


def summary_lines(cost: RunCost, columns: int, elsewhere: str, checked: Checked = ()) -> list[tuple[str, str | None]]:
    """(line, style): at most MAX_LINES of at most `columns`, as far as words allow.

    Warnings that concern the verdict stand below it, sums that can overflow first, and the first of them cut short where there is no room
    for all of it; the others stand at the end. Those that find no room are counted.
    """
    result, limit = cost.result, decide(cost.result).resource
    every = list(dict.fromkeys([*result.warnings, *cost.cost.area.warnings]))
    about = [*filter(is_about_values, every), *(text for text in every if concerns(text, limit) and not is_about_values(text))]
    others = [text for text in every if text not in about]
    last = _wrapped("more", elsewhere, columns)
    needed = bool(others) + (len(_wrapped("warning", about[0], columns)) + (len(about) > 1) if about else 0)
    for named, sentence in _FITS:
        above, below = _around_warnings(cost, columns, named, sentence, checked)
        room = MAX_LINES - len(above) - len(below) - len(last)
        if room >= needed:
            break
    if room < 2:  # a line counts them all
        about, others = [], [*about, *others]
    near = _warnings(_cut(about, columns, room - bool(others)), columns, room - bool(others))
    far = _warnings(others, columns, room - len(near))
    return [*above, *near, *below, *far, *((line, "dim") for line in last)]


def _around_warnings(cost: RunCost, columns: int, named: int, sentence: int, checked: Checked) -> tuple[_Lines, _Lines]:
    """The lines up to the verdict, itself in up to `sentence` lines, and those below it."""
    summary = summarize(cost.result)
    above: _Lines = [(f"{tail(summary.accelerator, _NAME)} runs {tail(summary.trace, _NAME)}"[:columns], "bold")]
    below: _Lines = []
    for label, text in (*_entries(cost, cost.result, summary, named), *checked):
        verdict = label == "limit"
        lines = [(line, "bold" if verdict else None) for line in _wrapped(label, text, columns, sentence if verdict else _MAX_SENTENCE)]
        (below if below or label not in ("time", "networks", "frames", *_VERDICT) else above).extend(lines)
    return above, below


def _entries(cost: RunCost, result: Result, summary: Summary, named: int) -> Iterable[tuple[str, str]]:
    yield "time", time_line(summary, result)
    turns = _turns(result, max(2, named))  # two that share a chip are both named
    if turns:
        yield "networks", turns
    elif summary.frames > 1:
        yield "frames", f"cold start {duration(summary.cold_ms)} (first), steady state {duration(summary.steady_ms)} (last)"
    yield "limit", summary.limiting_sentence
    verdict = decide(result)
    if verdict.gains:
        yield "if free", _gains(verdict.gains, named)
    own = [reason for resource in verdict.alike for reason in RESOURCES.get(resource, ())]
    least = [name for name, resource in BOUND_RESOURCES.items() if resource in verdict.alike]
    yield "bounds", f"least cycles over cycles taken: {_shares(result.bounds, summary.total_cycles, named, least, rest=False)}"
    yield "cycles", _shares(summary.cycles, summary.total_cycles, named, own)
    if result.cores:
        each = ", ".join(f"{100 * core.utilization:.1f} %" for core in result.cores)
        slower = "; one core may be faster (--full says why)" if any(SHARING in text for text in result.warnings) else ""
        yield "cores", f"{len(result.cores)}, utilization {each}; cycles are those of the core that ended last{slower}"
    moved: dict[str, int] = {}
    for item in traffic_lines(result):
        moved[item.operand] = moved.get(item.operand, 0) + item.bits
    share = f": {_shares(moved, sum(moved.values()), named)}" if moved and named > 1 else ""
    yield "traffic", f"{decimal_bytes(summary.bus_bytes)} on the bus, {decimal_bytes(summary.useful_bytes)} of it useful{share}"
    node = cost.cost.area.technology
    yield "energy", f"{short(cost.energy_uj.nominal)} uJ per inference ({ends(cost.energy_uj)}) in {tail(node, _NAME)}"
    yield (
        "area",
        f"{short(cost.area_mm2.nominal)} mm2 ({ends(cost.area_mm2)}); array utilization {summary.utilization_pct:.1f} % of the MAC slots",
    )
    yield "weights", result.weights_source


def _gains(gains: Sequence[Gain], named: int) -> str:
    """'decoder 1.57x, shadow weights 1.19x; memory slower by 27 cycles (--full says why)', the largest gain first."""
    found = [item for item in gains if item.speed_up >= LEAST_GAIN]
    texts = [times(item.speed_up) for item in found]
    most = _with_equals(texts, named)
    shown = [f"{item.resource} {text}" for item, text in zip(found, texts[:most], strict=False)]
    rest = [f"others at most {texts[most]}"] if len(texts) > most else []
    slower = [f"{item.resource} {item.anomaly.partition(':')[0]}" for item in gains if item.anomaly]
    anomalies = [f"{', '.join(slower) if len(slower) <= named else f'{len(slower)} are slower'} (--full says why)"] if slower else []
    return "; ".join([", ".join([*shown, *rest]) or "nothing gains", *anomalies])


def _turns(result: Result, named: int) -> str:
    """Time of each network of a run of several, in turn or on cores of their own, all its frames summed."""
    cycles: dict[str, int] = {}
    for frame in result.own_frames:
        cycles[frame.trace] = cycles.get(frame.trace, 0) + frame.total_cycles
    if len(cycles) < 2:
        return ""
    cores = dict(zip((frame.trace for frame in result.frames), result.core_of_frames, strict=False))
    turns = [
        f"{tail(name, _NAME)} {duration(1e3 * value / result.clock_hz)}{f' on core {cores[name]}' if cores else ''}"
        for name, value in cycles.items()
    ]
    return first_names(turns, named)


def _with_equals(texts: Sequence[str], named: int) -> int:
    """`named`, and as many more as read like the last of them."""
    return next((place for place in range(named, len(texts)) if texts[place] != texts[named - 1]), len(texts))


def _shares(parts: Mapping[str, int], whole: int, named: int, also: Sequence[str] = (), *, rest: bool = True) -> str:
    """'busy 60.1 %, dram 20.0 %, ..., others 1.2 %' of a whole, the largest first; those of `also` are named unless they read as 0."""
    found = sorted(((value, name) for name, value in parts.items() if value), key=lambda item: -item[0])
    most = _with_equals([percent(value, whole) for value, _ in found], named)
    kept = [place < most or (name in also and percent(value, whole) != percent(0, whole)) for place, (value, name) in enumerate(found)]
    shown = [f"{name} {percent(value, whole)}" for (value, name), here in zip(found, kept, strict=True) if here]
    left = sum(value for (value, _), here in zip(found, kept, strict=True) if not here)
    return ", ".join([*shown, f"others {percent(left, whole)}"] if rest and left else shown) or "none"


def _wrapped(label: str, text: str, columns: int, most: int = _MAX_SENTENCE) -> list[str]:
    first = f"{label:<{_LABEL}}"
    bound = re.sub(r"(?<=\d) (?=%)", _NO_BREAK, clean(text))  # a number and its unit share a line
    folded = textwrap.wrap(
        bound, columns, initial_indent=first, subsequent_indent=" " * _LABEL, break_long_words=False, break_on_hyphens=False
    )
    lines = [line.replace(_NO_BREAK, " ") for line in folded]
    return lines if len(lines) <= most else [*lines[: most - 1], f"{' ' * _LABEL}..."]


def _cut(texts: Sequence[str], columns: int, room: int) -> Sequence[str]:
    """`texts`, the first cut to the lines that it can have."""
    if not texts:
        return texts
    lines, own = _wrapped("warning", texts[0], columns), max(1, room - (len(texts) > 1))
    if len(lines) <= own:
        return texts
    return [" ".join(line[_LABEL:] for line in lines[:own]).rsplit(" ", 1)[0] + " ...", *texts[1:]]


def _warnings(texts: Sequence[str], columns: int, room: int) -> list[tuple[str, str | None]]:
    """As many warnings as fit into `room` lines; of those that do not, how many there are."""
    lines: list[str] = []
    for index, text in enumerate(texts):
        wrapped = _wrapped("warning", text, columns)
        if len(lines) + len(wrapped) > room - (index < len(texts) - 1):
            lines.append(f"{'warning':<{_LABEL}}{len(texts) - index}{' more' if lines else ''} not shown here")
            break
        lines += wrapped
    return [(line, "yellow") for line in lines]
