"""Each element clamped between two bounds: ReLU, ReLU6, hard tanh."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer
from accelsim.quantities import unit

KIND = "clip"


class ClipLayer(VectorLayer):
    """Each element clamped between two bounds: ReLU (from 0 up), ReLU6 (from 0 to 6), hard tanh.

    Attributes
    ----------
    minimum, maximum
        Bounds of a clip, in the activation's real values; one of them may be absent. A relu has 0 and no maximum.
    """

    pass_name = "relu"
    default_passes = 0
    least_passes = 0
    pass_note = "of a clip that is fused, whose bounds the requantizer has anyway; on its own at least 1"
    fusable = True
    tabulated = True

    op: Literal["relu", "clip"] = "relu"
    minimum: Annotated[float | None, unit("activation's real value")] = None
    maximum: Annotated[float | None, unit("activation's real value")] = None

    @model_validator(mode="after")
    def _bounds_belong_to_the_op(self) -> ClipLayer:
        given = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if self.op == "relu" and given:
            raise self._refuse(f"a relu has no bounds of its own, but {given} are given; allowed: op 'clip'")
        if self.op == "clip" and (not given or given != sorted(given)):
            raise self._refuse(f"clip has minimum={self.minimum}, maximum={self.maximum}; allowed: at least one, minimum <= maximum")
        return self

    @property
    def range(self) -> tuple[float, float]:
        """(lowest, highest) value of the result."""
        if self.op == "relu":
            return 0.0, float("inf")
        return (-float("inf") if self.minimum is None else self.minimum, float("inf") if self.maximum is None else self.maximum)

    def passes(self, chip: Callable[[str], int], fused: bool) -> int:
        """None where the requantizer saturates anyway; on its own it reads and writes its data, so at least one."""
        return chip(self.pass_name) if fused else max(1, chip(self.pass_name))

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """From a lower bound of 0 up."""
        return self.range[0] >= 0

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The nearest value within the bounds."""
        return np.clip(operands[0], *self.range)


SPEC = ClipLayer
EXAMPLES = (
    Example({"op": "relu"}, ((-2.0, 0.0, 3.0),), (0.0, 0.0, 3.0)),
    Example({"op": "clip", "minimum": 0.0, "maximum": 6.0}, ((-2.0, 5.0, 7.0),), (0.0, 5.0, 6.0)),
)
