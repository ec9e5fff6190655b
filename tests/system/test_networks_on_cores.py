"""Networks on cores of their own: each as on a chip of its own where nothing is shared, what must add up, and how it is shown."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import accelsim
from accelsim.accelerator import Accelerator
from accelsim.cli import app
from accelsim.compiler.compile import compile_trace
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.errors import CompileError, ConfigError
from accelsim.functional import check_functional
from accelsim.report.export.run import run_files
from accelsim.result import Result
from accelsim.simulation import simulate, simulate_recorded
from accelsim.stored_result import parse_result
from accelsim.trace.trace import Trace
from accelsim.what_if import what_if
from tests.system.test_cores import chips
from tests.system.test_networks_in_turn import FIRST, SECOND, renamed
from tests.tiny_convnets import convnets, every_layer
from tests.tiny_machines import Net, gemm_chain, nets, tiny_accelerator

OWN = {"core_split": "networks"}
FREE = {"device": "ideal"}  # a transfer takes no time: nothing that cores share is ever taken
SHARED = {"device": "ideal", "latency": "35 ns", "bandwidth": "1 GB/s"}


def chip(cores: int, **more: Any) -> Accelerator:
    return tiny_accelerator(cores=cores, codebook__codeword_length=4, **{"control": OWN, "dram": SHARED, **more})


def on_own_cores(machine: Accelerator, cores: int) -> Accelerator:
    return machine.with_fields(cores=cores, control=machine.control.with_fields(core_split="networks"))


def moved(result: Result, trace: str | None = None) -> Counter[tuple[str, str, bool]]:
    """Bits by operand, memory and direction, of a network or of all."""
    out: Counter[tuple[str, str, bool]] = Counter()
    for frame in result.frames:
        for item in (item for layer in frame.layers for item in layer.traffic if trace in (None, frame.trace)):
            out[item.operand, item.memory, item.write] += item.bits
    return out


# -- what must add up


@settings(max_examples=80)
@given(chips(), st.one_of(nets, convnets()), st.integers(2, 4), st.integers(1, 2), st.integers(1, 2))
def test_a_network_beside_empty_cores_runs_as_on_one_core(machine: Accelerator, trace: Trace, cores: int, frames: int, batch: int) -> None:
    try:
        one = simulate(machine.with_fields(cores=1), trace, frames=frames, batch=batch)
        alone = simulate(on_own_cores(machine, cores), trace, frames=frames, batch=batch)
    except CompileError:
        return  # a net that does not fit says so
    assert alone.total_cycles == one.total_cycles
    assert [frame.cycles for frame in alone.own_frames] == [frame.cycles for frame in one.frames]
    assert [layer.end_cycle for layer in alone.own_layers] == [layer.end_cycle for layer in one.layers]
    assert moved(alone) == moved(one)
    assert alone.counters == one.counters
    for core in alone.cores[1:]:
        assert {name: count for name, count in core.cycles.items() if count} == {"dependency": one.total_cycles}
    assert f"{cores - 1} of {cores} cores have no network" in " ".join(alone.warnings)


@settings(max_examples=80)
@given(chips(), st.lists(st.one_of(nets, convnets()), min_size=2, max_size=3), st.integers(2, 4), st.integers(1, 2))
def test_everything_adds_up_on_random_chips(machine: Accelerator, traces: list[Trace], cores: int, frames: int) -> None:
    networks = [renamed(trace, f"n{number}") for number, trace in enumerate(traces)]
    try:
        ones = [simulate(machine.with_fields(cores=1), trace, frames=frames) for trace in networks]
        result = simulate(on_own_cores(machine, cores), *networks, frames=frames)  # which checks cycles, rows, MACs and bytes of each core
    except CompileError:
        return
    own = [number % cores for number in range(len(networks))]
    assert result.core_of_frames == tuple(own * frames)
    assert all(sum(core.cycles.values()) == result.total_cycles for core in result.cores)
    assert sum(core.macs for core in result.cores) == result.macs == frames * sum(trace.macs for trace in networks)
    assert moved(result) == sum((moved(result, trace.name) for trace in networks), Counter())
    if machine.weight_buffer.residency == "stream":
        rounding = "burst_rounding"  # goes by addresses, which are others beside another network
        for trace, one in zip(networks, ones, strict=True):
            found, wanted = moved(result, trace.name), moved(one)
            assert {key: bits for key, bits in found.items() if key[0] != rounding} == {
                key: bits for key, bits in wanted.items() if key[0] != rounding
            }
    for number, core in enumerate(result.cores):
        ends = [frame.total_cycles for frame, where in zip(result.own_frames, result.core_of_frames, strict=True) if where == number]
        assert sum(ends) + core.cycles["dependency"] == result.total_cycles
    assert result.total_cycles == max(core.total_cycles - core.cycles["dependency"] for core in result.cores)


@pytest.mark.parametrize("frames", [1, 3])
def test_two_networks_that_share_nothing_take_the_cycles_of_one_core_each(frames: int) -> None:
    ones = [simulate(chip(1, dram=FREE), trace, frames=frames) for trace in (FIRST, SECOND)]
    both = simulate(chip(2, dram=FREE), FIRST, SECOND, frames=frames)
    for number, one in enumerate(ones):
        own = [frame.cycles for frame in both.own_frames[number::2]]
        assert own == [frame.cycles for frame in one.frames]
    assert both.total_cycles == max(one.total_cycles for one in ones)


def test_two_equal_networks_share_the_bandwidth_of_one_memory() -> None:
    """Where memory limits, two take twice as long as one: each byte crosses the same bus."""
    slow = {"device": "ideal", "bandwidth": "0.1 GB/s"}
    one, other = (renamed(gemm_chain(4, [16, 32], ["int8"], [""]), name) for name in ("one", "other"))
    alone, both = simulate(chip(1, dram=slow), one), simulate(chip(2, dram=slow), one, other)
    assert both.bus_bytes == 2 * alone.bus_bytes
    bus_cycles = both.bus_bytes * 10  # of 1 GHz, per byte of 0.1 GB/s
    assert bus_cycles <= both.total_cycles < 1.05 * bus_cycles
    assert max(core.cycles["dependency"] for core in both.cores) < 0.1 * both.total_cycles


def test_networks_beyond_the_cores_take_turns_with_those_of_their_core() -> None:
    third = renamed(gemm_chain(3, [8, 8], ["int8"], [""]), "third")
    result = simulate(chip(2, dram=FREE), FIRST, SECOND, third, frames=2)
    assert result.core_of_frames == (0, 1, 0) * 2
    turns = simulate(chip(1, dram=FREE), FIRST, third, frames=2)
    own = [frame.cycles for frame, core in zip(result.own_frames, result.core_of_frames, strict=True) if core == 0]
    assert own == [frame.cycles for frame in turns.frames]
    assert result.networks_of(0) == ("first", "third")
    assert result.networks_of(1) == ("second",)


def test_one_core_takes_turns_whatever_the_split() -> None:
    plain = simulate(chip(1, control={}), FIRST, SECOND)
    assert simulate(chip(1), FIRST, SECOND).frames == plain.frames


# -- choices, costs, idealizations


def test_the_choices_and_warnings_of_each_network_are_told() -> None:
    result = simulate(chip(2), FIRST, SECOND)
    turns = simulate(chip(1, control={}), FIRST, SECOND)
    assert result.choices["cores of first"] == "2: all layers on core 0"
    assert result.choices["cores of second"] == "2: all layers on core 1"
    assert {name: value for name, value in result.choices.items() if not name.startswith("cores")} == turns.choices
    assert [layer.lowering.split("; ")[0] for layer in result.frames[1].layers] == ["on core 1"] * len(SECOND.layers)
    assert result.warnings == turns.warnings


def test_activations_may_stay_without_a_memory() -> None:
    machine = chip(2, placement={"activations": "none"}, dram=FREE)
    both = simulate(machine, FIRST, SECOND)
    assert [frame.total_cycles for frame in both.own_frames] == [
        simulate(chip(1, placement={"activations": "none"}, dram=FREE), trace).total_cycles for trace in (FIRST, SECOND)
    ]


def test_area_is_that_of_equal_cores_and_energy_that_of_both_networks() -> None:
    technology = load_technology("nangate45")
    split = area_of(chip(2, control={}), technology)
    assert area_of(chip(2), technology).components == split.components
    both, ones = simulate(chip(2), FIRST, SECOND), [simulate(chip(1), trace) for trace in (FIRST, SECOND)]
    lines = [{line.action: line.count.nominal for line in energy_of(item, chip(2), technology).lines} for item in (both, *ones)]
    for action in ("mac", "lookup"):
        assert lines[0][action] == lines[1][action] + lines[2][action]


def test_idealizations_keep_each_network_on_its_core() -> None:
    machine = chip(2)
    rows = {row.name: row for row in what_if(machine, FIRST, simulate(machine, FIRST, SECOND), then=[SECOND])}
    assert all(row.result.core_of_frames == (0, 1) for row in rows.values())
    assert rows["other cores"].speedup == 1
    assert rows["memory"].speedup > 1.2


def test_products_are_bit_exact() -> None:
    first, second = (
        renamed(every_layer().trace("ssvq:k=8,d=4", layers), name) for layers, name in (("conv[234]", "first"), ("conv9", "second"))
    )
    report = check_functional(chip(2), first, second)
    assert report.ok
    assert {layer.name.split("/")[0] for layer in report.layers} == {"first", "second"}


# -- how it is shown


def test_a_saved_result_is_read_back() -> None:
    fields = simulate(chip(3), FIRST, SECOND, frames=2).to_dict()
    assert parse_result(json.dumps(fields), "result.json").to_dict() == fields


def test_tables_page_and_files_show_each_network_on_its_core() -> None:
    run = accelsim.simulate(chip(2), FIRST, then=[SECOND], progress=False)
    ends = [frame.total_cycles for frame in run.record.own_frames]
    assert [(row["core"], row["networks"]) for row in run.cores] == [(0, "first"), (1, "second")]
    for name, core, end in (("first", 0, ends[0]), ("second", 1, ends[1])):
        rows = [row for row in run.layers if row["trace"] == name]
        assert {row["core"] for row in rows} == {core}
        assert sum(row["total_cycles"] for row in rows) == end
        assert max(row["end_cycle"] for row in rows) == end
    shown = [(row["trace"], row["core"], row["total_cycles"]) for row in run.to_dict()["networks"]]
    assert shown == [("first", 0, ends[0]), ("second", 1, ends[1])]
    full = " ".join(run.summary(full=True).split())
    assert "Networks, each on a core of its own" in full
    assert "Of each layer its own core tells the cycles" in full
    assert f"0 0 first {ends[0]:,}" in full
    page = run._page("nangate45")
    assert "Time of all networks" in page
    assert "Latency per inference" not in page
    assert "Of each layer its own core tells the cycles" in page
    assert f"{ends[1]:,}" in page
    files = run_files(run.record)
    table = list(csv.DictReader(io.StringIO(files["layers.csv"].decode())))
    assert {row["core"] for row in table} == {"0", "1"}
    assert [row["networks"] for row in csv.DictReader(io.StringIO(files["cores.csv"].decode()))] == ["first", "second"]
    recorded = simulate_recorded(chip(2), FIRST, SECOND)
    last = recorded.of_last_core
    assert last.core == ends.index(max(ends))
    assert last.result.total_cycles == run.record.total_cycles


def test_the_command_line_names_the_core_of_each_network() -> None:
    more = ["--set", "cores=2", "--set", "control.core_split=networks"]
    shown = CliRunner().invoke(app, ["run", "edge-32x32", "tiny_vit_ssvq", "--then", "tiny_vit_float@uniform:bits=8", *more])
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "for all networks" in text
    assert "on core 0, tiny_vit_float@uniform:bits=8" in text


# -- refusals


def test_networks_without_a_product_on_their_core_are_refused() -> None:
    net = Net(4, 8)
    net.same("gelu", "x")
    function = renamed(net.trace(), "function")
    with pytest.raises(CompileError, match=r"no layer of 'function' multiplies .*, and core 1 runs nothing else; allowed with control"):
        simulate(chip(2), FIRST, function)
    assert simulate(chip(2), FIRST, SECOND, function).core_of_frames == (0, 1, 0)


def test_parts_of_a_network_still_pass_through_a_memory() -> None:
    with pytest.raises(ConfigError, match=r"allowed with several cores: dram, l2, or control.core_split = 'networks'"):
        tiny_accelerator(cores=2, placement={"activations": "none"})


def test_equal_names_are_refused() -> None:
    with pytest.raises(CompileError, match="2 networks are called 'first'"):
        compile_trace(chip(2), FIRST, FIRST)
