"""Training of a prepared model: AdamW under a cosine learning rate, resumable at every checkpoint to the same weights.

The order of an epoch's samples follows from the seed and the epoch alone. On one machine and thread count, an interrupted run that
continues ends at the bits of one that was not interrupted; PyTorch promises no more than that across machines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accelsim.api.checks import check_flags, count_of, wrong_type
from accelsim.api.display import watched
from accelsim.api.paths import path_of
from accelsim.errors import ConfigError, OutputError
from accelsim.finetune.checkpoint import Position, Run, identity_of, load, save, weights_of
from accelsim.finetune.checks import check_callable, check_samples, first_line
from accelsim.finetune.exporting import check_exportable
from accelsim.finetune.prepared import PreparedLayer, prepared_layers
from accelsim.finetune.settings import Settings
from accelsim.progress import Progress

_IGNORED = -100  # a target that PyTorch's cross entropy leaves out
Loss = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Training:
    """How far a run has come.

    Attributes
    ----------
    step, steps
        Steps done, also before an interruption, and steps in all.
    loss
        Of the last step.
    flips
        Signs of SSVQ that each step flipped.
    """

    step: int
    steps: int
    loss: float
    flips: tuple[int, ...] = ()


def cross_entropy(model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross entropy of a model's logits, or of the `logits` of its result, against classes [batch]."""
    return torch.nn.functional.cross_entropy(_logits(model, inputs), targets)


def finetune(
    model: torch.nn.Module,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    *,
    settings: Settings | None = None,
    loss: Loss = cross_entropy,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
    stop_after: int | None = None,
    progress: bool | Progress = False,
    check_export: bool = True,
) -> Training:
    """Train a prepared model in place, in its formats.

    Parameters
    ----------
    model
        As `prepare` returned it, on any device; batches go there. Afterwards it is in inference mode.
    inputs, targets
        Samples and their classes, of equal length; for another `loss`, whatever it reads.
    settings
        Length, rates and seed; by default `Settings()`.
    loss
        The loss of (model, inputs, targets) of a batch.
    checkpoint
        A file: written every `checkpoint_every` steps and at the end, and continued from where it exists. After Ctrl-C, or an error of
        a step, the model has its weights, so that the same call continues; before the first was written, those that it began with.
    stop_after
        Stop once this many steps are done in all; the learning rate is that of the whole run.
    progress
        True for a bar in a terminal, or a function of (phase, done, total).
    check_export
        Refuse a model that `export` would refuse on `inputs[:1]` before the first step. False: for inputs that only `loss` understands,
        and for one run after another of the same model.

    Raises
    ------
    ConfigError
        The model is not prepared, the data do not fit, the loss is not finite, or the checkpoint belongs to another run; an argument of
        another type.
    ImportModelError, TraceError
        What `export` would raise for `inputs[:1]`.
    OutputError
        The checkpoint cannot be written.
    """
    settings = Settings() if settings is None else settings
    layers = prepared_layers(model)
    _check_arguments(inputs, targets, settings, loss)
    check_flags(check_export=check_export)
    checkpoint_every = count_of("checkpoint_every", checkpoint_every, 1)
    stop_after = None if stop_after is None else count_of("stop_after", stop_after, 1)
    path = None if checkpoint is None else path_of("checkpoint", checkpoint)
    if check_export:
        check_exportable(model, inputs[:1])
    device = layers[0].parts[0].device
    if loss is cross_entropy:
        _check_classes(model, inputs[:1].to(device), targets)
    per_epoch = -(-len(inputs) // settings.batch)
    steps = per_epoch * settings.epochs
    optimizer = _optimizer(model, layers, settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    run = Run(model, optimizer, schedule, identity_of(model, settings, inputs, targets))
    end = steps if stop_after is None else min(steps, stop_after)
    with torch.random.fork_rng(), watched(progress) as update:
        torch.manual_seed(settings.seed)
        position = load(path, run) if path is not None and path.exists() else Position(0, math.nan, begun=weights_of(model.state_dict()))
        kept = None if path is None else _copied(model)
        model.train()
        try:
            while position.step < end:
                if update is not None:
                    update("training steps", position.step, steps)
                chosen = _batch(position.step, per_epoch, len(inputs), settings)
                value = _loss_of(loss, model, inputs[chosen].to(device), targets[chosen].to(device)) + _penalty(layers, settings)
                reached = float(value.detach())
                if not math.isfinite(reached):
                    raise ConfigError(
                        f"the loss of step {position.step + 1} is {reached}; allowed: a finite number (lower `learning_rate`?)"
                    )
                optimizer.zero_grad()
                value.backward()  # type: ignore[no-untyped-call, unused-ignore]
                optimizer.step()
                schedule.step()
                flips = sum(layer.quantizer.after_step(layer.parts, position.step + 1, steps, settings) for layer in layers)
                position = Position(position.step + 1, reached, (*position.flips, flips), position.begun)
                if path is not None and (position.step % checkpoint_every == 0 or position.step == end):
                    save(path, run, position)
                    kept = _copied(model)
        except OutputError:  # what was trained is in the model alone
            raise
        except BaseException:  # Ctrl-C too: the same call continues with this model, which has the weights of its checkpoint again
            if kept is not None:
                model.load_state_dict(kept)
            raise
        finally:
            model.eval()
    return Training(position.step, steps, position.loss, position.flips)


def _copied(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a model, apart from it."""
    return {name: item.detach().clone() for name, item in model.state_dict().items()}


def _check_arguments(inputs: object, targets: object, settings: object, loss: object) -> None:
    """ConfigError for an argument of another type, or samples and targets of unequal numbers."""
    for what, data in (("inputs", inputs), ("targets", targets)):
        check_samples(what, data)
    check_callable("loss", loss, "a function of (model, inputs, targets)")
    if not isinstance(settings, Settings):
        raise wrong_type("settings", settings, "a Settings, or None")
    counts = [len(data) for data in (inputs, targets) if isinstance(data, torch.Tensor)]
    if counts[0] != counts[1] or not counts[0]:
        raise ConfigError(f"{counts[0]} inputs and {counts[1]} targets; allowed: as many of the one as of the other, at least 1")


def _check_classes(model: torch.nn.Module, sample: torch.Tensor, targets: torch.Tensor) -> None:
    """ConfigError unless the targets are classes of the model's logits, or shares of them."""
    model.eval()
    try:
        with torch.no_grad():
            logits = _logits(model, sample)
    except Exception as error:  # noqa: BLE001 (the model's own code runs here, and raises whatever it does)
        raise ConfigError(
            f"{type(model).__name__} does not take inputs of {sample.dtype} {list(sample.shape)}: {first_line(error)}; allowed: what its "
            "`forward` takes as the only argument"
        ) from None
    if not isinstance(logits, torch.Tensor) or logits.dim() < 2:
        raise ConfigError(f"{type(model).__name__} returns no logits [batch, classes]; allowed: a model that does, or a `loss` of your own")
    classes, places = logits.shape[1], [len(targets), *logits.shape[2:]]
    if targets.is_floating_point() and list(targets.shape) == [len(targets), *logits.shape[1:]]:
        return
    if targets.dtype != torch.int64 or list(targets.shape) != places:
        raise ConfigError(
            f"targets are {targets.dtype} of shape {list(targets.shape)}; allowed: classes, torch.int64 of shape {places}, or a `loss` of "
            "your own"
        )
    wrong = targets[((targets < 0) | (targets >= classes)) & (targets != _IGNORED)]
    if len(wrong):
        raise ConfigError(f"targets hold class {int(wrong[0])}; allowed: 0 to {classes - 1}, as the model has {classes} logits")


def _loss_of(loss: Loss, model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss of a batch; ConfigError unless it is one number that depends on what learns."""
    value: Any = loss(model, inputs, targets)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise wrong_type("the result of `loss`", value, "a tensor of one element")
    if not value.requires_grad:
        raise ConfigError("the result of `loss` depends on nothing that learns; allowed: a function of the model's weights")
    return value


def _logits(model: torch.nn.Module, inputs: torch.Tensor) -> Any:
    """The result of a model, or the `logits` of it."""
    result: Any = model(inputs)
    return getattr(result, "logits", result)


def _penalty(layers: tuple[PreparedLayer, ...], settings: Settings) -> torch.Tensor | float:
    """The weighted mean of the terms that the quantizers add to the loss; 0 without any."""
    terms = [term for layer in layers if (term := layer.quantizer.penalty(*layer.parts)) is not None]
    return settings.ratio_weight * torch.stack(terms).mean() if terms else 0.0


def _optimizer(model: torch.nn.Module, layers: tuple[PreparedLayer, ...], settings: Settings) -> torch.optim.Optimizer:
    """AdamW over latents and everything else that learns; latents do not decay, since only their signs or ratios count."""
    latents = [part for layer in layers for part, role in zip(layer.parts, layer.quantizer.roles, strict=True) if role == "latent"]
    known = {id(part) for part in latents}
    others = [part for part in model.parameters() if id(part) not in known and part.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": others, "lr": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": [part for part in latents if part.requires_grad], "lr": settings.latent_rate, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise ConfigError(f"{type(model).__name__} has no parameter that learns; allowed: some with requires_grad")
    return torch.optim.AdamW(groups)


def _batch(step: int, per_epoch: int, count: int, settings: Settings) -> torch.Tensor:
    """Positions of the samples of a step: a permutation per epoch, cut into batches."""
    epoch, place = divmod(step, per_epoch)
    order = torch.from_numpy(np.random.default_rng([settings.seed, epoch]).permutation(count))
    return order[place * settings.batch : (place + 1) * settings.batch]
