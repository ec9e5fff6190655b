"""Block-wise distillation adds the relative squared differences of the blocks' outputs to the loss of the task."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim.errors import ConfigError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


class Chain(torch.nn.Module):
    """Two blocks that scale, the first of which returns a pair as those of transformers do."""

    class Scale(torch.nn.Module):
        def __init__(self, factor: float, pair: bool) -> None:
            super().__init__()
            self.factor, self.pair = torch.nn.Parameter(torch.tensor(factor)), pair

        def forward(self, values: Any) -> Any:
            return (values * self.factor, None) if self.pair else values * self.factor

    def __init__(self, first: float, second: float) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([self.Scale(first, True), self.Scale(second, False)])

    def forward(self, values: Any) -> Any:
        return self.blocks[1](self.blocks[0](values)[0])


def task(model: Any, inputs: Any, targets: Any) -> Any:
    return (model(inputs) - targets).sum()


def test_the_loss_is_that_of_the_task_plus_the_mean_over_the_blocks() -> None:
    """Teacher: 2x, 6x. Student: 3x, 3x. Relative squared differences: (1/2)^2 and (3/6)^2, mean 1/4, whatever x is."""
    from accelsim.finetune import distilled

    teacher, student = Chain(2.0, 3.0), Chain(3.0, 1.0)
    loss = distilled(teacher, weight=4.0, loss=task)
    inputs = torch.tensor([1.0, -2.0, 5.0])
    value = loss(student, inputs, torch.zeros(3))
    assert float(value.detach()) == pytest.approx(12.0 + 4.0 * 0.25)  # the task: 3 * (1 - 2 + 5)
    value.backward()
    # d/da of ((a-2)/2)^2 and ((ab-6)/6)^2 at a=3, b=1: 1/2 and 2 (-1/2) b/6 = -1/6; mean times 4: 2/3; the task: 4 b
    assert float(student.blocks[0].factor.grad) == pytest.approx(4.0 + 2 / 3)
    assert all(part.grad is None for part in teacher.parameters())


def test_the_teacher_is_a_copy_and_no_hook_is_left() -> None:
    from accelsim.finetune import distilled

    teacher, student = Chain(2.0, 3.0), Chain(2.0, 3.0)
    loss = distilled(teacher, loss=task)
    with torch.no_grad():
        teacher.blocks[0].factor.fill_(100.0)
    assert float(loss(student, torch.ones(3), torch.zeros(3)).detach()) == pytest.approx(18.0)
    assert not any(module._forward_hooks for module in student.modules())


def test_a_prepared_model_trains_under_its_float_teacher() -> None:
    from accelsim.finetune import Settings, distilled, finetune, prepare
    from tests.finetune.tiny_models import tiny_data, tiny_network

    model = prepare(tiny_network(), "universal_vq:k=16,d=2")
    done = finetune(model, *tiny_data(), settings=Settings(epochs=2, batch=10), loss=distilled(tiny_network()))
    assert done.step == 10


def test_a_wrong_weight_or_block_is_one_sentence() -> None:
    from accelsim.finetune import distilled

    with pytest.raises(ConfigError, match=r"`weight` has value -1\.0; allowed"):
        distilled(Chain(1.0, 1.0), weight=-1.0)
    with pytest.raises(ConfigError, match=r"`blocks` names 'blocks\.7', which is no module of Chain"):
        distilled(Chain(1.0, 1.0), blocks=["blocks.7"])
    with pytest.raises(ConfigError, match=r"Linear has no nn\.ModuleList; allowed"):
        distilled(torch.nn.Linear(2, 2))
