"""Codebook use and sign balance of a trace as tables: entropy, unused codewords, the most used one, and bars.

A bar's height is how often a codeword is named, from the most used on the left to the least used; a flat row is a codebook used evenly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import count, percent
from accelsim.trace.statistics import IndexUse, TraceStatistics

_BAR_COLUMNS = 16  # half of the statistics' bars: two neighbours per character
_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


def statistics_dict(found: TraceStatistics) -> dict[str, Any]:
    """The statistics as plain JSON data."""
    return {
        "indices": {name: asdict(use) for name, use in found.indices.items()},
        "negative_share": dict(found.negative_share),
        "layers": [asdict(layer) for layer in found.layers],
    }


def render_statistics(console: Console, found: TraceStatistics, *, all_layers: bool) -> None:
    """Indices and signs by format, before them those of each layer if `all_layers` are asked for."""
    layers = [(layer.name, layer.indices, layer.negative_share) for layer in found.layers if layer.indices]
    if layers and all_layers:
        _render(console, "Indices and signs of each layer", "layer", layers)
    names = dict.fromkeys((*found.indices, *found.negative_share))
    _render(
        console,
        "Indices and signs by format" + ("" if all_layers or not layers else " (--layers: of each layer)"),
        "format",
        ((name, found.indices.get(name), found.negative_share.get(name)) for name in names),
    )
    if layers:
        say(
            console,
            "unused: codewords that no index names. entropy: bits of an index, of those stored. "
            "most used: its share of a layer's indices. bars: uses of the codewords, ranked.",
        )


def _render(console: Console, title: str, what: str, items: Iterable[tuple[str, IndexUse | None, float | None]]) -> None:
    out = table([what, ">unused", ">entropy", ">most used", ">negative", "bars"], dense=True)
    for name, use, negative in items:
        signs = "" if negative is None else percent(negative, 1)
        if use is None:
            row(out, name, "", "", "", signs, "")
            continue
        most = percent(use.most_used_share, 1) + ("" if use.most_used is None else f" #{use.most_used}")
        entropy = f"{use.entropy_bits:.2f}/{use.index_bits}"
        row(out, name, f"{count(use.unused)}/{count(use.codewords)}", entropy, most, signs, bars(use.bars, console.encoding))
    show(console, title, out)


def bars(heights: Sequence[float], encoding: str) -> str:
    """Heights as at most 16 characters, the highest full; ASCII where the terminal has no block characters."""
    levels = _BLOCKS if encoding.lower().startswith("utf") else _ASCII
    step = -(-len(heights) // _BAR_COLUMNS)
    means = [sum(heights[place : place + step]) / len(heights[place : place + step]) for place in range(0, len(heights), step)]
    top = max(means)
    return "".join(levels[0 if not mean else max(1, round(mean / top * (len(levels) - 1)))] for mean in means)
