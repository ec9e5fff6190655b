"""A run on the graph of its model: node data for Model Explorer, one file per figure, keyed by the names of the nodes.

The schema is that of the package `ai-edge-model-explorer` (`GraphNodeData`), the names of nodes and graphs those of its adapter for ONNX
files. Disputable assumption: a node shows the sum over its layers in a network's last inference, so in a stream the steady state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelsim.errors import ConfigError
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.limit_estimate import limiting_resource
from accelsim.report.metrics import bus_bits
from accelsim.report.plots.style import category_paint
from accelsim.result import RESOURCES, FrameResult, LayerResult, Result

MARKER = "cycles.json"
OVERLAY_FOLDER = FolderKind(MARKER, (MARKER, "vector_cycles.json", "macs.json", "bus_bytes.json", "limit.json"))
_GRADIENT = [{"stop": 0, "bgColor": "#ffffff"}, {"stop": 1, "bgColor": "#d55e00"}]
_INK = "#000000"
_FIGURES: Mapping[str, tuple[str, Callable[[LayerResult], float]]] = {
    "cycles": ("core cycles of the array's time line", lambda layer: layer.total_cycles),
    "vector_cycles": ("cycles of the vector unit", lambda layer: layer.vector_cycles),
    "macs": ("useful MACs", lambda layer: layer.macs),
    "bus_bytes": ("bytes on the memory channels", lambda layer: bus_bits(layer.traffic) / 8),
}


def check_overlay_folder(folder: Path) -> None:
    """OutputError, before long work, if `folder` cannot take an overlay."""
    check_replaceable(folder, OVERLAY_FOLDER)


def write_overlay(folder: Path, result: Result, graph: str, nodes: Mapping[str, str]) -> Path:
    """Write the files.

    Parameters
    ----------
    graph
        The name of the model's graph.
    nodes
        Layer -> name of its node.

    Raises
    ------
    ConfigError
        No network of the result has a layer of these.
    OutputError
        `folder` holds something else, or cannot be written.
    """
    files = overlay(result, graph, nodes)
    return write_folder(
        folder, OVERLAY_FOLDER, {f"{name}.json": (json.dumps(data, indent=1) + "\n").encode() for name, data in files.items()}
    )


def overlay(result: Result, graph: str, nodes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Figure -> {graph: its node data}; ConfigError if no network of the result has a layer of `nodes`."""
    layers = _layers_by_node(frame_of(result, nodes), nodes)
    files = {
        name: {graph: {"name": f"{result.accelerator_name}: {title}", "results": _sums(layers, figure), "gradient": _GRADIENT}}
        for name, (title, figure) in _FIGURES.items()
    }
    limits = {node: _limit(items) for node, items in layers.items()}
    texts = {node: {"value": name, "bgColor": _colour(name), "textColor": _INK} for node, name in limits.items() if name}
    return {**files, "limit": {graph: {"name": f"{result.accelerator_name}: limited by (estimated)", "results": texts}}}


def frame_of(result: Result, nodes: Mapping[str, str]) -> FrameResult:
    """The last inference of the network that has most layers of `nodes`; ConfigError if none has any."""
    frames = {frame.trace: frame for frame in result.own_frames}
    best = max(frames.values(), key=lambda frame: sum(layer.name in nodes for layer in frame.layers))
    if not any(layer.name in nodes for layer in best.layers):
        raise ConfigError(
            f"no layer of {result.trace_name} is one of the model's ({next(iter(nodes), 'it has none')}, ...); "
            "allowed: the file that the run's network was imported from, with the same --bind and --fill"
        )
    return best


def _layers_by_node(frame: FrameResult, nodes: Mapping[str, str]) -> dict[str, list[LayerResult]]:
    found: dict[str, list[LayerResult]] = {}
    for layer in frame.layers:
        if layer.name in nodes:
            found.setdefault(nodes[layer.name], []).append(layer)
    return found


def _sums(layers: Mapping[str, list[LayerResult]], figure: Callable[[LayerResult], float]) -> dict[str, dict[str, float]]:
    return {node: {"value": sum(map(figure, items))} for node, items in layers.items()}


def _limit(layers: list[LayerResult]) -> str:
    """The limiting resource of a node's layers, estimated; '' for a node without cycles."""
    if not any(sum(layer.cycles.values()) for layer in layers):
        return "vector unit" if any(layer.vector_cycles for layer in layers) else ""
    return limiting_resource(layers)


def _colour(resource: str) -> str:
    return category_paint(RESOURCES[resource][0]).color
