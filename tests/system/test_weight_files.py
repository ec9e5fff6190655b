"""Enhanced weight stationary in a run: the machine equals its twin, computes exact sums, and reads a row once for all tiles of a fold."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.dataflows.catalog import dataflow_kinds, find_dataflow
from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles
from accelsim.errors import CompileError, ConfigError
from accelsim.functional import check_functional
from accelsim.hw.core_spec import ArraySpec
from accelsim.hw.decode_mac_core import CoreGeometry, run_stand_alone
from accelsim.kernels.compute_state import CATEGORIES
from accelsim.result import LayerResult
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.machines import machines
from tests.engine.test_machine_twin import compare
from tests.naive_core import NaiveCore, simulate_run
from tests.tiny_convnets import ConvNet, convnets
from tests.tiny_machines import accelerators, gemm_chain, nets, tiny_accelerator, tiny_encoder

MACHINES = machines()


def with_files(accelerator: Accelerator, file: int, **array: Any) -> Accelerator:
    """The same machine with a file of weights in each PE."""
    fields = {**accelerator.array.model_dump(), "dataflow": "enhanced_weight_stationary", "weight_file": file, **array}
    return accelerator.model_copy(update={"array": ArraySpec.model_validate(fields)})


def file_machines() -> st.SearchStrategy[Accelerator]:
    """Small machines whose PEs hold two or three weights."""
    return st.builds(with_files, accelerators(), st.sampled_from([2, 3]))


@pytest.mark.parametrize("file", [2, 3])
@pytest.mark.parametrize("name", MACHINES)
def test_each_machine_that_collides_equals_the_twin(name: str, file: int) -> None:
    accelerator, trace = MACHINES[name]
    compare(with_files(accelerator, file), trace)


@given(file_machines(), nets)
def test_random_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    try:
        compare(accelerator, trace)
    except CompileError:
        return  # a net that does not fit says so; the compiler's own tests judge that


@settings(max_examples=30)
@given(file_machines(), convnets())
def test_random_convolutional_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    try:
        compare(accelerator, trace)
    except CompileError:
        return


@settings(max_examples=10)
@given(file_machines(), st.one_of(nets, convnets()))
def test_frames_and_batches_equal_the_twin(accelerator: Accelerator, trace: Trace) -> None:
    try:
        compare(accelerator, trace, frames=2, batch=2)
    except CompileError:
        return


@settings(max_examples=15)
@given(accelerators(), nets)
def test_a_file_of_one_weight_is_weight_stationary_to_the_last_figure(accelerator: Accelerator, trace: Trace) -> None:
    try:
        plain = simulate(accelerator, trace)
    except CompileError:
        return
    one = simulate(with_files(accelerator, 1), trace)
    assert [(layer.cycles, layer.traffic) for layer in one.layers] == [(layer.cycles, layer.traffic) for layer in plain.layers]


@pytest.mark.parametrize("weights_bytes", [65536, 500])
@pytest.mark.parametrize("max_m", [8, 64])
@pytest.mark.parametrize("form", ["uniform:bits=8", "ssvq:k=16,d=4", "ssvq:k=16,d=4,axis=1", "int_group:bits=4,group=8"])
def test_ragged_folds_are_bit_exact_in_one_run_and_in_chunks(form: str, max_m: int, weights_bytes: int) -> None:
    # 20 and 12 outputs are 5 and 3 stripes of 4 columns: folds of 3 and 2 tiles, and of 3; 8 accumulator rows take 2 of the 25 positions.
    # A buffer of 500 B holds neither layer at 8 bits: folds of 1.
    trace = ConvNet(4, 5, 5).conv(20, 3).conv(12, 1).trace(form, "*")
    accelerator = with_weight_buffer(chip(3, max_m=max_m, psum_bits=32), weights_bytes)
    assert check_functional(accelerator, trace).ok
    compare(accelerator, trace)


@pytest.mark.parametrize("depthwise", ["column", "block_diagonal"])
def test_groups_of_convolutions_are_bit_exact_in_folds(depthwise: str) -> None:
    trace = ConvNet(6, 5, 5).conv(30, 1, groups=6).conv(30, 1, groups=2).trace()
    accelerator = chip(3, depthwise=depthwise)
    assert check_functional(accelerator, trace).ok
    compare(accelerator, trace)


def chip(file: int, **array: Any) -> Accelerator:
    """A machine whose units beside the array take no time: lanes, memory, and one access a row."""
    plain = tiny_accelerator(
        array={"rows": 4, "cols": 4, "max_m": 64, "accumulator_banks": 2},
        codebook={"ports": 1, "codeword_length": 4, "codewords": 64},
        vector_unit={"lanes": 0, "latency": 0},
        weight_buffer={"capacity": "64 KiB", "word_bits": 32},
        activation_buffer={"capacity": "64 KiB", "banks": 64, "width_bits": 64, "loader_bits": 64},
        dma={"transfer": 512, "max_transfers": 4, "fabric_latency": "0 ns"},
        dram={"device": "ideal"},
    )
    return with_files(plain, file, **array)


def with_weight_buffer(accelerator: Accelerator, size: int) -> Accelerator:
    """The same machine with a weight buffer of `size` bytes, in transfers of 64."""
    buffer = accelerator.weight_buffer.with_fields(capacity=size)
    return accelerator.with_fields(weight_buffer=buffer, dma=accelerator.dma.with_fields(transfer=64))


def only_layer(accelerator: Accelerator, trace: Trace) -> LayerResult:
    (layer,) = simulate(accelerator, trace).layers
    return layer


@pytest.mark.parametrize("sets", [1, 2])
@pytest.mark.parametrize(("m", "k", "n", "file"), [(1, 12, 8, 2), (8, 12, 8, 2), (3, 10, 20, 3), (2, 7, 28, 16)])
def test_the_array_takes_the_cycles_of_the_core_alone(m: int, k: int, n: int, file: int, sets: int) -> None:
    core = NaiveCore(4, 4, 4, 1, 1, 32, 0, 0, 0, 64, sets=sets, E=file)
    counters = simulate_run(core, m, k, n, 0, 1, 0)
    layer = only_layer(chip(file, shadow_sets=sets), gemm_chain(m, [k, n], ["int8"], [""]))
    assert layer.cycles["busy"] == counters["cp_rows"]
    between = sum(layer.cycles.get(name, 0) for name in ("dram", "buffer_width", "decode", "swap"))
    assert between == counters["st_start"] + counters["st_tile"]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.integers(1, 9), st.integers(1, 20), st.integers(1, 40))
def test_the_core_and_the_fold_loop_agree_where_a_tile_loads_in_a_cycle(rows: int, cols: int, file: int, m: int, k: int, n: int) -> None:
    core = CoreGeometry(
        rows, cols, codeword_length=cols, codewords=1, ports=rows, word_bits=8 * rows * cols, decode=False, sign=False, axis=0, max_m=64,
        file=file,
    )  # fmt: skip
    folds = gemm_cycles("enhanced_weight_stationary", SystolicArray(rows, cols, weight_file=file), m, k, n)
    assert run_stand_alone(core, m, k, n).cycles == folds.total_cycles


def test_a_chip_can_have_the_dataflows_that_say_so() -> None:
    options = get_args(ArraySpec.model_fields["dataflow"].annotation)
    assert sorted(options) == sorted(["cheapest", *(kind for kind in dataflow_kinds() if find_dataflow(kind).runs)])


def test_the_image_of_a_layer_is_as_large_as_without_files() -> None:
    trace = gemm_chain(3, [10, 20], ["ssvq:16,4"], [""])
    assert only_layer(chip(3), trace).traffic == only_layer(chip(1), trace).traffic


def test_a_row_is_read_once_for_all_tiles_of_a_fold() -> None:
    # One port, and a row of 4 bytes takes 4 accesses of 1 byte: 4 cycles for each tile of a row, or for each fold of two.
    trace = gemm_chain(5, [4, 8], ["int8"], [""])
    narrow = {"capacity": "4 KiB", "banks": 1, "width_bits": 8, "loader_bits": 8}
    plain, files = (
        only_layer(with_files(tiny_accelerator(codebook__codeword_length=4, activation_buffer=narrow, vector_unit__lanes=0), file), trace)
        for file in (1, 2)
    )
    assert (plain.cycles["port"], files.cycles["port"]) == (2 * 5 * 3, 5 * 3)


def test_layers_say_how_many_tiles_a_fold_holds() -> None:
    layers = simulate(chip(4), gemm_chain(3, [8, 32, 8], ["int8", "int8"], ["", ""])).layers
    assert [layer.lowering for layer in layers] == [
        "enhanced weight stationary, folds of 4 tiles", "enhanced weight stationary, folds of 2 tiles",
    ]  # fmt: skip


# Tiles of 4 pops on 4x4: E tiles cover the wave of 7 and the loads of the others if E x M >= 7 + 4 (E - 1); sums of E x M rows fit 64.
@pytest.mark.parametrize(("m", "tiles"), [(40, 1), (7, 1), (6, 2), (5, 3), (3, 4), (1, 4)])
def test_a_layer_that_the_weight_buffer_does_not_hold_takes_the_fewest_tiles_that_hide_the_wave(m: int, tiles: int) -> None:
    """Weights of 512 B, read once; a buffer that holds them, and 256 B of scales, takes folds of 4."""
    trace = gemm_chain(m, [16, 32], ["int8"], [""])
    for capacity, wanted in ((512, tiles), (1024, 4)):
        small = with_weight_buffer(chip(4), capacity)
        layer = only_layer(small, trace)
        assert layer.lowering.split(";")[0] == f"enhanced weight stationary, folds of {wanted} tiles"
        assert sum(line.bits for line in layer.traffic if line.operand == "raw_weights") == 8 * 512
        compare(small, trace)


def test_heads_of_an_attention_run_in_folds_too() -> None:
    encoder = tiny_encoder(9, 8, 2, 16, "int8")
    results = [simulate(chip(file), encoder) for file in (1, 3)]
    busy = CATEGORIES[0]
    assert [sum(layer.cycles.get(busy, 0) for layer in result.layers) for result in results] == [
        sum(layer.cycles.get(busy, 0) for layer in results[0].layers)
    ] * 2


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ({"weight_file": 4}, "weight_file = 4 needs dataflow = 'enhanced_weight_stationary'"),
        ({"dataflow": "enhanced_weight_stationary", "weight_file": 9}, "weight_file = 9 exceeds max_m = 8"),
        ({"dataflow": "enhanced_weight_stationary"}, "weight_file = 16 exceeds max_m = 8"),
        ({"dataflow": "enhanced_weight_stationary", "weight_file": 0}, "weight_file"),
    ],
)
def test_a_file_that_no_array_has_is_refused(array: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 8, **array})
