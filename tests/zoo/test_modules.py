"""Modules and functions of PyTorch one by one, each before a linear layer: PyTorch's values, and its own count where nothing is added.

Padding by mirrored elements, convolutions of volumes, transposed ones with groups, pools along one and three dimensions, reductions,
choices, interpolations. Values are those of PyTorch to 1e-5 of the largest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch import nn  # noqa: E402  # after the check that PyTorch is there
from torch.nn import functional  # noqa: E402

from accelsim.accelerator import load_accelerator  # noqa: E402
from accelsim.compression.compress_trace import compress_trace  # noqa: E402
from accelsim.compression.recipe import make_recipe  # noqa: E402
from accelsim.simulation import simulate  # noqa: E402
from tests.zoo.network import Network  # noqa: E402
from tests.zoo.survey import error_of, imported  # noqa: E402

ROWS, LINE, IMAGE, VOLUME = (1, 6, 16), (1, 4, 12), (1, 4, 6, 8), (1, 2, 4, 6, 8)


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


class TwoParts(nn.Module):
    """A module of two operands, the halves of each row."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        return self.module(*x.chunk(2, -1))


class Cell(nn.Module):
    """A step of a recurrent layer; its input and its state lie side by side."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.width, self.cell = width, nn.GRUCell(width, hidden)

    def forward(self, x: Any) -> Any:
        return self.cell(x[:, : self.width], x[:, self.width :])


def linear_attention(x: Any) -> Any:
    """Two heads of 8 columns, each query's sum over its keys as its divisor (Katharopoulos et al. 2020, arXiv 2006.16236, equation 8)."""
    q, k, v = (functional.elu(part.reshape(1, -1, 2, 8).transpose(1, 2)) + 1 for part in (x, x.roll(1, -1), x.roll(1, 1)))
    divisor = 1 / (torch.einsum("bhnd,bhd->bhn", q, k.sum(2)) + 1e-6)
    return torch.einsum("bhnd,bhde,bhn->bhne", q, torch.einsum("bhnd,bhne->bhde", k, v), divisor).transpose(1, 2).flatten(2)


def mean_of_heads(x: Any) -> Any:
    """A function of the scores of two heads, and its mean over them."""
    part = x.reshape(1, -1, 2, 8).transpose(1, 2)
    return torch.sigmoid(part @ part.transpose(2, 3) * 0.1 + 0.2).mean(1)


class Before(nn.Module):
    """A module, its elements as rows, and a linear layer."""

    def __init__(self, module: Any, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module = module.eval()
        with torch.no_grad():
            self.linear = nn.Linear(self.rows(torch.randn(shape)).shape[-1], 8)

    def rows(self, x: Any) -> Any:
        result = self.module(x)
        return result.flatten(1, -2) if result.dim() > 3 else result

    def forward(self, x: Any) -> Any:
        return self.linear(self.rows(x))


MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "convolution of a volume": (lambda: nn.Conv3d(2, 4, 3, padding=1, groups=2), VOLUME),
    "strided, dilated convolution of a volume": (lambda: nn.Conv3d(2, 4, (2, 3, 3), (2, 2, 1), (0, 1, 2), (1, 1, 2)), VOLUME),
    "patches of a volume": (lambda: nn.Conv3d(2, 8, (2, 3, 4), (2, 3, 4)), VOLUME),
    "pools of a volume": (lambda: nn.Sequential(nn.MaxPool3d(3, 2, 1), nn.AvgPool3d((2, 1, 1))), VOLUME),
    "averages of a volume": (lambda: nn.AdaptiveAvgPool3d((2, 3, 5)), VOLUME),
    "volume of another size": (lambda: Function(lambda x: functional.interpolate(x, size=(7, 3, 8), mode="trilinear")), VOLUME),
    "pools of a line": (lambda: nn.Sequential(nn.MaxPool1d(3, 2, 1), nn.AdaptiveMaxPool1d(4)), LINE),
    "maxima of unequal windows": (lambda: nn.AdaptiveMaxPool2d((4, 5)), IMAGE),
    "sums of windows": (lambda: nn.AvgPool2d(3, 2, divisor_override=2), IMAGE),
    "mirrored border": (lambda: nn.Conv2d(4, 4, 3, padding=2, padding_mode="reflect"), IMAGE),
    "repeated border": (lambda: nn.ReplicationPad2d((3, 0, 1, 2)), IMAGE),
    "border of the other end": (lambda: nn.CircularPad2d((3, 0, 1, 2)), IMAGE),
    "shifted rows": (lambda: nn.ZeroPad2d((0, 0, 1, -1)), ROWS),
    "cubic": (lambda: Function(lambda x: functional.interpolate(x, size=(9, 5), mode="bicubic")), IMAGE),
    "cubic between centres": (lambda: nn.Upsample((9, 5), mode="bicubic", align_corners=True), IMAGE),
    "a scale that is stated": (lambda: Function(lambda x: functional.interpolate(x, scale_factor=1.3, mode="bilinear")), IMAGE),
    "nearest of a part": (lambda: Function(lambda x: functional.interpolate(x, size=(4, 11), mode="nearest")), IMAGE),
    "exactly the nearest": (lambda: Function(lambda x: functional.interpolate(x, size=(4, 11), mode="nearest-exact")), IMAGE),
    "a line of another size": (lambda: Function(lambda x: functional.interpolate(x, size=17, mode="linear")), LINE),
    "normalization over an image": (lambda: nn.LayerNorm([4, 6, 8]), IMAGE),
    "smallest, product": (lambda: Function(lambda x: torch.cat([x.amin(1, keepdim=True), x.prod(1, keepdim=True)], 1)), ROWS),
    "variance and deviation": (lambda: Function(lambda x: torch.cat([x.var(1, keepdim=True), x.std(1, keepdim=True)], 1)), ROWS),
    "norms": (lambda: Function(lambda x: x * x.norm(1, -1, keepdim=True) + x.norm(float("inf"), -1, keepdim=True)), ROWS),
    "sums along rows and columns": (lambda: Function(lambda x: x.cumsum(-1) + x.cumsum(1)), ROWS),
    "largest of two": (lambda: Function(lambda x: torch.maximum(x[:, :3], x[:, 3:]) - torch.minimum(x[:, :3], x[:, 3:])), ROWS),
    "choice by an activation": (lambda: Function(lambda x: torch.where(x[:, :3] > x[:, 3:], x[:, 3:] * 2, x[:, :3])), ROWS),
    "choice by a function of itself": (lambda: Function(lambda x: torch.where(x > 0.2, x, 0.3 * x * x)), ROWS),
    "larger than a row": (lambda: Function(lambda x: torch.maximum(x, torch.arange(16.0).sin())), ROWS),
    "lower triangle": (lambda: Function(lambda x: torch.tril(x @ x.transpose(1, 2))), ROWS),
    "diagonal of a product": (lambda: Function(lambda x: (x @ x.transpose(1, 2)).diagonal(dim1=1, dim2=2)), ROWS),
    "rows in any order": (lambda: Function(lambda x: x[:, [0, 2, 1, 5, 5]]), ROWS),
    "one matrix times several": (lambda: Function(lambda x: x[:, None] @ torch.arange(64.0).sin().reshape(1, 2, 16, 2)), ROWS),
    "a part put elsewhere": (lambda: Function(lambda x: torch.slice_scatter(x, x[:, 3:5] * 2, 1, 1, 3)), ROWS),
    "logarithm of a softmax": (lambda: nn.LogSoftmax(-1), ROWS),
    "shrinks": (lambda: nn.Sequential(nn.Softshrink(0.3), nn.Hardshrink(0.2)), ROWS),
    "rounded": (lambda: Function(lambda x: torch.trunc(3 * x) + torch.round(2 * x) + torch.sign(x)), ROWS),
    "cast to integers": (lambda: Function(lambda x: (3 * x).int() * x), ROWS),
    "cast to truth values": (lambda: Function(lambda x: torch.relu(x).bool().unsqueeze(1).float().squeeze(1) + x), ROWS),
    "largest of its neighbours": (lambda: Function(lambda x: x * (x == nn.functional.max_pool2d(x, 3, 1, 1))), IMAGE),
    "all but the largest": (lambda: Function(lambda x: x * (x != x.amax(-1, keepdim=True))), ROWS),
    "both, either, one": (lambda: Function(lambda x: ((x > 0) & (x < 1)) * x + (~(x > 0) | (x > 2)) * 2.0 + ((x > 0) ^ (x > 1))), ROWS),
    "distances from centres": (lambda: Function(lambda x: ((x[..., None] - torch.linspace(-2, 2, 5)) ** 2).flatten(2)), ROWS),
    "branch with a factor of 0": (lambda: Function(lambda x: x + torch.zeros(1) * torch.tanh(x)), ROWS),
    "lower half of a product": (lambda: Function(lambda x: (x @ x.transpose(1, 2))[:, [1, 2, 2, 3], [0, 0, 1, 2]]), ROWS),
    "transform over the last two": (lambda: Function(lambda x: torch.fft.fft2(x).real), ROWS),
    "transform of a transform": (lambda: Function(lambda x: torch.fft.fft(torch.fft.fft(x), dim=1).real), ROWS),
    "matrices for each row": (lambda: Function(lambda x: (x[:, :, None, None] @ torch.arange(1152.0).sin().reshape(1, 6, 3, 16, 4))), ROWS),
    "several rows for each matrix": (lambda: Function(lambda x: x.reshape(1, 2, 3, 2, 8) @ torch.arange(96.0).sin().view(3, 8, 4)), ROWS),
    "bilinear": (lambda: TwoParts(nn.Bilinear(8, 8, 6)), ROWS),
    "linear attention": (lambda: Function(linear_attention), ROWS),
    "mean of two heads": (lambda: Function(mean_of_heads), ROWS),
    "cell of a recurrent layer": (lambda: Cell(16, 8), (1, 24)),
}  # fmt: skip
# Phases of a stride compute positions that are cut off; zeros between the taps of a dilation are multiplied.
TRANSPOSED: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "along a line": (lambda: nn.ConvTranspose1d(4, 4, 4, 2, 1), LINE),
    "in groups": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), IMAGE),
    "depthwise, dilated": (lambda: nn.ConvTranspose2d(4, 4, 3, 2, 2, dilation=2, groups=4), IMAGE),
    "of a volume": (lambda: nn.ConvTranspose3d(2, 4, (2, 3, 4), (2, 1, 2), (0, 1, 1)), VOLUME),
}


def network(make: Callable[[], Any], shape: tuple[int, ...]) -> Network:
    def module() -> Any:
        return Before(make(), shape)

    return Network(module, shape, module, shape)


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")  # PyTorch's exporter calls what PyTorch deprecates
@pytest.mark.parametrize("name", [*MODULES, *TRANSPOSED])
def test_a_module_has_pytorchs_values_and_runs(name: str, tmp_path: Path) -> None:
    tried = network(*{**MODULES, **TRANSPOSED}[name])
    found = imported(tried, False, tmp_path)
    assert error_of(found.trace, tried, found.module, found.given) < 1e-5
    assert found.trace.macs == found.macs if name in MODULES else found.trace.macs >= found.macs
    trace, _ = compress_trace(found.trace, make_recipe("uniform:bits=8"))
    assert simulate(load_accelerator("edge-64x64"), trace).macs == found.trace.macs
