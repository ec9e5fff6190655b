"""Published figures of other machines: what is met, what is missed, closed-form twins of each check, and wrong reference files."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.errors import ReferenceDataError
from accelsim.presets import built_in
from accelsim.studies.load_width import ARRAYS, core, load_width_figures, resnet18
from accelsim.studies.vector_lut import FORMATS, fitted, matrix_vector_layers, vector_lut_figures
from accelsim.studies.vela_like import MACHINES, TRACE, recoded, vela_figures
from accelsim.trace.trace import load_trace
from accelsim.validate.outside import validate_outside
from accelsim.validate.report import ValidationReport

PUBLISHED = Path(__file__).parent / "data" / "outside" / "published.csv"
HEADER = "check,figure,reference,tolerance_pct"


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    return validate_outside(PUBLISHED)


def test_every_published_figure_is_met_but_the_two_that_the_page_explains(report: ValidationReport) -> None:
    assert {row.column for row in report.rows if not row.ok} == {"dram_bytes", "weight_bytes_full"}
    assert (report.kind, report.count) == ("outside", 19)


def test_compressed_weights_do_not_help_where_feature_maps_spill_and_saturate_in_slow_flash(report: ValidationReport) -> None:
    got = {row.column: row.got for row in report.rows}
    assert got["speedup_dram_half"] == pytest.approx(1, abs=0.01)
    assert got["speedup_dram_quarter"] == pytest.approx(1, abs=0.01)
    first, second = got["speedup_flash_half"] - 1, got["speedup_flash_quarter"] - got["speedup_flash_half"]
    assert 0 < second < first / 2


def test_the_two_machines_differ_only_in_where_the_weights_are() -> None:
    folder = built_in().configs / "validation"
    first, second = (load_accelerator(str(folder / MACHINES[place])).model_dump() for place in ("dram", "flash"))
    assert {field for field in first if first[field] != second[field]} == {"name", "description", "flash", "placement"}


def test_on_chip_activations_make_weights_the_limit_again() -> None:
    """What the speed-up hangs on: the same machine whose feature maps do not spill gains from every bit, in flash almost as many times."""
    figures = vela_figures(("activation_buffer.residency=buffer",))
    assert figures["dram_bytes"] < 6.2e6
    assert figures["speedup_flash_half"] > 1.7
    assert figures["speedup_flash_quarter"] > 2.5


def test_another_format_leaves_the_network_as_it_was() -> None:
    trace = load_trace(built_in().traces / TRACE)
    other = recoded(trace, "uniform:bits=2")
    assert (other.macs, len(other.layers)) == (trace.macs, len(trace.layers))
    assert {str(layer.weight.format.kind) for layer in other.weighted_layers()} == {"uniform"}
    assert all(not layer.weight.streams for layer in other.weighted_layers())


def test_bandwidth_or_decode_rate_on_paper_gives_the_machines_times() -> None:
    """ms = max(bits / bandwidth, weights / rate), bandwidth and rate from the same two points; start, wave and waits are left out."""
    published = {"8": 0.103, "1.5": 0.024}
    ours = vector_lut_figures(published)
    for bits in FORMATS:
        paper = max(float(bits) / 8 * published["8"], published["1.5"])
        assert ours[bits] == pytest.approx(paper, rel=0.01), bits


def test_a_fit_takes_each_parameter_from_its_own_point() -> None:
    first, slower_memory, slower_decoder = fitted(0.1, 0.024), fitted(0.2, 0.024), fitted(0.1, 0.048)
    assert first.dram is not None
    assert slower_memory.dram is not None
    assert slower_decoder.dram is not None
    assert slower_memory.clock == first.clock
    assert slower_decoder.dram.bandwidth == first.dram.bandwidth
    assert slower_memory.dram.bandwidth == pytest.approx(first.dram.bandwidth / 2, rel=1e-6)
    assert slower_decoder.clock == pytest.approx(first.clock / 2, abs=10**6)


def test_the_layers_of_the_lookup_table_check_are_4096_squared_and_have_one_row() -> None:
    trace = matrix_vector_layers("uniform:bits=8", 3)
    assert trace.macs == 3 * 4096 * 4096
    assert [layer.m for layer in trace.weighted_layers()] == [1, 1, 1]


def test_resnet18_has_its_known_weights_and_multiplications() -> None:
    """11,689,512 parameters less 9,600 of batch normalization and 1,000 biases; 1.814 GMAC at 224 x 224 (torchvision's model card)."""
    layers = list(resnet18())
    assert len(layers) == 21
    assert sum(layer.k * layer.n for layer in layers) == 11_689_512 - 9_600 - 1_000
    assert sum(layer.m * layer.k * layer.n for layer in layers) == pytest.approx(1.814e9, rel=5e-4)


def closed_form(array: int, record_bits: int, m: int, k: int, n: int) -> int:
    """Section 5 of the core's specification for one run, a tile's load stretched to its words where the 64-bit load is narrower."""
    loads = []
    for first in range(0, k, array):
        records = min(array, k - first) * array // 8
        groups = ceil(records / (array // 8))
        loads.append(max(groups, ceil(records * record_bits / 64)))
    periods = [max(m, load + array - 1) for load in loads]
    return loads[0] + 2 + ceil(n / array) * sum(periods) - periods[0] + m + 2 * array


def test_the_closed_form_gives_the_kernels_speedups() -> None:
    """Within 4 %: the closed form does not know that the unpack buffer fills during the swap wave, which helps the format that waits."""
    ours = load_width_figures()
    for array in ARRAYS:
        int8, coded = (sum(closed_form(array, bits, g.m, g.k, g.n) for g in resnet18()) for bits in (64, 10))
        assert ours[str(array)] == pytest.approx(int8 / coded, rel=0.04)
        assert round(int8 / coded, 1) == {16: 1.0, 32: 1.4, 64: 2.7}[array]


def test_shallow_accumulators_load_each_tile_again_and_widen_the_gap_above_32() -> None:
    deep, shallow = load_width_figures(), load_width_figures(max_m=256)
    assert shallow["64"] > deep["64"] + 0.3
    assert shallow["16"] == pytest.approx(deep["16"], rel=0.01)


def test_the_core_of_the_load_width_check_looks_up_a_row_of_codewords_a_cycle() -> None:
    geometry = core(64, True)
    assert (geometry.ports, geometry.word_bits, geometry.pop_bits) == (8, 64, 80)
    assert geometry.max_m == 112 * 112


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vela,cycles,1,1", r"line 2, column check: 'vela' is not allowed; allowed: vela_like, .*did you mean 'vela_like'"),
        ("load_width_speedup,48,1,1", r"line 2, column figure: '48' is not allowed; allowed: 16, 32, 64"),
        ("load_width_speedup,16,0,1", r"line 2, column reference: '0' is not allowed; allowed: a number above 0"),
        ("load_width_speedup,16,fast,1", r"line 2, column reference: 'fast' is not allowed"),
        ("load_width_speedup,16,1,-1", r"line 2, column tolerance_pct: '-1' is not allowed"),
        ("load_width_speedup,16,1,1\nload_width_speedup,16,1,1", r"line 3, column figure: '16' is not allowed; allowed: each figure"),
        ("vector_lut_ms,8,0.1,1", r"check 'vector_lut_ms' is fitted to its figures 8, 1.5; missing: 1.5"),
    ],
)
def test_a_wrong_reference_file_is_refused_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "published.csv"
    path.write_text(f"{HEADER}\n{line}\n")
    with pytest.raises(ReferenceDataError, match=message):
        validate_outside(path)


def test_the_callers_tolerance_holds_where_the_file_states_none(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(f"{HEADER}\nload_width_speedup,32,1.5,\n")
    assert [validate_outside(path, pct).ok for pct in (None, 5, 7)] == [False, False, True]
    with pytest.raises(ReferenceDataError, match="tolerance -1 is not allowed"):
        validate_outside(path, -1)
