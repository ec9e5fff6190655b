"""A model whose `nn.Linear` and `nn.Conv2d` weights train in the formats of a recipe.

Assumes that a module's path in the model is its layer's name in the trace, as the importer of PyTorch has it. A weight that two modules
share is parted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch.nn.utils import parametrize

from accelsim.compression.encoder import Arrays, Matrix
from accelsim.compression.recipe import MatrixShape, Recipe, check_fit, make_recipe
from accelsim.compression.shared_codebooks import Codebooks, shared_codebooks
from accelsim.errors import ConfigError, FormatError
from accelsim.finetune.quantizers.weight_quantizer import WeightQuantizer, float_matrix
from accelsim.formats.weight_format import WeightFormat
from accelsim.registry import lookup

Weighted: TypeAlias = torch.nn.Linear | torch.nn.Conv2d
_QUANTIZERS = "accelsim.finetune.quantizers"


@dataclass(frozen=True)
class PreparedLayer:
    """A module of a prepared model.

    Attributes
    ----------
    name
        Path in the model, and the layer's name in the trace.
    module
        The `nn.Linear` or `nn.Conv2d`.
    quantizer
        How its weight follows from what learns.
    """

    name: str
    module: torch.nn.Module
    quantizer: WeightQuantizer

    @property
    def parts(self) -> tuple[torch.nn.Parameter, ...]:
        """The tensors that learn, in the order of the quantizer's `roles`."""
        originals: Any = self.module.parametrizations
        return tuple(getattr(originals.weight, f"original{place}") for place in range(len(self.quantizer.roles)))

    def arrays(self) -> Arrays:
        """The arrays of the format for which the module's weight stands."""
        return self.quantizer.encode(*self.parts)


def prepare(
    model: torch.nn.Module,
    recipe: str | Recipe,
    *,
    layers: str | None = None,
    seed: int = 0,
    companions: Sequence[torch.nn.Module] = (),
) -> torch.nn.Module:
    """Make the weights of a model trainable in compressed formats, in place; they start at their post-training encodings.

    Parameters
    ----------
    model
        Any module with `nn.Linear` or `nn.Conv2d` inside, in float32.
    recipe
        'ssvq:k=16,d=8' for the usual layers (those inside numbered blocks, or all but the first and the last, as far as it fits them; the
        others get int8), or a recipe.
    layers, seed
        Of a recipe that is given as a text: the pattern of the layers that take the format, and the encoders' seed.
    companions
        Other float models, on which a codebook that networks share (VQ4ALL) is drawn too. They are not changed.

    Returns
    -------
    The model itself.

    Raises
    ------
    ConfigError
        A model has no such layer, a layer has a parametrization already, or a weight is not float32 or not finite.
    FormatError
        A format is unknown, cannot be fine-tuned, or does not fit a layer; a pattern matches nothing; there are companions, but no
        codebook to share.
    """
    if isinstance(recipe, str):
        recipe = make_recipe(recipe, layers, seed)
    networks = [_weighted(item) for item in (model, *companions)]
    recipe = recipe.settled([[_shape(name, module) for name, module in network.items()] for network in networks])
    kinds = {name: _kind(recipe, name) for name in networks[0]}
    codebooks = _codebooks(networks, recipe)
    if companions and not codebooks:
        raise FormatError("the companions share nothing: no layer takes a format whose codebook networks share")
    made: dict[str, WeightQuantizer] = {}
    for name, module in networks[0].items():  # all checks come before the first change of the model
        spec = recipe.format_of(name)
        try:
            check_fit(_shape(name, module), spec)
            made[name] = kinds[name](recipe, name, tuple(module.weight.shape), codebooks.get(spec))
        except FormatError as error:
            raise FormatError(f"layer {name!r}: {error}") from None
    for name, module in networks[0].items():
        parametrize.register_parametrization(module, "weight", made[name].to(module.weight.device))
    return model


def prepared_layers(model: torch.nn.Module) -> tuple[PreparedLayer, ...]:
    """The layers that `prepare` made trainable, in the model's order.

    Raises
    ------
    ConfigError
        There is none.
    """
    found = []
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            originals: Any = module.parametrizations
            if isinstance(originals.weight[0], WeightQuantizer):
                found.append(PreparedLayer(name, module, originals.weight[0]))
    if not found:
        raise ConfigError(f"{type(model).__name__} is not prepared; allowed: a model that `prepare` has returned")
    return tuple(found)


def _weighted(model: torch.nn.Module) -> dict[str, Weighted]:
    """The modules of a float model that `prepare` takes, by their paths; ConfigError if there is none or one cannot be encoded."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, Weighted)}
    if not found:
        raise ConfigError(f"{type(model).__name__} has no nn.Linear and no nn.Conv2d inside; allowed: a model with at least one of them")
    for name, module in found.items():
        if parametrize.is_parametrized(module):
            raise ConfigError(f"layer {name!r} has a parametrization already; allowed: a model that is not prepared yet")
        if module.weight.dtype != torch.float32:
            raise ConfigError(f"layer {name!r} has weights of {module.weight.dtype}; allowed: torch.float32")
        if not bool(torch.isfinite(module.weight).all()):
            raise ConfigError(f"layer {name!r} has weights that are NaN or infinite; allowed: finite numbers")
    return found


def _kind(recipe: Recipe, name: str) -> type[WeightQuantizer]:
    """The quantizer of a layer's format; FormatError if the format has none."""
    kind: type[WeightQuantizer] = lookup(_QUANTIZERS, recipe.format_of(name).kind, "format to fine-tune", FormatError).QUANTIZER
    return kind


def _codebooks(networks: Sequence[Mapping[str, Weighted]], recipe: Recipe) -> Codebooks:
    """The codebooks that the networks share, whichever of them is prepared: they are ordered by a digest of their weights."""
    found: dict[bytes, list[tuple[WeightFormat, Matrix]]] = {}
    for network in networks:
        digest, matrices = hashlib.sha256(), []
        for name, module in network.items():
            weights = float_matrix(module.weight)
            digest.update(weights.tobytes())
            matrices.append((recipe.format_of(name), Matrix(weights.shape[0], weights.shape[1], partial(float_matrix, module.weight))))
        found[digest.digest()] = matrices
    return shared_codebooks([found[key] for key in sorted(found)], recipe.seed)


def _shape(name: str, module: Weighted) -> MatrixShape:
    """The matrix of a module's weight."""
    outputs = module.weight.shape[0]
    return MatrixShape(name, module.weight.numel() // outputs, outputs, module.groups if isinstance(module, torch.nn.Conv2d) else 1)
