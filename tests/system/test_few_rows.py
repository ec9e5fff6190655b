"""Products of few rows whose weights meet them as they leave the decoder (GEMV): the machine equals its twin, and computes exact sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.compiler.compile import compile_trace
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
from tests.tiny_convnets import ConvNet, convnets
from tests.tiny_machines import accelerators, forms, gemm_chain, nets, tiny_accelerator, tiny_encoder

MACHINES = machines()


def with_mapping(accelerator: Accelerator, mapping: str, rows: int | None) -> Accelerator:
    """The same machine with registers for `rows` rows of sums behind the decoder, as far as it has so many accumulators."""
    array = accelerator.array
    fields = {**array.model_dump(), "mapping": mapping, "gemv_max_m": None if rows is None else min(rows, array.max_m)}
    return accelerator.model_copy(update={"array": ArraySpec.model_validate(fields)})


def few_row_machines() -> st.SearchStrategy[Accelerator]:
    """Small machines that map products of up to one, three or twenty rows to their decoder, all or those that gain."""
    return st.builds(with_mapping, accelerators(), st.sampled_from(["gemv", "cheapest"]), st.sampled_from([1, 3, 20]))


@st.composite
def fast_machines(draw: st.DrawFn) -> Accelerator:
    """Machines whose memory never limits: what is left are the decoder, the rows, the banks of sums, the lanes and the ports."""
    cols, lanes = draw(st.sampled_from([4, 8])), draw(st.sampled_from([0, 1, 2, 3, 16]))
    reads = ["second_port", "stall", "deskew"] if lanes in (0, 16) else ["second_port", "stall"]
    return tiny_accelerator(
        array={
            "rows": draw(st.sampled_from([4, 8])),
            "cols": cols,
            "max_m": 32,
            "accumulator_banks": draw(st.sampled_from([1, 2])),
            "accumulator_rule": draw(st.sampled_from(["predicted", "simple"])),
            "accumulator_read": draw(st.sampled_from(reads)),
            "shadow_sets": draw(st.sampled_from([1, 2])),
            "mapping": draw(st.sampled_from(["gemv", "cheapest"])),
            "gemv_max_m": draw(st.sampled_from([1, 3, 8])),
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


@st.composite
def few_row_chains(draw: st.DrawFn) -> Trace:
    """Chains of products of one to five rows, of which a chip maps all or those of fewer rows than its registers hold."""
    widths = [4 * draw(st.integers(1, 6)) for _ in range(draw(st.integers(2, 4)))]
    after = [draw(st.sampled_from(["", "gelu", "layernorm", "add"])) for _ in widths[1:]]
    return gemm_chain(draw(st.integers(1, 5)), widths, [draw(forms) for _ in widths[1:]], after)


@st.composite
def chains_with_scales(draw: st.DrawFn) -> Trace:
    """One to four rows through pointwise layers, all or one of which have scales per group of weights."""
    net = ConvNet(8 * draw(st.integers(1, 5)), 1, draw(st.integers(1, 4)))
    for _ in range(draw(st.integers(1, 3))):
        net.conv(8 * draw(st.integers(1, 4)), 1)
    group, zero = draw(st.sampled_from([8, 16, 24])), draw(st.sampled_from([0, 1]))
    return net.trace(f"int_group:bits={draw(st.sampled_from([3, 4, 8]))},group={group},zero={zero}", draw(st.sampled_from(["*", "conv1"])))


def compare_if_it_fits(accelerator: Accelerator, trace: Trace, **how: int) -> None:
    try:
        compare(accelerator, trace, **how)
    except CompileError:
        return  # a net that does not fit says so; the compiler's own tests judge that


@settings(max_examples=40)
@given(few_row_machines(), st.one_of(few_row_chains(), chains_with_scales()))
def test_two_sides_run_as_events_do(accelerator: Accelerator, trace: Trace) -> None:
    try:
        program = compile_trace(accelerator, trace)
    except CompileError:
        return
    sides, events = run_program(accelerator, program), run_program(accelerator, program, by_events=True)
    assert np.array_equal(sides.run_results, events.run_results)
    assert sides.cycles == events.cycles


@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("name", MACHINES)
def test_each_machine_that_collides_equals_the_twin(name: str, rows: int) -> None:
    accelerator, trace = MACHINES[name]
    compare(with_mapping(accelerator, "gemv", rows), trace)


@given(few_row_machines(), few_row_chains())
def test_random_chains_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    compare_if_it_fits(accelerator, trace)


@given(fast_machines(), st.one_of(few_row_chains(), nets))
def test_machines_that_memory_never_limits_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    compare_if_it_fits(accelerator, trace)


@given(st.one_of(few_row_machines(), fast_machines()), chains_with_scales())
def test_scales_of_groups_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    compare_if_it_fits(accelerator, trace)


@settings(max_examples=10)
@given(few_row_machines(), nets)
def test_random_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    compare_if_it_fits(accelerator, trace)


@settings(max_examples=10)
@given(few_row_machines(), convnets())
def test_random_convolutional_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    compare_if_it_fits(accelerator, trace)


@settings(max_examples=10)
@given(few_row_machines(), st.one_of(few_row_chains(), convnets()))
def test_frames_and_batches_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    compare_if_it_fits(accelerator, trace, frames=2, batch=2)


def chip(
    side: int = 8,
    width: int = 8,
    lanes: int = 8,
    mapping: str = "gemv",
    sets: int = 1,
    rows: int | None = None,
    latency: int = 0,
    taps: int | None = None,
) -> Accelerator:
    """A machine whose units beside the core take no time: an ideal memory, wide buffers, a vector unit without latency."""
    return tiny_accelerator(
        array={
            "rows": side, "cols": side, "max_m": 64, "accumulator_banks": 2, "shadow_sets": sets, "raw_weights_per_cycle": width,
            "mapping": mapping, "scale_taps": taps, "gemv_max_m": None if mapping == "tiles" else rows,
        },
        codebook={"ports": width // side, "codeword_length": side, "codewords": 64},
        vector_unit={"lanes": lanes, "latency": latency},
        weight_buffer={"capacity": "1 MiB", "word_bits": 8 * width},
        activation_buffer={"capacity": "64 KiB", "banks": 64, "width_bits": 64, "loader_bits": 64},
        dma={"transfer": 65536, "max_transfers": 4, "fabric_latency": "0 ns"},
        dram={"device": "ideal"},
    )  # fmt: skip


def only_layer(accelerator: Accelerator, trace: Trace) -> LayerResult:
    (layer,) = simulate(accelerator, trace).layers
    return layer


@pytest.mark.parametrize(
    ("k", "n", "side", "width", "m", "lanes", "cycles"),
    [
        (16, 16, 8, 8, 1, 8, 37),  # as in tests/kernels/test_gemv_core.py, whose comments work them by hand
        (16, 16, 8, 16, 1, 8, 21),
        (16, 16, 8, 8, 2, 8, 70),
        (20, 16, 8, 8, 1, 8, 45),
        (20, 16, 8, 24, 1, 8, 21),
        (4, 24, 8, 8, 1, 8, 17),
        (4, 24, 8, 8, 1, 1, 32),
    ],
)
def test_the_machine_takes_the_cycles_of_the_core_alone(k: int, n: int, side: int, width: int, m: int, lanes: int, cycles: int) -> None:
    layer = only_layer(chip(side, width, lanes), gemm_chain(m, [k, n], ["int8"], [""]))
    assert layer.total_cycles == cycles
    groups = layer.bounds["decode"]
    assert layer.gemv_steps == layer.cycles["busy"] == layer.bounds["array"] == m * groups
    assert layer.lowering == f"GEMV, {width} weights a cycle"


def test_a_stripe_waits_for_its_bank() -> None:
    # 3 stripes of 4 groups, each drained in 8 cycles: the third one is popped from cycle 16 on, not from 9.
    layer = only_layer(chip(8, 8, 1), gemm_chain(1, [4, 24], ["int8"], [""]))
    assert (layer.cycles["accumulator"], layer.cycles["fill_drain"], layer.cycles["vector"]) == (16 - 9, 3, 9)


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("form", ["int8", "ssvq:16,4", "ssvq:5,4,1"])
def test_banks_that_the_lanes_drain_late_equal_the_twin(form: str, lanes: int, m: int) -> None:
    accelerator = chip(4, 16, lanes, latency=9)  # so that later K-tiles wait for their rows as well
    trace = gemm_chain(m, [4, 24, 40, 8], [form] * 3, ["add", "layernorm", ""])
    compare(accelerator, trace)
    waits = sum(layer.cycles["accumulator"] for layer in simulate(accelerator, trace).layers)
    assert waits > 0 or lanes == 3


@pytest.mark.parametrize("mapping", ["gemv", "cheapest"])
@pytest.mark.parametrize("form", ["uniform:bits=8", "uniform:bits=4", "ssvq:k=16,d=4", "ssvq:k=16,d=4,axis=1", "int_group:bits=4,group=8"])
def test_sums_are_bit_exact(form: str, mapping: str) -> None:
    trace = ConvNet(4, 3, 3).conv(20, 3).conv(12, 1).trace(form, "*")
    assert check_functional(chip(4, 8, mapping=mapping, rows=9), trace).ok


def test_traffic_is_that_of_tiles() -> None:
    trace = gemm_chain(1, [20, 32, 12], ["ssvq:16,4", "int8"], ["", ""])
    tiles, direct = (simulate(chip(mapping=mapping), trace) for mapping in ("tiles", "gemv"))
    assert direct.traffic == tiles.traffic
    assert [layer.bounds["decode"] for layer in direct.layers] == [layer.bounds["decode"] for layer in tiles.layers]


@pytest.mark.parametrize("m", [1, 3, 4, 5, 8])
@pytest.mark.parametrize(("sets", "most"), [(1, 7), (2, 3)])
def test_tiles_are_chosen_above_a_period_over_the_groups_of_a_tile(m: int, sets: int, most: int) -> None:
    # 64 x 64, X = 256: 16 groups a tile, the last of which is popped 63 + 62 cycles behind the swap, so a tile takes 127 cycles, or half
    # of them with two sets. Group by group, m rows take 16 m cycles: less up to 7 and 3 rows.
    trace = gemm_chain(m, [512, 256], ["int8"], [""])
    results = {mapping: simulate(chip(64, 256, 64, mapping, sets, 8), trace) for mapping in ("tiles", "gemv", "cheapest")}
    assert (results["cheapest"].layers[0].gemv_steps is not None) == (m <= most)
    cheapest = min(results["tiles"].total_cycles, results["gemv"].total_cycles)
    if m not in (most, most + 1):  # where both are about equal, beginning and end of the layer decide, which are not estimated
        assert results["cheapest"].total_cycles == cheapest


def test_products_of_more_rows_than_the_banks_hold_keep_the_tiles() -> None:
    layers = simulate(chip(rows=3), gemm_chain(4, [16, 16], ["int8"], [""])).layers
    assert (layers[0].lowering, layers[0].gemv_steps) == ("tile by tile", None)
    assert "gemv_steps" not in simulate(chip(rows=3), gemm_chain(4, [16, 16], ["int8"], [""])).to_json()


def test_groups_of_convolutions_and_scales_of_fewer_rows_than_a_cycle_takes_keep_the_tiles() -> None:
    grouped = ConvNet(6, 1, 1).conv(30, 1, groups=6).trace()
    assert only_layer(chip(), grouped).lowering.split("; ")[0] == "tile by tile"
    scaled = ConvNet(16, 1, 1).conv(8, 1).trace("int_group:bits=4,group=8", "*")
    ways = {
        (width, taps): only_layer(chip(16, width, taps=taps), scaled).lowering.split("; ")[0]
        for width, taps in ((16, 2), (128, 2), (256, 2), (256, None))  # 1, 8 or 16 rows of 16 weights a cycle; without taps tiles of 8 rows
    }
    assert [name for name, way in ways.items() if way == "tile by tile"] == [(256, 2)]
    assert ways[128, 2] == "GEMV, 128 weights a cycle"
    result = simulate(chip(), gemm_chain(1, [16, 16, 8], ["int8", "int8"], ["", ""]))
    assert result.choices["mapping"] == "2 of 2 products by GEMV, the others tile by tile"


def test_the_decoder_is_what_an_idealization_widens_and_the_array_is_not() -> None:
    # One row: 256 groups of 8 weights, a cycle each; a tile of 64 weights a cycle leaves 32, and more rows a cycle change nothing.
    accelerator, trace = chip(), gemm_chain(1, [32, 64], ["int8"], [""])
    gains = {row.resource: row.speedup for row in what_if(accelerator, trace, simulate(accelerator, trace))}
    assert gains["decoder"] == 1.0  # as the port of the weight buffer is as narrow as the decoder
    wide = accelerator.model_copy(update={"weight_buffer": accelerator.weight_buffer.model_copy(update={"word_bits": 512})})
    result = simulate(wide, trace)
    gains = {row.resource: row.speedup for row in what_if(wide, trace, result)}
    assert gains["MAC array"] == 1.0
    assert gains["decoder"] == result.total_cycles / (result.total_cycles - 256 + 32)


def test_heads_of_an_attention_of_few_rows_leave_the_array_too() -> None:
    encoder = tiny_encoder(4, 16, 2, 16, "int8")
    layers = [layer for layer in simulate(chip(), encoder).layers if layer.op == "matmul"]
    assert [layer.gemv_steps for layer in layers] == [layer.cycles["busy"] for layer in layers]
    compare(chip(4, 8, 2), encoder)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ({"gemv_max_m": 2}, "gemv_max_m = 2 needs mapping = 'gemv' or 'cheapest'"),
        ({"mapping": "gemv", "gemv_max_m": 9}, "gemv_max_m = 9 exceeds max_m = 8"),
        ({"mapping": "gemv", "dataflow": "enhanced_weight_stationary", "weight_file": 2}, "mapping = 'gemv' needs dataflow"),
        ({"mapping": "cheapest", "sparse_tile": {"d": 4, "q": 2}}, "mapping = 'cheapest' needs sparse_tile = null"),
        ({"mapping": "rows"}, "mapping"),
    ],
)
def test_a_mapping_that_no_chip_has_is_refused(array: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 8, **array})
