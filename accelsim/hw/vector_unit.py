"""The vector unit: lanes that requantize the array's sums and compute softmax, layernorm, GELU and sums.

Disputable assumption: a function takes a whole number of passes over its row, each at one element per lane and cycle, and a
fixed latency after the last; it keeps the row meanwhile, so the activation buffer sees each operand and each result once; 0 lanes
stand for an ideal unit that takes no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model, model_validator

from accelsim.ops.catalog import pass_ranges
from accelsim.quantities import Cycles, unit
from accelsim.records import Record

Passes = Annotated[int, unit("passes")]

MOST_PASSES = 64
REQUANTIZE = "requantize"
NO_LONGER_READ = "copy_rows"  # in files of versions before 0.2; no operation made such passes


class VectorPasses(Record):
    """Passes over the data, by the names that operations give them, beside those of the requantization."""

    requantize: Passes = Field(default=1, ge=0, le=MOST_PASSES, description="from the array's sums to 8 bit")
    operand_sums: Passes = Field(
        default=1,
        ge=0,
        le=MOST_PASSES,
        description="over an operand of a product of two activations, for the sums of rows or columns that the other's zero point asks for",
    )

    token_scales: Passes = Field(
        default=1,
        ge=0,
        le=MOST_PASSES,
        description="over a row of a linear layer before it meets weights, for its own scale (vector_unit.activation_scales: token)",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_old_names(cls, fields: Any) -> Any:
        return {name: count for name, count in fields.items() if name != NO_LONGER_READ} if isinstance(fields, Mapping) else fields

    def of(self, name: str) -> int:
        """Passes of the field `name`."""
        count: int = getattr(self, name)
        return count


if TYPE_CHECKING:
    VectorFunctions = VectorPasses
else:
    VectorFunctions = create_model(
        "VectorFunctions",
        __base__=VectorPasses,
        __doc__=VectorPasses.__doc__,
        **{
            name: (Passes, Field(default=known.default, ge=known.least, le=MOST_PASSES, description=known.note))
            for name, known in pass_ranges().items()
        },
    )


class VectorUnitSpec(Record):
    """Lanes, passes and latency."""

    lanes: Annotated[int, unit("elements/cycle")] = Field(ge=0, le=2**16, description="elements that one pass takes per cycle; 0: ideal")
    latency: Cycles = Field(default=8, ge=0, le=10**6, description="from the last pass to a result that can be used")
    multiplier_bits: Annotated[int, unit("bits")] = Field(
        default=32, ge=8, le=64, multiple_of=8, description="requantization multiplier of an output channel, its weights' scale included"
    )
    bias_bits: Annotated[int, unit("bits")] = Field(
        default=32, ge=8, le=64, multiple_of=8, description="bias of an output channel, loaded also where it is 0"
    )
    depthwise_taps: Annotated[int | None, unit("taps")] = Field(
        default=None,
        ge=1,
        le=4096,
        examples=[9],
        description="weights of a channel that the lanes hold, two sets of them for array.cols channels, as they multiply and accumulate "
        "depthwise layers of at most so many taps (array.depthwise: vector); null: they do not",
    )
    activation_scales: Literal["tensor", "token"] = Field(
        default="tensor",
        description="tensor: one scale for all rows, found beforehand; token: each row of a linear layer has a scale of its own, for which "
        "the unit reads the whole row (passes.token_scales) before the row may meet weights",
    )
    passes: VectorFunctions = Field(default=VectorFunctions(), description="passes over the data of each function")

    @property
    def channel_bits(self) -> int:
        """Bits that are loaded for the requantization of one output channel."""
        return self.multiplier_bits + self.bias_bits

    def row_cycles(self, width: int, passes: int) -> int:
        """Cycles that one row of `width` elements takes."""
        return passes * -(-width // self.lanes) if self.lanes else 0
