"""The vector unit: lanes that requantize what the array puts out and compute softmax, layernorm, GELU and sums.

Disputable assumption: a function takes a whole number of passes over its row, each at one element a lane a cycle, and a
fixed latency after the last; it keeps the row meanwhile, so the activation buffer sees each operand and each result once; 0 lanes
stand for an ideal unit that takes no time.
"""

from __future__ import annotations

from pydantic import Field

from accelsim.records import Record


class VectorFunctions(Record):
    """Passes over the data of each function.

    Defaults: max, exponent and sum, divide for softmax; moments and normalize for layernorm; a table's value for gelu, sigmoid and
    their kind. A clip (relu, relu6) that is fused into a requantization costs nothing, because the saturation of the requantizer has
    bounds anyway; one on its own reads and writes its data, so it takes at least one pass. A pool takes `pool` passes a tap.
    """

    requantize: int = Field(default=1, ge=0, le=64)
    softmax: int = Field(default=3, ge=1, le=64)
    layernorm: int = Field(default=2, ge=1, le=64)
    gelu: int = Field(default=1, ge=1, le=64)
    add: int = Field(default=1, ge=1, le=64)
    relu: int = Field(default=0, ge=0, le=64, description="of a clip that is fused; on its own at least 1")
    table: int = Field(default=1, ge=1, le=64, description="of sigmoid, silu, hardswish, tanh")
    copy_rows: int = Field(default=1, ge=1, le=64)
    pool: int = Field(default=1, ge=1, le=64, description="a tap of the window")


class VectorUnitSpec(Record):
    """Lanes, passes and latency."""

    lanes: int = Field(ge=0, le=2**16, description="elements a cycle; 0: ideal")
    latency: int = Field(default=8, ge=0, le=10**6, description="cycles from the last pass to a result that can be used")
    passes: VectorFunctions = VectorFunctions()

    def row_cycles(self, width: int, passes: int) -> int:
        """Cycles that one row of `width` elements takes."""
        return passes * -(-width // self.lanes) if self.lanes else 0
