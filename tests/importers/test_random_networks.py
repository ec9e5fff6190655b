"""Random networks over PyTorch's operations: their traces compute what PyTorch computes, or the import is refused in one sentence."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.zoo.random_networks import outcome  # after the check that PyTorch is there

pytestmark = pytest.mark.torch

FOUND_ONCE = (  # seeds of networks that were imported wrongly, or ended in another error
    34, 48, 79, 80, 94,  # pools of an image without a batch
    2, 41, 93,  # a factor of 1
    217, 254, 424,  # products that broadcast
    603, 636,  # pixels shuffled without a batch
    961,  # a row expanded beside a number
    5038,  # a norm of 0
)  # fmt: skip


@pytest.mark.parametrize("seed", FOUND_ONCE)
def test_a_network_that_was_wrong_once_is_right(seed: int) -> None:
    assert outcome(seed).kind == "equal"


def test_channels_of_several_images_are_not_normalized_as_one() -> None:
    """Found by seed 5155: the moments were those of all images."""
    found = outcome(5155)
    assert found.kind == "refused"
    assert "a normalization of the channels of 4 images, (4, 8, 8); allowed: one image at a time" in found.text


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_a_random_network_is_equal_or_refused(first: int) -> None:
    found = {seed: outcome(seed) for seed in range(first, first + 20)}
    assert {seed: result for seed, result in found.items() if result.kind == "wrong"} == {}
    assert sum(result.kind == "equal" for result in found.values()) >= 12
