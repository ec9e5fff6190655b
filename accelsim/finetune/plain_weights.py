"""A copy of a model with ordinary weights, as the importer of PyTorch takes it."""

from __future__ import annotations

import torch
from torch.nn.utils import parametrize

from accelsim.finetune.dry_run import plain_copy
from accelsim.finetune.prepared import prepared_layers


def with_plain_weights(model: torch.nn.Module) -> torch.nn.Module:
    """A copy on the CPU in inference mode, prepared or not; the weights of prepared layers are those for which what they learned stands."""
    plain = plain_copy(model)
    if not any(parametrize.is_parametrized(module, "weight") for module in plain.modules()):
        return plain
    for layer in prepared_layers(plain):
        weight = layer.quantizer(*layer.parts).detach().contiguous()
        # PyTorch's remove_parametrizations would change the class, which the copy shares with the model.
        layer.module.__class__ = type(layer.module).__bases__[0]
        del layer.module.parametrizations
        layer.module.weight = torch.nn.Parameter(weight)
    return plain
