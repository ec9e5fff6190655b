"""Batch norms that follow a layer, folded into its weights before these are encoded.

The importer folds them too, since a chip has none: weights that were trained in a format beside a norm would leave it by the folding.
A norm is folded by its running statistics, as in inference; from then on it learns as weights and bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.utils.fusion import fuse_conv_bn_weights

from accelsim.errors import ConfigError
from accelsim.finetune.weight_layout import layout_of

BatchNorm = torch.nn.modules.batchnorm._BatchNorm


def first_batch_norm(model: torch.nn.Module) -> str | None:
    """The path of a model's first batch norm; None if it has none."""
    return next((name for name, module in model.named_modules() if isinstance(module, BatchNorm)), None)


def foldable(model: torch.nn.Module, program: torch.export.ExportedProgram) -> tuple[tuple[str, str], ...]:
    """Paths of layers and of the batch norms that alone read them, by a program of the model; each of them runs once."""
    found = [(before, norm) for before, norm in _pairs(program) if layout_of(model.get_submodule(before)) is not None]
    calls = _calls(program)
    return tuple((before, norm) for before, norm in found if calls.count(before) == calls.count(norm) == 1)


def fold(model: torch.nn.Module, pairs: tuple[tuple[str, str], ...]) -> None:
    """Fold norms into the weights and biases of the layers before them, in place; identities take the norms' places."""
    for name, norm_name in pairs:
        layer: Any = model.get_submodule(name)
        norm, layout = model.get_submodule(norm_name), layout_of(layer)
        if layout is None or not isinstance(norm, BatchNorm) or norm.running_mean is None or norm.running_var is None:
            raise ConfigError(f"layer {norm_name!r}: a batch norm without running statistics cannot be folded; allowed: one with them")
        weight, bias = fuse_conv_bn_weights(
            layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias, layout.inputs_first
        )
        layer.weight = torch.nn.Parameter(weight.detach().clone(), layer.weight.requires_grad)
        layer.bias = torch.nn.Parameter(bias.detach().clone(), layer.weight.requires_grad)
        model.set_submodule(norm_name, torch.nn.Identity())


def _pairs(program: torch.export.ExportedProgram) -> Iterator[tuple[str, str]]:
    """Owners of the weights of calls, and of the batch norms that are their only readers."""
    for node in program.graph.nodes:
        if node.op == "call_function" and "batch_norm" in str(node.target):
            source = node.args[0]
            before, norm = _owner(program, source), _owner(program, node)
            if before is not None and norm is not None and len(source.users) == 1:
                yield before, norm


def _calls(program: torch.export.ExportedProgram) -> list[str | None]:
    return [_owner(program, node) for node in program.graph.nodes if node.op == "call_function"]


def _owner(program: torch.export.ExportedProgram, node: torch.fx.Node) -> str | None:
    """The path of the module whose weight is the second operand of a call; None if that is no parameter."""
    weight = node.args[1] if node.op == "call_function" and len(node.args) > 1 else None
    path = program.graph_signature.inputs_to_parameters.get(weight.name) if isinstance(weight, torch.fx.Node) else None
    return None if path is None else path.rpartition(".")[0]
