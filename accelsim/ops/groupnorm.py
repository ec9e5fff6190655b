"""Normalization of groups of channels over all positions (Wu and He 2018, arXiv 1803.08494); of single channels: instance normalization.

Disputable assumption: its moments need all rows, so no row is normalized before the last one has arrived. Where the rows are not in the
buffer together they are read twice: sums and sums of squares of each group are accumulated, then the rows are normalized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, Partial, VectorLayer
from accelsim.quantities import unit

KIND = "groupnorm"
_MOMENT_BITS = 64


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
    def partial(self) -> Partial:
        """Sum and sum of squares of each group: 64 bits hold those of any tensor."""
        return Partial(2 * self.channel_groups, _MOMENT_BITS)

    def in_two_passes(self) -> tuple[VectorLayer, VectorLayer]:
        """Moments in all but the last of the chip's passes, then the normalization in one."""
        fields = self.as_given()
        return _Moments.model_validate(fields), _Normalization.model_validate(fields)

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


class _RowByRow(GroupNormLayer):
    """A pass of it over some rows, each by itself."""

    @property
    def by_rows(self) -> bool:
        return True

    @property
    def in_step(self) -> bool:
        return True

    def row_work(self, chip: Callable[[str], int], width: int, lanes: int) -> tuple[int, int]:
        return self.output.width, self.passes(chip, False)  # moments are as many as groups, but all channels are read


class _Moments(_RowByRow):
    """The sums of some rows, added to those of the rows before."""

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        return max(1, chip(self.pass_name) - 1)

    @property
    def parameter_bytes(self) -> int:
        return 0


class _Normalization(_RowByRow):
    """Rows normalized by moments that are known."""

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        return 1


SPEC = GroupNormLayer
EXAMPLES = (
    # all four: mean 3, variance 4
    Example({"channel_groups": 1}, ((1.0, 5.0, 5.0, 1.0),), (-2.0, 3.0, 2.0, -3.0), {"gamma": (2.0, 3.0), "beta": (0.0, 0.0)},
            rows=2, output_rows=2),
    # each channel: means 3 and 10, deviations 2 and 5
    Example({"channel_groups": 2}, ((1.0, 5.0, 5.0, 15.0),), (-1.0, 0.0, 1.0, 2.0), {"gamma": (1.0, 1.0), "beta": (0.0, 1.0)},
            rows=2, output_rows=2),
)  # fmt: skip
