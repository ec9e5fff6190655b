"""A comparison's splits are exact, name every layer, and count traffic as papers and buses do."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from accelsim.errors import ConfigError
from accelsim.report.compare import compare, fold_layers, in_brief, waterfall
from accelsim.report.plots.pictures import waterfall_pictures
from accelsim.report.tables.compare import render_comparison
from accelsim.result import CATEGORIES
from tests.synthetic_results import int8, layer, result, ssvq


def saved(parts):
    return {part.name: part.saved_ticks for part in parts if part.saved_ticks}


def test_the_causes_of_a_speed_up_are_those_worked_by_hand():
    # busy 360 -> 360; dram 600 -> 70; vector 40 -> 50; decode 0 -> 20: in all 1000 -> 500
    (speedup,) = compare(int8(), [ssvq()]).speedups
    assert saved(speedup.by_cause) == {"dram": 530, "vector": -10, "decode": -20}
    assert speedup.speedup == 2.0


def test_the_layers_of_a_speed_up_are_those_worked_by_hand():
    (speedup,) = compare(int8(), [ssvq()]).speedups
    assert saved(speedup.by_layer) == {"blocks.0.fc": 240, "blocks.1.fc": 240, "head": 20}


def test_the_baselines_limit_is_said_first_and_named():
    assert compare(int8(), [ssvq()]).limit.startswith(
        "The memory limits (estimated): the array waits for it in 60.0 % of the cycles (dram 60.0 %)"
    )


def test_traffic_is_compared_for_the_whole_model_and_for_the_matrices_whose_format_differs():
    (speedup,) = compare(int8(), [ssvq()]).speedups
    assert speedup.traffic.whole_model == pytest.approx(1600 / 680)
    assert speedup.traffic.matrices == ("blocks.0.fc", "blocks.1.fc")
    assert speedup.traffic.matrices_alone == pytest.approx(1200 / 280)  # 2 x 600 raw against 2 x (50 + 75 + 15)
    assert (speedup.traffic.bus_baseline_bits, speedup.traffic.bus_other_bits) == (8 * 1640, 8 * 680)


def test_a_layer_without_a_partner_is_listed_and_stays_in_the_sum():
    base = result((layer("a", {"busy": 10}), layer("gone", {"busy": 7})))
    other = result((layer("a", {"busy": 8}), layer("new", {"dram": 4})))
    (speedup,) = compare(base, [other]).speedups
    assert (speedup.only_in_baseline, speedup.only_in_other) == (("gone",), ("new",))
    assert saved(speedup.by_layer) == {"a": 2, "gone": 7, "new": -4}


def test_different_clocks_are_compared_in_a_common_tick():
    # 10 cycles at 200 MHz are 50 ns = 30 ticks of 600 MHz; 9 cycles at 300 MHz are 30 ns = 18 ticks
    base = result((layer("a", {"busy": 10}),), clock_hz=200_000_000)
    other = result((layer("a", {"busy": 9}),), clock_hz=300_000_000)
    (speedup,) = compare(base, [other]).speedups
    assert (speedup.tick_hz, speedup.baseline_ticks, speedup.other_ticks) == (600_000_000, 30, 18)
    assert saved(speedup.by_cause) == {"busy": 12}
    assert not speedup.ticks_are_cycles


def test_runs_of_another_number_of_inferences_are_refused():
    frame = (layer("a", {"busy": 10}),)
    with pytest.raises(ConfigError, match="chip:net: has 2 frames of batch 1, the baseline 1 of batch 1"):
        compare(result(frame), [result(frame, frame)])


def test_a_run_without_cycles_is_refused():
    with pytest.raises(ConfigError, match="took 0 cycles"):
        compare(int8(), [replace(ssvq(), frames=())])


def test_repeated_layers_fold_into_one_part_without_changing_the_sum():
    (speedup,) = compare(int8(), [ssvq()]).speedups
    assert saved(fold_layers(speedup.by_layer)) == {"blocks.*.fc x2": 480, "head": 20}


def test_a_waterfall_runs_from_the_baseline_to_the_other_with_gains_first():
    (speedup,) = compare(int8(), [ssvq()]).speedups
    steps = waterfall(speedup, speedup.by_cause)
    assert [(step.name, step.saved_ticks, step.remaining_ticks) for step in steps] == [
        ("dram", 530, 470),
        ("vector", -10, 480),
        ("decode", -20, 500),
    ]
    assert steps[-1].speedup == 2.0


def test_a_waterfall_sums_what_does_not_stand_alone():
    (speedup,) = compare(int8(), [ssvq()]).speedups
    steps = waterfall(speedup, speedup.by_cause, top=1)
    assert [(step.name, step.saved_ticks) for step in steps] == [("dram", 530), ("2 others", -30)]


layer_cycles = st.dictionaries(st.sampled_from(CATEGORIES), st.integers(0, 10**6), max_size=5)
networks = st.dictionaries(st.sampled_from("abcdef"), layer_cycles, min_size=1, max_size=6).filter(
    lambda found: any(sum(item.values()) for item in found.values())
)


@given(networks, networks, st.sampled_from([400, 800, 1000]), st.sampled_from([400, 600]), st.integers(0, 4))
def test_every_split_adds_up_exactly(base_layers, other_layers, base_mhz, other_mhz, top):
    base, other = (
        result(tuple(layer(name, cycles) for name, cycles in layers.items()), clock_hz=mhz * 10**6)
        for layers, mhz in ((base_layers, base_mhz), (other_layers, other_mhz))
    )
    (speedup,) = compare(base, [other]).speedups
    difference = speedup.baseline_ticks - speedup.other_ticks
    for parts in (speedup.by_cause, speedup.by_layer, fold_layers(speedup.by_layer)):
        assert sum(part.saved_ticks for part in parts) == difference
        steps = waterfall(speedup, parts, top)
        assert sum(step.saved_ticks for step in steps) == difference
        assert not steps or steps[-1].remaining_ticks == speedup.other_ticks
    # both sides in picoseconds, exactly: cycles x 10^12 / clock
    assert speedup.baseline_ticks * base.clock_hz == base.total_cycles * speedup.tick_hz


def text_of(baseline, other) -> str:
    console = Console(file=io.StringIO(), width=100)
    render_comparison(console, compare(baseline, [other]))
    return " ".join(console.file.getvalue().split())


@pytest.mark.parametrize(("cycles", "same"), [(100_000, True), (100_100, True), (99_900, True), (100_101, False), (99_899, False)])
def test_runs_within_a_tenth_of_a_percent_take_the_same_time(cycles: int, same: bool):
    base, other = result((layer("a", {"busy": 100_000}),)), result((layer("a", {"busy": cycles}),))
    comparison = compare(base, [other])
    assert comparison.speedups[0].same is same
    assert comparison.to_dict()["others"][0]["same_time"] is same
    text = text_of(base, other)
    assert ("No difference" in text) is same
    assert ("of the change" in text) is not same
    assert [item.name for item in waterfall_pictures(comparison)] == ([] if same else ["waterfall_cause", "waterfall_layer"])


def test_parts_that_exceed_the_change_are_shares_of_the_baseline():
    base, other = (result((layer("a", {"busy": busy, "dram": dram}),)) for busy, dram in ((500, 500), (300, 690)))
    text = text_of(base, other)  # 10 cycles less: 200 saved, 190 lost
    assert "of the change" not in text
    assert "busy 500 300 +200 20.0 %" in text
    assert "dram 500 690 -190 -19.0 %" in text
    assert "all 1,000 990 +10 1.0 %" in text


def test_a_comparison_in_brief():
    base, other = result((layer("a", {"busy": 100_000}),)), result((layer("a", {"busy": 80_000}),))
    assert [in_brief(item) for item in compare(base, [base, other]).speedups] == ["no difference", "1.25x"]


def test_equal_runs_say_so_and_small_differences_say_how_small():
    base = result((layer("a", {"busy": 100_000}),))
    assert "No difference: both take 100,000 cycles." in text_of(base, base)
    other = result((layer("a", {"busy": 99_975}),))
    assert "No difference: 25 cycles of 100,000 cycles, 0.025 % (below 0.1 %)." in text_of(base, other)


def test_parts_that_offset_each_other_are_named():
    base = result((layer("a", {"busy": 80_000, "dram": 20_000}),))
    other = result((layer("a", {"busy": 80_000, "decode": 20_010}),))
    text = text_of(base, other)
    assert "categories offset each other: dram saves 20,000 cycles, decode adds 20,010 cycles." in text
