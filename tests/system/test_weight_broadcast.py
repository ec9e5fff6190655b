"""Weights that several cores take from one read: counted once, landed on all of them in one instant, written into every buffer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError
from accelsim.result import WEIGHT_STREAM, Result
from accelsim.simulation import simulate, simulate_recorded
from accelsim.stored_result import parse_result
from accelsim.trace.trace import Trace
from tests.tiny_machines import gemm_chain, tiny_accelerator, tiny_encoder

LEVELS: list[dict[str, Any]] = [
    {},
    {"l2": {"capacity": "64 KiB", "width_bits": 32}},
    {"l2": {"capacity": "64 KiB", "width_bits": 32}, "placement": {"weights": "l2", "activations": "l2"}},
]


def chip(cores: int, broadcast: bool = True, split: str = "rows", **more: Any) -> Accelerator:
    return tiny_accelerator(cores=cores, control={"core_split": split, "weight_broadcast": broadcast}, **more)


def network() -> Trace:
    """Every layer splits into two shares of rows or more."""
    return gemm_chain(12, [16, 32, 16], ["int8", "ssvq:16,2"], ["layernorm", "gelu"])


def bits_of(result: Result, operands: tuple[str, ...]) -> int:
    return sum(bits for key, bits in result.traffic.items() if key.operand in operands)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("cores", [2, 3])
def test_weights_are_read_once_for_all_cores(cores: int, level: dict[str, Any]) -> None:
    one, each, once = (simulate(each, network()) for each in (chip(1, **level), chip(cores, False, **level), chip(cores, **level)))
    assert bits_of(each, WEIGHT_STREAM) == cores * bits_of(one, WEIGHT_STREAM)
    assert bits_of(once, WEIGHT_STREAM) == bits_of(one, WEIGHT_STREAM)
    moved = ("activations_in", "spill_out", "spill_in", "activations_out")
    assert bits_of(once, moved) == bits_of(each, moved)
    assert once.total_cycles < each.total_cycles  # the memory, or the level's port, limits
    received = [sum(layer.broadcast_bits or 0 for layer in core.layers) for core in once.cores]
    assert received == [0] + [bits_of(one, WEIGHT_STREAM)] * (cores - 1)
    assert "weights broadcast to" in once.layers[0].lowering


@pytest.mark.parametrize("level", LEVELS)
def test_a_read_lands_on_every_core_in_the_same_cycle(level: dict[str, Any]) -> None:
    run = simulate_recorded(chip(3, **level), network())
    reads = [core.transfers.broadcast.tolist() for core in run.program.cores]
    landed = [{reads[core][what]: cycle for cycle, what in run.notes.cores[core].landed} for core in range(3)]
    assert landed[0] == landed[1] == landed[2]
    assert len(landed[0]) == len(reads[0]) > 10
    numbers = [[issue.number for issue in run.notes.cores[core].issues if issue.what >= 0] for core in range(3)]
    assert numbers[0] == numbers[1] == numbers[2]  # one transfer of the memory each


def test_a_read_waits_for_the_core_that_has_room_last() -> None:
    """Of 41 rows the first core has one more: a tile takes it a cycle longer, so its buffer is free later; both get what follows then."""
    small = {
        "weight_buffer": {"capacity": 256, "word_bits": 32}, "array": {"rows": 4, "cols": 4, "max_m": 64}, "dram": {"device": "ideal"},
    }  # fmt: skip
    trace = gemm_chain(41, [32, 16], ["int8"], [""])
    alone, together = (simulate_recorded(chip(2, broadcast, **small), trace) for broadcast in (False, True))
    issued = [
        [[issue.time_ps for issue in run.notes.cores[core].issues if issue.what >= 0] for core in (0, 1)] for run in (alone, together)
    ]
    assert issued[1][0] == issued[1][1]
    assert issued[0][0] != issued[0][1]
    assert all(time >= max(own) for time, own in zip(issued[1][0], zip(*issued[0], strict=True), strict=True))


def test_layers_that_cores_read_differently_are_read_by_each() -> None:
    program = compile_trace(chip(2, split="stripes"), gemm_chain(8, [16, 32], ["int8"], [""]))
    assert all((core.transfers.broadcast < 0).all() for core in program.cores)


def test_one_core_or_rows_are_chosen_by_what_a_broadcast_costs() -> None:
    """2,048 weights of a layer at a byte per cycle, and 24 rows in 128 tiles: 3,072 cycles on one core, 4,096 if two read all weights
    for 12 rows each, 2,048 if one read serves both."""
    fields = {"dram": {"device": "ideal", "bandwidth": "1 GB/s"}}
    trace = gemm_chain(24, [32, 64, 32], ["int8", "int8"], ["", ""])
    each, once = (simulate(chip(2, broadcast, "cheapest", **fields), trace) for broadcast in (False, True))
    assert each.choices["cores"].startswith("2: all layers on core 0")
    assert each.total_cycles == simulate(chip(1, False, "cheapest", **fields), trace).total_cycles
    assert once.choices["cores"].startswith("2: 2 over rows")
    assert once.total_cycles < each.total_cycles < simulate(chip(2, False, "rows", **fields), trace).total_cycles


@pytest.mark.parametrize("level", LEVELS)
def test_energy_counts_the_read_once_and_every_buffer_that_it_fills(level: dict[str, Any]) -> None:
    technology = load_technology("nangate45")
    chips = [chip(1, **level), chip(2, False, **level), chip(2, **level)]
    one, each, once = ({} for _ in chips)
    for counts, own in zip((one, each, once), chips, strict=True):
        for line in energy_of(simulate(own, network()), own, technology).lines:
            counts[line.action] = counts.get(line.action, 0) + line.count.nominal
    for action in ("weight_write", "weight_read", "codebook_write_bit", "lookup", "mac"):
        assert once[action] == each[action], action
    assert once["weight_write"] == 2 * one["weight_write"]
    for action in {"dram_bit", "l2_read"} & once.keys():
        assert once[action] < each[action]
    assert area_of(chips[2], technology) == area_of(chips[1], technology)


def test_one_core_and_a_chip_without_it_are_as_before() -> None:
    trace = tiny_encoder(9, 16, 2, 24, "ssvq:16,2")
    assert simulate(chip(1), trace).frames == simulate(tiny_accelerator(), trace).frames
    plain = compile_trace(tiny_accelerator(cores=2), trace)
    assert all((core.transfers.broadcast < 0).all() for core in plain.cores)


def test_pinned_weights_are_broadcast_in_the_first_inference() -> None:
    pinned = {"weight_buffer": {"capacity": 8192, "word_bits": 32, "residency": "pinned"}}
    one, two = (simulate(chip(cores, **pinned), network(), frames=2) for cores in (1, 2))
    assert bits_of(two, WEIGHT_STREAM) == bits_of(one, WEIGHT_STREAM)
    frames = [sum(layer.broadcast_bits or 0 for layer in frame.layers) for frame in two.cores[1].frames]
    assert frames == [bits_of(one, WEIGHT_STREAM), 0]


def test_a_saved_result_whose_received_weights_nobody_read_is_refused() -> None:
    fields = simulate(chip(2), network()).to_dict()
    assert parse_result(json.dumps(fields), "result.json").to_dict() == fields
    fields["cores"][1]["frames"][0]["layers"][0]["broadcast_bits"] += 8
    with pytest.raises(ConfigError, match=r"cores.1.frames.0.layers.0.broadcast_bits`: .* allowed: the bits of its weights that another"):
        parse_result(json.dumps(fields), "result.json")
