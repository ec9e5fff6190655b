"""The quotient of two activations, element by element.

Disputable assumptions: the vector unit multiplies by a reciprocal from a table, one pass for each of the two; 0 over 0 is 0, as the
thresholds by which models keep a divisor from 0 are too small for a trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats
from accelsim.ops.pair import PairLayer

KIND = "divide"


class DivideLayer(PairLayer):
    """The quotient of two activations, the first over the second."""

    pass_name = "divide"
    default_passes = 2
    pass_note = "reciprocal, product"

    op: Literal["divide"] = "divide"

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        above, below = operands
        return above / np.where((above == 0) & (below == 0), 1.0, below)


SPEC = DivideLayer
EXAMPLES = (Example({}, ((1.0, 2.0, 0.0), (10.0, -4.0, 0.0)), (0.1, -0.5, 0.0)),)
