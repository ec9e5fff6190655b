"""Normalization of groups of channels over all positions (Wu and He 2018, arXiv 1803.08494); of single channels: instance normalization.

Disputable assumption: its moments need all rows, so no row is normalized before the last one has arrived, and its input is not split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer
from accelsim.quantities import unit

KIND = "groupnorm"


class GroupNormLayer(VectorLayer):
    """Normalization of groups of channels over all positions, with gamma and beta of `parameter_bits` bits per channel.

    Attributes
    ----------
    channel_groups
        Groups of consecutive channels that share their moments: 1 for all, as many as channels for instance normalization.
    """

    scale_free = True
    pass_name = "layernorm"
    default_passes = 2
    pass_note = "moments, normalization"
    constant_defaults: ClassVar[Mapping[str, float]] = {"gamma": 1.0, "beta": 0.0}
    neutral_constants = constant_defaults

    op: Literal["groupnorm"] = "groupnorm"
    channel_groups: Annotated[int, Field(ge=1), unit("groups")]
    parameter_bits: ConstantBits = 32

    @model_validator(mode="after")
    def _groups_divide_the_channels(self) -> GroupNormLayer:
        if self.output.width % self.channel_groups:
            raise self._refuse(f"channel_groups={self.channel_groups}; allowed: divisors of its {self.output.width} channels")
        return self

    @property
    def by_rows(self) -> bool:
        """False: each row needs the moments of all."""
        return False

    @property
    def in_step(self) -> bool:
        """The same."""
        return False

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Gamma and beta."""
        return {"gamma": self.output.width, "beta": self.output.width}

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """(x - mean) over the standard deviation, times gamma, plus beta; a group of equal elements is beta.

        There is no epsilon, which the record does not store.
        """
        x = operands[0].reshape(-1, self.channel_groups, self.output.width // self.channel_groups)
        centred = x - x.mean(axis=(0, 2), keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=(0, 2), keepdims=True))
        normal = centred / np.where(deviation > 0, deviation, 1.0)
        return np.asarray(normal.reshape(self.output.dims) * constants["gamma"] + constants["beta"], np.float64)


SPEC = GroupNormLayer
EXAMPLES = (
    # all four: mean 3, variance 4
    Example({"channel_groups": 1}, ((1.0, 5.0, 5.0, 1.0),), (-2.0, 3.0, 2.0, -3.0), {"gamma": (2.0, 3.0), "beta": (0.0, 0.0)},
            rows=2, output_rows=2),
    # each channel: means 3 and 10, deviations 2 and 5
    Example({"channel_groups": 2}, ((1.0, 5.0, 5.0, 15.0),), (-1.0, 0.0, 1.0, 2.0), {"gamma": (1.0, 1.0), "beta": (0.0, 1.0)},
            rows=2, output_rows=2),
)  # fmt: skip
