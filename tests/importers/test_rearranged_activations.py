"""Gates, joins, parts and other orders of activations compute what PyTorch computes, and what no layer reads in place is a move."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate
from accelsim.trace.trace import save_trace
from tests import naive_graph

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn: Any = torch.nn
functional: Any = torch.nn.functional


class Rows(nn.Module):
    """A linear layer, an operation on its result (1, 6, 8), and a linear layer over the last dimension of that."""

    def __init__(self, tail: Any) -> None:
        super().__init__()
        self.tail = tail
        self.fc, self.gate = nn.Linear(8, 8), nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.randn(8))
        with torch.no_grad():
            shape = tail(self, torch.zeros(1, 6, 8)).shape
        self.last = nn.Linear(shape[-1], 5)

    def forward(self, x: Any) -> Any:
        return self.last(self.tail(self, self.fc(x)))


class Image(nn.Module):
    """A convolution, an operation on its result (1, 4, 6, 8), and a convolution over that."""

    def __init__(self, tail: Any) -> None:
        super().__init__()
        self.tail = tail
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.squeeze, self.excite = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)
        self.norm = nn.BatchNorm2d(4).eval()
        self.norm.running_mean.copy_(torch.randn(4))
        self.norm.running_var.copy_(0.5 + torch.rand(4))
        self.slopes = nn.PReLU(4)
        with torch.no_grad():
            self.slopes.weight.copy_(torch.randn(4))
            channels = tail(self, torch.zeros(1, 4, 6, 8)).shape[1]
        self.last = nn.Conv2d(channels, 3, 3)

    def forward(self, x: Any) -> Any:
        return self.last(self.tail(self, self.conv(x)))


def squeeze_and_excite(net: Any, x: Any) -> Any:
    gate = torch.sigmoid(net.excite(torch.relu(net.squeeze(functional.adaptive_avg_pool2d(x, 1)))))
    return x * gate


def windows(net: Any, x: Any) -> Any:
    """Windows of 2 x 2 positions, attention-like products of each, and back."""
    parts = x.reshape(1, 4, 3, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).reshape(12, 4, 4)
    mixed = torch.softmax(parts @ parts.transpose(1, 2), -1) @ parts
    return mixed.reshape(1, 3, 4, 2, 2, 4).permute(0, 5, 1, 3, 2, 4).reshape(1, 4, 6, 8)


def attention_over_positions(net: Any, x: Any) -> Any:
    """Two heads of two channels each; the convolution behind it reads them side by side."""
    heads = x.reshape(1, 2, 2, 48).transpose(2, 3)
    mixed = torch.softmax(heads @ heads.transpose(2, 3), -1) @ heads
    return mixed.transpose(2, 3).reshape(1, 4, 6, 8)


def shuffled_channels(net: Any, x: Any) -> Any:
    return x.view(1, 2, 2, 6, 8).transpose(1, 2).reshape(1, 4, 6, 8)


FACTORS = torch.arange(48.0).reshape(1, 6, 8) / 48 - 0.3


def gated_attention(net: Any, x: Any) -> Any:
    heads = x.reshape(1, 6, 2, 4).transpose(1, 2)
    scores = torch.softmax(heads @ heads.transpose(2, 3) * FACTORS[0, :, :6], -1)
    return (scores @ heads).transpose(1, 2).reshape(1, 6, 8)


def biased_attention(net: Any, x: Any) -> Any:
    heads = x.reshape(1, 6, 2, 4).transpose(1, 2)
    mask = torch.relu(x)[:, None, :, :6]
    return functional.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask).transpose(1, 2).reshape(1, 6, 8)


def relative(net: Any, x: Any) -> Any:
    """Element 2 + i - j of row i, as relative positions are read."""
    places = 2 + torch.arange(6)[:, None] - torch.arange(3)
    return torch.gather(x, 2, places[None])


def factor_in_place(net: Any, x: Any) -> Any:
    y = torch.relu(x)
    y.mul_(0.5)
    return y + x


def change_seen_elsewhere(net: Any, x: Any) -> Any:
    y = torch.relu(x)
    seen = y.view(1, 48)
    y.add_(net.gate(x))
    return seen.view(1, 6, 8)


def shifted_windows(net: Any, x: Any) -> Any:
    """The (1, 6, 8) rows as 6 x 2 positions of 4 channels, rolled by one along both and parted into windows of 2 x 1 positions.

    A copy of both parts and their join for each dimension, and one copy into windows: nothing is turned in between.
    """
    image = x.view(1, 6, 2, 4).roll((-1, -1), (1, 2))
    return image.view(1, 3, 2, 2, 4).transpose(2, 3).reshape(1, 12, 4)


def scaled_einsum(net: Any, x: Any) -> Any:
    heads = x.view(1, 6, 2, 4).transpose(1, 2)
    return (torch.einsum("bhlk,bhtk->bhlt", heads, heads) * 0.3).permute(0, 2, 1, 3).reshape(1, 6, 12)


def scaled_and_plain(net: Any, x: Any) -> Any:
    heads = x.view(1, 6, 2, 4).transpose(1, 2)
    product = torch.einsum("bhlk,bhtk->bhlt", heads, heads)
    return torch.matmul(product * 0.3, product.softmax(-1)).permute(0, 2, 1, 3).reshape(1, 6, 12)


ROWS: dict[str, tuple[Any, dict[str, int]]] = {  # a tail, and its operations besides products of weights
    "a gate": (lambda net, x: functional.silu(x) * net.gate(x), {"silu": 1, "multiply": 1}),
    "a difference": (lambda net, x: x - net.gate(x), {"subtract": 1}),
    "a quotient": (lambda net, x: net.gate(x) / (2 + x.abs()), {"divide": 1, "abs": 1, "affine": 1}),
    "a row for all rows": (lambda net, x: x * x.mean(1, keepdim=True), {"multiply": 1, "avg_pool2d": 1}),
    "a factor that the next layer takes": (lambda net, x: torch.relu(x) * 2, {"relu": 1}),
    "a lone factor": (lambda net, x: torch.softmax(torch.relu(x) * 2, -1), {"relu": 1, "affine": 1, "softmax": 1}),
    "a factor per channel": (lambda net, x: torch.relu(x) * net.scale + 1.0, {"relu": 1, "affine": 1}),
    "a part of the rows": (lambda net, x: torch.relu(x)[:, 1:4], {"relu": 1, "move": 1}),
    "every other row": (lambda net, x: torch.relu(x)[:, 1::2], {"relu": 1, "move": 1}),
    "a part of the columns": (lambda net, x: torch.relu(x)[..., 2:5], {"relu": 1, "move": 1}),
    "a transposition": (lambda net, x: torch.relu(x).transpose(1, 2), {"relu": 1, "move": 1}),
    "another width": (lambda net, x: torch.relu(x).reshape(1, 4, 12), {"relu": 1, "move": 1}),
    "rows joined": (lambda net, x: torch.cat([x, net.gate(x)], 1), {"concat": 1}),
    "columns joined": (lambda net, x: torch.cat([x, net.gate(x), torch.relu(x)], 2), {"relu": 1, "concat": 2}),
    "a join that grows": (lambda net, x: torch.cat([torch.cat([x, net.gate(x)], 2), torch.relu(x)], 2), {"relu": 1, "concat": 2}),
    "softmax over the rows": (lambda net, x: torch.softmax(x, 1), {"softmax": 1, "move": 2}),
    "halves": (lambda net, x: torch.relu(x).chunk(2, 2)[0] * torch.relu(x).chunk(2, 2)[1], {"relu": 2, "move": 2, "multiply": 1}),
    "leaky": (lambda net, x: functional.elu(functional.leaky_relu(x, 0.1), 1.5), {"leaky_relu": 1, "elu": 1}),
    "softplus": (lambda net, x: functional.softplus(x).sqrt(), {"softplus": 1, "sqrt": 1}),
    "a factor per element": (lambda net, x: x * FACTORS, {"factors": 1}),
    "a column beside factors per element": (lambda net, x: x[..., :1] * FACTORS, {"factors": 1, "move": 1}),
    "factors for all heads": (gated_attention, {"matmul": 2, "factors": 1, "softmax": 1}),
    "a bias that is an activation": (biased_attention, {"relu": 1, "matmul": 2, "add": 1, "softmax": 1, "move": 1}),
    "rows of one value before and after": (lambda net, x: functional.pad(x, [0, 0, 1, 2], value=3.0), {"pad": 1}),
    "columns of zeros": (lambda net, x: functional.pad(x, [0, 2]), {"pad": 1, "move": 2}),
    "a diagonal of each row": (relative, {"move": 1}),
    "windows of tokens that overlap": (lambda net, x: x.unfold(1, 3, 2).flatten(2), {"move": 1}),
    "columns in turn": (lambda net, x: torch.stack([x, torch.relu(x)], -1).flatten(2), {"relu": 1, "concat": 1, "move": 3}),
    "a choice that is known": (lambda net, x: torch.where(FACTORS > -100, x, torch.relu(x)), {"relu": 1}),
    "a sum in place": (lambda net, x: x.add_(net.gate(x)), {"add": 1}),
    "a factor in place, read by its old name": (factor_in_place, {"relu": 1, "affine": 1, "add": 1}),
    "a change that another view sees": (change_seen_elsewhere, {"add": 1, "relu": 1}),
    "quick gelu": (lambda net, x: x * torch.sigmoid(1.702 * x), {"quick_gelu": 1}),
    "windows that are shifted": (shifted_windows, {"move": 5, "concat": 2}),
    "a factor behind a product of named dimensions": (scaled_einsum, {"matmul": 1}),
    "a factor on a product that another layer reads without it": (scaled_and_plain, {"matmul": 2, "softmax": 1}),
}
IMAGES: dict[str, tuple[Any, dict[str, int]]] = {
    "squeeze and excitation": (squeeze_and_excite, {"multiply": 1, "sigmoid": 1, "relu": 1, "avg_pool2d": 1}),
    "a batch norm after a join": (
        lambda net, x: torch.relu(net.norm(torch.cat([x[:, :2], torch.relu(x)[:, 2:]], 1))),
        {"relu": 2, "move": 2, "concat": 1, "affine": 1},
    ),
    "joined along the width": (lambda net, x: torch.cat([x, torch.relu(x)], 3), {"relu": 1, "concat": 1}),
    "shuffled channels": (shuffled_channels, {"move": 1}),
    "shuffled pixels": (lambda net, x: functional.pixel_shuffle(x, 2), {"move": 1}),
    "attention over positions": (attention_over_positions, {"matmul": 2, "softmax": 1}),
    "windows": (windows, {"matmul": 2, "softmax": 1, "move": 3}),
    "windows that overlap, of a padded image": (
        lambda net, x: functional.unfold(x, 3, padding=1, stride=(2, 1)).view(1, 36, 3, 8), {"pad": 1, "move": 1}
    ),
    "zeros that a sum reads": (lambda net, x: functional.pad(x[:, :, 1:], [0, 0, 1, 0]) + x, {"move": 1, "pad": 1, "add": 1}),
    "trained slopes": (lambda net, x: net.slopes(x), {"prelu": 1}),
}  # fmt: skip


def run(network: Any, given: Any, tmp_path: Path) -> Counter[str]:
    """Compare the trace with the network, run it on a preset, and count its operations but for weighted layers.

    Both compute in float64, so no order of summation matters; what is folded into float32 weights is off by 2^-24 of them.
    """
    network = network.eval()
    torch.export.save(torch.export.export(network, (torch.zeros(given.shape),)), tmp_path / "m.pt2")
    trace = import_model(str(tmp_path / "m.pt2"))
    with torch.no_grad():
        expected = copy.deepcopy(network).double()(given.double()).numpy()
    image = given.ndim == 4
    name = trace.manifest.inputs[0].name
    (found,) = naive_graph.run_float(trace, {name: given[0].numpy() if image else given.numpy()}, 0.0)[trace.manifest.outputs[0]]
    wanted = expected[0].reshape(expected.shape[1], -1).T if image else expected.reshape(-1, expected.shape[-1])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    save_trace(trace, tmp_path / "float")
    assert simulate(load_accelerator("edge-64x64"), open_trace(f"{tmp_path / 'float'}@uniform:bits=8")).macs == trace.macs
    return Counter(layer.op for layer in trace.layers if layer.weights is None)


@pytest.mark.parametrize("name", ROWS)
def test_rows_go_through_what_the_model_does_with_them(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    tail, operations = ROWS[name]
    assert run(Rows(tail), torch.randn(1, 6, 8), tmp_path) == Counter(operations)


@pytest.mark.parametrize("name", IMAGES)
def test_images_go_through_what_the_model_does_with_them(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    tail, operations = IMAGES[name]
    assert run(Image(tail), torch.randn(1, 3, 6, 8), tmp_path) == Counter(operations)
