"""An executed program of torch.export writes what PyTorch returns: the same names, orders and shapes, for endings of many kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.errors import TraceError
from tests.written_outputs import assert_written, written

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn: Any = torch.nn
functional: Any = torch.nn.functional


class Rows(nn.Module):
    """A linear layer on (1, 6, 8), and an ending."""

    def __init__(self, ending: Any) -> None:
        super().__init__()
        self.ending, self.fc = ending, nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        return self.ending(self.fc(x))


class Image(nn.Module):
    """A convolution on (1, 3, 6, 8), and an ending on its 4 channels."""

    def __init__(self, ending: Any) -> None:
        super().__init__()
        self.ending, self.conv = ending, nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return self.ending(self.conv(x))


def heads(y: Any) -> Any:
    return y.reshape(1, 6, 2, 4).transpose(1, 2)


def scores(y: Any) -> Any:
    return torch.softmax(4 * heads(y) @ heads(y).transpose(2, 3), -1)


ROWS: dict[str, Any] = {
    "as it is": lambda y: y,
    "a transposed matrix": lambda y: y.transpose(1, 2),
    "running sums of rows": lambda y: y.cumsum(1),
    "heads": heads,
    "heads of attention": lambda y: functional.scaled_dot_product_attention(heads(y), heads(y), heads(y)),
    "merged heads of attention": lambda y: (scores(y) @ heads(y)).transpose(1, 2).reshape(1, 6, 8),
    "scores of two heads": scores,
    "scores with the heads last": lambda y: scores(y).permute(0, 2, 3, 1),
    "a reshape after a permutation": lambda y: y.transpose(1, 2).reshape(1, 4, 12),
    "a part, transposed": lambda y: y[:, 2:5, 1:].transpose(1, 2),
    "rows backwards": lambda y: y.flip(1),
    "one number": lambda y: y.mean(),
    "numbers without a batch": lambda y: y[0, :, 3],
    "a tuple": lambda y: (y, y.transpose(1, 2), torch.relu(y), y[:, -1]),
    "a dictionary": lambda y: {"logits": y.mean(1), "states": (y.transpose(1, 2), torch.tanh(y))},
    "one tensor twice": lambda y: {"a": y.transpose(0, 1), "b": y.transpose(0, 2)},
}
IMAGES: dict[str, Any] = {
    "an image": lambda y: y,
    "channels last": lambda y: y.permute(0, 2, 3, 1),
    "a flattened image": lambda y: y.flatten(1),
    "tokens of an image": lambda y: y.flatten(2).transpose(1, 2),
    "shuffled pixels": lambda y: functional.pixel_shuffle(y, 2),
    "an image that is read inside": lambda y: {"feature": y, "pooled": functional.adaptive_avg_pool2d(torch.relu(y), 1).flatten(1)},
}


def expected(answer: Any) -> list[np.ndarray]:
    return [tensor.detach().numpy() for tensor in torch.utils._pytree.tree_leaves(answer)]


def executed(network: Any, given: tuple[Any, ...], folder: Path) -> dict[str, np.ndarray]:
    program = torch.export.export(network, given)
    torch.export.save(program, folder / "m.pt2")
    names = program.graph_signature.user_inputs
    return written(folder / "m.pt2", {name: x.numpy() for name, x in zip(names, given, strict=True)}, folder)


@pytest.mark.parametrize(("kind", "ending"), [*(("rows", name) for name in ROWS), *(("image", name) for name in IMAGES)])
def test_an_ending_is_written_as_pytorch_returns_it(kind: str, ending: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Rows(ROWS[ending]) if kind == "rows" else Image(IMAGES[ending])
    given = torch.randn(1, 6, 8) if kind == "rows" else torch.randn(1, 3, 6, 8)
    found = executed(network.eval(), (given,), tmp_path)
    assert_written(found, dict(zip(found, expected(network(given)), strict=True)))


def test_outputs_have_the_names_under_which_the_model_returns_them(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network, given = Rows(ROWS["a dictionary"]).eval(), torch.randn(1, 6, 8)
    answer = network(given)
    wanted = {"logits": answer["logits"], "states.0": answer["states"][0], "states.1": answer["states"][1]}
    assert_written(executed(network, (given,), tmp_path), {name: tensor.detach().numpy() for name, tensor in wanted.items()})


class TwoInputs(nn.Module):
    """An image with its channels last and a matrix, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(5, 4)

    def forward(self, image: Any, rows: Any) -> Any:
        return self.conv(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) + self.fc(rows)[:, None]


def test_several_inputs_are_taken_in_the_model_s_shape(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network, given = TwoInputs().eval(), (torch.randn(1, 6, 8, 3), torch.randn(1, 6, 5))
    found = executed(network, given, tmp_path)
    assert_written(found, dict(zip(found, expected(network(*given)), strict=True)))


def test_several_samples_lie_along_the_batch(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network, given = Image(IMAGES["channels last"]).eval(), torch.randn(3, 3, 6, 8)
    torch.export.save(torch.export.export(network, (given[:1],)), tmp_path / "m.pt2")
    found = written(tmp_path / "m.pt2", {"x": given.numpy()}, tmp_path)
    assert_written(found, dict(zip(found, expected(network(given)), strict=True)))
    with pytest.raises(TraceError, match=r"input 'x' has shape \(6, 8, 3\); allowed: \(1, 3, 6, 8\) or \(samples, 3, 6, 8\)"):
        accelsim.execute("edge-32x32", tmp_path / "trace", np.zeros((6, 8, 3), np.float32))
