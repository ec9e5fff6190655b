"""The compute side of the machine equals its clock-by-clock twin: total cycles, and each run's cycles by category."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.errors import CompileError
from accelsim.kernels.compute_state import STALL
from accelsim.result import CATEGORIES
from accelsim.trace.trace import Trace
from accelsim.what_if import IDEALS, Ideal, with_overrides
from tests.engine.machines import machines
from tests.naive_machine import NaiveMachine
from tests.properties.test_ideal_decoder import chips, grouped_chains
from tests.recorded import run_recorded
from tests.tiny_convnets import convnets
from tests.tiny_machines import accelerators, nets, tiny_accelerator, tiny_encoder

MACHINES = machines()


def compare(accelerator: Accelerator, *traces: Trace, frames: int = 1, batch: int = 1, planned_for: Accelerator | None = None) -> None:
    program = compile_trace(accelerator, *traces, frames=frames, batch=batch, planned_for=planned_for)
    outcome, landings = run_recorded(accelerator, program)
    cycles, runs = NaiveMachine(program, landings).simulate()
    assert cycles == outcome.cycles - outcome.tail_cycles
    for index, (twin, row) in enumerate(zip(runs, outcome.run_results.tolist(), strict=True)):
        ours = {name: count for name, count in zip(CATEGORIES, row, strict=False) if count}
        assert ours == twin, f"run {index}"


@pytest.mark.parametrize("name", MACHINES)
def test_each_machine_that_collides_equals_the_twin(name: str) -> None:
    compare(*MACHINES[name])


@given(accelerators(), nets)
def test_random_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    try:
        compare(accelerator, trace)
    except CompileError:
        return  # a net that does not fit says so; the compiler's own tests judge that


@settings(max_examples=25)
@given(accelerators(), convnets())
def test_random_convolutional_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    try:
        compare(accelerator, trace)
    except CompileError:
        return


@settings(max_examples=25)
@given(accelerators(), st.one_of(nets, convnets()), st.sampled_from([item for item in IDEALS if item.name in ("decoder", "buffer width")]))
def test_ideal_decoders_and_widths_of_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace, ideal: Ideal) -> None:
    """They take several groups, or words, of the image that the chip as it is has."""
    try:
        compare(with_overrides(accelerator, ideal.overrides(accelerator, (trace,))), trace, planned_for=accelerator)
    except CompileError:
        return


@settings(max_examples=8)
@given(chips(), grouped_chains())
def test_ideal_decoders_of_tiles_that_end_with_a_scale_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    (decoder,) = (item for item in IDEALS if item.name == "decoder")
    try:
        compare(with_overrides(accelerator, decoder.overrides(accelerator, (trace,))), trace, planned_for=accelerator)
    except CompileError:
        return


@settings(max_examples=8)
@given(accelerators(), convnets())
def test_frames_and_batches_of_convolutional_nets_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    try:
        compare(accelerator, trace, frames=2, batch=2)
    except CompileError:
        return


@settings(max_examples=12)
@given(accelerators(), nets)
def test_frames_and_batches_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    try:
        compare(accelerator, trace, frames=2, batch=2)
    except CompileError:
        return


@pytest.mark.parametrize(
    "field",
    ["codebook_latency", "accumulator_banks", "accumulator_rule", "accumulator_read", "chained", "lanes", "port_accesses", "shadow_sets"],
)
def test_a_machine_that_differs_in_one_number_differs_from_the_twin(field: str) -> None:
    """The twin is not blind: told another machine than the one that ran, it finds other cycles."""
    accelerator = tiny_accelerator(
        codebook={"ports": 4, "codeword_length": 4, "codewords": 64}, dram={"device": "ideal"}, activation_buffer__banks=1,
        weight_buffer={"capacity": 1024, "word_bits": 256}, vector_unit={"lanes": 2, "latency": 3},
    )  # fmt: skip
    program = compile_trace(accelerator, tiny_encoder(9, 8, 2, 8, "int8"))
    outcome, landings = run_recorded(accelerator, program)
    program.machine[field] += {"chained": -1, "accumulator_read": STALL}.get(field, 1)
    cycles, runs = NaiveMachine(program, landings).simulate()
    ours = [{name: count for name, count in zip(CATEGORIES, row, strict=False) if count} for row in outcome.run_results.tolist()]
    assert (cycles, runs) != (outcome.cycles - outcome.tail_cycles, ours)


def test_work_that_takes_no_time_goes_on_in_the_cycle_in_which_somebody_learns_of_an_end() -> None:
    """An ideal vector unit finishes a sum that is written to DRAM and the norm that reads it in one cycle: nobody outside delays it."""
    ideal = {"lanes": 0, "latency": 0}
    tight = {"capacity": 256, "banks": 1, "width_bits": 16, "loader_bits": 8}
    compare(
        tiny_accelerator(codebook__codeword_length=4, vector_unit=ideal, activation_buffer=tight),
        tiny_encoder(4, 8, 1, 16, "int8", depth=2),
    )
