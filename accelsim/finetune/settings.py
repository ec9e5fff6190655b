"""The settings of a training run: AdamW with a cosine learning rate, as in the papers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from accelsim.errors import ConfigError
from accelsim.finetune.freezing import Freezing


@dataclass(frozen=True)
class Settings:
    """Length, rates and seed of a run.

    Attributes
    ----------
    epochs, batch
        Passes over the data, and samples per step.
    learning_rate
        Of codewords, float weights, biases and norms.
    latent_rate
        Of latents of signs.
    weight_decay
        AdamW's.
    freezing
        Of signs that oscillate; None freezes none.
    seed
        Of the order of the samples and of dropout.
    """

    epochs: int = 8
    batch: int = 64
    learning_rate: float = 1e-3
    latent_rate: float = 1e-2
    weight_decay: float = 0.0
    freezing: Freezing | None = field(default_factory=Freezing)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"settings: `{name}` has value {getattr(self, name)}; allowed: a whole number, at least 1")
        for name in ("learning_rate", "latent_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"settings: `{name}` has value {getattr(self, name)}; allowed: a finite number above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"settings: `weight_decay` has value {self.weight_decay}; allowed: a finite number, at least 0")
        if self.seed < 0:
            raise ConfigError(f"settings: `seed` has value {self.seed}; allowed: a whole number, at least 0")
