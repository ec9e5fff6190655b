"""Several cores before a shared level equal their clock-by-clock twin in a closed loop: cycles by category, landings, the port's cycles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from accelsim.result import CATEGORIES
from accelsim.system import run_program
from accelsim.trace.trace import Trace
from tests.engine.test_l2_closed_loop import PLACEMENTS, chip, in_level
from tests.naive_l2 import NaivePort
from tests.naive_l2_cores import Level, simulate_cores_with_level
from tests.tiny_machines import chains, encoders, gemm_chain, tiny_encoder

CLOCKS = [("480 MHz", "333 MHz"), ("1 GHz", "700 MHz"), ("333 MHz", "480 MHz"), ("1 GHz", "1.1 GHz"), ("480 MHz", "31 MHz")]  # core, level


def compare(accelerator: Accelerator, trace: Trace, frames: int = 1) -> None:
    program = compile_trace(accelerator, trace, frames=frames)
    outcome = run_program(accelerator, program, by_events=True)
    assert accelerator.dram is not None
    assert accelerator.l2 is not None
    spec, dma, rate = accelerator.l2, accelerator.dma, accelerator.dram.bandwidth // 10**9
    level = Level(
        port=NaivePort(spec.width_bytes, spec.burst, spec.arbitration == "round_robin"), here=in_level(accelerator), around=spec.bypass,
        core_hz=accelerator.clock, port_hz=spec.clock or accelerator.clock,
    )  # fmt: skip
    twins = simulate_cores_with_level(program, level, 32, dma.max_transfers, accelerator.dram.latency, rate, dma.fabric_latency)
    assert level.port.busy == outcome.counters["l2_busy_cycles"]
    for number, (own, (cycles, last, runs)) in enumerate(zip(outcome.of_cores, twins, strict=True)):
        assert cycles == own.cycles - own.tail_cycles, f"core {number}"
        assert max(cycles, last) == own.cycles, f"core {number}"
        ours = [{name: count for name, count in zip(CATEGORIES, row, strict=False) if count} for row in own.run_results.tolist()]
        assert ours == runs, f"core {number}"


def control(split: str, broadcast: bool, **more: Any) -> dict[str, Any]:
    return {"core_split": split, "weight_broadcast": broadcast, **more}


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
@pytest.mark.parametrize(("cores", "split", "broadcast"), [(2, "stripes", False), (3, "rows", False), (3, "rows", True)])
def test_cores_before_a_shared_level_equal_their_twin(
    placement: tuple[str, str, str], overlap: str, cores: int, split: str, broadcast: bool
) -> None:
    machine = chip(
        placement, 3, 16, broadcast, 2, 8, cores=cores, weight_buffer={"capacity": 352, "word_bits": 32},
        control=control(split, broadcast, overlap=overlap),
    )  # fmt: skip
    compare(machine, gemm_chain(7, [4, 24, 8, 4], ["int8", "ssvq:16,4", "int8"], ["layernorm", "", "gelu"]))


@pytest.mark.parametrize("form", ["int8", "ssvq:16,4"])
def test_a_place_that_becomes_free_on_a_core_is_first_its_share_of_a_read_that_all_wait_for(form: str) -> None:
    """The first core issues in its turn of the instant, ahead of the jobs of the core whose place it is."""
    machine = chip(
        ("dram", "dram", "none"), 3, 24, True, 2, 2, 0, cores=4, control=control("rows", True), activation_buffer__residency="dram"
    )
    compare(machine, tiny_encoder(9, 24, 2, 16, form))


def test_requests_that_come_to_a_slower_port_before_one_edge_are_served_as_they_came() -> None:
    """Also where the port has an edge of its own then, and takes all of them together."""
    machine = chip(
        ("dram", "dram", "none"), 2, 4, False, 1, 16, 0, 2, cores=3, control=control("cheapest", False), activation_buffer__residency="dram"
    )
    compare(machine, tiny_encoder(14, 16, 2, 16, "int8"))


@settings(max_examples=15)
@given(
    st.one_of(chains(), encoders()), st.integers(2, 4), st.sampled_from(["cheapest", "stripes", "rows"]), st.booleans(),
    st.sampled_from(PLACEMENTS), st.integers(1, 9), st.sampled_from([4, 16, 24, 64]), st.booleans(), st.integers(1, 4), st.integers(1, 20),
    st.sampled_from(["buffer", "dram"]), st.integers(1, 2), st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_random_nets_on_cores_before_a_shared_level_equal_the_twin(
    trace: Trace,
    cores: int,
    split: str,
    broadcast: bool,
    placement: tuple[str, str, str],
    width: int,
    burst: int,
    in_turn: bool,
    places: int,
    latency: int,
    residency: str,
    frames: int,
    clock: int,
) -> None:
    # An infinite rate: the twin counts in whole cycles, and not every transfer is a multiple of four bytes.
    machine = chip(
        placement, width, burst, in_turn, places, latency, 0, clock, cores=cores, control=control(split, broadcast),
        activation_buffer__residency=residency,
    )  # fmt: skip
    try:
        compare(machine, trace, frames)
    except CompileError:
        return  # a net that does not fit says so


def test_room_that_a_cycle_makes_is_seen_at_the_next_edge_of_the_core_and_not_before() -> None:
    """A transfer that leaves a level of another clock between two edges frees a place in flight, which then still finds no room."""
    machine = chip(("l2", "dram", "none"), 2, 4, False, 2, 1, 0, l2__clock="333 MHz").with_fields(clock="480 MHz")
    compare(machine, tiny_encoder(2, 16, 2, 4, "int8"))


@settings(max_examples=25)
@given(
    st.one_of(chains(), encoders()), st.integers(1, 3), st.sampled_from(["cheapest", "stripes", "rows"]), st.booleans(),
    st.sampled_from(PLACEMENTS), st.integers(1, 9), st.sampled_from([4, 16, 24, 64]), st.booleans(), st.integers(1, 4), st.integers(1, 20),
    st.sampled_from(["buffer", "dram"]), st.sampled_from(CLOCKS),
)  # fmt: skip
def test_a_level_on_a_clock_that_does_not_divide_that_of_the_cores_equals_the_twin(
    trace: Trace,
    cores: int,
    split: str,
    broadcast: bool,
    placement: tuple[str, str, str],
    width: int,
    burst: int,
    in_turn: bool,
    places: int,
    latency: int,
    residency: str,
    clocks: tuple[str, str],
) -> None:
    machine = chip(
        placement, width, burst, in_turn, places, latency, 0, cores=cores, control=control(split, broadcast),
        activation_buffer__residency=residency, l2__clock=clocks[1],
    ).with_fields(clock=clocks[0])  # fmt: skip
    try:
        compare(machine, trace)
    except CompileError:
        return  # a net that does not fit says so
