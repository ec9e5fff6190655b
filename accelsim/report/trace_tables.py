"""A trace as tables: its layers with shapes, MACs and formats, and the bits of its weights by stream.

Bits are those of the trace's streams; what a chip's memory image adds (padding, bursts) depends on the accelerator and is in a run.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console

from accelsim.formats.catalog import describe_format
from accelsim.report.terminal import row, say, show, table
from accelsim.report.text import count, decimal_bytes, tail
from accelsim.trace.layers import Layer, MacLayer, WeightedLayer
from accelsim.trace.trace import Trace

WIDE = 110  # columns from which a layer's whole name fits beside its figures
NAME_COLUMNS = 19


def trace_rows(trace: Trace) -> list[dict[str, Any]]:
    """One row a layer: shape as GEMM, output, work, format, bits by stream."""
    return [_layer_row(layer) for layer in trace.layers]


def _layer_row(layer: Layer) -> dict[str, Any]:
    gemm = layer.bounds if isinstance(layer, MacLayer) else None
    weight = layer.weight if isinstance(layer, WeightedLayer) else None
    streams = weight.format.streams(weight.k, weight.n) if weight else {}
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
        "stream_bits": {name: stream.total_bits for name, stream in streams.items() if not stream.shared},
    }


def stream_totals(trace: Trace) -> dict[tuple[str, str], int]:
    """(format, stream) -> bits over all layers."""
    total: Counter[tuple[str, str]] = Counter()
    for item in trace_rows(trace):
        for name, bits in item["stream_bits"].items():
            total[item["format"], name] += bits
    return dict(total)


def inspect_trace(trace: Trace) -> dict[str, Any]:
    """What `accelsim inspect --json` prints."""
    return {
        "trace": trace.name,
        "sha256": trace.sha256,
        "source": trace.manifest.source.model_dump(mode="json"),
        "has_payload": trace.has_payload,
        "macs": trace.macs,
        "parameters": trace.parameters,
        "notes": list(trace.manifest.notes),
        "streams": [{"format": format, "stream": name, "bits": bits} for (format, name), bits in stream_totals(trace).items()],
        "layers": trace_rows(trace),
    }


def render_trace(console: Console, trace: Trace) -> None:
    """A trace for a person."""
    say(console, trace.name, style="bold")
    say(console, f"{len(trace.layers)} layers, {count(trace.macs)} MACs, {count(trace.parameters)} parameters")
    payload = "with its payload" if trace.has_payload else "a manifest without payload"
    say(console, f"weights: {trace.manifest.source.kind}; {payload}; SHA-256 {trace.sha256[:16]}")
    for note in trace.manifest.notes:
        say(console, f"note: {note}")
    rows = trace_rows(trace)
    out = table(console, ["layer", "op", ">m x k x n", ">M MACs", "format", ">bits/\nweight"])
    for item in rows:
        bits = sum(item["stream_bits"].values())
        shape = f"{item['m']} x {item['k']} x {item['n']}" + (f" x{item['groups']}" if item["groups"] != 1 else "") if item["m"] else ""
        per_weight = f"{bits / item['weights']:.2f}" if item["weights"] else ""
        name = item["layer"] if console.width >= WIDE else tail(item["layer"], NAME_COLUMNS)
        row(out, name, item["op"], shape, f"{item['macs'] / 1e6:.2f}" if item["macs"] else "", item["format"], per_weight)
    show(console, "Layers", out)
    if console.width < WIDE:
        say(console, "Long names are cut; a wider terminal or --json has them whole.")

    streams = table(console, ["format", "stream", ">bits", ">size", ">bits/weight"])
    weights: Counter[str] = Counter()
    for item in rows:
        weights[item["format"]] += item["weights"]
    for (format, name), bits in stream_totals(trace).items():
        row(streams, format, name, count(bits), decimal_bytes(bits / 8), f"{bits / weights[format]:.4f}")
    whole, all_weights = sum(stream_totals(trace).values()), sum(weights.values())
    if all_weights:
        row(streams, "all", "", count(whole), decimal_bytes(whole / 8), f"{whole / all_weights:.4f}", style="bold")
    show(console, "Bits of the weights by stream", streams)
