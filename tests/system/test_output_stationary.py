"""Sums that stay in the PEs (`array.dataflow`): the machine equals its twin and the cycle rule, and computes exact sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles
from accelsim.errors import CompileError, ConfigError
from accelsim.functional import check_functional
from accelsim.hw.core_spec import ArraySpec
from accelsim.result import LayerResult
from accelsim.simulation import simulate
from accelsim.system import run_program
from accelsim.trace.trace import Trace
from accelsim.what_if import what_if
from tests.engine.machines import machines
from tests.engine.test_machine_twin import compare
from tests.system.test_few_rows import compare_if_it_fits, few_row_chains
from tests.tiny_convnets import ConvNet, convnets
from tests.tiny_machines import accelerators, gemm_chain, nets, tiny_accelerator, tiny_encoder

MACHINES = machines()


def with_dataflow(accelerator: Accelerator, dataflow: str, **array: Any) -> Accelerator:
    fields = {**accelerator.array.model_dump(), "dataflow": dataflow, **array}
    return accelerator.model_copy(update={"array": ArraySpec.model_validate(fields)})


def stationary_machines() -> st.SearchStrategy[Accelerator]:
    """Small machines that hold sums of all products, or of those that gain."""
    return st.builds(with_dataflow, accelerators(), st.sampled_from(["output_stationary", "output_stationary", "cheapest"]))


@st.composite
def fast_machines(draw: st.DrawFn) -> Accelerator:
    """Machines whose memory never limits: what is left are decoder, queue, sums, lanes and ports."""
    lanes = draw(st.sampled_from([0, 1, 2, 3, 16]))
    reads = ["second_port", "stall", "deskew"] if lanes in (0, 16) else ["second_port", "stall"]
    return tiny_accelerator(
        array={
            "rows": draw(st.sampled_from([4, 8])),
            "cols": draw(st.sampled_from([4, 8])),
            "max_m": draw(st.sampled_from([3, 32])),
            "accumulator_banks": draw(st.sampled_from([1, 2])),
            "accumulator_rule": draw(st.sampled_from(["predicted", "simple"])),
            "accumulator_read": draw(st.sampled_from(reads)),
            "shadow_sets": draw(st.sampled_from([1, 2])),
            "dataflow": draw(st.sampled_from(["output_stationary", "cheapest"])),
        },
        codebook={
            "ports": draw(st.sampled_from([1, 2, 3, 8])),
            "codeword_length": 4,
            "codewords": 64,
            "latency": draw(st.sampled_from([1, 3])),
            "banks": draw(st.sampled_from([None, 2])),
        },
        weight_buffer={"capacity": 4096, "word_bits": draw(st.sampled_from([64, 512]))},
        activation_buffer={"capacity": 16384, "banks": draw(st.sampled_from([1, 2, 8])), "width_bits": 16, "loader_bits": 16},
        vector_unit={"lanes": lanes, "latency": draw(st.sampled_from([0, 5]))},
        dma={"transfer": 256, "max_transfers": 4, "fabric_latency": "0 ns"},
        control={"runs": draw(st.sampled_from(["chained", "isolated"])), "issue_overhead_cycles": draw(st.sampled_from([0, 5]))},
        dram={"device": "ideal"},
    )


@settings(max_examples=15)
@given(stationary_machines(), few_row_chains())
def test_two_sides_run_as_events_do(accelerator: Accelerator, trace: Trace) -> None:
    try:
        program = compile_trace(accelerator, trace)
    except CompileError:
        return
    sides, events = run_program(accelerator, program), run_program(accelerator, program, by_events=True)
    assert np.array_equal(sides.run_results, events.run_results)
    assert sides.cycles == events.cycles


@pytest.mark.parametrize("name", MACHINES)
def test_each_machine_that_collides_equals_the_twin(name: str) -> None:
    accelerator, trace = MACHINES[name]
    compare(with_dataflow(accelerator, "output_stationary"), trace)


@settings(max_examples=15)
@given(stationary_machines(), nets)
def test_random_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    compare_if_it_fits(accelerator, trace)


@settings(max_examples=20)
@given(fast_machines(), st.one_of(few_row_chains(), nets))
def test_machines_that_memory_never_limits_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    compare_if_it_fits(accelerator, trace)


@settings(max_examples=10)
@given(st.one_of(stationary_machines(), fast_machines()), convnets(), st.sampled_from([None, 0, 3]), st.integers(1, 2))
def test_random_convolutional_nets_equal_the_twin(accelerator: Accelerator, trace: Trace, side: int | None, frames: int) -> None:
    fed = {} if side is None else {"depthwise": "cheapest", "column_feed": side}
    compare_if_it_fits(with_dataflow(accelerator, accelerator.array.dataflow, **fed), trace, frames=frames)


def chip(
    side: int = 8, width: int = 8, lanes: int = 8, dataflow: str = "output_stationary", banks: int = 2, max_m: int = 64,
    codeword: int | None = None, **array: Any,
) -> Accelerator:  # fmt: skip
    """A machine whose units beside the core take no time: an ideal memory, wide buffers, a vector unit without latency."""
    codeword = codeword or min(side, width)
    return tiny_accelerator(
        array={
            "rows": side, "cols": side, "max_m": max_m, "accumulator_banks": banks, "raw_weights_per_cycle": width, "dataflow": dataflow,
            **array,
        },
        codebook={"ports": width // codeword, "codeword_length": codeword, "codewords": 64},
        vector_unit={"lanes": lanes, "latency": 0},
        weight_buffer={"capacity": "1 MiB", "word_bits": 8 * width},
        activation_buffer={"capacity": "64 KiB", "banks": 64, "width_bits": 64, "loader_bits": 64},
        dma={"transfer": 65536, "max_transfers": 4, "fabric_latency": "0 ns"},
        dram={"device": "ideal"},
    )  # fmt: skip


def only_layer(accelerator: Accelerator, trace: Trace) -> LayerResult:
    (layer,) = simulate(accelerator, trace).layers
    return layer


@settings(max_examples=60)
@given(
    rows=st.integers(1, 7), cols=st.integers(1, 7), group=st.integers(1, 21), banks=st.sampled_from([1, 2, 2]),
    m=st.integers(1, 20), k=st.integers(1, 20), n=st.integers(1, 20),
)  # fmt: skip
@example(rows=4, cols=4, group=8, banks=2, m=16, k=8, n=8)  # two rows of weights a group: no bubbles
@example(rows=4, cols=4, group=4, banks=2, m=16, k=8, n=8)  # one: seven of them
@example(rows=4, cols=4, group=6, banks=2, m=16, k=6, n=8)  # tiles of 6, 6 and 4, and of 6 and 2 weights
@example(rows=1, cols=4, group=4, banks=1, m=3, k=8, n=8)  # with one row of PEs no fold waits for sums
@example(rows=4, cols=4, group=4, banks=2, m=16, k=3, n=20)  # folds wait for sums
def test_the_machine_takes_the_cycles_of_the_dataflow(rows: int, cols: int, group: int, banks: int, m: int, k: int, n: int) -> None:
    """The rule that is validated register by register, 3 cycles ahead of the first weight, and the bubbles between runs."""
    group = min(max(group, cols), rows * cols)  # a chip pops no more than a tile holds
    rule = gemm_cycles("output_stationary", SystolicArray(rows, cols, banks == 2), m, k, n)
    layer = only_layer(chip(rows, group, 0, banks=banks, codeword=1, cols=cols), gemm_chain(m, [k, n], ["int8"], [""]))
    waits_for_sums = rows > 1 if banks == 1 else k < rows
    hidden = m <= rows or waits_for_sums
    assert layer.total_cycles == rule.total_cycles + 3 + (0 if hidden else bubbles(rows, cols, group, k, rule.folds))
    assert layer.cycles["busy"] == layer.bounds["array"] == rule.folds * k
    assert layer.lowering.startswith(f"output stationary, {group} weights decoded a cycle")


def bubbles(rows: int, cols: int, group: int, k: int, runs: int) -> int:
    """Cycles without a step once the first one is through, of an array that takes `cols` weights a cycle: each run is a fold.

    A cycle goes by between the last pop of a run and the first cycle in which the next one pops, for its first word to come in.
    """
    queue = found = 0
    for run in range(runs):
        tiles = [min(rows, k - first) * cols for first in range(0, k, rows)]
        pops = [min(group, tile - popped) for tile in tiles for popped in range(0, tile, group)]
        comes_in = run > 0
        while pops:
            if queue >= cols:
                queue -= cols
            elif run > 0 or len(pops) < -(-tiles[0] // group):
                found += 1
            if not comes_in and queue <= cols:
                queue += pops.pop(0)
            comes_in = False
    return found


def test_weights_are_decoded_again_for_each_r_rows_and_half_as_fast_as_they_are_taken() -> None:
    # 8 x 8 PEs, 4 weights per cycle: 2 cycles per step; 16 rows are 2 M-tiles, so 2 x 16 steps x 2 stripes x 2 cycles.
    layer = only_layer(chip(8, 4), gemm_chain(16, [16, 16], ["int8"], [""]))
    assert layer.bounds["decode"] == 2 * 16 * 2 * 2
    assert layer.cycles["decode"] + layer.cycles["busy"] > 2 * 16 * 2 * 2 - 8
    assert layer.macs == 16 * 16 * 16


def test_waits_are_booked_to_what_causes_them() -> None:
    # One lane reads a row of 8 sums in 8 cycles: 64 a fold, whose 4 steps wait for the sums before.
    waits = only_layer(chip(8, 8, 1), gemm_chain(8, [4, 32], ["int8"], [""])).cycles
    assert waits["accumulator"] > 3 * 64 - 4 * 8 - 16
    # One byte a cycle from the activation buffer, 8 rows a step: 8 cycles each.
    narrow = chip(8, 8, 8).model_copy(
        update={"activation_buffer": chip().activation_buffer.model_copy(update={"banks": 1, "width_bits": 8, "loader_bits": 8})}
    )
    layer = only_layer(narrow, gemm_chain(8, [8, 8], ["int8"], [""]))
    assert layer.os_reads == 8 * 8
    assert layer.cycles["port"] == 8 * 7


def test_reads_and_shifts_are_counted() -> None:
    # 6 rows, K = 20 = 8 + 8 + 4, 3 stripes: a tile of 8 steps reads 8 bytes of each row, one access of 64 bits.
    layer = only_layer(chip(), gemm_chain(6, [20, 24], ["int8"], [""]))
    assert layer.os_reads == 3 * (6 + 6 + 3)
    assert layer.os_shifts == 3 * 8


@pytest.mark.parametrize("dataflow", ["output_stationary", "cheapest"])
@pytest.mark.parametrize("form", ["uniform:bits=8", "uniform:bits=4", "ssvq:k=16,d=4", "ssvq:k=16,d=4,axis=1", "int_group:bits=4,group=8"])
def test_sums_are_bit_exact(form: str, dataflow: str) -> None:
    trace = ConvNet(4, 3, 3).conv(20, 3).conv(12, 1).trace(form, "*")
    assert check_functional(chip(4, 8, dataflow=dataflow), trace).ok
    compare(chip(4, 8, 2, dataflow=dataflow), trace)


def test_the_cheaper_dataflow_is_taken_product_by_product() -> None:
    # Accumulators of 4 rows: 64 rows read each tile 16 times; sums in place take 8 rows at once.
    many = gemm_chain(64, [64, 32], ["int8"], [""])
    shallow = {flow: simulate(chip(dataflow=flow, max_m=4), many) for flow in ("weight_stationary", "output_stationary", "cheapest")}
    assert shallow["cheapest"].total_cycles == shallow["output_stationary"].total_cycles < shallow["weight_stationary"].total_cycles
    assert shallow["cheapest"].choices["dataflow"] == "1 of 1 products output stationary, the others weight stationary"
    deep = {flow: simulate(chip(dataflow=flow), gemm_chain(60, [8, 32], ["int8"], [""])) for flow in shallow}
    assert deep["cheapest"].total_cycles == deep["weight_stationary"].total_cycles <= deep["output_stationary"].total_cycles
    assert "os_reads" not in deep["cheapest"].to_json()


def test_scales_per_group_stay_weight_stationary() -> None:
    layer = only_layer(chip(), ConvNet(8, 1, 1).conv(8, 1).trace("int_group:bits=4,group=8", "*"))
    assert layer.os_reads is None
    assert layer.lowering.split("; ")[0] == "tile by tile"


def test_what_limits_is_what_an_idealization_widens() -> None:
    accelerator, trace = chip(8, 4), gemm_chain(8, [32, 64], ["int8"], [""])
    wide = accelerator.model_copy(update={"weight_buffer": accelerator.weight_buffer.model_copy(update={"word_bits": 512})})
    gains = {row.resource: row.speedup for row in what_if(wide, trace, simulate(wide, trace))}
    assert gains["decoder"] == max(gains.values()) > 1.5
    assert min(gains.values()) >= 1.0


def test_heads_of_an_attention_hold_sums_too() -> None:
    encoder = tiny_encoder(9, 16, 2, 16, "int8")
    layers = [layer for layer in simulate(chip(), encoder).layers if layer.op == "matmul"]
    assert all(layer.os_reads for layer in layers)
    compare(chip(4, 8, 2), encoder)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ({"dataflow": "output_stationary", "weight_file": 2}, "weight_file = 2 needs dataflow = 'enhanced_weight_stationary'"),
        ({"dataflow": "output_stationary", "mapping": "gemv"}, "mapping = 'gemv' needs dataflow"),
        ({"dataflow": "cheapest", "sparse_tile": {"d": 4, "q": 2}}, "dataflow = 'cheapest' needs sparse_tile = null"),
        ({"dataflow": "input"}, "dataflow"),
    ],
)
def test_a_dataflow_that_no_chip_has_is_refused(array: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 8, **array})
