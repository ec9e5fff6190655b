"""Progressive freezing of signs that oscillate (SSVQ, arXiv 2503.08668): when, and above which frequency of flips.

The paper's interval is the default. Its thresholds and its moving average are not in any text that we could read: ours are chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from accelsim.errors import ConfigError


@dataclass(frozen=True)
class Freezing:
    """Every `every` steps, a sign whose average of flips per step exceeds the threshold is fixed to its majority vote.

    Attributes
    ----------
    every
        Steps between two decisions; 500 is the best of the paper's four.
    first, last
        Thresholds at the first and at the last step, flips per step; a cosine leads from one to the other.
    momentum
        Of the moving average of the flips.
    """

    every: int = 500
    first: float = 0.1
    last: float = 0.01
    momentum: float = 0.99

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"freezing: `every` has value {self.every}; allowed: a whole number of steps, at least 1")
        if not 0 <= self.last <= self.first <= 1:
            raise ConfigError(
                f"freezing: `first` and `last` have the values {self.first} and {self.last}; allowed: 0 <= last <= first <= 1"
            )
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"freezing: `momentum` has value {self.momentum}; allowed: at least 0 and less than 1")

    def threshold(self, step: int, steps: int) -> float:
        """Flips per step above which a sign is frozen, after `step` of `steps` steps."""
        return self.last + (self.first - self.last) * (1 + math.cos(math.pi * step / steps)) / 2
