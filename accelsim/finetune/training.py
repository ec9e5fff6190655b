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

from accelsim.api.display import watched
from accelsim.errors import ConfigError
from accelsim.finetune.checkpoint import Position, Run, identity_of, load, save, weights_of
from accelsim.finetune.prepared import PreparedLayer, prepared_layers
from accelsim.finetune.settings import Settings
from accelsim.progress import Progress

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
    result: Any = model(inputs)
    return torch.nn.functional.cross_entropy(getattr(result, "logits", result), targets)


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
        A file: written every `checkpoint_every` steps and at the end, and continued from where it exists.
    stop_after
        Stop once this many steps are done in all; the learning rate is that of the whole run.
    progress
        True for a bar in a terminal, or a function of (phase, done, total).

    Raises
    ------
    ConfigError
        The model is not prepared, the data do not fit, the loss is not finite, or the checkpoint belongs to another run.
    OutputError
        The checkpoint cannot be written.
    """
    settings = settings or Settings()
    layers = prepared_layers(model)
    if len(inputs) != len(targets) or not len(inputs):
        raise ConfigError(f"{len(inputs)} inputs and {len(targets)} targets; allowed: as many of the one as of the other, at least 1")
    for name, count in (("checkpoint_every", checkpoint_every), ("stop_after", stop_after)):
        if count is not None and count < 1:
            raise ConfigError(f"`{name}` has value {count}; allowed: a whole number of steps, at least 1")
    per_epoch = -(-len(inputs) // settings.batch)
    steps = per_epoch * settings.epochs
    optimizer = _optimizer(model, layers, settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    run = Run(model, optimizer, schedule, identity_of(model, settings, inputs, targets))
    path = None if checkpoint is None else Path(checkpoint)
    device = layers[0].parts[0].device
    end = steps if stop_after is None else min(steps, stop_after)
    with torch.random.fork_rng(), watched(progress) as update:
        torch.manual_seed(settings.seed)
        position = load(path, run) if path is not None and path.exists() else Position(0, math.nan, begun=weights_of(model.state_dict()))
        model.train()
        while position.step < end:
            if update is not None:
                update("training steps", position.step, steps)
            chosen = _batch(position.step, per_epoch, len(inputs), settings)
            value = loss(model, inputs[chosen].to(device), targets[chosen].to(device)) + _penalty(layers, settings)
            reached = float(value.detach())
            if not math.isfinite(reached):
                raise ConfigError(f"the loss of step {position.step + 1} is {reached}; allowed: a finite number (lower `learning_rate`?)")
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call, unused-ignore]
            optimizer.step()
            schedule.step()
            flips = sum(layer.quantizer.after_step(layer.parts, position.step + 1, steps, settings) for layer in layers)
            position = Position(position.step + 1, reached, (*position.flips, flips), position.begun)
            if path is not None and (position.step % checkpoint_every == 0 or position.step == end):
                save(path, run, position)
        model.eval()
    return Training(position.step, steps, position.loss, position.flips)


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
