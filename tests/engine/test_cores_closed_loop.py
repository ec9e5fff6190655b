"""Several cores that share a memory equal their clock-by-clock twin in a closed loop: cycles by category and the last landing of each."""

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
from tests.naive_cores import simulate_cores
from tests.system.test_networks_in_turn import renamed
from tests.tiny_convnets import convnets
from tests.tiny_machines import chains, encoders, gemm_chain, tiny_accelerator

SPLITS = ("cheapest", "stripes", "rows")


def chip(cores: int, split: str, places: int, latency: int, rate: int = 4, **more: Any) -> Accelerator:
    return tiny_accelerator(
        cores=cores, codebook={"ports": 2, "codeword_length": 4, "codewords": 64, "sets": 1}, array={"rows": 4, "cols": 4, "max_m": 3},
        dma={"transfer": 32, "max_transfers": places, "fabric_latency": "1 ns"}, **{"control": {"core_split": split}, **more},
        dram={"device": "ideal", "latency": f"{latency} ns", "bandwidth": f"{rate} GB/s"},
    )  # fmt: skip


def compare(accelerator: Accelerator, *traces: Trace, frames: int = 1, batch: int = 1) -> set[str]:
    """The categories that occur."""
    program = compile_trace(accelerator, *traces, frames=frames, batch=batch)
    outcome = run_program(accelerator, program, by_events=True)
    assert accelerator.dram is not None
    latency, rate = accelerator.dram.latency // 1000, accelerator.dram.bandwidth // 10**9
    twins = simulate_cores(program, 32, accelerator.dma.max_transfers, latency, rate, 1)
    found: set[str] = set()
    for number, (own, (cycles, last, runs)) in enumerate(zip(outcome.of_cores, twins, strict=True)):
        assert cycles == own.cycles - own.tail_cycles, f"core {number}"
        assert max(cycles, last) == own.cycles, f"core {number}"
        ours = [{name: count for name, count in zip(CATEGORIES, row, strict=False) if count} for row in own.run_results.tolist()]
        assert ours == runs, f"core {number}"
        found |= set().union(*runs)
    assert outcome.cycles == max(max(cycles, last) for cycles, last, _ in twins)
    return found


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
@pytest.mark.parametrize(("places", "latency"), [(2, 8), (1, 1)])
def test_cores_equal_their_twin(cores: int, split: str, overlap: str, places: int, latency: int) -> None:
    machine = chip(cores, split, places, latency, weight_buffer={"capacity": 352, "word_bits": 32},
                   control={"core_split": split, "overlap": overlap})  # fmt: skip
    found = compare(machine, gemm_chain(4, [4, 24, 8, 4], ["int8", "ssvq:16,4", "int8"], ["layernorm", "", "gelu"]))
    if split == "stripes" or cores == 1:  # what is split over rows alone stays on its cores
        assert ("dependency" in found) == (cores > 1)


@pytest.mark.parametrize("cores", [2, 3])
@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
@pytest.mark.parametrize(("places", "latency"), [(2, 8), (1, 1)])
def test_cores_that_share_reads_of_weights_equal_their_twin(cores: int, overlap: str, places: int, latency: int) -> None:
    machine = chip(cores, "rows", places, latency, weight_buffer={"capacity": 352, "word_bits": 32},
                   control={"core_split": "rows", "overlap": overlap, "weight_broadcast": True})  # fmt: skip
    trace = gemm_chain(7, [4, 24, 8, 4], ["int8", "ssvq:16,4", "int8"], ["layernorm", "", "gelu"])
    compare(machine, trace)
    program = compile_trace(machine, trace)
    assert all((core.transfers.broadcast >= 0).all() for core in program.cores)  # every layer is split over rows


@settings(max_examples=60)
@given(
    st.one_of(chains(), encoders(), convnets()), st.integers(2, 4), st.sampled_from(SPLITS), st.integers(1, 4), st.integers(1, 20),
    st.integers(1, 2), st.integers(1, 2), st.booleans(), st.sampled_from([256, 512, 1024, 65536]),
)  # fmt: skip
def test_random_nets_on_several_cores_equal_the_twin(
    trace: Trace, cores: int, split: str, places: int, latency: int, frames: int, batch: int, broadcast: bool, capacity: int
) -> None:
    # An infinite rate: the twin counts in whole cycles, and not every transfer is a multiple of four bytes.
    try:
        control = {"core_split": split, "weight_broadcast": broadcast}
        compare(
            chip(cores, split, places, latency, 0, control=control, activation_buffer__capacity=capacity), trace, frames=frames, batch=batch
        )
    except CompileError:
        return  # a net that does not fit says so


@pytest.mark.parametrize("overlap", ["prefetch", "layer", "none"])
@pytest.mark.parametrize(("places", "latency"), [(2, 8), (1, 1)])
@pytest.mark.parametrize("cores", [2, 3])
def test_networks_on_cores_of_their_own_equal_the_twin(cores: int, overlap: str, places: int, latency: int) -> None:
    machine = chip(cores, "networks", places, latency, weight_buffer={"capacity": 352, "word_bits": 32},
                   control={"core_split": "networks", "overlap": overlap})  # fmt: skip
    one = gemm_chain(4, [4, 24, 8, 4], ["int8", "ssvq:16,4", "int8"], ["layernorm", "", "gelu"])
    other = gemm_chain(4, [16, 4, 32], ["ssvq:16,4", "int8"], ["", "gelu"])
    found = compare(machine, renamed(one, "one"), renamed(other, "other"), renamed(other, "third"), frames=2)
    assert "dependency" not in found  # nothing passes from core to core


@settings(max_examples=40)
@given(
    st.lists(st.one_of(chains(), encoders(), convnets()), min_size=1, max_size=3), st.integers(2, 3), st.integers(1, 4),
    st.integers(1, 20), st.integers(1, 2), st.sampled_from([512, 65536]),
)  # fmt: skip
def test_random_nets_on_cores_of_their_own_equal_the_twin(
    traces: list[Trace], cores: int, places: int, latency: int, frames: int, capacity: int
) -> None:
    networks = [renamed(trace, f"n{number}") for number, trace in enumerate(traces)]
    try:
        compare(chip(cores, "networks", places, latency, 0, activation_buffer__capacity=capacity), *networks, frames=frames)
    except CompileError:
        return
