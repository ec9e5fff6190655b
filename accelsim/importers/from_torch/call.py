"""A call of an ATen operation: its operands, and the plain arguments beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accelsim.importers.from_torch.node import TorchNode, arguments
from accelsim.importers.from_torch.values import NUMBER_TYPES, Known
from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.recorder import GraphRecorder
from accelsim.importers.graph.values import Constant, Plain


class TorchCall(Call):
    """Operands of a call, resolved: tensors and numbers by their position; `get` has every argument."""

    node: TorchNode

    def __init__(self, node: TorchNode, values: dict[str, Any], recorder: GraphRecorder, sole: Callable[[int], bool]) -> None:
        args, kwargs = arguments(node.fx, values)
        self._args = [self._resolved(arg, node) for arg in args]
        self._kwargs = {name: self._resolved(arg, node) for name, arg in kwargs.items()}
        super().__init__(node, [_operand(arg) for arg in self._args], recorder, sole)

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at a position or under its name: a number, a list, None, or the value of a tensor."""
        return self._args[position] if position < len(self._args) else self._kwargs.get(name, default)

    def along_a_dimension(self, compute: Callable[[TorchCall], Any]) -> Any:
        """The result of `compute`; PyTorch takes a scalar that is named a dimension for a row of one element."""
        first = self.values[0] if self.values else None
        if first is None or isinstance(first, Constant) or first.shape != () or not self.node.has_dimensions:
            return compute(self)
        self.values[0] = Plain(self.view(0).reshape((1,)))
        result = compute(self)
        if isinstance(result, tuple):
            return tuple(Plain(self.made(part).reshape(())) for part in result)
        return Plain(self.made(result).reshape(self.output))

    @property
    def output(self) -> tuple[int, ...]:
        """Shape of the result."""
        return self.node.shape

    def _resolved(self, arg: Any, node: TorchNode) -> Any:
        if isinstance(arg, Known):
            return arg.constant(node.where)
        return [self._resolved(item, node) for item in arg] if isinstance(arg, list | tuple) else arg


def _operand(arg: Any) -> Value | None:
    """An argument as an operand: numbers are constants; lists and other objects are not operands."""
    if isinstance(arg, NUMBER_TYPES):
        return Known(arg).constant("")
    return arg if isinstance(arg, Value) else None
