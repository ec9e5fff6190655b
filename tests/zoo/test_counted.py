"""PyTorch's count of multiply-accumulates, as the zoo compares it with a trace's, on networks that are counted here by hand."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch  # after the check that it is there

from tests.zoo.counted import counted

pytestmark = pytest.mark.torch
nn: Any = torch.nn


class Function(nn.Module):
    """A function of an input, a linear layer of 8 to 4 and a constant."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function, self.fc = function, nn.Linear(8, 4)
        self.constant = nn.Parameter(torch.randn(1, 5, 8))

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


def put_in(net: Any, x: Any) -> Any:
    rows = x.new_zeros(1, 3, 8)
    rows[:, 1] = x[:, 0]
    return net.fc(rows)


def put_in_twice(net: Any, x: Any) -> Any:
    rows = torch.zeros_like(x)
    rows[0, 1:3].copy_(x[0, :2])
    rows.mul_(2)
    return net.fc(rows)


def attention(net: Any, x: Any) -> Any:
    heads = x.reshape(1, 6, 2, 4).transpose(1, 2)
    return nn.functional.scaled_dot_product_attention(heads, heads, heads)


FUNCTIONS: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "rows of a linear layer": (lambda net, x: net.fc(x), (1, 6, 8), 6 * 8 * 4),
    "a product of constants alone": (lambda net, x: net.fc(net.constant)[:, :1] + x[..., :4], (1, 6, 8), 0),
    "a tensor that is filled": (put_in, (1, 6, 8), 3 * 8 * 4),
    "a tensor that is filled in part and changed": (put_in_twice, (1, 6, 8), 6 * 8 * 4),
    "zeros of a shape alone": (lambda net, x: net.fc(torch.zeros_like(x)) + x[..., :4], (1, 6, 8), 0),
    "attention": (attention, (1, 6, 8), 2 * 2 * 6 * 6 * 4),  # two products of two heads
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_products_that_depend_on_the_input_count(name: str) -> None:
    function, shape, macs = FUNCTIONS[name]
    given = torch.randn(shape)
    assert counted(torch.export.export(Function(function).eval(), (given,), strict=False), given) == macs


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, as it exports and decomposes recurrent layers
@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv2d(4, 6, 3, groups=2), (1, 4, 8, 8), 6 * 6 * 6 * 2 * 9),  # 6 channels of 6 x 6 from 2 channels of 3 x 3
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (1, 4, 5, 5), 25 * 4 * 6 * 4),  # each of 25 x 4 elements times 6 channels of 2 x 2
        # 4 steps of the input's gates; the state before the first step is known, so 3 of the state's
        (nn.GRU(5, 8, batch_first=True), (1, 4, 5), 4 * 3 * 8 * 5 + 3 * 3 * 8 * 8),
        (nn.LSTM(5, 8, batch_first=True), (1, 4, 5), 4 * 4 * 8 * 5 + 3 * 4 * 8 * 8),
        (nn.RNN(5, 8, batch_first=True, bidirectional=True), (1, 4, 5), 2 * (4 * 8 * 5 + 3 * 8 * 8)),
    ],
    ids=["groups", "transposed", "gru", "lstm", "both ways"],
)
def test_products_of_a_layer_are_those_of_its_definition(layer: Any, shape: tuple[int, ...], macs: int) -> None:
    given = torch.randn(shape)
    assert counted(torch.export.export(layer.eval(), (given,), strict=False), given) == macs
