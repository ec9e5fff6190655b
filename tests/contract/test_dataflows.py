"""Every registered dataflow: its timing against arrays simulated register by register, against the core, and which formats it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.dataflows import enhanced_weight_stationary, output_stationary, preloaded
from accelsim.dataflows.catalog import check_format, dataflow_kinds, find_dataflow
from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import MAX_FOLDS, FoldResult, gemm_cycles
from accelsim.errors import CompileError, ConfigError
from accelsim.formats.catalog import format_examples, parse_format
from accelsim.hw.decode_mac_core import CoreGeometry, run_stand_alone
from tests import naive_systolic as naive

KINDS = dataflow_kinds()
Product = tuple[np.ndarray, int]

# To add a dataflow, add its twin; the test below fails until it is there.
TWINS: dict[str, Callable[[np.ndarray, np.ndarray, SystolicArray], Product]] = {
    "weight_stationary": lambda a, w, s: naive.weight_stationary(a, w, s.rows, s.cols, s.rows_a_load, s.double_buffered),
    "input_stationary": lambda a, w, s: naive.input_stationary(a, w, s.rows, s.cols, s.rows_a_load, s.double_buffered),
    "enhanced_weight_stationary": lambda a, w, s: naive.enhanced_weight_stationary(
        a, w, s.rows, s.cols, s.rows_a_load, s.double_buffered, s.weight_file
    )[:2],
    "output_stationary": lambda a, w, s: naive.output_stationary(a, w, s.rows, s.cols, s.double_buffered)[:2],
}

sizes = st.integers(1, 9)


@st.composite
def arrays(draw: st.DrawFn) -> SystolicArray:
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return SystolicArray(rows, cols, draw(st.booleans()), draw(st.none() | st.integers(1, rows)), draw(st.integers(1, 4)))


def operands(m: int, k: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (m, k)), rng.integers(-128, 128, (k, n))


def test_the_four_dataflows_are_registered_and_each_has_a_twin() -> None:
    assert {"enhanced_weight_stationary", "input_stationary", "output_stationary", "weight_stationary"} <= set(KINDS)
    assert set(KINDS) == set(TWINS)


@pytest.mark.parametrize("kind", KINDS)
@given(array=arrays(), m=sizes, k=sizes, n=sizes, seed=st.integers(0, 2**32 - 1))
def test_physical_cycles_are_those_of_an_array_simulated_register_by_register(
    kind: str, array: SystolicArray, m: int, k: int, n: int, seed: int
) -> None:
    a, w = operands(m, k, n, seed)
    product, cycles = TWINS[kind](a, w, array)
    np.testing.assert_array_equal(product, a @ w)
    assert gemm_cycles(kind, array, m, k, n).total_cycles == cycles


@pytest.mark.parametrize("double_buffered", [True, False])
def test_an_output_stationary_fold_that_starts_a_cycle_earlier_collides(double_buffered: bool) -> None:
    a, w = operands(5, 4, 5)  # 2 x 3 folds on 3 x 2 PEs
    _, _, starts = naive.output_stationary(a, w, 3, 2, double_buffered)
    folds = [(mt, nt) for nt in range(3) for mt in range(2)]
    for fold in range(1, len(starts)):
        early = [start - (index >= fold) for index, start in enumerate(starts)]
        with pytest.raises(naive.Collision):
            naive.accumulate_in_place(a, w, 3, 2, double_buffered, folds, early)


@pytest.mark.parametrize("double_buffered", [True, False])
def test_a_register_that_is_loaded_a_cycle_earlier_spoils_the_product(double_buffered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    a, w = operands(6, 8, 9)
    product, cycles = naive.weight_stationary(a, w, 4, 5, 1, double_buffered)
    np.testing.assert_array_equal(product, a @ w)
    careful = naive._is_free
    monkeypatch.setattr(naive, "_is_free", lambda line, pe, needed, distance, feed: careful(line, pe, needed, distance + 1, feed))
    product, earlier = naive.weight_stationary(a, w, 4, 5, 1, double_buffered)
    assert not np.array_equal(product, a @ w)
    assert earlier <= cycles


@given(
    rows=st.integers(1, 9), groups_a_row=st.integers(1, 4), d=st.sampled_from([1, 2, 4]), load_rows=st.none() | st.integers(1, 9),
    m=st.integers(1, 40), k=st.integers(1, 40), n=st.integers(1, 40),
)  # fmt: skip
def test_weight_stationary_is_the_core_with_a_load_that_never_starves(
    rows: int, groups_a_row: int, d: int, load_rows: int | None, m: int, k: int, n: int
) -> None:
    load_rows = load_rows and min(load_rows, rows)
    ports = 4096 if load_rows is None else groups_a_row * load_rows  # all of a tile in a cycle, or whole rows of it
    core = CoreGeometry(rows, groups_a_row * d, d, 1, ports, 8 * d * ports, False, False, 0, m)
    array = SystolicArray(rows, groups_a_row * d, load_rows=load_rows)
    assert gemm_cycles("weight_stationary", array, m, k, n).total_cycles == run_stand_alone(core, m, k, n).cycles


def test_fc1_of_deit_tiny_takes_28435_cycles_where_scale_sim_counts_41903() -> None:
    array = SystolicArray(32, 32)
    # 6 K-tiles x 24 N-tiles of 197 rows, back to back: 144 * 197 = 28,368; 3 cycles before the first row, 64 to drain the last one.
    assert gemm_cycles("weight_stationary", array, 197, 192, 768).total_cycles == 28_368 + 3 + 64
    # Each fold alone: 32 to load, 197 + 62 to stream: 144 * 291 - 1.
    assert gemm_cycles("weight_stationary", array, 197, 192, 768, "scale_sim").total_cycles == 41_903


@pytest.mark.parametrize("kind", KINDS)
@given(array=arrays(), m=sizes, k=sizes, n=sizes)
def test_utilization_counts_every_mac_once(kind: str, array: SystolicArray, m: int, k: int, n: int) -> None:
    result = gemm_cycles(kind, array, m, k, n)
    steps = {"M": m, "K": k, "N": n}[find_dataflow(kind).spatial.time]
    assert result.mapped_pes * steps == m * k * n == result.macs
    assert result.overall_util == Fraction(m * k * n, result.total_cycles * array.rows * array.cols)
    assert 0 < result.overall_util <= result.mapping_eff <= 1


@pytest.mark.parametrize("kind", KINDS)
@given(array=arrays(), m=sizes, k=sizes, n=sizes)
def test_a_second_register_never_makes_a_gemm_slower(kind: str, array: SystolicArray, m: int, k: int, n: int) -> None:
    def cycles(double_buffered: bool) -> int:
        return gemm_cycles(kind, replace(array, double_buffered=double_buffered), m, k, n).total_cycles

    assert cycles(True) <= cycles(False)


def test_input_stationary_is_weight_stationary_of_the_transposed_product() -> None:
    array = SystolicArray(5, 3, load_rows=2)
    turned = gemm_cycles("weight_stationary", array, m=7, k=11, n=13)
    assert gemm_cycles("input_stationary", array, m=13, k=11, n=7).total_cycles == turned.total_cycles


@given(array=arrays(), m=sizes, k=sizes, n=sizes)
def test_a_file_of_weights_reads_an_activation_row_once_for_all_its_tiles(array: SystolicArray, m: int, k: int, n: int) -> None:
    result = gemm_cycles("enhanced_weight_stationary", array, m, k, n)
    *_, read = naive.enhanced_weight_stationary(*operands(m, k, n), array.rows, array.cols, array.rows_a_load, True, array.weight_file)
    assert result.rows_read == read
    assert result.folds == gemm_cycles("weight_stationary", array, m, k, n).rows_read // m


def test_a_file_of_one_weight_is_weight_stationary() -> None:
    for double_buffered in (True, False):
        array = SystolicArray(5, 3, double_buffered, load_rows=2, weight_file=1)
        assert gemm_cycles("enhanced_weight_stationary", array, 7, 11, 13).total_cycles == (
            gemm_cycles("weight_stationary", array, 7, 11, 13).total_cycles
        )


def test_sixteen_tiles_of_few_rows_hide_the_swap_wave_that_bounds_one() -> None:
    # 16 N-tiles of one K-tile, M = 1, 8 x 8 PEs, loads that never limit: a weight per PE waits R + C - 1 = 15 cycles behind the wave of
    # each tile (15 of them, after 3, and 1 + 16 for the last); a file takes 16 pops, a cycle of register and one of use, 16 steps and
    # 16 to drain.
    array = SystolicArray(8, 8)
    assert gemm_cycles("weight_stationary", array, 1, 8, 128).total_cycles == 15 * 15 + 3 + 1 + 16
    assert gemm_cycles("enhanced_weight_stationary", array, 1, 8, 128).total_cycles == 16 + 2 + 16 + 16


class TimingMutant:
    """A rule of the physical convention, and an attribute that breaks it."""

    def __init__(self, rule: str, kind: str, owner: object, name: str, value: object) -> None:
        self.rule, self.kind, self.owner, self.name, self.value = rule, kind, owner, name, value


Preloaded, InPlace = preloaded.PreloadedTiming, output_stationary.AccumulateInPlace
TIMING_MUTANTS = [
    TimingMutant("values are used 2 cycles after their pop, not 1", "weight_stationary", preloaded, "LOAD_LATENCY", 1),
    TimingMutant("the first word is pushed before the first pop", "weight_stationary", preloaded, "FIRST_WORD", 0),
    TimingMutant("trimmed tiles load fewer groups", "weight_stationary", preloaded, "_load_cycles", lambda array, fold: array.rows),
    TimingMutant("sums leave later", "weight_stationary", Preloaded, "total", lambda s, a, t, f: t + f.steps + a.rows + a.cols - 1),
    TimingMutant("a load may hold the next fold back", "input_stationary", Preloaded, "next_start", lambda s, a, t, f, g: t + f.steps),
    TimingMutant(
        "a file holds 16 tiles",
        "enhanced_weight_stationary",
        enhanced_weight_stationary.EnhancedWeightStationary,
        "tiles_a_fold",
        lambda s, a: 1,
    ),
    TimingMutant(
        "every tile of a file is loaded", "enhanced_weight_stationary", Preloaded, "next_start", lambda s, a, t, f, g: t + f.cycles
    ),
    TimingMutant("a short fold waits for the drain", "output_stationary", InPlace, "next_start", lambda s, a, t, f, g: t + f.steps),
    TimingMutant("a fold hides the drain", "output_stationary", InPlace, "next_start", lambda s, a, t, f, g: t + f.steps + a.rows - 1),
    TimingMutant("all R rows drain", "output_stationary", InPlace, "total", lambda s, a, t, f: t + f.steps + a.rows + f.rows + a.cols - 1),
]


@pytest.mark.parametrize("mutant", TIMING_MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_timing_that_breaks_a_rule_is_caught_by_the_twin(mutant: TimingMutant, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [(SystolicArray(4, 3, load_rows=1), (m, k, n)) for m in (2, 9) for k in (3, 9) for n in (2, 9)]
    monkeypatch.setattr(mutant.owner, mutant.name, mutant.value)
    got = [gemm_cycles(mutant.kind, array, *mkn).total_cycles for array, mkn in cases]
    assert got != [TWINS[mutant.kind](*operands(*mkn), array)[1] for array, mkn in cases]


@pytest.mark.parametrize("text", format_examples())
def test_raw_weights_of_8_bits_and_coded_ones_run_everywhere(text: str) -> None:
    spec = parse_format(text)
    path = spec.decode_path()
    takes = {kind for kind in KINDS if _accepted(kind, text)}
    assert takes == (set(KINDS) if path.decode or path.lane_bits <= 8 else set())


def _accepted(kind: str, text: str) -> bool:
    try:
        check_format(kind, parse_format(text))
    except CompileError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("input_stationary", "uniform:bits=16", "format 'uniform' of 16 bits cannot run input_stationary .* at most 8 bits"),
        ("weight_stationary", "float32", "of 32 bits .*compress the float trace first"),
        ("weigth_stationary", "uniform", "unknown dataflow 'weigth_stationary'; known: .* did you mean 'weight_stationary'"),
    ],
)
def test_a_pair_that_no_unit_computes_is_one_clear_message(kind: str, text: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        check_format(kind, parse_format(text))


def run(m: int = 1, k: int = 1, n: int = 1, convention: str = "physical", **array: int) -> FoldResult:
    return gemm_cycles("output_stationary", SystolicArray(**{"rows": 2, "cols": 2, **array}), m, k, n, convention)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"m": 0}, r"M = 0; allowed: 1\.\."),
        ({"n": 1 << 25}, r"N = 33554432; allowed"),
        ({"m": 1 << 20, "n": 1 << 20}, rf"takes {1 << 38} folds on 2 x 2 PEs; allowed: {MAX_FOLDS}"),
        ({"convention": "scalesim"}, r"unknown convention 'scalesim'; known: physical, scale_sim"),
        ({"rows": 0}, r"rows = 0; allowed: 1\.\.4096"),
        ({"cols": 5000}, r"cols = 5000; allowed"),
        ({"weight_file": 0}, r"weight_file = 0; allowed: 1\.\.256"),
        ({"load_rows": 3}, r"load_rows = 3; allowed: 1\.\.2"),
    ],
)
def test_a_size_that_cannot_run_is_named_with_what_is_allowed(arguments: dict[str, int], message: str) -> None:
    with pytest.raises((CompileError, ConfigError), match=message):
        run(**arguments)


def test_one_step_on_one_pe_has_no_utilization_in_a_convention_that_counts_no_cycle() -> None:
    result = run(rows=1, cols=1, convention="scale_sim")
    assert (result.total_cycles, result.overall_util_pct, result.mapping_eff_pct) == (0, 0.0, 100.0)
