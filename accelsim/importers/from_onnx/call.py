"""A call of an ONNX operation: its operands, and its node's attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.recorder import GraphRecorder
from accelsim.importers.graph.values import Array, Constant


class OnnxCall(Call):
    """Operands of a node, resolved; `node` has its attributes."""

    node: OnnxNode

    def __init__(self, node: OnnxNode, values: Sequence[Value | None], recorder: GraphRecorder, sole: Callable[[str], bool]) -> None:
        super().__init__(node, values, recorder, lambda position: sole(node.inputs[position]))

    def arrays(self) -> list[Array | None]:
        """Constant operands as arrays; None for those that are left out or are activations."""
        return [value.array if isinstance(value, Constant) else None for value in self.values]

    def axis(self, name: str, default: int, rank: int) -> int:
        """An attribute that names a dimension, counted from the front."""
        axis = self.node.integer(name, default)
        if not -rank <= axis < rank:
            self.refuse(f"{name} {axis} is not a dimension of a tensor of {rank}")
        return axis % rank
