"""A network of few layers: their times depend on each other, and still the choice is the best of all mixes that keep to a time."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest

import accelsim
from tests.tiny_convnets import ConvNet

CHIP, CLOCK = "mcu-16x16", 400e6
FORMATS = ("uniform:bits=4", "vq:k=64,d=4", "ssvq:k=4,d=8", "vecq:bits=3")


@cache
def network() -> accelsim.Trace:
    """Three convolutions and a linear layer."""
    net = ConvNet(1, 8, 8).conv(16).relu().conv(32, stride=2).relu().conv(32).relu().head(10)
    return accelsim.Trace(net.trace("float32"))


@cache
def choice() -> accelsim.FormatChoice:
    """Without a budget: it lists which layer may take which format."""
    rows = np.random.default_rng(0).normal(size=(2, *network().record.manifest.inputs[0].shape.dims))
    return accelsim.choose_formats(CHIP, network(), FORMATS, rows)


@cache
def every_mix() -> dict[tuple[str, ...], tuple[float, int]]:
    """Formats of the layers -> (sum of their errors, cycles as a user compresses and runs the mix)."""
    errors: dict[str, dict[str, float]] = {}
    for row in choice().options():
        errors.setdefault(row["layer"], {})[row["format"]] = row["error"]
    found = {}
    for formats in product(*errors.values()):
        packed = accelsim.compress(network(), dict(zip(errors, formats, strict=True)))
        total = sum(errors[layer][text] for layer, text in zip(errors, formats, strict=True))
        found[formats] = total, accelsim.simulate(CHIP, packed, fit_codebook=True).cycles
    return found


@pytest.mark.parametrize("share", [0.0, 0.12, 0.25, 0.4, 0.6, 0.8])
def test_the_choice_for_a_short_network_is_the_best_of_all_mixes(share: float) -> None:
    taken = sorted(cycles for _, cycles in every_mix().values())
    most = int(taken[0] + share * (taken[-1] - taken[0]))
    errors = {layer: {} for layer in choice().formats}
    for row in choice().options():
        errors[row["layer"]][row["format"]] = row["error"]
    found = accelsim.choose_formats(CHIP, network(), FORMATS, errors=errors, milliseconds=1e3 * most / CLOCK)
    total, cycles = every_mix()[tuple(found.formats.values())]
    assert cycles == found.result.cycles <= most
    assert total == pytest.approx(min(item[0] for item in every_mix().values() if item[1] <= most), rel=1e-9)
