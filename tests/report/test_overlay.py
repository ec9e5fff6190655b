"""A run on its model's graph: every layer's figures stand at its node, and none is lost or counted twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import accelsim
from accelsim.errors import ConfigError, OutputError
from accelsim.report.export.overlay import OVERLAY_FOLDER, overlay, write_overlay
from accelsim.result import RESOURCES


@pytest.fixture(scope="module")
def run() -> accelsim.Result:
    return accelsim.simulate("edge-32x32", "tiny_vit_ssvq")


def test_figures_of_a_node_are_the_sums_over_its_layers(run: accelsim.Result) -> None:
    layers = run.record.frames[-1].layers
    nodes = {layer.name: f"node {place // 2}" for place, layer in enumerate(layers)}
    files = overlay(run.record, "g", nodes)
    cycles = files["cycles"]["g"]["results"]
    assert len(cycles) == (len(layers) + 1) // 2
    for place in range(0, len(layers) - 1, 2):
        assert cycles[f"node {place // 2}"]["value"] == layers[place].total_cycles + layers[place + 1].total_cycles
    whole = {name: sum(item["value"] for item in data["g"]["results"].values()) for name, data in files.items() if name != "limit"}
    assert whole["cycles"] == run.cycles
    assert whole["macs"] == sum(layer.macs for layer in layers)
    assert whole["bus_bytes"] == run.record.bus_bytes
    assert whole["vector_cycles"] == sum(layer.vector_cycles for layer in layers)


def test_limits_are_resources_with_a_colour_each(run: accelsim.Result) -> None:
    layers = run.record.frames[-1].layers
    results = overlay(run.record, "g", {layer.name: layer.name for layer in layers})["limit"]["g"]["results"]
    assert {item["value"] for item in results.values()} <= set(RESOURCES)
    colours = {
        item["value"]: {other["bgColor"] for other in results.values() if other["value"] == item["value"]} for item in results.values()
    }
    assert all(len(found) == 1 for found in colours.values())
    assert set(results) == {layer.name for layer in layers if layer.total_cycles or layer.vector_cycles}


def test_files_are_node_data_by_graph(run: accelsim.Result, tmp_path: Path) -> None:
    nodes = {layer.name: layer.name for layer in run.record.frames[-1].layers}
    write_overlay(tmp_path / "out", run.record, "graph", nodes)
    found = {path.name: json.loads(path.read_text()) for path in (tmp_path / "out").iterdir()}
    assert set(found) == set(OVERLAY_FOLDER.names)
    for data in found.values():
        assert set(data) == {"graph"}
        assert {"name", "results"} <= set(data["graph"]) <= {"name", "results", "gradient"}
        assert all(set(item) <= {"value", "bgColor", "textColor"} for item in data["graph"]["results"].values())
    (tmp_path / "out" / "mine.txt").write_text("")
    with pytest.raises(OutputError, match=r"holds mine\.txt"):
        write_overlay(tmp_path / "out", run.record, "graph", nodes)


def test_another_model_is_refused(run: accelsim.Result) -> None:
    with pytest.raises(ConfigError, match=r"no layer of tiny_vit_ssvq is one of the model's \(a, \.\.\.\); allowed: the file"):
        overlay(run.record, "g", {"a": "b"})
