"""Derived figures: rates, groups of repeated layers, and the sentence on what limits."""

from __future__ import annotations

import pytest

from accelsim.report.metrics import group_layers, pattern, summarize
from accelsim.report.tables.text import LABEL_CHARS, clean, decimal_bytes, distinct, milliseconds, tail
from accelsim.report.verdict import decide
from tests.synthetic_results import int8, layer, result


def limiting_sentence(cycles: dict[str, int], bounds: dict[str, int]) -> str:
    return decide(result((layer("a", cycles, bounds=bounds),))).sentence


def test_the_summary_holds_the_rates_worked_by_hand():
    summary = summarize(int8())  # 1000 cycles at 1 GHz: 1 us
    assert summary.milliseconds == pytest.approx(0.001)
    assert summary.inferences_per_s == pytest.approx(1e6)
    assert (summary.useful_bytes, summary.bus_bytes) == (1600, 1640)
    assert summary.bus_bytes_per_cycle == pytest.approx(1.64)
    assert summary.bus_gb_per_s == pytest.approx(1.64)
    assert summary.bus_bytes_per_mac == pytest.approx(1640 / 2880)
    assert (summary.tightest_bound, summary.achieved_of_tightest_pct) == ("dram", pytest.approx(65.0))  # 240 + 240 + 170 of 1000


def test_cold_start_and_steady_state_are_the_first_and_last_frame():
    frames = [(layer("a", {"busy": cycles}),) for cycles in (300, 200, 100)]
    summary = summarize(result(*frames, batch=2))
    assert (summary.cold_ms, summary.steady_ms) == (pytest.approx(3e-4), pytest.approx(1e-4))
    assert summary.inferences == 6
    assert summary.milliseconds_per_inference == pytest.approx(1e-4)  # 600 cycles over 6


def test_a_busy_array_is_not_the_limit_where_another_bound_would_remain():
    # without the array 40 cycles are left, but the memory needs 89; without the memory's 25, 75 are
    assert limiting_sentence({"busy": 60, "swap": 15, "dram": 25}, {"array": 60, "dram": 89}) == (
        "The memory limits (estimated): the array waits for it in 25.0 % of the cycles (dram 25.0 %); "
        "the array works in 60.0 % of the cycles, but if it were free, other waits would take the place of most."
    )


def test_an_array_that_works_most_of_the_time_is_the_limit():
    assert limiting_sentence({"busy": 60, "fill_drain": 15, "dram": 25}, {"array": 60, "dram": 50}) == (
        "The MAC array limits (estimated): it works in 75.0 % of the cycles (busy 60.0 %, fill_drain 15.0 %); "
        "loads may hide under its work, and then a free array gains less."
    )


def test_a_run_without_cycles_has_a_summary_too():
    assert summarize(result((layer("a", {}),))).limiting_sentence == "Nothing runs on the array."


def test_repeated_blocks_fold_and_keep_every_cycle():
    groups = group_layers(int8(), fold=True)
    assert [(group.name, len(group.names), group.total_cycles) for group in groups] == [("blocks.*.fc", 2, 800), ("head", 1, 200)]


def test_blocks_with_other_work_do_not_fold():
    run = result((layer("b.0.fc", {"busy": 1}, macs=10), layer("b.1.fc", {"busy": 1}, macs=20)))
    assert [group.name for group in group_layers(run, fold=True)] == ["b.0.fc", "b.1.fc"]


def test_only_numbers_that_count_blocks_become_stars():
    assert pattern("blocks.11.mlp.fc1") == "blocks.*.mlp.fc1"
    assert pattern("h/3/block_12_add_1") == "h/*/block_*_add_1"
    assert pattern("features.0") == "features.0"


def test_names_cannot_steer_a_terminal_and_stay_distinct():
    assert clean("a\x1b[31mb\u202e\n") == "a\\x1b[31mb\\u202e\\n"


def test_numbers_read_like_a_person_writes_them():
    assert decimal_bytes(1_708_544) == "1.709 MB"
    assert (milliseconds(12.3456), milliseconds(0.0012345)) == ("12.346", "0.001234")
    assert tail("vit.encoder.layer.*.output.dense", 22) == "…layer.*.output.dense"
    assert tail("deit_tiny_universal_vq_k4096d8", 24) == "…universal_vq_k4096d8"
    assert tail("deit_tiny_float@vptq:bits=12,d=8", 14) == "…vptq:bits=12…"


def test_a_memory_that_is_nearly_never_idle_limits_even_where_its_loads_hide_under_work() -> None:
    assert limiting_sentence({"busy": 60, "dram": 40}, {"array": 60, "dram": 90}) == (
        "The memory limits (estimated): it needs at least 90.0 % of the cycles taken; "
        "the array is busy in 60.0 % and waits for it in 40.0 %."
    )


def test_groups_of_one_pattern_are_told_apart_by_the_numbers_of_their_blocks():
    """Blocks 0, 1 and 4 have 8 MACs, blocks 2 and 3 have 9: two groups of one pattern; the heads are alone with theirs."""
    macs = {0: 8, 1: 8, 2: 9, 3: 9, 4: 8}
    run = result(tuple(layer(f"b.{block}.{part}", {"busy": 1}, macs=size) for block, size in macs.items() for part in ("fc",)))
    heads = result(tuple(layer(f"b.{block}.head", {"busy": 1}, macs=8) for block in range(3)))
    assert [group.name for group in group_layers(run, fold=True)] == ["b.0-1,4.fc", "b.2-3.fc"]
    assert [group.name for group in group_layers(heads, fold=True)] == ["b.*.head"]


def test_short_names_of_several_networks_or_blocks_stay_apart():
    long = "vit.encoder.layer.*.attention.output.dense"
    names = distinct([f"net_a/{long}", f"net_b/{long}", "head"])
    assert names == ["net_a…output.dense", "net_b…output.dense", "head"]
    assert distinct([f"mobilenet_v2.layer.{block}.conv_3x3.convolution" for block in ("1-2", "10")]) == [
        "1-2…conv_3x3.convolution",
        "10…conv_3x3.convolution",
    ]
    inner = [f"mobilenet_v2.{part}_1x1.convolution" for part in ("layer.0.expand", "layer.0.reduce", "conv_stem.reduce")]
    assert distinct(inner, 22) == ["layer.0.expand_1x1…", "layer.0.reduce_1x1…", "conv_stem.reduce_1x1…"]
    same = distinct([f"{'x' * 40}.out"] * 2)
    assert same == [f"…{'x' * 15}.out (1)", f"…{'x' * 15}.out (2)"]
    stem = [f"mobilenet_v2.{part}.convolution" for part in ("stem.conv_3x3", "stem.reduce_1x1", "b.13-15.conv_3x3", "b.13-15.reduce_1x1")]
    assert len(set(distinct(stem, 20))) == 4
    masks = [f"deit_tiny_float@masked_vq:k=512,d=16,keep={keep},of=4" for keep in (1, 2)]
    assert distinct([*masks, "deit_tiny_int8"], 16) == ["…=16,keep=1,of=4", "…=16,keep=2,of=4", "deit_tiny_int8"]
    assert max(map(len, distinct([f"{'n' * 60}{index}/{long}" for index in range(3)]))) <= LABEL_CHARS


def test_an_array_that_limits_half_empty_is_said_to() -> None:
    cycles, bounds = {"busy": 80, "dram": 20}, {"array": 80, "dram": 10}
    said = "The MAC array limits (estimated): it works in 80.0 % of the cycles (busy 80.0 %)"
    hidden = "; loads may hide under its work, and then a free array gains less."
    sparse = result((layer("a", cycles, bounds=bounds, macs=40, pe_cycles=800),))  # 40 of 800 slots of the busy cycles
    assert decide(sparse).sentence == f"{said}, but a busy cycle uses 5.0 % of the multipliers{hidden}"
    half = result((layer("a", cycles, bounds=bounds, macs=400, pe_cycles=800),))
    assert decide(half).sentence == f"{said}{hidden}"


def test_an_array_that_works_in_nearly_all_cycles_hides_no_loads() -> None:
    full = result((layer("a", {"busy": 95, "dram": 5}, bounds={"array": 95, "dram": 10}, macs=950, pe_cycles=950),))
    assert decide(full).sentence == "The MAC array limits (estimated): it works in 95.0 % of the cycles (busy 95.0 %)."
