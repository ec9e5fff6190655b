"""Shapes that PyTorch takes beside the usual ones: scalars with a dimension, pixels and channels of several leading ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402  # after the check that PyTorch is there

from accelsim.importers.import_model import import_program  # noqa: E402
from tests.zoo.random_networks import Found, compared  # noqa: E402

pytestmark = pytest.mark.torch


def outcome(step: Callable[[Any], Any], *shape: int) -> Found:
    """A relu and one step, imported, beside PyTorch in float64."""

    class Network(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return step(torch.relu(x))

    torch.manual_seed(1)
    network, x = Network().eval(), torch.randn(shape)
    trace = import_program(torch.export.export(network, (x,)), "one", seed=None, file=Path(__file__))
    with torch.no_grad():
        wanted = copy.deepcopy(network).double()(x.double())
    return compared(trace, x.numpy(), [wanted.numpy()], 0.0)


SCALARS: dict[str, Callable[[Any], Any]] = {
    "mean": lambda y: y.mean(0), "max": lambda y: y.max(-1).values, "norm": lambda y: y.norm(dim=0), "cumsum": lambda y: y.cumsum(0),
    "softmax": lambda y: torch.softmax(y, 0), "flip": lambda y: y.flip(0), "transpose": lambda y: y.transpose(0, -1),
    "where": lambda y: torch.where(y > 0, y, 0.3 * y),
}  # fmt: skip


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_is_a_row_of_one_element(name: str) -> None:
    assert outcome(lambda x: SCALARS[name](0.1 * x.sum()), 1, 5, 7).kind == "equal"


SHAPES: dict[str, Callable[[Any], Any]] = {
    "shuffle of 5": lambda x: functional.pixel_shuffle(x.reshape(1, 2, 4, 4, 4), 2),
    "unshuffle of 5": lambda x: functional.pixel_unshuffle(x.reshape(1, 2, 4, 4, 4), 2),
    "shuffle of 3": lambda x: functional.pixel_shuffle(x.reshape(8, 4, 4), 2),
    "channels of several images": lambda x: functional.channel_shuffle(x.reshape(2, 4, 4, 4), 2),
    "roll of all elements": lambda x: x.roll(3),
}


def test_whole_powers_are_products_by_squares() -> None:
    """An attention by hashes (YOSO) has a ninth power."""
    assert outcome(lambda x: torch.tanh(x) ** 9 + (1 + torch.tanh(x) / 9) ** 33, 1, 5, 7).kind == "equal"


@pytest.mark.parametrize("name", SHAPES)
def test_leading_dimensions_are_any(name: str) -> None:
    assert outcome(SHAPES[name], 1, 8, 4, 4).kind == "equal"
