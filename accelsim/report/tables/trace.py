"""A trace as tables: layers with shapes, MACs and formats, bits of the weights by stream and format, and statistics of the bits.

Bits are those of the trace's streams; the overhead of a memory image (padding, bursts) depends on the accelerator and is in a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from accelsim.formats.catalog import describe_format
from accelsim.formats.weight_format import BitCount
from accelsim.report.metrics import group_name, pattern
from accelsim.report.tables.index import render_statistics, statistics_dict
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import bytes_column, count, decimal_bytes, times
from accelsim.trace.layers import Layer
from accelsim.trace.statistics import trace_statistics
from accelsim.trace.trace import Trace

_SUMS = ("matrices", "weights", "paper_bits", "stored_bits", "padding_bits")


def trace_rows(trace: Trace) -> list[dict[str, Any]]:
    """One row per layer: shape as GEMM, output, work, format, bits by stream."""
    return [_layer_row(layer) for layer in trace.layers]


def _layer_row(layer: Layer) -> dict[str, Any]:
    gemm = layer.loops
    weight = layer.weights
    streams = weight.format.streams(weight.k, weight.n) if weight else {}
    bits = weight.format.bit_count(weight.k, weight.n) if weight else BitCount(0, 0, 0)
    return {
        "layer": layer.name,
        "op": layer.op,
        "m": gemm.m if gemm else None,
        "k": gemm.k if gemm else None,
        "n": gemm.n if gemm else None,
        "groups": gemm.G if gemm else None,
        "output_groups": layer.output.groups,
        "output_rows": layer.output.rows,
        "output_width": layer.output.width,
        "output_bits": layer.output.bits,
        "macs": layer.macs,
        "parameters": layer.parameters,
        "format": describe_format(weight.format) if weight else "",
        "weights": weight.count if weight else 0,
        "stream_bits": {name: stream.total_bits for name, stream in streams.items() if stream.place != "chip"},
        "paper_bits": bits.paper,
        "stored_bits": bits.stored,
    }


def stream_totals(trace: Trace) -> dict[tuple[str, str], int]:
    """(format, stream) -> bits over all layers."""
    total: Counter[tuple[str, str]] = Counter()
    for item in trace_rows(trace):
        for name, bits in item["stream_bits"].items():
            total[item["format"], name] += bits
    return dict(total)


def format_rows(trace: Trace) -> list[dict[str, Any]]:
    """One row per format: bits per weight as papers count them (indices, signs, masks, raw weights) and as stored, with codebooks, scales
    and padding; and the ratio to float32. A codebook in the chip's ROM belongs to no layer and is reported separately."""
    rows: dict[str, dict[str, Any]] = {}
    for layer in trace.weighted_layers():
        weight, name = layer.weight, describe_format(layer.weight.format)
        bits, streams = weight.format.bit_count(weight.k, weight.n), weight.format.streams(weight.k, weight.n).values()
        chip_bits = sum(stream.total_bits for stream in streams if stream.place == "chip")
        found = rows.setdefault(name, {"format": name, **dict.fromkeys(_SUMS, 0), "chip_codebook_bits": chip_bits})
        found["matrices"] += 1
        found["weights"] += weight.count
        found["paper_bits"] += bits.paper
        found["stored_bits"] += bits.stored
        found["padding_bits"] += bits.padding
    for found in rows.values():
        found["paper_bits_per_weight"] = found["paper_bits"] / found["weights"]
        found["stored_bits_per_weight"] = found["stored_bits"] / found["weights"]
        found["paper_ratio"] = 32 * found["weights"] / found["paper_bits"]
        found["stored_ratio"] = 32 * found["weights"] / found["stored_bits"]
    return list(rows.values())


def inspect_trace(trace: Trace) -> dict[str, Any]:
    """The output of `accelsim inspect --json`; `statistics` is null without a payload."""
    return {
        "trace": trace.name,
        "sha256": trace.sha256,
        "source": trace.manifest.source.model_dump(mode="json"),
        "has_payload": trace.has_payload,
        "macs": trace.macs,
        "parameters": trace.parameters,
        "notes": list(trace.manifest.notes),
        "unread_files": list(trace.unread_files),
        "metrics": dict(trace.manifest.metrics),
        "formats": format_rows(trace),
        "streams": [{"format": format, "stream": name, "bits": bits} for (format, name), bits in stream_totals(trace).items()],
        "layers": trace_rows(trace),
        "statistics": statistics_dict(trace_statistics(trace)) if trace.has_payload else None,
    }


def render_trace(console: Console, trace: Trace, *, all_layers: bool = False) -> None:
    """Print a trace; of repeated blocks, equal layers are one row unless `all_layers` are asked for."""
    say(console, trace.name, style="bold")
    say(console, f"{len(trace.layers)} layers, {count(trace.macs)} MACs, {count(trace.parameters)} parameters")
    payload = "with its payload" if trace.has_payload else "a manifest without payload"
    say(console, f"weights: {trace.manifest.source.kind}; {payload}; SHA-256 {trace.sha256[:16]}")
    for note in (*trace.manifest.notes, *trace.remarks):
        say(console, f"note: {note}")
    rows = trace_rows(trace)
    _render_layers(console, rows, all_layers)
    streams = table(["format", "stream", ">bits", ">size", ">bits/weight"])
    weights: Counter[str] = Counter()
    for item in rows:
        weights[item["format"]] += item["weights"]
    totals = stream_totals(trace)
    whole, all_weights = sum(totals.values()), sum(weights.values())
    *sizes, size = bytes_column([bits / 8 for bits in (*totals.values(), whole)])
    for ((format, name), bits), text in zip(totals.items(), sizes, strict=True):
        row(streams, format, name, count(bits), text, f"{bits / weights[format]:.4f}")
    if all_weights:
        row(streams, "all", "", count(whole), size, f"{whole / all_weights:.4f}", style="bold")
    show(console, "Bits of the weights by stream", streams)
    _render_formats(console, trace)
    if trace.has_payload:
        render_statistics(console, trace_statistics(trace), all_layers=all_layers)
    elif trace.manifest.compression is not None:
        say(console, "No payload, so no indices or signs to count; for a seeded trace, --regenerate creates them.")
    if trace.manifest.metrics:
        say(console, "metrics: " + ", ".join(f"{name} {value:g}" for name, value in trace.manifest.metrics.items()))


def _render_layers(console: Console, rows: Sequence[dict[str, Any]], all_layers: bool) -> None:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for item in rows:
        key = (pattern(item["layer"]), *_shown(item)) if not all_layers else (item["layer"],)
        groups.setdefault(key, []).append(item)
    patterns = Counter(pattern(items[0]["layer"]) for items in groups.values())
    out = table(["layer", "", "op", ">m x k x n", ">M MACs", "format", ">bits/\nweight"], dense=True)
    for items in groups.values():
        name = group_name([item["layer"] for item in items], alone=patterns[pattern(items[0]["layer"])] == 1)
        row(out, name, f"x{len(items)}" if len(items) > 1 else "", *_shown(items[0]))
    if show(console, "Layers" if all_layers else "Layers, equal ones of repeated blocks once (--layers lists each)", out):
        say(console, "Long names are shortened; use a wider terminal or --json for full names.")


def _shown(item: dict[str, Any]) -> tuple[str, ...]:
    """A layer's operation, shape, work, format and bits per weight."""
    bits, macs = sum(item["stream_bits"].values()), item["macs"]
    groups = f" x{item['groups']}" if item["m"] and item["groups"] != 1 else ""
    shape = f"{item['m']} x {item['k']} x {item['n']}{groups}" if item["m"] else ""
    per_weight = f"{bits / item['weights']:.2f}" if item["weights"] else ""
    return item["op"], shape, f"{macs / 1e6:.2f}" if macs else "", item["format"], per_weight


def _render_formats(console: Console, trace: Trace) -> None:
    heading = ["format", ">matrices", ">weights", ">bits/weight\npaper", ">\nstored", ">smaller than float32\npaper", ">\nstored"]
    out = table(heading, dense=True)
    rows = format_rows(trace)
    for item in rows:
        bits = f"{item['paper_bits_per_weight']:.4f}", f"{item['stored_bits_per_weight']:.4f}"
        row(
            out,
            item["format"],
            count(item["matrices"]),
            count(item["weights"]),
            *bits,
            times(item["paper_ratio"]),
            times(item["stored_ratio"]),
        )
    show(console, "Bits per weight: indices, signs, masks and raw weights, as papers count; and everything stored", out)
    for item in rows:
        if item["chip_codebook_bits"]:
            size = decimal_bytes(item["chip_codebook_bits"] / 8)
            say(console, f"{item['format']}: its codebook of {size} belongs to the chip and is not counted here.")
