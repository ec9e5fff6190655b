"""`core_split: cheapest`: splits of a layer, and one core alone, are ranked by an estimate: worked by hand, searched, and against runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.core_shares import CoreShares
from accelsim.compiler.head_ranking import ranked_head_orders
from accelsim.compiler.planner import plan
from accelsim.compiler.target import target_of
from accelsim.compression.open_trace import open_trace
from accelsim.functional import check_functional
from accelsim.hw.control import CoreSplit
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.tiny_convnets import every_layer
from tests.tiny_machines import gemm_chain, nets, tiny_accelerator

SHARED = {"l2": {"capacity": "8 MiB", "width_bits": 512, "burst": "512 B"}, "placement": {"activations": "l2"}}


def chip(cores: int, split: str = "cheapest", **more: Any) -> Accelerator:
    return tiny_accelerator(cores=cores, control={"core_split": split, **more.pop("control", {})}, **more)


def shares(accelerator: Accelerator, trace: Trace, split: CoreSplit = "cheapest") -> CoreShares:
    """With the costs of a chip that ranks them."""
    target = target_of(accelerator, (trace,))
    target = replace(target, control=replace(target.control, core_split=split))
    return CoreShares(target, plan(trace, 1, ranked_head_orders(target, trace)[0]))


def exact() -> Accelerator:
    """Two cores whose lanes take no time, with a memory of a byte per cycle, 20 cycles of latency and 4 transfers of 64 B in flight."""
    return chip(
        2, dram={"device": "ideal", "latency": "20 ns", "bandwidth": "1 GB/s"}, vector_unit={"lanes": 0, "latency": 0},
        dma={"transfer": 64, "max_transfers": 4, "fabric_latency": "0 ns"}, array={"rows": 4, "cols": 4, "max_m": 64},
    )  # fmt: skip


def test_the_estimate_is_that_worked_by_hand() -> None:
    """8 x 8 weights with 8 B of scale and bias per output: 128 B in 128 cycles; 40 rows of 4 tiles: 160 cycles alone, 80 on each core.

    Rows: 256 B of weights are read. 320 B come in and 320 B go out, 340 cycles each. Stripes: each core reads all 40 rows,
    640 B in 660 cycles, and computes for 80; it writes 40 pieces of 4 B, 40 transfers of 20 cycles, 4 at a time: 320 B in 340.
    """
    trace = gemm_chain(40, [8, 8], ["int8"], [""])
    assert shares(exact(), trace, "rows").estimate == 256 + 340 + 340
    assert shares(exact(), trace, "stripes").estimate == 128 + 660 + 340
    assert shares(exact(), trace).estimate_alone(()) == 160 + 340 + 340
    cheapest = shares(exact(), trace)
    assert cheapest.on_one_core
    assert cheapest.estimate == 840


def test_a_tensor_that_passes_is_written_and_read_and_one_that_stays_is_not() -> None:
    """Two layers of 40 rows: between stripes all rows pass (written by both in 340, read by both in 660), between rows none."""
    one, two = gemm_chain(40, [8, 8], ["int8"], [""]), gemm_chain(40, [8, 8, 8], ["int8", "int8"], ["", ""])
    cases: list[tuple[CoreSplit, int]] = [("rows", 256), ("stripes", 128 + 340 + 660)]
    for split, more in cases:
        assert shares(exact(), two, split).estimate - shares(exact(), one, split).estimate == more


@pytest.mark.parametrize("network", ["tiny_vit_ssvq", "deit_tiny_ssvq_k256d8"])
@pytest.mark.parametrize("broadcast", ["false", "true"])
def test_one_core_does_all_where_each_layer_costs_more_than_it_saves(network: str, broadcast: str) -> None:
    """Through DRAM all cores take 1.4 to 2.9 times as long as one, with either split; the ones that idle change nothing."""
    trace = open_trace(network)
    one = simulate(load_accelerator("edge-64x64"), trace)
    two = simulate(load_accelerator("edge-64x64", ["cores=2", f"control.weight_broadcast={broadcast}"]), trace)
    assert two.choices["cores"].startswith("2: all layers on core 0")
    assert (two.total_cycles, two.counters) == (one.total_cycles, one.counters)
    assert [core.macs for core in two.cores] == [trace.macs, 0]
    assert not any("sharing each layer" in text for text in two.warnings)


def test_one_core_does_some_layers_alone_and_all_share_the_others() -> None:
    """Each way for the whole network is slower: 635,146 cycles over rows, 431,310 over stripes, 436,578 on one core."""
    level = ["cores=4", "l2={capacity: 8 MiB, width_bits: 512, burst: 512 B}", "placement.activations=l2"]
    trace = open_trace("deit_tiny_ssvq_k256d8")
    runs = {
        split: simulate(load_accelerator("edge-64x64", [*level, f"control.core_split={split}"]), trace)
        for split in ("cheapest", "rows", "stripes")
    }
    one = simulate(load_accelerator("edge-64x64", level[1:]), trace)
    assert runs["cheapest"].total_cycles < min(runs["rows"].total_cycles, runs["stripes"].total_cycles, one.total_cycles)
    assert "on one core" in runs["cheapest"].choices["cores"]


@settings(max_examples=60)
@given(nets, st.integers(2, 4), st.sampled_from([{}, SHARED]), st.booleans())
def test_the_search_ends_no_higher_than_where_it_starts(trace: Trace, cores: int, level: dict[str, Any], broadcast: bool) -> None:
    accelerator = chip(cores, control={"weight_broadcast": broadcast}, codebook__codeword_length=4, **level)
    splits: list[CoreSplit] = ["rows", "stripes"]
    least = shares(accelerator, trace).estimate
    assert all(least <= shares(accelerator, trace, split).estimate for split in splits)
    assert least <= shares(accelerator, trace).estimate_alone(())


@pytest.mark.parametrize("level", [{}, SHARED])
@pytest.mark.parametrize("cores", [2, 3])
def test_layers_on_one_core_beside_others_are_bit_exact_and_add_up(cores: int, level: dict[str, Any]) -> None:
    accelerator = chip(cores, codebook__codeword_length=4, dram={"device": "ideal", "latency": "10 ns", "bandwidth": "8 GB/s"}, **level)
    trace = every_layer().trace("ssvq:k=8,d=4", "conv[234]")
    assert check_functional(accelerator, trace).ok
    assert simulate(accelerator, trace).macs == trace.macs
