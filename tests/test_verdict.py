"""The verdict: the resource that gains most if it is free, checked with the test's own idealizations on random chips and networks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.errors import CompileError
from accelsim.report.verdict import LEAST_GAIN, NO_RESOURCE, decide, limit_rows
from accelsim.result import BOUND_RESOURCES, CATEGORIES, RESOURCES
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, load_trace
from accelsim.what_if import IDEALS, WhatIf, what_if
from tests.synthetic_results import layer, result
from tests.tiny_machines import accelerators, chains, encoders

TRACES = Path(__file__).resolve().parents[1] / "traces"
PAIRS = int(os.environ.get("VERDICT_PAIRS", "100"))

# Written from the meaning of each resource, not from `what_if`; those that depend on the chip's other fields are left out.
OVERRIDES = {
    "MAC array": ["array.rows_per_cycle=1048576"],
    "accumulators": ["array.accumulator_banks=2"],
    "shadow weights": ["array.shadow_sets=2"],
    "activation buffer ports": ["activation_buffer.ports=8"],
    "buffer capacity": ["weight_buffer.capacity=16 GiB", "activation_buffer.capacity=16 GiB"],
    "control": ["control.overlap=prefetch", "control.runs=chained", "control.issue_overhead_cycles=0"],
}


def test_every_reason_and_every_bound_has_one_resource_that_can_be_idealized() -> None:
    reasons = [reason for own in RESOURCES.values() for reason in own]
    assert sorted(reasons) == sorted(CATEGORIES)
    assert sorted(ideal.resource for ideal in IDEALS) == sorted(RESOURCES)
    assert set(BOUND_RESOURCES.values()) <= set(RESOURCES)


@pytest.mark.parametrize(
    ("overrides", "resource"),
    [
        (["array.rows=48", "array.cols=48", "codebook.ports=1"], "decoder"),  # int8 would not pass the codebook's port
        (["activation_buffer.banks=4"], "activation buffer ports"),
    ],
)
def test_the_resource_that_is_short_by_design_is_named(overrides: Sequence[str], resource: str) -> None:
    accelerator, trace = load_accelerator("edge-64x64", overrides), load_trace(TRACES / "deit_tiny_ssvq_k16d8")
    baseline = simulate(accelerator, trace)
    verdict = decide(baseline, what_if(accelerator, trace, baseline))
    assert verdict.resource == resource
    assert verdict.gain is not None
    assert verdict.gain > 1.3


def idealized(resource: str, cycles: int, left: Mapping[str, int]) -> WhatIf:
    """A run of 1,000 cycles that takes fewer with a resource ideal, and what they are then."""
    run = result((layer("a", left),))
    assert run.total_cycles == cycles
    return WhatIf(resource, resource, "", run, 1000 / cycles, "")


def test_a_sentence_says_what_an_ideal_resource_leaves_and_which_gains_are_alike() -> None:
    run = result((layer("a", {"busy": 600, "dram": 400}),))
    memory = idealized("memory", 800, {"busy": 300, "dram": 500})  # what takes the place of its cycles waits for it too
    vector = idealized("vector unit", 900, {"busy": 500, "dram": 400})
    assert decide(run, (memory, vector)).sentence.startswith(
        "The memory limits: 1.25x if free, and even then the memory limits; second gain: vector unit, 1.11x"
    )
    array = idealized("MAC array", 800, {"busy": 450, "dram": 350})
    ports = idealized("accumulator ports", 800, {"busy": 400, "dram": 400})
    assert "1.25x if free, and even then the MAC array limits; the memory gains as much" in decide(run, (array, memory)).sentence
    assert "; the accumulator ports gain as much" in decide(run, (array, ports)).sentence


@settings(max_examples=PAIRS, deadline=None, derandomize=True)
@given(accelerator=accelerators(), trace=st.one_of(chains(), encoders()))
def test_no_idealization_gains_more_than_that_of_the_named_resource(accelerator: Accelerator, trace: Trace) -> None:
    try:
        baseline = simulate(accelerator, trace)
    except CompileError:  # a net that does not fit on the chip
        assume(False)
    ideals = what_if(accelerator, trace, baseline)
    verdict = decide(baseline, ideals)
    assert verdict.gain == max(item.speedup for item in ideals)
    for resource, overrides in OVERRIDES.items():
        other = load_accelerator(accelerator.writable(), overrides)
        assert verdict.gain >= 0.99 * baseline.total_cycles / simulate(other, trace).total_cycles, resource
    if verdict.resource == NO_RESOURCE:
        assert verdict.gain < LEAST_GAIN
        return
    largest = max(RESOURCES, key=lambda name: sum(baseline.cycles[reason] for reason in RESOURCES[name]))
    assert largest == verdict.resource or "but freeing it gains less" in verdict.sentence
    slower = {item.resource for item in ideals if item.speedup < 1}
    assert {row.resource for row in limit_rows(replace(baseline, verdict=verdict)) if row.anomaly} == slower


def test_a_verdict_without_idealizations_says_that_it_is_from_bounds() -> None:
    run = result((layer("a", {"busy": 60, "decode": 40}, bounds={"array": 60, "decode": 81}),))
    assert decide(run).to_dict() == {"resource": "decoder", "gain": None, "basis": "bounds", "second": None, "then": ""}
    assert decide(run).sentence.startswith("By bounds, the decoder limits")
