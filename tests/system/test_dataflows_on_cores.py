"""Dataflows on several cores: all equal the clock-by-clock twin, and a choice runs as the dataflow that it names runs where it is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.errors import CompileError
from accelsim.functional import check_functional
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_cores_closed_loop import chip, compare
from tests.system.test_dataflow_choice import KINDS
from tests.tiny_convnets import ConvNet, convnets, every_layer
from tests.tiny_machines import chains, encoders, gemm_chain

LEVEL = {"capacity": "64 KiB", "width_bits": 24, "burst": 24}
PLACES: list[dict[str, Any]] = [
    {},
    {"l2": LEVEL},
    {"l2": LEVEL, "placement": {"weights": "l2"}},
    {"l2": LEVEL, "placement": {"weights": "l2", "activations": "l2"}},
]


def machine(
    cores: int, split: str, dataflow: str, broadcast: bool, rows: int = 4, cols: int = 4, max_m: int = 32, width: int = 8, **more: Any
) -> Accelerator:
    """Cores with one bank of sums, which take `width` weights per cycle."""
    return chip(
        cores, split, 2, 8, 0, control={"core_split": split, "weight_broadcast": broadcast}, array__rows=rows, array__cols=cols,
        array__max_m=max_m, array__accumulator_banks=1, array__raw_weights_per_cycle=width, array__dataflow=dataflow, **more,
    )  # fmt: skip


def kinds_of(result: Result) -> set[str]:
    """Dataflows of all products of all cores, by what they count."""
    products = [layer for core in result.of_cores for layer in core.layers if layer.macs]
    return {"input_stationary" if layer.is_reads else "output_stationary" if layer.os_reads else "weight_stationary" for layer in products}


def moved(result: Result) -> list[Any]:
    """What each core does: cycles and bytes of all layers, beside what a chip counts in parts that another lacks."""
    return [
        [(layer.name, layer.start_cycle, layer.end_cycle, layer.cycles, layer.traffic) for layer in core.layers] for core in result.of_cores
    ]


def assert_it_adds_up(result: Result, trace: Trace) -> None:
    """`simulate` has checked the streams, bytes and rows of each core, and of each level of memory."""
    assert sum(core.macs for core in result.of_cores) == trace.macs
    assert all(sum(core.cycles.values()) == result.total_cycles for core in result.of_cores)
    assert 8 * result.bus_bytes == sum(result.traffic.values())


def held(cores: int, split: str, dataflow: str, broadcast: bool = False, **more: Any) -> Accelerator:
    """8 x 8 PEs that take all weights of a tile per cycle, with lanes of no time: 8 rows of 16 pass 61 outputs by 2 tiles of activations.

    Weights would wait for 2 x 8 waves; sums, in one bank, for 8 drains. Fewer rows on a core shorten neither.
    """
    return machine(
        cores, split, dataflow, broadcast, 8, 8, 64, 64, vector_unit={"lanes": 0, "latency": 0},
        weight_buffer={"capacity": "64 KiB", "word_bits": 512},
        activation_buffer={"capacity": "64 KiB", "banks": 16, "width_bits": 64, "loader_bits": 8}, **more,
    )  # fmt: skip


EIGHT_ROWS = gemm_chain(8, [16, 61], ["int8"], [""])


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("broadcast", [False, True])
@pytest.mark.parametrize(("cores", "split"), [(2, "stripes"), (3, "stripes"), (2, "rows"), (4, "rows"), (3, "cheapest")])
def test_activations_that_stay_by_choice_stay_on_each_core_as_if_told(
    cores: int, split: str, broadcast: bool, places: dict[str, Any]
) -> None:
    found, told = (simulate(held(cores, split, dataflow, broadcast, **places), EIGHT_ROWS) for dataflow in ("cheapest", "input_stationary"))
    assert kinds_of(found) == {"input_stationary"}
    assert [core.frames for core in found.of_cores] == [core.frames for core in told.of_cores]
    assert found.counters == told.counters
    assert_it_adds_up(found, EIGHT_ROWS)


@pytest.mark.parametrize("cores", [2, 3, 4])
@pytest.mark.parametrize("rows", [8, 10, 16, 24])
@pytest.mark.parametrize("product", [(16, 61), (16, 120), (64, 16), (32, 61), (40, 40)])
def test_cores_that_share_rows_choose_what_is_fastest_of_all_told(cores: int, rows: int, product: tuple[int, int]) -> None:
    """Also where one core with all rows would not: of 16 rows of 64 x 16, two tiles of activations, three cores have one tile each."""
    trace = gemm_chain(rows, list(product), ["int8"], [""])
    told = [simulate(held(cores, "rows", kind), trace).total_cycles for kind in KINDS]
    assert simulate(held(cores, "rows", "cheapest"), trace).total_cycles == min(told)


@pytest.mark.parametrize("cores", [2, 3])
@pytest.mark.parametrize("image", [(14, 1), (5, 3), (4, 4), (7, 2), (3, 8)])
@pytest.mark.parametrize("product", [(16, 61), (40, 40)])
def test_cores_that_share_lines_of_an_image_choose_what_is_fastest_of_all_told(
    cores: int, image: tuple[int, int], product: tuple[int, int]
) -> None:
    """Lines are not cut: of 5 of 3 positions on two cores one has 9, two tiles of activations, and not 8."""
    trace = ConvNet(product[0], *image).conv(product[1], 1).trace("uniform:bits=8")
    told = [simulate(held(cores, "rows", kind), trace).total_cycles for kind in KINDS]
    assert simulate(held(cores, "rows", "cheapest"), trace).total_cycles == min(told)


@settings(max_examples=60)
@given(
    st.integers(1, 4), st.sampled_from(["stripes", "rows"]), st.booleans(), st.integers(1, 3), st.integers(1, 3),
    st.sampled_from([4, 12, 32]), st.integers(1, 16), st.integers(1, 6), st.integers(1, 15), st.sampled_from(["int8", "ssvq:16,4"]),
    st.sampled_from(PLACES),
)  # fmt: skip
def test_a_choice_runs_as_the_dataflow_that_it_names(
    cores: int, split: str, broadcast: bool, rows: int, cols: int, max_m: int, m: int, k: int, n: int, form: str, places: dict[str, Any]
) -> None:
    trace = gemm_chain(m, [4 * k, 4 * n], [form], [""])
    sizes = {"rows": 4 * rows, "cols": 4 * cols, "max_m": max_m, "width": 8 * cols}
    try:
        found = simulate(machine(cores, split, "cheapest", broadcast, **sizes, **places), trace)
        assert_it_adds_up(found, trace)
        kinds = kinds_of(found)
        if len(kinds) > 1:  # a core with fewer rows, or outputs, may choose otherwise
            return
        told = simulate(machine(cores, split, kinds.pop(), broadcast, **sizes, **places), trace)
    except CompileError:
        return  # a net that does not fit says so
    assert moved(found) == moved(told)
    assert found.counters == told.counters


@settings(max_examples=40)
@given(
    st.one_of(chains(), encoders(), convnets()), st.integers(2, 4), st.sampled_from(["cheapest", "stripes", "rows"]),
    st.sampled_from(["cheapest", "cheapest", "input_stationary", "output_stationary"]), st.booleans(), st.integers(1, 2), st.integers(1, 2),
)  # fmt: skip
def test_random_nets_of_every_dataflow_on_several_cores_equal_the_twin(
    trace: Trace, cores: int, split: str, dataflow: str, broadcast: bool, frames: int, batch: int
) -> None:
    own = machine(cores, split, dataflow, broadcast)
    try:
        compare(own, trace, frames=frames, batch=batch)
        assert_it_adds_up(simulate(own, trace), trace)
    except CompileError:
        return


@pytest.mark.parametrize("split", ["stripes", "rows"])
def test_networks_whose_layers_choose_otherwise_are_bit_exact_on_several_cores(split: str) -> None:
    trace = every_layer(channels=8).trace("uniform:bits=8")
    own = machine(3, split, "cheapest", False, width=16)
    assert kinds_of(simulate(own, trace)) > {"input_stationary"}
    assert check_functional(own, trace).ok
    compare(own, trace)
