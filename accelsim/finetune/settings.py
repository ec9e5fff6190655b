"""The settings of a training run: AdamW with a cosine learning rate, as in the papers."""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.api.checks import count_of, wrong_type
from accelsim.compression.recipe import MAX_SEED
from accelsim.finetune.checks import number_of
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
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            count_of(f"settings: `{name}`", getattr(self, name), least, MAX_SEED)
        number_of("settings: `learning_rate`", self.learning_rate, 0, open_end=True)
        for name in ("latent_rate", "weight_decay", "ratio_weight"):
            number_of(f"settings: `{name}`", getattr(self, name), 0)
        if self.alpha is not None:
            number_of("settings: `alpha`", self.alpha, 0.5, 1)
        if self.freezing is not None and not isinstance(self.freezing, Freezing):
            raise wrong_type("settings: `freezing`", self.freezing, "a Freezing, or None")
