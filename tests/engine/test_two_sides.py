"""A machine that is run as two sides does what the same machine does as a simulation of events: every instant, every number.

The events are the readable twin: compared are whole logs (every submission, landing and fill with its picosecond), the results of
every run and every counter. How far the cluster may run beyond what it has been told changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError, DeadlockError
from accelsim.hw import cluster_ahead, memory_side
from accelsim.hw.dram.controller import POLICIES
from accelsim.hw.memory import MemorySpec
from accelsim.hw.memory_side import can_run
from accelsim.presets import built_in
from accelsim.program import Program
from accelsim.system import run_program
from accelsim.timing import timing_of
from accelsim.trace.trace import Trace, load_trace
from tests.engine.machines import machines
from tests.recorded import run_logged, sides_logged
from tests.tiny_convnets import convnets
from tests.tiny_machines import accelerators, gemm_chain, nets, tiny_accelerator, tiny_encoder

FEW_PLACES: dict[str, object] = {"transfer": 64, "max_transfers": 2, "max_outstanding_bursts": 4, "fabric_latency": "13 ns"}
MANY_PLACES: dict[str, object] = {"transfer": 512, "max_transfers": 7, "max_outstanding_bursts": 3, "fabric_latency": "0 ns"}
MACHINES = {
    name: item
    for name, item in machines().items()
    if item[0].l2 is None and can_run(spec for spec in (item[0].dram, item[0].flash) if spec is not None)
}


def compare(accelerator: Accelerator, program: Program) -> None:
    twin, log = run_logged(accelerator, program)
    outcome = run_program(accelerator, program)
    assert (outcome.cycles, outcome.tail_cycles, outcome.counters) == (twin.cycles, twin.tail_cycles, twin.counters)
    assert np.array_equal(outcome.run_results, twin.run_results)
    assert sides_logged(accelerator, program) == log


@pytest.mark.parametrize("name", MACHINES)
def test_each_machine_that_collides_does_what_its_events_do(name: str) -> None:
    accelerator, trace = MACHINES[name]
    compare(accelerator, compile_trace(accelerator, trace))


@pytest.mark.parametrize(
    ("accelerator", "trace"), [("edge-32x32", "tiny_vit_int8"), ("edge-64x64-x16", "tiny_vit_ssvq"), ("mcu-16x16", "tiny_vit_ssvq")]
)
def test_presets_do_what_their_events_do(accelerator: str, trace: str) -> None:
    chip = load_accelerator(accelerator)
    compare(chip, compile_trace(chip, load_trace(built_in().traces / trace)))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("channels", "interleave"), [(1, 64), (2, 64), (2, 1024), (3, 64), (3, 192), (4, 128)])
@pytest.mark.parametrize("dma", [FEW_PLACES, MANY_PLACES], ids=["few", "many"])
def test_several_channels_do_what_their_events_do(dma: dict[str, object], channels: int, interleave: int, policy: str) -> None:
    dram = {
        "device": "lpddr5-6400-x16" if channels == 3 else "lpddr4-3200-x16",
        "policy": policy,
        "channels": channels,
        "interleave": interleave,
    }
    chip = tiny_accelerator(
        codebook={"ports": 2, "codeword_length": 4, "codewords": 64}, clock="777 MHz", dma=dma, dram=dram,
        activation_buffer={"capacity": 4096, "banks": 1, "width_bits": 32, "loader_bits": 32, "residency": "dram"},
    )  # fmt: skip
    compare(chip, compile_trace(chip, tiny_encoder(9, 8, 2, 16, "ssvq:16,4")))


def test_weights_in_a_flash_beside_several_channels_do_what_their_events_do() -> None:
    overrides = ("dram={device: lpddr4-3200-x16, channels: 2, interleave: 64}", "activation_buffer.residency=dram")
    chip = load_accelerator("mcu-16x16", (*overrides, "placement={weights: flash, activations: dram}"))
    compare(chip, compile_trace(chip, tiny_encoder(9, 8, 2, 16, "ssvq:16,4")))


@settings(max_examples=15)
@given(
    accelerators(),
    nets,
    st.sampled_from([2, 3, 4]),
    st.sampled_from([64, 128, 1024]),
    st.sampled_from(list(POLICIES)),
    st.sampled_from(["lpddr4-3200-x16", "lpddr4-3200-x32", "lpddr5-6400-x16", "ddr4-2400-x64"]),
)
def test_random_nets_behind_several_channels_do_what_their_events_do(
    accelerator: Accelerator, trace: Trace, channels: int, interleave: int, policy: str, device: str
) -> None:
    dram = MemorySpec(device=device, channels=channels, interleave=interleave, policy=policy)
    compare_random(accelerator.with_fields(dram=dram), trace)


def compare_random(accelerator: Accelerator, trace: Trace, copies: int = 1) -> None:
    try:
        program = compile_trace(accelerator, trace, frames=copies, batch=copies)
    except CompileError:
        return  # a net that does not fit says so; the compiler's own tests judge that
    if can_run(timing_of(accelerator, program).memories.values()):
        compare(accelerator, program)


@settings(max_examples=30)
@given(accelerators(), nets)
def test_random_nets_on_random_machines_do_what_their_events_do(accelerator: Accelerator, trace: Trace) -> None:
    compare_random(accelerator, trace)


@settings(max_examples=12)
@given(accelerators(), convnets())
def test_random_convolutional_nets_on_random_machines_do_what_their_events_do(accelerator: Accelerator, trace: Trace) -> None:
    compare_random(accelerator, trace)


@settings(max_examples=6)
@given(accelerators(), nets)
def test_inferences_in_turn_do_what_their_events_do(accelerator: Accelerator, trace: Trace) -> None:
    compare_random(accelerator, trace, copies=2)


@pytest.mark.parametrize("name", MACHINES)
def test_how_far_the_cluster_runs_beyond_what_it_knows_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator, trace = MACHINES[name]
    program = compile_trace(accelerator, trace)
    expected = sides_logged(accelerator, program)
    for cycles in (1, 7, 1 << 40):
        monkeypatch.setattr(cluster_ahead, "STRETCH", cycles)
        assert sides_logged(accelerator, program) == expected, f"STRETCH = {cycles}"


def test_fills_that_do_not_fit_into_one_call_come_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator, trace = MACHINES["DRAM, 777 MHz core, every activation through it"]
    program = compile_trace(accelerator, trace)
    monkeypatch.setattr(memory_side, "FILLS", 1)
    compare(accelerator, program)


@pytest.mark.parametrize("by_events", [False, True])
@pytest.mark.parametrize("index", [0, 3, 7])
def test_a_gate_that_never_opens_is_a_deadlock_that_lists_each_unit(index: int, by_events: bool) -> None:
    accelerator = tiny_accelerator(codebook__codeword_length=4)
    program = compile_trace(accelerator, tiny_encoder(5, 8, 2, 12, "ssvq:16,4"))
    gate = program.transfers.gate.copy()
    gate[index:] = 1 << 40
    shut = replace(program, transfers=replace(program.transfers, gate=gate))
    with pytest.raises(DeadlockError) as error:
        run_program(accelerator, shut, by_events=by_events)
    message = str(error.value)
    assert "every unit waits" in message
    assert "core at cycle" in message
    assert f"weight transfer {index} of {gate.size}" in message


def test_an_end_in_the_instant_of_the_landing_that_causes_it_is_not_missed() -> None:
    """An ideal vector unit behind a memory without fabric: the last results are there with the last input, and no other instant follows."""
    chip = tiny_accelerator(
        clock="777 MHz", array={"rows": 8, "cols": 8, "max_m": 32}, weight_buffer={"capacity": 646, "word_bits": 24},
        codebook={"store": "rom", "ports": 8, "codewords": 64, "codeword_length": 4}, control={"runs": "isolated"},
        activation_buffer={"capacity": 2496, "banks": 1, "width_bits": 32, "loader_bits": 16}, vector_unit={"lanes": 0, "latency": 1},
        dma={"transfer": 64, "max_transfers": 1, "max_outstanding_bursts": 1, "fabric_latency": 0}, dram={"device": "ideal"},
    )  # fmt: skip
    compare(chip, compile_trace(chip, gemm_chain(31, [36, 64], ["ssvq:16,2"], ["layernorm"])))


def test_row_tiles_do_what_their_events_do_in_few_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side stops for what cannot have come: a load whose job waits for a task, and an end before the array's last row."""
    accelerator = load_accelerator(
        "edge-32x32", ("activation_buffer.capacity=48 KiB", "weight_buffer.capacity=16 KiB", "dma.transfer=1 KiB")
    )
    program = compile_trace(accelerator, gemm_chain(256, [256, 1024, 256, 1024], ["ssvq:16,8"] * 3, ["layernorm"] * 3))
    assert "row_tiles" in program.choices
    compare(accelerator, program)
    turns = 0
    advance = memory_side.MemorySide.advance

    def counted(side: memory_side.MemorySide, known: int) -> int:
        nonlocal turns
        turns += 1
        return advance(side, known)

    monkeypatch.setattr(memory_side.MemorySide, "advance", counted)
    run_program(accelerator, program)
    transfers = program.transfers.size.size + sum(-(-job.size // 1024) for job in program.jobs)
    assert turns < transfers / 10  # 1,743 where both sides ask for all that has not come, 192 as it is; 2,720 transfers
