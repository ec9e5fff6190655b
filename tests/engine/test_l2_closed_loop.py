"""A chip with a shared level equals its clock-by-clock twin in a closed loop: cycles by category, last landing, busy cycles of the port."""

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
from tests.naive_l2 import NaiveL2Dma, NaivePort
from tests.tiny_machines import chains, encoders, gemm_chain, tiny_accelerator

CODE = {"ports": 2, "codeword_length": 4, "codewords": 64, "sets": 1}
PLACEMENTS = [("dram", "dram", "none"), ("l2", "dram", "none"), ("dram", "l2", "none"), ("l2", "l2", "none"), ("dram", "dram", "weights"),
              ("dram", "dram", "activations"), ("l2", "dram", "activations"), ("dram", "l2", "weights")]  # fmt: skip


def chip(
    placement: tuple[str, str, str],
    width: int,
    burst: int,
    in_turn: bool,
    places: int,
    latency: int,
    rate: int = 4,
    clock: int = 1,
    **more: Any,
) -> Accelerator:
    weights, activations, bypass = placement
    arbitration = "round_robin" if in_turn else "priority"
    level = {"capacity": "64 KiB", "width_bits": 8 * width, "burst": burst, "arbitration": arbitration, "bypass": bypass}
    if clock > 1:
        level["clock"] = f"{1000 // clock} MHz"
    return tiny_accelerator(
        codebook=CODE, array={"rows": 4, "cols": 4, "max_m": 3}, l2=level, placement={"weights": weights, "activations": activations},
        dma={"transfer": 32, "max_transfers": places, "fabric_latency": "1 ns"},
        dram={"device": "ideal", "latency": f"{latency} ns", "bandwidth": f"{rate} GB/s"}, **more,
    )  # fmt: skip


def port_of(accelerator: Accelerator) -> NaivePort:
    """The port of the level's twin."""
    level = accelerator.l2
    assert level is not None
    return NaivePort(
        level.width_bytes, level.burst, level.arbitration == "round_robin", accelerator.clock // (level.clock or accelerator.clock)
    )


def in_level(accelerator: Accelerator) -> tuple[str, ...]:
    """Classes of tensors that lie in the level."""
    return tuple(name for name in ("weights", "activations") if getattr(accelerator.placement, name) == "l2")


def compare(accelerator: Accelerator, trace: Trace) -> None:
    level = accelerator.l2
    assert level is not None
    program = compile_trace(accelerator, trace)
    outcome = run_program(accelerator, program)
    assert accelerator.dram is not None
    latency, rate = accelerator.dram.latency // 1000, accelerator.dram.bandwidth // 10**9
    twin = NaiveL2Dma(
        program,
        32,
        accelerator.dma.max_transfers,
        latency,
        rate,
        1,
        port=port_of(accelerator),
        around=level.bypass,
        here=in_level(accelerator),
    )
    cycles, last, runs = twin.simulate()
    assert cycles == outcome.cycles - outcome.tail_cycles
    assert max(cycles, last) == outcome.cycles
    assert twin.port.busy == outcome.counters["l2_busy_cycles"]
    ours = [{name: count for name, count in zip(CATEGORIES, row, strict=False) if count} for row in outcome.run_results.tolist()]
    assert ours == runs


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize(
    ("overlap", "width", "burst", "in_turn", "clock"),
    [
        *((overlap, *port, 1) for overlap in ("prefetch", "layer", "none") for port in ((1, 16, False), (3, 8, True), (8, 64, False))),
        ("prefetch", 3, 16, False, 2),
        ("prefetch", 3, 16, True, 5),
    ],
)
def test_a_shared_level_equals_its_twin(
    placement: tuple[str, str, str], overlap: str, width: int, burst: int, in_turn: bool, clock: int
) -> None:
    """Of a clock that is the core's or slower."""
    buffers: dict[str, Any] = {"weight_buffer": {"capacity": 352, "word_bits": 32}, "activation_buffer__residency": "dram"}
    machine = chip(placement, width, burst, in_turn, 2, 8, clock=clock, control={"overlap": overlap}, **buffers)
    compare(machine, gemm_chain(2, [4, 24, 8, 4], ["int8", "ssvq:16,4", "int8"], ["add", "", "gelu"]))


@settings(max_examples=40)
@given(
    st.one_of(chains(), encoders()), st.sampled_from(PLACEMENTS), st.integers(1, 9), st.sampled_from([4, 16, 24, 64]), st.booleans(),
    st.integers(1, 4), st.integers(1, 20), st.sampled_from(["buffer", "dram"]), st.sampled_from([1, 1, 2, 4]),
)  # fmt: skip
def test_random_nets_over_a_shared_level_equal_the_twin(
    trace: Trace,
    placement: tuple[str, str, str],
    width: int,
    burst: int,
    in_turn: bool,
    places: int,
    latency: int,
    residency: str,
    clock: int,
) -> None:
    # An infinite rate: the twin counts in whole cycles, and not every transfer is a multiple of four bytes.
    machine = chip(placement, width, burst, in_turn, places, latency, 0, clock, activation_buffer__residency=residency)
    try:
        compare(machine, trace)
    except CompileError:
        return  # a net that does not fit says so
