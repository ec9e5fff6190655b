"""What every run satisfies, a stored result has to: results of random machines and networks are read back, edited ones are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.errors import CompileError, ConfigError
from accelsim.presets import find_trace
from accelsim.simulation import simulate
from accelsim.stored_result import parse_result
from accelsim.trace.trace import Trace, load_trace
from tests.every_machine import machines, networks


@settings(max_examples=40)
@given(machines(), networks, st.integers(1, 2))
def test_results_of_random_machines_are_read_back(accelerator: Accelerator, trace: Trace, frames: int) -> None:
    try:
        result = simulate(accelerator, trace, frames=frames)
    except CompileError:
        return  # a net that does not fit says so; the compiler's own tests judge that
    assert parse_result(result.to_json(), "result.json") == result


def _edited(**counters: int) -> dict[str, Any]:
    fields = simulate(load_accelerator("edge-32x32"), load_trace(find_trace("tiny_vit_int8"))).to_dict()
    for name, more in counters.items():
        fields["counters"][name] += more
    return fields


@pytest.mark.parametrize("name", ["dma_received_bytes", "dma_sent_bytes"])
def test_bytes_of_the_dma_that_no_layer_has_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"r.json: field `counters.{name}`: .*allowed: the traffic of all layers"):
        parse_result(json.dumps(_edited(**{name: 64})), "r.json")


def test_more_products_than_the_array_has_room_for_are_refused() -> None:
    fields = _edited()
    layers = fields["frames"][0]["layers"]
    number = next(index for index, layer in enumerate(layers) if layer["macs"])
    layers[number]["macs"] = layers[number]["pe_cycles"] + 1
    with pytest.raises(ConfigError, match=rf"field `frames.0.layers.{number}.macs`: .*allowed: at most one per PE in each busy cycle"):
        parse_result(json.dumps(fields), "r.json")
