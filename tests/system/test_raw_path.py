"""The width of the raw path: the rule, the cycles of the core's twin at that width, what does not depend on it, area and energy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.cost.area import area_of
from accelsim.cost.recost import recost
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError
from accelsim.functional import check_functional
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from accelsim.what_if import IDEALS, with_overrides
from tests.engine.test_machine_twin import compare
from tests.functional.test_functional import gemm_trace
from tests.naive_core import NaiveCore, simulate_run
from tests.tiny_machines import gemm_chain, nets, tiny_accelerator


def chip(raw: int | str | None, rows: int = 8, cols: int = 8, d: int = 4, ports: int = 1, word_bits: int = 64, **array: Any) -> Accelerator:
    """A machine whose units beside the core take no time."""
    return tiny_accelerator(
        array={"rows": rows, "cols": cols, "max_m": 64, "accumulator_banks": 2, "raw_weights_per_cycle": raw, **array},
        codebook={"ports": ports, "codeword_length": d, "codewords": 64},
        vector_unit={"lanes": 0, "latency": 0},
        weight_buffer={"capacity": "64 KiB", "word_bits": word_bits},
        activation_buffer={"capacity": "64 KiB", "banks": 64, "width_bits": 64, "loader_bits": 64},
        dma={"transfer": 512, "max_transfers": 4, "fabric_latency": "0 ns"},
        dram={"device": "ideal"},
    )


def gemm(m: int, k: int, n: int, bits: int = 8) -> Trace:
    return gemm_trace(m, k, n, {"kind": "uniform", "bits": bits})


def stalls(result: Result) -> int:
    """Cycles of the array before and between the tiles."""
    return sum(result.cycles.get(name, 0) for name in ("dram", "buffer_width", "decode", "swap"))


@settings(max_examples=60)
@given(st.data())
def test_random_raw_products_take_the_cycles_of_the_core_at_the_width_of_the_raw_path(data: st.DataObject) -> None:
    d = data.draw(st.sampled_from([1, 2, 4, 8]))
    rows, cols, ports = d * data.draw(st.integers(1, 3)), d * data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    m, k, n = (data.draw(st.integers(1, most)) for most in (30, 40, 30))
    bits, word, sets = data.draw(st.integers(2, 8)), 8 * data.draw(st.integers(1, 20)), data.draw(st.integers(1, 2))
    raw = data.draw(st.one_of(st.sampled_from(["tied", None]), st.integers(1, 9).map(lambda records: records * d)))
    if raw == "tied":
        records = ports
    elif raw is None:  # a row of the array: the memory is ideal
        records = cols // d
    else:
        records = int(raw) // d
    records = min(records, rows * cols // d)
    core = NaiveCore(R=rows, C=cols, D=d, KCB=1, P=records, W=word, DECODE=0, SIGN=0, AXIS=0, MAXM=64, b=bits, sets=sets)
    expected = simulate_run(core, m, k, n, 0, 1, 0)
    result = simulate(chip(raw, rows, cols, d, ports, word, shadow_sets=sets), gemm(m, k, n, bits))
    assert result.cycles["busy"] == expected["cp_rows"]
    assert stalls(result) == expected["st_start"] + expected["st_tile"]


@settings(max_examples=40)
@given(nets, st.sampled_from([None, 4, 8, 12]), st.integers(1, 3), st.sampled_from([8, 24, 64]), st.sampled_from([8, 32]))
def test_random_networks_equal_the_twin_of_the_machine(net: Trace, raw: int | None, ports: int, word: int, loader: int) -> None:
    compare(
        tiny_accelerator(
            array__raw_weights_per_cycle=raw, codebook={"ports": ports, "codeword_length": 4, "codewords": 64},
            weight_buffer__word_bits=word, activation_buffer__loader_bits=loader,
        ),
        net,
    )  # fmt: skip


@settings(max_examples=15)
@given(st.integers(1, 20), st.integers(1, 40), st.integers(1, 30), st.integers(2, 8), st.sampled_from([None, 4, 12, 20, 64]))
def test_random_raw_products_are_bit_exact(m: int, k: int, n: int, bits: int, raw: int | None) -> None:
    check_functional(chip(raw), gemm(m, k, n, bits))


@pytest.mark.parametrize(
    ("preset", "changes", "width"),
    [
        ("edge-64x64", [], 64),  # 12.8 bytes per cycle: a row of the array is more
        ("mcu-16x16", [], 16),  # 0.4 GB/s at 400 MHz, from flash
        ("edge-64x64", ["dram={device: ideal}"], 64),  # an unbounded memory asks for no width
        ("edge-64x64", ["dram={device: ideal, bandwidth: 65 GB/s}"], 72),  # 65, in whole records of 8
        ("edge-32x32", ["dram={device: ideal, bandwidth: 40 GB/s}", "clock=500 MHz"], 80),
        ("edge-64x64", ["array.raw_weights_per_cycle=24"], 24),
        ("edge-64x64", ["array.raw_weights_per_cycle=tied"], 4 * 8),
        ("edge-64x64", ["array.raw_weights_per_cycle=tied", "codebook.ports=1"], 8),
    ],
)
def test_the_rule_is_a_row_of_the_array_or_the_memorys_bytes_per_cycle(preset: str, changes: list[str], width: int) -> None:
    assert load_accelerator(preset, ["array.raw_weights_per_cycle=null", *changes]).raw_weights_per_cycle == width


def test_products_of_activations_take_no_more_than_a_word_of_the_loader() -> None:
    fields = ["array.raw_weights_per_cycle=null", "activation_buffer.width_bits=64"]
    widths = {bits: load_accelerator("edge-64x64", [*fields, f"activation_buffer.loader_bits={bits}"]) for bits in (64, 192, 256, 1024)}
    assert {bits: item.loaded_activations_per_cycle for bits, item in widths.items()} == {64: 8, 192: 24, 256: 32, 1024: 64}


def test_raw_weights_do_not_wait_for_the_ports_of_a_codebook_unless_tied() -> None:
    few, many = (simulate(chip(None, ports=ports), gemm(4, 32, 32)).total_cycles for ports in (1, 16))
    assert few == many
    few, many = (simulate(chip("tied", ports=ports), gemm(4, 32, 32)).total_cycles for ports in (1, 16))
    assert few > many


def test_coded_weights_do_not_depend_on_the_raw_path() -> None:
    coded = gemm_chain(7, [12, 16, 8], ["ssvq:16,4", "ssvq:5,4,1"], ["gelu", ""])
    runs = [simulate(chip(raw), coded) for raw in ("tied", None, 4, 64)]
    assert len({(run.total_cycles, run.bus_bytes) for run in runs}) == 1


def test_a_width_that_cuts_records_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"array\.raw_weights_per_cycle = 12 must be a multiple of codebook\.codeword_length = 8"):
        load_accelerator("edge-64x64", ["array.raw_weights_per_cycle=12"])


@pytest.mark.parametrize("resource", ["memory", "decoder"])
def test_an_idealization_never_narrows_the_raw_path(resource: str) -> None:
    """A memory of 100 bytes per cycle gives a path of 104 weights; an ideal memory without a rate would give a row, 64."""
    trace = gemm(4, 16, 16)
    accelerator = load_accelerator("edge-64x64", ["array.raw_weights_per_cycle=null", "dram={device: ideal, bandwidth: 100 GB/s}"])
    (ideal,) = (item for item in IDEALS if item.resource == resource)
    assert accelerator.raw_weights_per_cycle == 104
    assert with_overrides(accelerator, ideal.overrides(accelerator, [trace])).raw_weights_per_cycle == 104
    free = load_accelerator("edge-64x64", ["array.raw_weights_per_cycle=tied"])
    assert with_overrides(free, ideal.overrides(free, [trace])).array.raw_weights_per_cycle == "tied"


def test_the_unpacker_is_as_wide_as_the_raw_path_on_every_chip() -> None:
    technology = load_technology("nangate45")
    areas = {
        (raw, ports): area_of(load_accelerator("edge-64x64", [f"array.raw_weights_per_cycle={raw}", f"codebook.ports={ports}"]), technology)
        for raw in (32, 64)
        for ports in (1, 4)
    }
    unpackers = {key: area.component("unpack buffer").area_um2.nominal for key, area in areas.items()}
    assert unpackers[32, 1] == unpackers[32, 4] < unpackers[64, 1] == unpackers[64, 4]
    assert "n = 512 bits (64 raw weights, the widest group)" in areas[64, 1].component("unpack buffer").notes[0]
    # A raw value waits a cycle in 8 flops with enable, of 8 GE each.
    more = areas[64, 1].component("control").gates.nominal - areas[32, 1].component("control").gates.nominal
    assert more == pytest.approx(32 * 8 * 8)


def test_many_narrow_coded_records_can_be_the_widest_group() -> None:
    """64 lookups of 8 index and 8 sign bits are 1,024 bits; a row of 64 raw bytes is 512."""
    wide = load_accelerator("edge-64x64", ["array.raw_weights_per_cycle=null", "codebook.ports=64"])
    assert "n = 1024 bits (64 coded records" in area_of(wide, load_technology("nangate45")).component("unpack buffer").notes[0]


def test_energy_counts_each_raw_weight_once_whatever_the_width() -> None:
    """Two tiles of 8 x 8: 128 weights, in groups of 4 to 32."""
    trace, technology = gemm(4, 16, 8), load_technology("nangate45")
    written = []
    for raw in (4, 8, 32):
        lines = recost(simulate(chip(raw), trace), technology).energy.lines
        written.append(sum(line.count.nominal for line in lines if line.action == "shadow_write"))
    assert written == [128.0] * 3


def test_the_traffic_of_raw_weights_is_the_same_at_every_width_that_divides_a_tile() -> None:
    reads = [simulate(chip(raw), gemm(4, 16, 8)).bus_bytes for raw in (4, 8, 16, "tied")]
    assert len(set(reads)) == 1
