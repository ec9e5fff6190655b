"""Formats compared on one chip: storage, time, tightest bound, energy, and the area of the chip, of the decoder and of the codebook.

Disputable assumption: each format has the chip with its own codebook; the rest of the chip is the same for all, and fits none exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console

from accelsim.cost.span import Span
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv, to_json
from accelsim.report.metrics import tightest_bound, weight_bits
from accelsim.report.speedup_cells import RESOURCE_OF_BOUND
from accelsim.report.tables.markup import markdown_rows
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import decimals, milliseconds, times
from accelsim.result import Result
from accelsim.trace.trace_name import TraceName

FORMATS_FILE = "formats.json"
FORMATS_FOLDER = FolderKind(FORMATS_FILE, (FORMATS_FILE, "formats.csv", "formats.md"))
_SPANS = ("energy_pj", "decoder_pj", "area_um2", "decoder_um2", "codebook_um2")
_HEADINGS = (
    "trace", ">bits/weight", ">stored", ">weights, MB", ">ms", ">speed-up", "tightest bound", ">energy, uJ", ">area, mm2",
    ">decoder, mm2", ">codebook, mm2", ">decoder, uJ",
)  # fmt: skip
_FEW = 0.9  # share of the weights below which a row names it: stem and classifier at 8 bit are less
_RUN_CELLS = 7  # of a row's cells, those about the run; the rest are areas and the decoder's energy


@dataclass(frozen=True)
class FormatPoint:
    """One trace on the chip.

    Attributes
    ----------
    values
        Of the weights: "stored", "seeded" (not stored, but encoded once, and made again when they are needed) or "shapes" (never encoded).
    formats
        The formats of its matrices, by descending number of weights; int8, which other layers keep, last.
    weights_share
        Weights in the first of them, over all.
    paper_bits_per_weight, stored_bits_per_weight
        Of the matrices in the first of them: as papers count, and with scales, codebooks and padding.
    relative_mse
        Of all matrices, from the trace's metrics; None if it has none.
    overrides
        Fields of the chip that were set for this trace.
    energy_pj, decoder_pj
        Energy per inference, off-chip memories included, and of it what decodes the weights, without the codebook.
    area_um2, decoder_um2, codebook_um2
        Placed area of the chip, of what decodes the first of the formats without
        the codebook, and of the codebook.
    codebook_store
        "ram" or "rom"; None for a format without a codebook, on whose chip one entry is left.
    scales_left_out
        Scales of groups are applied by multipliers whose area and energy the chip leaves out (`array.scale_taps: null`).
    """

    trace: str
    values: str
    formats: tuple[str, ...]
    weights_share: float
    paper_bits_per_weight: float
    stored_bits_per_weight: float
    relative_mse: float | None
    overrides: tuple[str, ...]
    result: Result
    energy_pj: Span
    decoder_pj: Span
    area_um2: Span
    decoder_um2: Span
    codebook_um2: Span
    codebook_store: str | None
    scales_left_out: bool = False

    @property
    def weight_bytes(self) -> float:
        """Bytes of weights (indices, signs, masks, codebooks, raw values) that reach the chip."""
        return sum(weight_bits(layer.traffic) for layer in self.result.layers) / 8

    @property
    def limiter(self) -> tuple[str, float]:
        """The resource of the tightest bound, and its least cycles as a share of the cycles taken."""
        name, cycles = tightest_bound(self.result.bounds)
        return RESOURCE_OF_BOUND.get(name, name), cycles / self.result.total_cycles

    def to_dict(self, baseline: FormatPoint) -> dict[str, Any]:
        """The point as plain JSON data, relative to a baseline."""
        resource, share = self.limiter
        return {
            "trace": self.trace,
            "run_id": self.result.run_id,
            "values": self.values,
            "formats": list(self.formats),
            "weights_share": self.weights_share,
            "paper_bits_per_weight": self.paper_bits_per_weight,
            "stored_bits_per_weight": self.stored_bits_per_weight,
            "relative_mse": self.relative_mse,
            "overrides": list(self.overrides),
            "weight_bytes": self.weight_bytes,
            "total_cycles": self.result.total_cycles,
            "milliseconds": self.result.milliseconds,
            "speed_up": speedup(baseline, self),
            "nearest_bound": resource,
            "achieved_of_bound": share,
            "energy_pj": _span(self.energy_pj),
            "decoder_pj": _span(self.decoder_pj),
            "area_um2": _span(self.area_um2),
            "decoder_um2": _span(self.decoder_um2),
            "codebook_um2": _span(self.codebook_um2),
            "codebook_store": self.codebook_store,
            "scales_left_out": self.scales_left_out,
        }


def format_dict(points: Sequence[FormatPoint], left_out: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """All points relative to the first, and why a trace has none, as plain JSON data."""
    found = [point.to_dict(points[0]) for point in points]
    return {"accelerator": points[0].result.accelerator_name, "points": found, "left_out": dict(left_out)}


def _span(span: Span) -> dict[str, float]:
    return {"nominal": span.nominal, "low": span.low, "high": span.high}


def speedup(baseline: FormatPoint, other: FormatPoint) -> float:
    """Time of the baseline over time of the other."""
    return baseline.result.milliseconds / other.result.milliseconds


def format_cells(baseline: FormatPoint, point: FormatPoint) -> tuple[str, ...]:
    """A point as the cells of a row, in the order of the headings."""
    resource, share = point.limiter
    store = "" if point.codebook_store is None else f"{point.codebook_um2.nominal / 1e6:.3f} {point.codebook_store.upper()}"
    return (
        f"{point.paper_bits_per_weight:.4g}",
        f"{point.stored_bits_per_weight:.3g}",
        decimals(point.weight_bytes / 1e6, 2),
        milliseconds(point.result.milliseconds),
        times(speedup(baseline, point)),
        f"{resource} {100 * share:.0f} %",
        decimals(point.energy_pj.nominal / 1e6, 0),
        f"{point.area_um2.nominal / 1e6:.2f}",
        f"{point.decoder_um2.nominal / 1e6:.3f}",
        store or "none",
        decimals(point.decoder_pj.nominal / 1e6, 0),
    )


def render_formats(console: Console, points: Sequence[FormatPoint], left_out: Mapping[str, str] = MappingProxyType({})) -> None:
    """All points relative to the first, and why a trace (its name -> the reason) has none."""
    chip = points[0].result.accelerator_name
    names = short_names([point.trace for point in points])
    runs = table(["format", ">bits/\nweight", ">\nstored", ">MB", ">ms", ">speed-\nup", "tightest\nbound", ">uJ"], dense=True)
    areas = table(["format", ">chip,\nmm2", ">decoder,\nmm2", ">codebook,\nmm2", ">decoder,\nuJ"], dense=True)
    for name, point in zip(names, points, strict=True):
        cells = format_cells(points[0], point)
        row(runs, name, *cells[:_RUN_CELLS])
        row(areas, name, *cells[_RUN_CELLS:])
    show(console, f"Formats on {chip}", runs)
    show(console, "Area and decoder", areas)
    say(
        console,
        "bits/weight: of the compressed matrices, as papers count; stored: with scales and codebooks. MB: weights and codebooks of the "
        "whole model on the way to the chip. tightest bound: the resource with the most least cycles, in percent of those taken; "
        "what gains most if it is free is simulated by `accelsim run --what-if` alone, and may be another. uJ: per inference, with the "
        "memory outside the chip. Area: as placed, of the chip with this format's decoder and codebook (RAM or ROM); of all that its "
        "weights pass, from the unpack buffer to the scales of groups; and of the codebook. decoder, uJ: of the inference's energy, in "
        "what weights pass, without the codebook.",
    )
    for line in _missing(left_out):
        say(console, line)
    few = [f"{name} ({point.weights_share:.0%})" for name, point in zip(names, points, strict=True) if point.weights_share < _FEW]
    if few:
        say(console, f"Formats that do not fit the shapes of all layers, with their share of the weights: {', '.join(few)}.")
    without = [name for name, point in zip(names, points, strict=True) if point.scales_left_out]
    if without:
        say(
            console,
            f"array.scale_taps is null: neither area nor energy of the multipliers of group scales is in the rows of {', '.join(without)}.",
        )
    shapes = [name for name, point in zip(names, points, strict=True) if point.values == "shapes"]
    if shapes:
        say(
            console,
            f"Shapes alone, never encoded: {', '.join(shapes)}. Bits, time, energy and area are exact without values, but for "
            "entropy codes, whose lengths are estimated; where banks of a codebook need indices, they are drawn evenly from the seed. "
            "Nothing is said of the error.",
        )


def markdown_table(points: Sequence[FormatPoint], left_out: Mapping[str, str] = MappingProxyType({})) -> str:
    """All points relative to the first, as a Markdown table; below it, why a trace has no row."""
    out = table(_HEADINGS)
    for point in points:
        row(out, f"`{point.trace}`", *format_cells(points[0], point))
    return markdown_rows(out) + "".join(f"\n{line}\n" for line in _missing(left_out))


def _missing(left_out: Mapping[str, str]) -> list[str]:
    return [f"Without a row: {name}: {reason}." for name, reason in left_out.items()]


def check_formats_folder(folder: Path) -> None:
    """OutputError if `folder` cannot take a comparison of formats."""
    check_replaceable(folder, FORMATS_FOLDER)


def write_formats(folder: Path, points: Sequence[FormatPoint], left_out: Mapping[str, str] = MappingProxyType({})) -> Path:
    """Write formats.json (everything), formats.csv (one row per trace) and formats.md (the table), all or nothing."""
    found = format_dict(points, left_out)
    flat = [{name: value for name, value in item.items() if not isinstance(value, (list, dict))} for item in found["points"]]
    spans = [{f"{name}_{end}": item[name][end] for name in _SPANS for end in item[name]} for item in found["points"]]
    rows = [{**item, **ends} for item, ends in zip(flat, spans, strict=True)]
    files = {FORMATS_FILE: to_json(found), "formats.csv": to_csv(rows), "formats.md": markdown_table(points, left_out)}
    return write_folder(folder, FORMATS_FOLDER, {name: text.encode() for name, text in files.items()})


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the NAME@ that all have, or without the common prefix of words that end with '_'."""
    parts = [TraceName.parse(name) for name in names]
    formats = [part.format for part in parts if part.format is not None]
    if len(formats) == len(parts) and len({(part.source, part.step) for part in parts}) == 1:
        return formats
    words = [name.split("_") for name in names]
    shared = 0
    while all(len(item) > shared + 1 and item[shared] == words[0][shared] for item in words):
        shared += 1
    return ["_".join(item[shared:]) for item in words]
