"""What each resource would be worth: one thing ideal at a time, and why anything could be slower."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compression.open_trace import open_trace
from accelsim.presets import preset_names
from accelsim.program import Program
from accelsim.report.verdict import decide
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace
from accelsim.what_if import IDEALS, explain, what_if, with_overrides
from tests.synthetic_results import layer, read, result

TRACES = Path(__file__).resolve().parents[1] / "traces"


def how(program: Program) -> list[str]:
    """The lowering of each layer, but for the rate of its decoder."""
    return [re.sub(r"\d+ weights (decoded )?a cycle", "", layer.lowering) for layer in program.layers]


def moved(result: Result) -> dict[str, int]:
    """Bits by operand, wherever they come from; whole bursts are the memory's."""
    bits: dict[str, int] = {}
    for item, size in result.traffic.items():
        if item.operand != "burst_rounding":
            bits[item.operand] = bits.get(item.operand, 0) + size
    return bits


@pytest.mark.parametrize("preset", preset_names("accelerators"))
@pytest.mark.parametrize("name", ["tiny_vit_int8", "tiny_vit_ssvq"])
def test_nothing_that_becomes_ideal_makes_a_run_slower_without_a_reason(preset: str, name: str) -> None:
    accelerator, trace = load_accelerator(preset), load_trace(TRACES / name)
    baseline = simulate(accelerator, trace)
    rows = what_if(accelerator, trace, baseline)
    assert [row.name for row in rows] == [ideal.name for ideal in IDEALS]
    for row in rows:
        assert moved(row.result) == moved(baseline)
        assert row.result.choices == baseline.choices
        assert row.speedup == baseline.total_cycles / row.result.total_cycles
        assert row.speedup >= 1 or row.explanation.startswith("slower by")


@pytest.mark.parametrize(
    ("chip", "overrides", "name"),
    [
        ("edge-64x64", ("array.mapping=cheapest", "array.gemv_max_m=4"), "llama_1b_float@*=ssvq:k=16,d=8@step:tokens=1,context=0"),
        ("edge-64x64", ("array.mapping=cheapest", "array.gemv_max_m=4"), "llama_1b_float@*=ssvq:k=16,d=8@step:tokens=1,context=13"),
        ("edge-32x32", ("cores=3", "weight_buffer.word_bits=24", "l2={capacity: 1 MiB, width_bits: 64}"), "tiny_vit_ssvq"),
        ("edge-32x32", ("array.mapping=cheapest", "array.gemv_max_m=64"), "tiny_vit_ssvq"),
        ("edge-64x64", ("array.dataflow=cheapest",), "tiny_vit_int8"),
        ("edge-64x64", ("array.depthwise=cheapest", "array.column_feed=3"), "mobilenet_v2_float@uniform:bits=8"),
    ],
)
def test_an_ideal_chip_keeps_the_mappings_that_the_real_one_ranks_first(chip: str, overrides: tuple[str, ...], name: str) -> None:
    accelerator, trace = load_accelerator(chip, overrides), open_trace(name)
    baseline = compile_trace(accelerator, trace)
    kept = ("head_order", "cores", "mapping", "dataflow", "grouped_convolutions", "row_tiles", "column_tiles")
    for ideal in IDEALS:
        other = with_overrides(accelerator, ideal.overrides(accelerator, (trace,)))
        program = compile_trace(other, trace, planned_for=accelerator)
        assert {item: program.choices.get(item) for item in kept} == {item: baseline.choices.get(item) for item in kept}, ideal.name
        for core, as_it_is in zip(program.cores, baseline.cores, strict=True):
            assert how(core) == how(as_it_is), ideal.name
            assert core.transfers.end.tolist() == as_it_is.transfers.end.tolist() or accelerator.dma != other.dma, ideal.name


@pytest.mark.parametrize(("field", "told"), [("cores=2", False), ("activation_buffer.capacity=128 KiB", True)])
def test_ideal_buffers_keep_the_plan_and_what_another_plan_gains_is_told(field: str, told: bool) -> None:
    """With 16 GiB the compiler shares layers of two cores otherwise, or needs no spills: the first took 0.92x, the second 2.79x."""
    accelerator, trace = load_accelerator("edge-64x64", [field]), load_trace(TRACES / "deit_tiny_int8")
    baseline = simulate(accelerator, trace)
    rows = what_if(accelerator, trace, baseline)
    (row,) = (row for row in rows if row.resource == "buffer capacity")
    larger = ["weight_buffer.capacity=16 GiB", "activation_buffer.capacity=16 GiB"]
    anew = simulate(load_accelerator(accelerator.writable(), larger), trace)
    assert row.result.choices == baseline.choices
    assert [layer.traffic for layer in row.result.layers] == [layer.traffic for layer in baseline.layers]
    assert row.result.cycles["buffer_full"] == 0
    assert abs(row.speedup - 1) < 0.01
    assert (row.replanned or row.speedup) == baseline.total_cycles / anew.total_cycles
    assert ("a new plan with more buffer capacity gains 2.79x" in decide(baseline, rows).sentence) is told


def test_an_int8_model_behind_half_a_channel_gains_from_memory_alone() -> None:
    accelerator, trace = load_accelerator("edge-64x64-x16"), load_trace(TRACES / "deit_tiny_int8")
    baseline = simulate(accelerator, trace)
    gains = {row.name: row.speedup for row in what_if(accelerator, trace, baseline)}
    assert gains["memory"] > 2  # 6.05 MB at 6.4 B a cycle take 946 k cycles, the array 319 k
    assert all(gain < 1.01 for name, gain in gains.items() if name != "memory")


@pytest.mark.parametrize("chip", ["edge-64x64", "edge-64x64-x16", "edge-32x32"])
def test_no_vector_unit_gains_more_than_the_ideal_one_that_leaves_the_ports_to_the_array(chip: str) -> None:
    """Rows without a limit, in single passes, took the ports from the array: 1.14x where 96 lanes gain 1.20x."""
    accelerator, trace = load_accelerator(chip), load_trace(TRACES / "deit_tiny_ssvq_k16d8")
    baseline = simulate(accelerator, trace)
    (row,) = (item for item in what_if(accelerator, trace, baseline) if item.resource == "vector unit")
    for lanes in (96, 256, 65536):
        other = simulate(load_accelerator(chip, [f"vector_unit.lanes={lanes}", "vector_unit.latency=0"]), trace)
        assert row.speedup >= 0.99 * baseline.total_cycles / other.total_cycles


def test_a_free_memory_leaves_no_wait_for_it() -> None:
    accelerator, trace = load_accelerator("mcu-16x16"), load_trace(TRACES / "tiny_vit_int8")
    row = next(row for row in what_if(accelerator, trace, simulate(accelerator, trace)) if row.name == "memory")
    assert row.result.cycles["dram"] < 0.02 * row.result.total_cycles
    assert "flash_bus_bytes" not in row.result.counters


def test_a_free_memory_counts_the_reads_of_another_client_apart() -> None:
    accelerator = load_accelerator("edge-32x32", ["dram.background={bandwidth: 100 MB/s}"])
    trace = load_trace(TRACES / "tiny_vit_ssvq")
    baseline = simulate(accelerator, trace)
    row = next(row for row in what_if(accelerator, trace, baseline) if row.name == "memory")
    assert row.result.counters["dram_background_bytes"] > 0
    assert row.result.bus_bytes == row.result.counters["dram_bus_bytes"]
    rounding = sum(bits for item, bits in baseline.traffic.items() if item.operand == "burst_rounding") // 8
    assert row.result.bus_bytes == baseline.bus_bytes - rounding  # the same work; an ideal memory has no bursts


def test_a_chip_that_has_it_already_is_not_run_again() -> None:
    accelerator = load_accelerator("edge-64x64", ["array.accumulator_banks=2"])
    trace = load_trace(TRACES / "tiny_vit_int8")
    baseline = simulate(accelerator, trace)
    row = next(row for row in what_if(accelerator, trace, baseline) if row.name == "accumulators")
    assert row.result is baseline
    assert row.explanation == "the chip is already configured this way"


def test_frames_and_batch_are_those_of_the_baseline() -> None:
    accelerator, trace = load_accelerator("edge-64x64"), load_trace(TRACES / "tiny_vit_ssvq")
    baseline = simulate(accelerator, trace, frames=2, batch=2)
    seen: list[tuple[str, int, int]] = []
    for row in what_if(accelerator, trace, baseline, lambda *args: seen.append(args)):
        assert (len(row.result.frames), row.result.batch) == (2, 2)
    assert seen == [("what if", number, len(IDEALS)) for number in range(len(IDEALS))]


def test_an_override_keeps_every_other_field() -> None:
    accelerator = load_accelerator("edge-64x64-x16")
    other = with_overrides(accelerator, ("vector_unit.lanes=0",))
    assert other.vector_unit.lanes == 0
    assert with_overrides(other, ("vector_unit.lanes=64",)) == accelerator


def test_a_slower_run_is_explained_by_the_stall_reasons_that_moved() -> None:
    before = result((layer("fc", {"busy": 100, "dram": 40}, traffic=(read("raw_weights", 50),)),))
    after = result((layer("fc", {"busy": 100, "dram": 10, "vector": 45}, traffic=(read("raw_weights", 58),)),))
    after = replace(after, choices={"weights": "pinned"})
    # 155 - 140 = 15 cycles; dram 10 - 40; vector 45 - 0; 8 bytes more
    expected = "slower by 15 cycles: vector +45 outweigh dram -30; +8 bytes on the bus; compiler choices changed: weights: pinned"
    assert explain(before, after) == expected
    assert explain(after, before) == ""


def test_wider_words_give_the_activation_buffer_no_wider_ports() -> None:
    """Four banks of 16 bytes are short of ports (36 % of the cycles): words alone gain what a wider loader and weight buffer gain."""
    accelerator, trace = load_accelerator("edge-64x64", ["activation_buffer.banks=4"]), load_trace(TRACES / "deit_tiny_ssvq_k16d8")
    baseline = simulate(accelerator, trace)
    gains = {item.resource: item.speedup for item in what_if(accelerator, trace, baseline)}
    wide = load_accelerator(accelerator.writable(), ["weight_buffer.word_bits=1024", "activation_buffer.loader_bits=512"])
    assert gains["weight buffer width"] == baseline.total_cycles / simulate(wide, trace).total_cycles < 1.05
    assert gains["activation buffer ports"] > 1.3
