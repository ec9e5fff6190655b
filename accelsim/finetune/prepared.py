"""A model whose weights of linear layers and convolutions train in the formats of a recipe.

Assumes that a module's path in the model is its layer's name in the trace, as the importer of PyTorch has it. A weight that two modules
share is parted.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.utils import parametrize

from accelsim.api.checks import check_text, count_of, wrong_type
from accelsim.compression.encoder import Arrays, Matrix
from accelsim.compression.recipe import MAX_SEED, Recipe, check_fit, make_recipe
from accelsim.compression.shared_codebooks import Codebooks, shared_codebooks
from accelsim.errors import ConfigError, FormatError
from accelsim.finetune.batch_norms import first_batch_norm, fold, foldable
from accelsim.finetune.checks import check_model
from accelsim.finetune.dry_run import Columns, columns_of, disturb, exported, imported, plain_copy
from accelsim.finetune.quantizers.weight_quantizer import WeightQuantizer
from accelsim.finetune.weight_layout import ALLOWED, WeightLayout, layout_of
from accelsim.formats.weight_format import WeightFormat
from accelsim.registry import lookup

_QUANTIZERS = "accelsim.finetune.quantizers"


@dataclass(frozen=True)
class PreparedLayer:
    """A module of a prepared model.

    Attributes
    ----------
    name
        Path in the model, and the layer's name in the trace.
    module
        The linear layer or convolution.
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


@dataclass(frozen=True)
class _Weighted:
    """A module of a float model with a matrix as its weight."""

    module: Any
    layout: WeightLayout


def prepare(
    model: torch.nn.Module,
    recipe: str | Recipe,
    *,
    example: torch.Tensor | None = None,
    layers: str | None = None,
    seed: int = 0,
    companions: Sequence[torch.nn.Module] = (),
) -> torch.nn.Module:
    """Make the weights of a model trainable in compressed formats, in place; they start at their post-training encodings.

    Parameters
    ----------
    model
        Any module in float32 with linear layers or convolutions inside: `nn.Linear`, `nn.Conv1d`, `nn.Conv2d`, `Conv1D` of transformers.
    recipe
        'ssvq:k=16,d=8' for the usual layers (those inside numbered blocks, or all but the first and the last, as far as it fits them; the
        others get int8), or a recipe.
    example
        One input, batch 1, as `export` takes it. With it, what `export` would refuse is refused here, and each batch norm that
        alone reads a layer is folded into its weights and bias. A model with batch norms needs it.
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
        A model has no such layer, a layer has a parametrization already, or a weight is not float32 or not finite; a batch norm, but
        no example; an argument of another type.
    FormatError
        A format is unknown, cannot be fine-tuned, or does not fit a layer; a pattern matches nothing; there are companions, but no
        codebook to share.
    ImportModelError, TraceError
        What `export` would raise for the example.
    """
    recipe = _recipe(recipe, layers, seed)
    check_model("model", model)
    if not isinstance(companions, list | tuple):
        raise wrong_type("companions", companions, "a list or tuple of models")
    for companion in companions:
        check_model("an item of companions", companion)
    networks = [_weighted(item) for item in (model, *companions)]
    norms: tuple[tuple[str, str], ...] = ()
    columns: dict[str, Columns] = {}
    if example is not None:
        trial, norms, columns = _dry_run(model, example)
        networks[0] = _weighted(trial)
    elif (norm := first_batch_norm(model)) is not None:
        raise ConfigError(
            f"layer {norm!r} is a batch norm, which has to be folded before weights are encoded; allowed: with `example`, an input of "
            "batch 1, by which `prepare` finds what to fold"
        )
    made = _quantizers(networks, recipe, bool(companions))
    for name, place in columns.items():
        item = made[place.layer]
        try:
            place.places(item.spec, item.k, item.n)
        except FormatError as error:
            raise FormatError(f"layer {name!r}, a part of {place.layer!r} that runs by itself: {error}") from None
    fold(model, norms)  # all checks come before the first change of the model
    for name, quantizer in made.items():
        module: Any = model.get_submodule(name)
        parametrize.register_parametrization(module, "weight", quantizer.to(module.weight.device))
    return model


def prepared_layers(model: torch.nn.Module) -> tuple[PreparedLayer, ...]:
    """The layers that `prepare` made trainable, in the model's order.

    Raises
    ------
    ConfigError
        There is none, or the model is no module.
    """
    check_model("model", model)
    found = []
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            originals: Any = module.parametrizations
            if isinstance(originals.weight[0], WeightQuantizer):
                found.append(PreparedLayer(name, module, originals.weight[0]))
    if not found:
        raise ConfigError(f"{type(model).__name__} is not prepared; allowed: a model that `prepare` has returned")
    return tuple(found)


def _recipe(recipe: str | Recipe, layers: str | None, seed: int) -> Recipe:
    """The recipe of a call; ConfigError for another type, or for options that belong to a text beside a recipe."""
    seed = count_of("seed", seed, 0, MAX_SEED)
    if layers is not None:
        check_text("layers", layers, "a shell pattern over the names of layers, or None")
    if isinstance(recipe, str):
        return make_recipe(recipe, layers, seed)
    if not isinstance(recipe, Recipe):
        raise wrong_type("recipe", recipe, "a text such as 'ssvq:k=16,d=8', or a Recipe")
    if layers is not None or seed:
        raise ConfigError(
            "`layers` and `seed` belong to a recipe that is given as a text; allowed: neither beside a Recipe, which has its own"
        )
    return recipe


def _dry_run(model: torch.nn.Module, example: torch.Tensor) -> tuple[torch.nn.Module, tuple[tuple[str, str], ...], dict[str, Columns]]:
    """A copy with norms folded, the norms, and which columns of which matrix each layer of the trace is; raises what `export` would."""
    plain = plain_copy(model)
    norms = foldable(plain, exported(plain, example))
    fold(plain, norms)
    moved, matrices = copy.deepcopy(plain), _weighted(plain)
    own = {name: torch.nn.Parameter(item.module.weight.detach().clone()) for name, item in _weighted(moved).items()}
    for name, item in _weighted(moved).items():
        item.module.weight = own[name]  # parted from a module that shares it, as a parametrization parts it
    disturb(moved, own.values())
    source = imported(exported(moved, example), "finetuned")
    return plain, norms, columns_of(source, {name: item.layout.matrix(item.module.weight) for name, item in matrices.items()})


def _weighted(model: torch.nn.Module) -> dict[str, _Weighted]:
    """The modules of a float model that `prepare` takes, by their paths; ConfigError if there is none or one cannot be encoded."""
    layouts = {name: (module, layout_of(module)) for name, module in model.named_modules()}
    found = {name: _Weighted(module, layout) for name, (module, layout) in layouts.items() if layout is not None}
    if not found:
        raise ConfigError(f"{type(model).__name__} has no layer to encode inside; allowed: a model with at least one of {ALLOWED}")
    for name, item in found.items():
        if parametrize.is_parametrized(item.module):
            raise ConfigError(f"layer {name!r} has a parametrization already; allowed: a model that is not prepared yet")
        if item.module.weight.dtype != torch.float32:
            raise ConfigError(f"layer {name!r} has weights of {item.module.weight.dtype}; allowed: torch.float32")
        if item.module.weight.is_meta or not bool(torch.isfinite(item.module.weight).all()):
            raise ConfigError(f"layer {name!r} has weights that are NaN or infinite, or none; allowed: finite numbers")
    return found


def _quantizers(networks: Sequence[Mapping[str, _Weighted]], recipe: Recipe, sharing: bool) -> dict[str, WeightQuantizer]:
    """The quantizers of the first network's layers; FormatError for a format that fits none or is not there."""
    recipe = recipe.settled([[item.layout.matrix_shape(name) for name, item in network.items()] for network in networks])
    kinds = {name: _kind(recipe, name) for name in networks[0]}
    for network in networks:
        for name, item in network.items():
            try:
                check_fit(item.layout.matrix_shape(name), recipe.format_of(name))
            except FormatError as error:
                raise FormatError(f"layer {name!r}: {error}") from None
    codebooks = _codebooks(networks, recipe)
    if sharing and not codebooks:
        raise FormatError("the companions share nothing: no layer takes a format whose codebook networks share")
    return {name: kinds[name](recipe, name, item.layout, codebooks.get(recipe.format_of(name))) for name, item in networks[0].items()}


def _kind(recipe: Recipe, name: str) -> type[WeightQuantizer]:
    """The quantizer of a layer's format; FormatError if the format has none."""
    kind: type[WeightQuantizer] = lookup(_QUANTIZERS, recipe.format_of(name).kind, "format to fine-tune", FormatError).QUANTIZER
    return kind


def _codebooks(networks: Sequence[Mapping[str, _Weighted]], recipe: Recipe) -> Codebooks:
    """The codebooks that the networks share, whichever of them is prepared: they are ordered by a digest of their weights."""
    found: dict[bytes, list[tuple[WeightFormat, Matrix]]] = {}
    for network in networks:
        digest, matrices = hashlib.sha256(), []
        for name, item in network.items():
            load = partial(item.layout.matrix, item.module.weight)
            digest.update(load().tobytes())
            matrices.append((recipe.format_of(name), Matrix(item.layout.k, item.layout.n, load)))
        found[digest.digest()] = matrices
    return shared_codebooks([found[key] for key in sorted(found)], recipe.seed)
