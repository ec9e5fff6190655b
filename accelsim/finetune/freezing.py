"""Progressive freezing of signs that oscillate (SSVQ, arXiv 2503.08668): when, and above which frequency of flips.

The paper's interval is the default. Its thresholds and its moving average are not in any text that we could read: ours are chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from accelsim.api.checks import count_of
from accelsim.errors import ConfigError
from accelsim.finetune.checks import number_of
from accelsim.wording import shown

Sign = Literal["vote", "average"]


@dataclass(frozen=True)
class Freezing:
    """Every `every` steps, a sign whose average of flips per step exceeds the threshold is fixed.

    Attributes
    ----------
    every
        Steps between two decisions; 500 is the best of the paper's four.
    first, last
        Thresholds at the first and at the last step, flips per step; a cosine leads from one to the other.
    momentum
        Of the moving averages of flips and signs.
    sign
        To what it is fixed: 'vote', the sign that it had most often; 'average', that of its moving average, the paper's ablation.
    """

    every: int = 500
    first: float = 0.1
    last: float = 0.01
    momentum: float = 0.99
    sign: Sign = "vote"

    def __post_init__(self) -> None:
        count_of("freezing: `every`", self.every, 1)
        for name in ("first", "last"):
            number_of(f"freezing: `{name}`", getattr(self, name), 0)
        if not self.last <= self.first <= 1:
            raise ConfigError(
                f"freezing: `first` and `last` have the values {self.first} and {self.last}; allowed: 0 <= last <= first <= 1"
            )
        number_of("freezing: `momentum`", self.momentum, 0, 1)
        if self.sign not in get_args(Sign):
            raise ConfigError(f"freezing: `sign` has value {shown(self.sign)}; allowed: vote, average")

    def threshold(self, step: int, steps: int) -> float:
        """Flips per step above which a sign is frozen, after `step` of `steps` steps."""
        count_of("step", step, 0, count_of("steps", steps, 1))
        return self.last + (self.first - self.last) * (1 + math.cos(math.pi * step / steps)) / 2
