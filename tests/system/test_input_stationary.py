"""Input stationary runs: check values worked by hand, the cycle rule, the twins, exact sums and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles
from accelsim.errors import CompileError, ConfigError
from accelsim.functional import check_functional
from accelsim.presets import find_trace
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace, load_trace
from tests.engine.test_machine_twin import compare
from tests.naive_input_stationary import HeldInputs
from tests.tiny_convnets import convnets, every_layer
from tests.tiny_machines import accelerators, gemm_chain, nets, tiny_accelerator, tiny_encoder


def holding(accelerator: Accelerator, **array: Any) -> Accelerator:
    """The same machine with activations that stay in the PEs."""
    own = accelerator.array
    fields = {**own.model_dump(), "dataflow": "input_stationary", "max_m": max(own.max_m, own.cols), **array}
    return accelerator.model_copy(update={"array": type(own).model_validate(fields)})


def bench(rows: int, cols: int, group: int, loads: int = 64, max_m: int = 256, d: int = 1) -> Accelerator:
    """A machine whose memory and lanes take no time: `group` weights leave the decoder per cycle, `loads` rows of A are read in one."""
    plain = tiny_accelerator(
        array={"rows": rows, "cols": cols, "max_m": max_m, "accumulator_banks": 2, "raw_weights_per_cycle": group},
        codebook={"ports": group // d, "codeword_length": d, "codewords": 64},
        vector_unit={"lanes": 0, "latency": 0},
        weight_buffer={"capacity": "64 KiB", "word_bits": 8 * group},
        activation_buffer={"capacity": "64 KiB", "banks": loads, "width_bits": 8 * rows, "loader_bits": 8},
        dma={"transfer": 512 * group, "max_transfers": 4, "fabric_latency": "0 ns"},
        dram={"device": "ideal"},
    )
    return holding(plain)


def product(m: int, k: int, n: int) -> Trace:
    return gemm_chain(m, [k, n], ["int8"], [""])


def cycles(accelerator: Accelerator, trace: Trace) -> int:
    return simulate(accelerator, trace).total_cycles


def twin(array: HeldInputs, m: int, k: int, n: int) -> int:
    """Cycles of the twin, whose sums are those of the definition."""
    rng = np.random.default_rng([m, k, n])
    a, w = rng.integers(-9, 10, (m, k)), rng.integers(-9, 10, (k, n))
    count, sums = array.run(a.tolist(), w.tolist())
    assert sums == (a @ w).tolist()
    return count


# (M, K, N, X, rows of A read per cycle) on 4 x 4: swaps, end. All there: a period of max(N, R + C - 1), 8 cycles of skew behind the last.
# 4,8,8,16: swapped in 3 and 11, end 11 + 8 + 8. X = 4: a tile of weights takes 4 cycles (1 to 4), so the first swap is in 6 and an output
# enters per cycle from there on: 6 and 14. X = 2: 8 cycles per tile of 4 outputs, which enter from 10, 18, 26 and 34 on: the last in 37.
# N = 3, all there: a period of 7. A row of A per cycle: read in 1 to 4, swapped in 6; the next tile in 8 to 11, behind the wave: 13.
CHECKS = [
    ((4, 8, 8, 16, 64), [3, 11], 27),
    ((4, 8, 8, 4, 64), [6, 14], 30),
    ((4, 8, 8, 2, 64), [10, 26], 46),
    ((4, 8, 3, 16, 64), [3, 10], 21),
    ((4, 8, 3, 16, 1), [6, 13], 24),
    ((6, 8, 8, 16, 64), [3, 11, 19, 27], 43),
]


@pytest.mark.parametrize(("case", "swaps", "end"), CHECKS)
def test_the_twin_gives_the_cycles_worked_by_hand(case: tuple[int, ...], swaps: list[int], end: int) -> None:
    m, k, n, group, loads = case
    array = HeldInputs(4, 4, group, loads)
    assert twin(array, m, k, n) == end
    assert array.swaps == swaps


@pytest.mark.parametrize(("case", "end"), [(case, end) for case, _, end in CHECKS])
def test_the_machine_gives_the_cycles_worked_by_hand(case: tuple[int, ...], end: int) -> None:
    m, k, n, group, loads = case
    accelerator = bench(4, 4, group, loads)
    (layer,) = simulate(accelerator, product(m, k, n)).layers
    assert layer.lowering.startswith(f"input stationary, {group} weights decoded a cycle")
    assert layer.total_cycles == end
    assert layer.cycles["busy"] == -(-m // 4) * -(-k // 4) * n


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(2, 9), st.integers(1, 19), st.integers(1, 19), st.integers(1, 19))
def test_with_all_operands_there_a_product_takes_the_cycles_of_the_rule(rows: int, cols: int, m: int, k: int, n: int) -> None:
    # On one column a bank holds one output, and the first word of a run, which comes behind the run before, is a cycle late.
    accelerator = bench(rows, cols, rows * cols)
    assert cycles(accelerator, product(m, k, n)) == gemm_cycles("input_stationary", SystolicArray(rows, cols), m, k, n).total_cycles


@settings(max_examples=40)
@given(
    st.integers(1, 5), st.integers(1, 5), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(1, 4),
)  # fmt: skip
def test_random_geometries_equal_the_twin(rows: int, cols: int, m: int, k: int, n: int, lines: int, loads: int) -> None:
    group = cols * min(lines, rows)
    m = min(m, cols)  # one run: the first word of another comes behind the one before
    assert cycles(bench(rows, cols, group, loads), product(m, k, n)) == twin(HeldInputs(rows, cols, group, loads), m, k, n)


@settings(max_examples=50)
@given(st.builds(holding, accelerators()), st.one_of(nets, convnets()), st.integers(1, 2), st.integers(1, 2))
def test_random_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace, frames: int, batch: int) -> None:
    try:
        compare(accelerator, trace, frames=frames, batch=batch)
    except CompileError:
        return


@pytest.mark.parametrize("max_m", [8, 64])
@pytest.mark.parametrize("form", ["int8", "ssvq:16,2"])
def test_encoders_equal_the_twin(max_m: int, form: str) -> None:
    compare(holding(tiny_accelerator(array={"rows": 8, "cols": 8, "max_m": max_m})), tiny_encoder(5, 8, 2, 12, form))


@pytest.mark.parametrize("max_m", [8, 64])
@pytest.mark.parametrize("form", ["uniform:bits=8", "ssvq:k=16,d=2"])
def test_convolutional_networks_are_bit_exact_and_equal_the_twin(max_m: int, form: str) -> None:
    accelerator = holding(tiny_accelerator(array={"rows": 8, "cols": 8, "max_m": max_m}))
    trace = every_layer(channels=8).trace(form)
    compare(accelerator, trace)
    assert check_functional(accelerator, trace).ok


@pytest.mark.parametrize("max_m", [32, 256])
def test_attention_is_bit_exact(max_m: int) -> None:
    accelerator = load_accelerator("edge-32x32", ["array.dataflow=input_stationary", f"array.max_m={max_m}"])
    assert check_functional(accelerator, load_trace(find_trace("tiny_vit_ssvq"))).ok


def test_groups_of_convolutions_stay_weight_stationary_and_the_result_counts_the_others() -> None:
    result = simulate(holding(tiny_accelerator()), every_layer().trace())
    held = [layer for layer in result.layers if layer.is_reads is not None]
    assert len(held) > 0
    products = sum(layer.macs > 0 for layer in result.layers)
    assert result.choices["dataflow"] == f"{len(held)} of {products} products input stationary, the others weight stationary"
    assert {layer.op for layer in held} == {"conv2d", "gemm"}


def test_accumulators_that_hold_no_tile_of_outputs_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="dataflow = 'input_stationary' needs max_m of at least cols = 64, is 32"):
        load_accelerator("edge-64x64", ["array.dataflow=input_stationary", "array.max_m=32"])
