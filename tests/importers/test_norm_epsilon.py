"""The values of a network whose normalizations have an epsilon, of which its trace has none: how far they are from PyTorch's, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.importers.import_model import import_program
from tests import naive_graph

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn: Any = torch.nn
EPS = 1e-5


def normalized(x: Any) -> Any:
    """A norm in its parts, as these models spell it."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS)


class Scaled(nn.Module):
    """Rows times a factor, normalized: Gemma's embeddings are multiplied by the root of their width."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return normalized(x * self.factor)


class Twice(nn.Module):
    """A norm of a norm, as NanoChat has it behind its embeddings."""

    def forward(self, x: Any) -> Any:
        return normalized(normalized(x))


@pytest.mark.parametrize(("network", "factor"), [(Scaled(1.0), 1.0), (Scaled(32**0.5), 32**0.5), (Twice(), 1.0)])
@pytest.mark.parametrize("size", [0.03, 0.2, 1.0])
def test_a_norm_without_its_epsilon_is_off_by_half_of_it_over_the_mean_square(network: Any, factor: float, size: float) -> None:
    """x / sqrt(m + e) is at least x / sqrt(m) times 1 - e / 2m; a norm of a norm is x / sqrt(m + e (m + e))."""
    torch.manual_seed(3)
    x = size * torch.randn(1, 6, 32, dtype=torch.float64)
    trace = import_program(torch.export.export(network.float(), (x.float(),)), "norm", seed=None, file=Path(__file__))
    (layer,) = trace.layers
    values = naive_graph.run_float(trace, {"x": x.numpy()}, 0.0)[layer.name]
    with torch.no_grad():
        wanted = network.double()(x).numpy()
    mean_square = (factor**2 * x.numpy() ** 2).mean(axis=-1, keepdims=True)
    bound = EPS / 2 * ((mean_square + EPS) if isinstance(network, Twice) else 1) / mean_square
    share = (values - wanted) / np.abs(wanted) * np.sign(wanted)
    assert (share > -1e-7).all()  # never too small, but for factors in float32
    assert (share < bound + 1e-7).all()
    assert (share > 0.98 * bound - 1e-6).all()
