"""The state of a training run in one file: weights, votes, optimizer, learning rate, random numbers and the step.

A file belongs to one run: model, formats, settings and data are in its identity, beside it the weights that it began with, and a file
of another run is refused. It is written beside its place and renamed, so that an interruption leaves the file before it whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from accelsim.archives import open_archive
from accelsim.errors import ConfigError, OutputError
from accelsim.finetune.prepared import prepared_layers
from accelsim.finetune.settings import Settings
from accelsim.formats.catalog import describe_format

_VERSION = 3


@dataclass(frozen=True)
class Run:
    """All that changes during training, and its identity.

    Attributes
    ----------
    identity
        SHA-256 of what does not change: see `identity_of`.
    """

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    identity: str


@dataclass(frozen=True)
class Position:
    """How far a run has come: steps done, the last one's loss, the signs that each flipped, and `weights_of` the model at first."""

    step: int
    loss: float
    flips: tuple[int, ...] = ()
    begun: str = ""


def identity_of(model: torch.nn.Module, settings: Settings, inputs: torch.Tensor, targets: torch.Tensor) -> str:
    """SHA-256 of a run: names and shapes of the model's tensors, formats of its layers, settings, and data."""
    tensors = [(name, list(item.shape), str(item.dtype)) for name, item in model.state_dict().items()]
    formats = [(item.name, describe_format(item.quantizer.spec)) for item in prepared_layers(model)]
    digest = hashlib.sha256(json.dumps([_VERSION, tensors, formats, asdict(settings)]).encode())
    for data in (inputs, targets):
        digest.update(f"{data.dtype}{list(data.shape)}".encode())
        digest.update(data.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def weights_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of a model's tensors."""
    digest = hashlib.sha256()
    for name, item in tensors.items():
        digest.update(name.encode())
        digest.update(item.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if item.dim() else repr(item.item()).encode())
    return digest.hexdigest()


def save(path: Path, run: Run, position: Position) -> None:
    """Write a run's state; OutputError if the file cannot be written."""
    state = {
        "version": _VERSION,
        "identity": run.identity,
        "step": position.step,
        "loss": position.loss,
        "flips": list(position.flips),
        "begun": position.begun,
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "schedule": run.schedule.state_dict(),
        "random": torch.get_rng_state(),
        "random_gpu": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    beside = path.with_name(f"{path.name}.new")
    try:
        torch.save(state, beside)
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # PyTorch reports a missing folder as a RuntimeError
        raise OutputError(f"{path}: the checkpoint cannot be written: {error}") from None


def load(path: Path, run: Run) -> Position:
    """Continue a run from its file.

    Raises
    ------
    ConfigError
        The file is no checkpoint, or one of another run.
    """
    refused = f"{path}: is no checkpoint of a fine-tuning run; allowed: a file that `finetune` wrote, or none yet"
    try:
        if not zipfile.is_zipfile(path):  # as every file of torch.save is; PyTorch's reader of older files fails in many ways
            raise ConfigError(refused)
        open_archive(path, ConfigError).close()
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile):
        raise ConfigError(refused) from None
    if not isinstance(state, dict) or state.get("version") != _VERSION:
        raise ConfigError(refused)
    here = weights_of(run.model.state_dict())
    if state["identity"] != run.identity or here not in (state["begun"], weights_of(state["model"])):  # begun again, or stopped here
        raise ConfigError(
            f"{path}: is a checkpoint of another run; allowed: the same model, weights, formats, settings and data, or another file for "
            "this run"
        )
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.schedule.load_state_dict(state["schedule"])
    torch.set_rng_state(state["random"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["random_gpu"])
    return Position(state["step"], state["loss"], tuple(state["flips"]), state["begun"])
