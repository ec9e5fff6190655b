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
from accelsim.result import COUNTERS
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


def test_a_counter_that_no_unit_has_is_refused_by_name() -> None:
    fields = _edited()
    fields["counters"]["dram_activate"] = 7
    with pytest.raises(
        ConfigError, match=r"r\.json: field `counters`: must be dram_bus_bytes, .*did you mean 'dram_activates'.*got 'dram_activate'"
    ):
        parse_result(json.dumps(fields), "r.json")


def test_a_result_of_the_first_schema_with_fewer_counters_is_read() -> None:
    fields = _edited()
    for frame in fields["frames"]:
        del frame["trace"]
    kept = {"dram_bus_bytes", "dram_read_bytes", "dram_write_bytes"}
    first = {**fields, "schema_version": 1, "counters": {name: count for name, count in fields["counters"].items() if name in kept}}
    assert set(parse_result(json.dumps(first), "r.json").counters) == kept


def test_every_counter_that_may_be_stored_is_one_of_a_machine() -> None:
    """The table of names has none that no unit counts, and lacks none: a chip with each kind of memory gives them all."""
    trace = load_trace(find_trace("tiny_vit_int8"))
    shared = load_accelerator("edge-32x32", ["l2={capacity: 1 MiB, width_bits: 128}", "placement={weights: l2, activations: dram}"])
    chips = (load_accelerator("edge-32x32"), load_accelerator("mcu-16x16"), shared)
    assert {name for chip in chips for name in simulate(chip, trace).counters} == set(COUNTERS)
