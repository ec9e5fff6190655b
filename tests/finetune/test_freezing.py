"""Signs that oscillate are frozen to their majority vote, by a case worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def coded(latents: list[float]) -> Any:
    from accelsim.finetune import prepare, prepared_layers

    torch.manual_seed(0)
    layer = prepared_layers(prepare(torch.nn.Sequential(torch.nn.Linear(1, 4)), "ssvq:k=1,d=4", layers="*"))[0]
    set_latents(layer, latents)
    layer.quantizer.negative.copy_(layer.parts[1] < 0)
    return layer


def set_latents(layer: Any, latents: list[float]) -> None:
    with torch.no_grad():
        layer.parts[1].copy_(torch.tensor([latents]))


def follow(layer: Any, history: list[list[float]], **options: Any) -> None:
    from accelsim.finetune import Freezing, Settings

    for step, latents in enumerate(history, start=1):
        set_latents(layer, latents)
        layer.quantizer.after_step(layer.parts, step, len(history), Settings(freezing=Freezing(**options)))


def test_a_threshold_falls_along_a_cosine() -> None:
    from accelsim.finetune import Freezing

    freezing = Freezing(first=0.5, last=0.1)
    assert freezing.threshold(0, 90) == pytest.approx(0.5)
    assert freezing.threshold(30, 90) == pytest.approx(0.1 + 0.4 * (1 + math.cos(math.pi / 3)) / 2)  # 0.4
    assert freezing.threshold(90, 90) == pytest.approx(0.1)


def test_the_average_of_flips_forgets_by_its_momentum() -> None:
    layer = coded([1, 1, 1, 1])
    # lane 1 flips in the steps 1 and 3: 1/2, 1/4, 1/8 + 1/2
    follow(layer, [[1, -1, 1, 1], [1, -1, 1, 1], [1, 1, 1, 1]], every=100, momentum=0.5, first=1.0, last=1.0)
    assert layer.quantizer.flips.tolist() == [[0, 0.625, 0, 0]]
    assert layer.quantizer.votes.tolist() == [[3, -1, 3, 3]]
    assert not layer.quantizer.frozen.any()


def test_an_oscillating_sign_is_fixed_to_its_majority_and_a_calm_one_learns_on() -> None:
    layer = coded([1, 1, 1, 1])
    # lane 0 is calm. Lane 1: - - + (flips twice, votes -1). Lane 2: + - + (flips twice, votes +1). Lane 3 flips once.
    history = [[1, -1, 1, 1], [1, -1, -1, 1], [1, 1, 1, -1]]
    # averages at momentum 0.5: 0, 0.625, 0.25 + 0.5 = 0.75, 0.5
    follow(layer, history, every=3, momentum=0.5, first=0.6, last=0.6)
    assert layer.quantizer.frozen.tolist() == [[False, True, True, False]]
    set_latents(layer, [-1, 1, -1, 1])
    assert layer.arrays()["signs"].tolist() == [[1, 1, 0, 0]]
    layer.module.weight.sum().backward()
    gradient = layer.parts[1].grad
    assert gradient[0, 1] == gradient[0, 2] == 0
    assert gradient[0, 0] > 0
    assert gradient[0, 3] > 0


def test_a_sign_whose_average_equals_the_threshold_is_not_frozen() -> None:
    """Flips in the steps 1 and 3 of 3: 0.625 at momentum 0.5, as above."""
    for threshold, frozen in ((0.625, False), (0.624, True)):
        layer = coded([1, 1, 1, 1])
        follow(layer, [[1, -1, 1, 1], [1, -1, 1, 1], [1, 1, 1, 1]], every=3, momentum=0.5, first=threshold, last=threshold)
        assert layer.quantizer.frozen.tolist() == [[False, frozen, False, False]]


def test_a_tied_vote_keeps_the_sign_that_holds() -> None:
    layer = coded([1, 1, 1, 1])
    follow(layer, [[1, 1, 1, 1], [-1, 1, 1, 1]], every=2, momentum=0.5, first=0.4, last=0.4)
    assert layer.quantizer.frozen.tolist() == [[True, False, False, False]]
    assert layer.quantizer.negative.tolist() == [[True, False, False, False]]


def test_a_frozen_sign_stays_as_it_was_fixed_in_later_decisions() -> None:
    layer = coded([1, 1, 1, 1])
    follow(layer, [[-1, 1, 1, 1], [-1, 1, 1, 1], [1, 1, 1, 1]], every=3, momentum=0.5, first=0.6, last=0.6)
    for _ in range(2):  # after one more decision, and after two
        follow(layer, [[1, 1, 1, 1]] * 3, every=3, momentum=0.5, first=0.0, last=0.0)
        assert layer.arrays()["signs"][0, 0] == 1
        assert layer.quantizer.frozen[0, 0]


def test_without_freezing_nothing_is_recorded() -> None:
    from accelsim.finetune import Settings

    layer = coded([1, 1, 1, 1])
    set_latents(layer, [-1, 1, 1, 1])
    assert layer.quantizer.after_step(layer.parts, 1, 2, Settings(freezing=None)) == 1  # one sign flipped
    assert layer.quantizer.after_step(layer.parts, 2, 2, Settings(freezing=None)) == 0
    assert not layer.quantizer.votes.any()


def test_a_sign_is_fixed_to_its_moving_average_on_request() -> None:
    """+ + -: the vote is +1; the average at momentum 0.5 is 1/8 + 1/4 - 1/2 < 0."""
    layer = coded([-1, 1, 1, 1])
    history = [[1, 1, 1, 1], [1, 1, 1, 1], [-1, 1, 1, 1]]
    follow(layer, history, every=3, momentum=0.5, first=0.6, last=0.6, sign="average")
    assert layer.quantizer.average[0, 0] == -0.125
    assert layer.quantizer.frozen.tolist() == [[True, False, False, False]]
    assert layer.arrays()["signs"].tolist() == [[1, 0, 0, 0]]
    other = coded([-1, 1, 1, 1])
    follow(other, history, every=3, momentum=0.5, first=0.6, last=0.6)
    assert other.arrays()["signs"].tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("fields", [{"every": 0}, {"first": 0.1, "last": 0.2}, {"last": -0.1}, {"momentum": 1.0}, {"sign": "mean"}])
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    from accelsim.errors import ConfigError
    from accelsim.finetune import Freezing

    with pytest.raises(ConfigError, match="allowed"):
        Freezing(**fields)
