"""TOPS/W of MVQ's 64x64 array: counts worked by hand, published figures inside the range, misses as the page states them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accelsim.report.technology import load_technology
from accelsim.validate.array_efficiency import PUBLISHED_TOPS_PER_WATT, _layer, array_efficiencies
from accelsim.validate.load_width import Gemm

PAGE = re.sub(r"\s+", " ", (Path(__file__).parents[2] / "docs" / "validation.md").read_text(encoding="utf-8"))
FOUND = {item.name: item for item in array_efficiencies(load_technology("mvq40"))}


def test_counts_of_the_classifier_are_those_worked_by_hand() -> None:
    # M = 1, K = 512, N = 1000 on 64 x 64: 8 K-tiles, 16 N-tiles (padded to 1024). 8-bit weights: 512*1024*8/64 = 65,536 cycles of load.
    # Plain: 128 tiles, each reads a row of 64 bytes; with 16 weights a PE one row serves 16 tiles. k=1024 d=8: 10/8 bit a weight.
    classifier = Gemm("classifier", 1, 512, 1000)
    plain = _layer(classifier, "weight_stationary", 8.0)
    assert plain == (512_000, 65_536, 128, 128 * 64, 512 * 1024 * 8.0, 512 * 1024, 1000)
    coded = _layer(classifier, "enhanced_weight_stationary", 1.25)
    assert coded == (512_000, 10_240, 128, 8 * 64, 512 * 1024 * 1.25, 512 * 1024, 1000)


def test_the_network_has_its_known_macs_and_the_8_bit_array_waits_for_its_load() -> None:
    assert {item.macs for item in FOUND.values()} == {1_814_073_344}
    assert FOUND["EWS, 8 bit"].cycles == FOUND["WS, 8 bit"].cycles > 3 * FOUND["EWS, plain VQ"].cycles


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
