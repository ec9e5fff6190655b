"""What holds of every machine and net: sums, bounds, determinism, independence; and more of one thing never hurts one client.

Monotone claims are made where theory gives them: one client on an ideal memory. Scheduling anomalies (a resource that arrives
earlier lets a greedy unit start what delays the critical one: Graham 1969) are not excluded elsewhere.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.errors import CompileError
from accelsim.result import CATEGORIES, Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.tiny_convnets import convnets
from tests.tiny_machines import accelerators, chains, encoders, gemm_chain, nets, tiny_accelerator, tiny_encoder


def attempt(accelerator: Accelerator, trace: Trace, **options: int) -> Result:
    """The result; an example is dropped where the net does not fit the machine."""
    try:
        return simulate(accelerator, trace, **options)
    except CompileError:
        assume(False)
        raise


def with_fields(accelerator: Accelerator, **sections: dict[str, Any]) -> Accelerator:
    """The same machine with some fields of its sections replaced."""
    fields = {name: getattr(accelerator, name) for name in sections}
    return accelerator.with_fields(**{name: fields[name].with_fields(**changes) for name, changes in sections.items()})


@given(accelerators(), st.one_of(nets, convnets()))
def test_cycles_bytes_and_macs_add_up_and_no_bound_is_beaten(accelerator: Accelerator, trace: Trace) -> None:
    result = attempt(accelerator, trace)
    assert result.macs == trace.macs
    assert result.total_cycles == sum(result.cycles[name] for name in CATEGORIES) == max(layer.end_cycle for layer in result.layers)
    assert all(count >= 0 for layer in result.layers for count in layer.cycles.values())
    assert 8 * result.bus_bytes == sum(result.traffic.values())
    assert result.useful_bytes <= result.bus_bytes
    assert all(result.total_cycles >= bound for bound in result.bounds.values())
    array = accelerator.array
    assert result.cycles["busy"] * array.rows * array.cols >= trace.macs
    assert 0 < result.utilization <= 1


@settings(max_examples=30)
@given(accelerators(), nets)
def test_the_same_inputs_give_the_same_result_whatever_ran_between(accelerator: Accelerator, trace: Trace) -> None:
    first = attempt(accelerator, trace)
    simulate(tiny_accelerator(codebook__codeword_length=4), tiny_encoder(4, 8, 1, 8, "int8"))
    assert simulate(accelerator, trace) == first


def test_a_simulation_inside_another_disturbs_neither() -> None:
    accelerator = tiny_accelerator(codebook__codeword_length=4, dma__transfer=32, dma__max_transfers=1, weight_buffer__capacity=8192)
    trace = gemm_chain(1, [320, 320, 320], ["int8"] * 2, [""] * 2)  # some thousand transfers: progress is reported now and then
    alone = simulate(accelerator, trace)
    inner: list[Result] = []
    outer = simulate(accelerator, trace, progress=lambda phase, done, total: inner.append(simulate(accelerator, trace)))
    assert inner, "the net is too small for a report of progress"
    assert outer == alone
    assert all(result == alone for result in inner)


@settings(max_examples=25)
@given(accelerators(), nets)
def test_every_frame_moves_the_same_and_a_batch_multiplies_what_has_no_weights(accelerator: Accelerator, trace: Trace) -> None:
    one, three = attempt(accelerator, trace), attempt(accelerator, trace, frames=3)
    assert len(three.frames) == 3
    for frame in three.frames:
        assert {layer.name: layer.traffic for layer in frame.layers} == {layer.name: layer.traffic for layer in one.frames[0].layers}
    assert three.macs == 3 * one.macs
    assert three.cycles["busy"] == 3 * one.cycles["busy"]
    batched = attempt(accelerator, trace, batch=2)
    assert batched.macs == 2 * one.macs
    inputs = {"activations_in", "activations_out"}
    per_image = {result.batch: sum(bits for key, bits in result.traffic.items() if key.operand in inputs) for result in (one, batched)}
    assert per_image[2] == 2 * per_image[1]


@settings(max_examples=30)
@given(accelerators(dram=False), encoders())
def test_spilled_activations_are_written_once_and_read_at_least_once(accelerator: Accelerator, trace: Trace) -> None:
    result = attempt(with_fields(accelerator, activation_buffer={"residency": "dram"}), trace)
    out, back = (sum(bits for key, bits in result.traffic.items() if key.operand == name) for name in ("spill_out", "spill_in"))
    assert 0 < out <= back
    assert result.choices["spills"] != "none"


# -- more of one thing, for one client: chains of products on an ideal memory

single = accelerators(dram=False)


@given(single, chains(), st.integers(1, 8))
def test_a_faster_ideal_memory_never_hurts(accelerator: Accelerator, trace: Trace, factor: int) -> None:
    slow = with_fields(accelerator, dram={"bandwidth": "500 MB/s", "latency": "20 ns"})
    fast = with_fields(accelerator, dram={"bandwidth": f"{500 * factor} MB/s", "latency": "20 ns"})
    assert attempt(fast, trace).total_cycles <= attempt(slow, trace).total_cycles


@given(single, chains(), st.integers(1, 4))
def test_a_larger_weight_buffer_never_hurts(accelerator: Accelerator, trace: Trace, factor: int) -> None:
    larger = with_fields(accelerator, weight_buffer={"capacity": accelerator.weight_buffer.capacity * factor})
    assert attempt(larger, trace).total_cycles <= attempt(accelerator, trace).total_cycles


@given(single, chains(), st.integers(1, 4))
def test_more_banks_of_the_activation_buffer_never_hurt(accelerator: Accelerator, trace: Trace, factor: int) -> None:
    wider = with_fields(accelerator, activation_buffer={"banks": accelerator.activation_buffer.banks * factor})
    assert attempt(wider, trace).total_cycles <= attempt(accelerator, trace).total_cycles


@given(single, chains(), st.integers(1, 4))
def test_more_lanes_never_hurt(accelerator: Accelerator, trace: Trace, factor: int) -> None:
    lanes = max(accelerator.array.cols if accelerator.array.accumulator_read == "deskew" else 1, accelerator.vector_unit.lanes)
    wide = {"width_bits": 1024, "loader_bits": 16}  # the ports keep up with the lanes: else more lanes take more accesses a pass
    fewer = with_fields(accelerator, vector_unit={"lanes": lanes}, activation_buffer=wide)
    more = with_fields(accelerator, vector_unit={"lanes": lanes * factor}, activation_buffer=wide)
    assert attempt(more, trace).total_cycles <= attempt(fewer, trace).total_cycles


@given(single, chains(), st.integers(2, 4))
def test_more_lookup_ports_never_hurt_where_words_are_wide(accelerator: Accelerator, trace: Trace, factor: int) -> None:
    # Every tile has all 4 rows: a group that reaches below a trimmed tile waits for the wave there all the same (CORE.md, rmax). The
    # vector unit takes no time and the activation buffer's ports keep up: else rows that are issued earlier may take the lanes, or the
    # port, from a row function that a later product waits for.
    ports = accelerator.codebook.ports
    wide = {
        "weight_buffer": {"capacity": 65536, "word_bits": 4096},
        "activation_buffer": {"width_bits": 1024, "ports": 4},
        "vector_unit": {"lanes": 0},
    }
    fewer = attempt(with_fields(accelerator, array={"rows": 4}, codebook={"banks": None, "ports": ports}, **wide), trace)
    more = attempt(with_fields(accelerator, array={"rows": 4}, codebook={"banks": None, "ports": ports * factor}, **wide), trace)
    assume(more.traffic == fewer.traffic)  # groups of more records may pad a tile, and so the stream, further
    assert more.total_cycles <= fewer.total_cycles


@given(single, chains())
def test_a_second_shadow_set_never_hurts(accelerator: Accelerator, trace: Trace) -> None:
    one, two = (with_fields(accelerator, array={"shadow_sets": sets}) for sets in (1, 2))
    assert attempt(two, trace).total_cycles <= attempt(one, trace).total_cycles


@pytest.mark.parametrize("preset", ["edge-32x32", "edge-64x64-x16"])
def test_a_reload_of_the_resolved_configuration_gives_the_same_result(preset: str) -> None:
    accelerator, trace = load_accelerator(preset), tiny_encoder(17, 64, 2, 128, "ssvq:16,8")
    first = simulate(accelerator, trace)
    assert simulate(load_accelerator(yaml.safe_load(first.accelerator)), trace) == first


def test_more_ports_than_a_tile_has_records_change_nothing() -> None:
    """8x4 weights are 8 records of 4: a run uses no more than 8 lookups per cycle, else half of every group were zeros to fetch."""
    small = {"array": {"rows": 8, "cols": 4, "max_m": 8}, "dram": {"device": "ideal", "bandwidth": "100 MB/s"}}
    trace = gemm_chain(2, [32, 32], ["int8"], [""])
    few, many = (
        simulate(tiny_accelerator(codebook={"ports": ports, "codeword_length": 4, "codewords": 64}, **small), trace) for ports in (8, 16)
    )
    assert many.frames == few.frames
