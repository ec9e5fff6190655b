"""TOPS/W of MVQ's 64x64 array: counts worked by hand, published figures inside the range, misses as the page states them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accelsim.cost.technology import load_technology
from accelsim.studies.load_width import Gemm, resnet18
from accelsim.validate.array_efficiency import MACHINES, PUBLISHED_TOPS_PER_WATT, array_efficiencies, layer_counts

PAGE = re.sub(r"\s+", " ", (Path(__file__).parents[2] / "docs" / "validation.md").read_text(encoding="utf-8"))
FOUND = {item.name: item for item in array_efficiencies(load_technology("mvq40"))}


def test_counts_of_the_classifier_are_those_worked_by_hand() -> None:
    # M = 1, K = 512, N = 1000 on 64 x 64: 8 K-tiles, 16 N-tiles (padded to 1024). 8-bit weights: 512*1024*8/64 = 65,536 cycles of load.
    # Plain: 128 tiles, each reads a row of 64 bytes; with 16 weights a PE one row serves 16 tiles. k=1024 d=8: 10/8 bit a weight.
    classifier = Gemm("classifier", 1, 512, 1000)
    plain = layer_counts(classifier, MACHINES["WS, 8 bit"])
    assert plain[:7] == (512_000, 65_536, 128, 128 * 64, 512 * 1024 * 8.0, 512 * 1024, 1000)
    assert plain.sums_reread == 7 * 1024  # of 8 K-tiles the last one's sums are put out
    coded = layer_counts(classifier, MACHINES["EWS, plain VQ"])
    assert coded[:7] == (512_000, 10_240, 128, 8 * 64, 512 * 1024 * 1.25, 512 * 1024, 1000)


def test_sums_that_wait_in_l1_cost_a_read_and_a_write_of_24_bits_each() -> None:
    # By hand, CACTI's 128 KiB of 64 bits, 45 nm, lstp: 17.5196 pJ to read and 47.9853 pJ to write a word, times 0.72.
    energy = FOUND["WS, 8 bit, sums in L1"].parts_pj["sums between K-tiles"].nominal
    sums = sum(layer_counts(gemm, MACHINES["WS, 8 bit, sums in L1"]).sums_reread for gemm in resnet18())
    assert energy == pytest.approx(0.72 * (17.5196 + 47.9853) * sums * 24 / 64, rel=1e-4)


def test_the_supply_of_the_srams_device_is_that_of_the_chip_less_ten_percent() -> None:
    # CACTI 7 at 45 nm: hp 1.0 V, lstp 1.1 V, lop 0.7 V. MVQ: 0.99 V = 0.9 * 1.1 V. Energy goes with its square, and with 40/45.
    memory = load_technology("mvq40").memory
    assert memory.device == "lstp"
    assert memory.energy_factor.value == pytest.approx(40 / 45 * (0.99 / 1.1) ** 2)


def test_against_an_array_that_keeps_its_sums_in_l1_the_file_of_weights_is_worth_what_its_authors_report() -> None:
    # Abstract of the authors' paper on EWS, openreview XmDhRxnt03: 1.35 to 2.48 times.
    gain = FOUND["EWS, 8 bit"].tops_per_watt().nominal / FOUND["WS, 8 bit, sums in L1"].tops_per_watt().nominal
    assert 1.35 < gain < 2.48
    beside = FOUND["EWS, 8 bit"].tops_per_watt().nominal / FOUND["WS, 8 bit"].tops_per_watt().nominal
    assert f"{gain:.2f} times" in PAGE
    assert f"{beside:.2f} times" in PAGE


def test_the_network_has_its_known_macs_and_the_8_bit_array_waits_for_its_load() -> None:
    assert {item.macs for item in FOUND.values()} == {1_814_073_344}
    assert FOUND["EWS, 8 bit"].cycles == FOUND["WS, 8 bit"].cycles > 3 * FOUND["EWS, plain VQ"].cycles


def test_the_front_page_states_the_efficiencies_found() -> None:
    front = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for name, called in (("EWS, 8 bit", "8 bit"), ("EWS, plain VQ", "plain VQ")):
        found = FOUND[name].tops_per_watt().nominal
        assert f"{called} {found:.2f} for {PUBLISHED_TOPS_PER_WATT[name]}" in front


def test_both_published_figures_lie_in_the_range_and_the_page_states_how_far_the_nominal_ones_are() -> None:
    for name, published in PUBLISHED_TOPS_PER_WATT.items():
        found, dynamic = FOUND[name].tops_per_watt(), FOUND[name].tops_per_watt(leakage=False)
        assert found.low < published < found.high
        for figure in (found, dynamic):
            assert f"{figure.nominal:.2f}" in PAGE
            assert f"{100 * (figure.nominal / published - 1):+.1f} %" in PAGE


@pytest.mark.parametrize("leakage", [True, False])
def test_vector_quantization_gains_efficiency_as_published_and_by_what_the_page_says(leakage: bool) -> None:
    gain = FOUND["EWS, plain VQ"].tops_per_watt(leakage=leakage).nominal / FOUND["EWS, 8 bit"].tops_per_watt(leakage=leakage).nominal
    assert gain > 1
    assert f"{gain:.2f} | {100 * (gain / (3.8 / 2.9) - 1):+.1f} %" in PAGE


def test_parts_hold_what_the_efficiency_is_made_of() -> None:
    for item in FOUND.values():
        energy = sum(span.nominal for span in item.parts_pj.values())
        assert item.tops_per_watt().nominal == pytest.approx(2 * item.macs / energy)
        assert all(0 < span.low <= span.nominal <= span.high for span in item.parts_pj.values())
