"""Block-wise distillation, as VQ4ALL trains (arXiv 2412.06875): the outputs of a model's blocks follow those of its float teacher.

Disputable: a block's squared difference counts relative to the mean square of the teacher's output, so that no block outweighs the others.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from accelsim.api.checks import check_texts, wrong_type
from accelsim.errors import ConfigError
from accelsim.finetune.checks import check_callable, check_model, number_of
from accelsim.finetune.training import Loss, cross_entropy


def distilled(teacher: torch.nn.Module, *, weight: float = 1.0, blocks: Sequence[str] | None = None, loss: Loss = cross_entropy) -> Loss:
    """A loss for `finetune`: that of the task, plus the weighted mean over the blocks of their relative squared differences.

    Parameters
    ----------
    teacher
        The float model that was prepared, or a copy of it, on the same device; a copy in inference mode is kept.
    blocks
        Paths of the blocks; by default the members of the outermost lists of modules (`nn.ModuleList`).
    loss
        That of the task.

    Raises
    ------
    ConfigError
        The weight is negative or not finite; the teacher has no list of modules, or no such block; an argument of another type. The loss
        raises it where the trained model has no such block, or blocks whose outputs are no tensors or differ in shape.
    """
    check_model("teacher", teacher)
    number_of("distillation: `weight`", weight, 0)
    check_callable("loss", loss, "a function of (model, inputs, targets)")
    if blocks is not None:
        check_texts("blocks", blocks, "a list of the paths of blocks, or None")
    names = _blocks(teacher) if blocks is None else tuple(blocks)
    _check_blocks(teacher, names)
    if not names:
        raise ConfigError(f"distillation: {type(teacher).__name__} has no nn.ModuleList; allowed: the paths of its blocks as `blocks`")
    fixed = copy.deepcopy(teacher).eval()

    def combined(model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        _check_blocks(model, names)
        with _outputs(fixed, names) as meant, torch.no_grad():
            fixed(inputs)
        with _outputs(model, names) as found:
            value = loss(model, inputs, targets)
        _check_outputs(found, meant)
        terms = [(own - other).square().mean() / other.square().mean() for own, other in zip(found, meant, strict=True)]
        return value + weight * torch.stack(terms).mean()

    return combined


def _blocks(model: torch.nn.Module) -> tuple[str, ...]:
    """Paths of the members of lists of modules that lie in no other list."""
    found: list[str] = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and not any(name.startswith(f"{block}.") for block in found):
            found.extend(f"{name}.{place}" if name else str(place) for place in range(len(module)))
    return tuple(found)


def _check_blocks(model: torch.nn.Module, names: Sequence[str]) -> None:
    known = {name for name, _ in model.named_modules()}
    for name in names:
        if name not in known:
            raise ConfigError(f"distillation: `blocks` names {name!r}, which is no module of {type(model).__name__}")


def _check_outputs(found: Sequence[Any], meant: Sequence[Any]) -> None:
    for what, outputs in (("model", found), ("teacher", meant)):
        for output in outputs:
            if not isinstance(output, torch.Tensor):
                raise wrong_type(f"distillation: the output of a block of the {what}", output, "a tensor, or a tuple with one at first")
    shapes = [[list(output.shape) for output in outputs] for outputs in (found, meant)]
    if shapes[0] != shapes[1]:
        raise ConfigError(f"distillation: the blocks' outputs have shapes {shapes[0]}, the teacher's {shapes[1]}; allowed: equal ones")


@contextmanager
def _outputs(model: torch.nn.Module, names: Sequence[str]) -> Iterator[list[torch.Tensor]]:
    """The outputs of modules, the first of each tuple, in the order in which they run."""
    found: list[torch.Tensor] = []

    def keep(_: torch.nn.Module, inputs: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) and output else output)

    handles = [model.get_submodule(name).register_forward_hook(keep) for name in names]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
