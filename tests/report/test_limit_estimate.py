"""The estimate of the limiting resource: which cycles of a layer an ideal resource leaves, worked by hand."""

from __future__ import annotations

from accelsim.report.limit_estimate import limiting_resource
from accelsim.report.verdict import decide, in_brief
from accelsim.result import Gain, Verdict
from tests.synthetic_results import layer, result


def test_a_bound_that_is_nearly_reached_decides() -> None:
    assert limiting_resource([layer("a", {"busy": 60, "dram": 40}, bounds={"array": 60, "decode": 91})]) == "decoder"


def test_the_bounds_of_the_other_resources_hold_layer_by_layer() -> None:
    """Summed, 60 cycles of work are free of the memory's 50; but in the second layer, where it works, its loads need 40 of 41."""
    first, second = layer("a", {"busy": 20, "vector": 30}, bounds={"dram": 10}), layer("b", {"busy": 41}, bounds={"dram": 40})
    assert limiting_resource([first, second]) == "vector unit"  # leaves 20 + 41; without the array 50 (it waits) + 40


def test_work_beneath_waits_for_units_beside_the_array_is_not_gone() -> None:
    assert limiting_resource([layer("a", {"busy": 70, "port": 30})]) == "activation buffer ports"
    assert limiting_resource([layer("a", {"busy": 97, "port": 3})]) == "MAC array"


def test_half_of_the_decoders_cycles_remain_behind_the_swap_wave() -> None:
    assert limiting_resource([layer("a", {"decode": 50, "swap": 10, "dram": 30})]) == "memory"  # leaves 60; the decoder 40 + 25
    assert limiting_resource([layer("a", {"decode": 50, "dram": 30})]) == "decoder"


def test_a_sentence_from_bounds_says_why_it_does_not_name_most_cycles() -> None:
    run = result((layer("a", {"busy": 70, "port": 30}),))
    assert decide(run).sentence == (
        "The activation buffer ports limit (estimated): the array waits for them in 30.0 % of the cycles (port 30.0 %); "
        "the array works in 70.0 % of the cycles, but if it were free, other waits would take the place of most."
    )


def test_a_verdict_in_brief() -> None:
    assert in_brief(Verdict("memory", 1.944, None, "", "")) == "memory limits (1.94x if free)"
    assert in_brief(Verdict("accumulators", None, None, "", "")) == "accumulators limit (estimated)"
    assert in_brief(Verdict("none", 1.001, Gain("memory", 1.001), "", "")) == "no resource limits alone"
