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
        Of latents: those of signs, and the logits of VQ4ALL's ratios. With 0 they stay as they start.
    weight_decay
        AdamW's.
    freezing
        Of signs that oscillate; None freezes none.
    alpha
        VQ4ALL's progressive construction: a subvector whose largest ratio exceeds it takes that codeword for good; None constructs none
        before the end.
    ratio_weight
        Weight in the loss of VQ4ALL's regularizer, the mean over the layers of n mean(r (1 - r)).
    seed
        Of the order of the samples and of dropout.
    """

    epochs: int = 8
    batch: int = 64
    learning_rate: float = 1e-3
    latent_rate: float = 1e-2
    weight_decay: float = 0.0
    freezing: Freezing | None = field(default_factory=Freezing)
    alpha: float | None = 0.99
    ratio_weight: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"settings: `{name}` has value {getattr(self, name)}; allowed: a whole number, at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"settings: `learning_rate` has value {self.learning_rate}; allowed: a finite number above 0")
        for name in ("latent_rate", "weight_decay", "ratio_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"settings: `{name}` has value {getattr(self, name)}; allowed: a finite number, at least 0")
        if self.alpha is not None and not 0.5 <= self.alpha < 1:
            raise ConfigError(f"settings: `alpha` has value {self.alpha}; allowed: at least 0.5 and less than 1, or None")
        if self.seed < 0:
            raise ConfigError(f"settings: `seed` has value {self.seed}; allowed: a whole number, at least 0")
