"""The verdict: the resource that gains most if it is free, checked with the test's own idealizations on random chips and networks."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.errors import CompileError
from accelsim.report.verdict import LEAST_GAIN, NO_RESOURCE, decide, in_brief, limit_rows
from accelsim.result import BOUND_RESOURCES, CATEGORIES, RESOURCES, Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, load_trace
from accelsim.what_if import IDEALS, WhatIf, what_if
from tests.every_machine import machines, networks
from tests.synthetic_results import layer, result

TRACES = Path(__file__).resolve().parents[1] / "traces"
PAIRS = int(os.environ.get("VERDICT_PAIRS", "100"))

# Written from the meaning of each resource, not from `what_if`; those that depend on the chip's other fields are left out.
OVERRIDES = {
    "MAC array": ["array.rows_per_cycle=1048576"],
    "accumulators": ["array.accumulator_banks=2"],
    "shadow weights": ["array.shadow_sets=2"],
    "activation buffer ports": ["activation_buffer.ports=8"],
    "vector unit": ["vector_unit.lanes=65536", "vector_unit.latency=0"],
    "buffer capacity": ["weight_buffer.capacity=16 GiB", "activation_buffer.capacity=16 GiB"],
    "control": [
        *("control.overlap=prefetch", "control.prefetch={layers: null, bytes: null}"),
        *("control.runs=chained", "control.issue_overhead_cycles=0"),
    ],
}


def moved(run: Result) -> Counter[str]:
    """Bits by operand, wherever they come from; whole bursts are the memory's."""
    bits: Counter[str] = Counter()
    for item, size in run.traffic.items():
        if item.operand != "burst_rounding":
            bits[item.operand] += size
    return bits


def choices(run: Result) -> dict[str, str]:
    """The compiler's choices, but for the one that only repeats a field of the control that is idealized."""
    return {name: value for name, value in run.choices.items() if name != "overlap"}


def plan(run: Result) -> tuple[Counter[str], list[str], dict[str, str]]:
    """What the compiler decided: bytes, the way that each layer runs, and its choices, whatever the buffers hold."""
    kept = {name: re.sub(" of .*", "", value) for name, value in choices(run).items()}
    return moved(run), [layer.lowering for layer in run.layers], kept


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
        "The memory limits: 1.25x if free, and then the MAC array limits (estimated), "
        "though 62.5 % of the cycles still wait for the memory; second gain: vector unit, 1.11x"
    )
    array = idealized("MAC array", 800, {"busy": 450, "dram": 350})
    kept = decide(run, (array, vector))
    assert kept.then == "memory"
    assert "the memory limits (estimated), though the array still works in 56.2 % of the cycles" in kept.sentence


def test_gains_that_are_almost_equal_are_told_together() -> None:
    run = result((layer("a", {"busy": 600, "dram": 400}),))
    array = idealized("MAC array", 800, {"busy": 400, "dram": 400})
    memory = idealized("memory", 800, {"busy": 600, "dram": 200})
    ports = idealized("accumulator ports", 807, {"busy": 407, "dram": 400})  # 1.239x
    vector = idealized("vector unit", 810, {"busy": 410, "dram": 400})  # 1.235x: 1.2 % less
    both = decide(run, (array, memory, vector))
    assert (both.resource, both.alike, both.label) == ("MAC array", ("MAC array", "memory"), "MAC array or memory")
    assert both.sentence.startswith("The MAC array or the memory limits: either 1.25x if free; with the MAC array free, the memory limits")
    assert "; next gain: vector unit, 1.23x" in both.sentence
    assert in_brief(both) == "MAC array or memory limits (1.25x if free)"
    three = decide(run, (array, memory, ports))
    assert three.sentence.startswith("The MAC array, the memory or the accumulator ports limit: 1.25x or 1.24x if free; with the MAC")
    assert "no other resource gains" in three.sentence
    assert decide(run, (array, vector)).alike == ("MAC array",)


def test_a_run_that_no_resource_limits_says_so_and_why() -> None:
    run = result((layer("a", {"busy": 600, "dram": 400}),))
    array, memory = (
        WhatIf(resource, resource, "", result((layer("a", {"busy": 500, "dram": cycles - 500}),)), 1000 / cycles, "")
        for resource, cycles in (("MAC array", 998), ("memory", 1000))
    )
    verdict = decide(run, (array, memory))
    assert verdict.resource == NO_RESOURCE
    assert verdict.sentence == (
        "No resource limits alone: none gains 0.5 % or more if free (the MAC array: 1.002x); the array works in 60.0 % of the cycles, "
        "but freeing it alone gains less than 0.5 %, as other work takes the place of some of them."
    )
    slower = WhatIf("MAC array", "MAC array", "", result((layer("a", {"busy": 300, "dram": 710}),)), 1000 / 1010, "slower by 10 cycles")
    faster = WhatIf("memory", "memory", "", result((layer("a", {"busy": 800}),)), 1.25, "")
    assert "but freeing it alone costs time, 0.990x" in decide(run, (slower, faster)).sentence


@settings(max_examples=PAIRS, deadline=None, derandomize=True)
@given(accelerator=machines(), trace=networks)
def test_no_idealization_gains_more_than_that_of_the_named_resource(accelerator: Accelerator, trace: Trace) -> None:
    try:
        baseline = simulate(accelerator, trace)
    except CompileError:  # a net that does not fit on the chip
        assume(False)
    ideals = what_if(accelerator, trace, baseline)
    verdict = decide(baseline, ideals)
    assert verdict.gain == max(item.speedup for item in ideals)
    for item in ideals:
        assert moved(item.result) == moved(baseline), item.resource
        assert choices(item.result) == choices(baseline), item.resource
    for resource, overrides in OVERRIDES.items():
        changed = simulate(load_accelerator(accelerator.writable(), overrides), trace)
        gain = baseline.total_cycles / changed.total_cycles
        # A chip that was built so may have another plan, whose gain is that of the plan.
        assert plan(changed) != plan(baseline) or verdict.gain >= 0.99 * gain, resource
        if resource == "buffer capacity":
            (anew,) = (item.replanned or item.speedup for item in ideals if item.resource == resource)
            assert anew == gain
    if verdict.resource == NO_RESOURCE:
        assert verdict.gain < LEAST_GAIN
        return
    largest = max(RESOURCES, key=lambda name: sum(baseline.cycles[reason] for reason in RESOURCES[name]))
    assert largest in verdict.alike or "but freeing it " in verdict.sentence
    slower = {item.resource for item in ideals if item.speedup < 1}
    assert {row.resource for row in limit_rows(replace(baseline, verdict=verdict)) if row.anomaly} == slower


def test_a_verdict_without_idealizations_says_that_it_is_estimated() -> None:
    run = result((layer("a", {"busy": 60, "decode": 40}, bounds={"array": 60, "decode": 81}),))
    assert decide(run).to_dict() == {"resource": "decoder", "gain": None, "basis": "estimated", "second": None, "then": ""}
    assert decide(run).sentence.startswith("The decoder limits (estimated): ")
