"""Types of what fine-tuning is given: one sentence that names the argument, its value and what is allowed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accelsim.api.checks import wrong_type
from accelsim.errors import ConfigError


def number_of(what: str, value: object, least: float, below: float = math.inf, *, open_end: bool = False) -> float:
    """A finite number, NumPy's too, from `least` (without it, if `open_end`) to less than `below`; ConfigError for anything else."""
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        raise wrong_type(what, value, "a number")
    if not (least < value if open_end else least <= value) or not value < below:
        start = f"above {least:g}" if open_end else f"at least {least:g}"
        end = "" if below == math.inf else f" and less than {below:g}"
        raise ConfigError(f"{what} has value {value}; allowed: a finite number {start}{end}")
    return float(value)


def check_model(what: str, value: object) -> None:
    """ConfigError unless `value` is a module of PyTorch."""
    import torch

    if not isinstance(value, torch.nn.Module):
        raise wrong_type(what, value, "a torch.nn.Module")


def check_samples(what: str, value: Any) -> None:
    """ConfigError unless `value` is a tensor of at least one dimension, that of the samples."""
    import torch

    if not isinstance(value, torch.Tensor):
        hint = " (torch.from_numpy makes one)" if isinstance(value, np.ndarray) else ""
        raise wrong_type(what, value, f"a torch.Tensor{hint}")
    if value.dim() == 0:
        raise ConfigError(f"{what} is a single number; allowed: a tensor whose first dimension is that of the samples")


def check_callable(what: str, value: object, allowed: str) -> None:
    """ConfigError unless `value` can be called."""
    if not callable(value):
        raise wrong_type(what, value, allowed)


def first_line(error: BaseException) -> str:
    """An error of other code on one line: its type, and the first line of its text, at most 200 characters of it."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
