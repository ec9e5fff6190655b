"""What a call in an exported program is given: activations as views, trained parameters, constants; and who asks.

A parameter keeps its name through changes of shape that keep the order of its elements, and through nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from accelsim.errors import ImportModelError
from accelsim.importers.batch_norm import BatchNorm, fold_batch_norm
from accelsim.importers.graph_builder import GraphBuilder
from accelsim.importers.layout import View

Floats = npt.NDArray[np.float32]
IGNORED = {"aten._assert_tensor_metadata.default"}  # calls that compute nothing


@dataclass(frozen=True)
class Parameter:
    """A trained tensor, possibly under another shape of the same order."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Padded:
    """An image with zeros around it, (top, left) and (bottom, right), which only a convolution reads."""

    view: View
    before: tuple[int, int]
    after: tuple[int, int]

    @property
    def producer(self) -> str:
        """The layer or model input that is padded."""
        return self.view.producer


@dataclass(frozen=True, repr=False)
class Constant:
    """A value known without the input."""

    value: Any

    def __repr__(self) -> str:
        return f"a constant of shape {tuple(self.value.shape)}" if isinstance(self.value, torch.Tensor) else repr(self.value)


class Recorder:
    """The layers built so far, and the trained values that they read."""

    def __init__(self, program: torch.export.ExportedProgram, builder: GraphBuilder, keep_values: bool) -> None:
        self.builder = builder
        self.weights: dict[str, Floats] = {}
        self.constants: dict[str, dict[str, Floats]] = {}
        self.used: set[str] = set()
        self.batch_norms = 0
        self.folded = 0  # trained numbers that a fold left out of the layers
        self._stored = program.state_dict
        self._keep_values = keep_values

    def keep_weight(self, view: View, parameter: Parameter) -> None:
        """The weights of the layer that made `view`: outputs first in the model, Wt[K,N] in the trace."""
        self.used.add(parameter.name)
        if self._keep_values:
            self.weights[view.producer] = np.ascontiguousarray(self._values(parameter).reshape(parameter.shape[0], -1).T)

    def keep_constant(self, view: View, name: str, *parameters: Parameter) -> None:
        """A constant of the layer that made `view`, by the name that the layer gives it."""
        self.used.update(parameter.name for parameter in parameters)
        if self._keep_values and parameters:
            values = np.concatenate([self._values(parameter).reshape(-1) for parameter in parameters])
            self.constants.setdefault(view.producer, {})[name] = values

    def fold_batch_norm(
        self, view: View, had_bias: bool, gamma: Parameter, beta: Parameter, statistics: tuple[Constant, Constant], epsilon: float
    ) -> None:
        """Scale the kept weights and bias of the layer that made `view` by a batch norm after it."""
        self.used.update((gamma.name, beta.name))
        channels = gamma.shape[0]
        self.batch_norms += 1
        self.folded += 2 * channels if had_bias else channels  # gamma and beta are gone; where there was none a bias has come
        if not self._keep_values:
            return
        mean, variance = (value.value.detach().to(torch.float32).cpu().numpy() for value in statistics)
        norm = BatchNorm(self._values(gamma), self._values(beta), mean, variance, epsilon)
        constants = self.constants.setdefault(view.producer, {})
        self.weights[view.producer], constants["bias"] = fold_batch_norm(self.weights[view.producer], constants.get("bias"), norm)

    def _values(self, parameter: Parameter) -> Floats:
        values: Floats = self._stored[parameter.name].detach().to(torch.float32).cpu().numpy()
        return values


class Arguments:
    """Positional and keyword arguments of a call, resolved to views, parameters, constants and plain values."""

    def __init__(self, values: dict[str, Any], node: torch.fx.Node) -> None:
        self.node = node
        self._values = values
        self.args, self.kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda arg: values[arg.name])

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at a position or under its name."""
        return self.args[position] if position < len(self.args) else self.kwargs.get(name, default)

    def view(self, position: int, name: str) -> View:
        """An argument that must depend on the input."""
        value = self.get(position, name)
        if not isinstance(value, View):
            raise ImportModelError(f"{where(self.node)}: {name} of {self.node.target} is {value!r}; allowed: an activation")
        return value

    def parameter(self, position: int, name: str) -> Parameter:
        """An argument that must be a trained tensor, as it is stored."""
        value = self.get(position, name)
        if not isinstance(value, Parameter):
            raise ImportModelError(f"{where(self.node)}: {name} of {self.node.target} is {value!r}; allowed: a trained parameter")
        return value

    def optional_parameter(self, position: int, name: str) -> tuple[Parameter, ...]:
        """A trained tensor that may be absent: none or one."""
        return () if self.get(position, name) is None else (self.parameter(position, name),)

    def sole_reader(self, position: int) -> bool:
        """True if nothing else reads the activation, on the whole way from the layer that made it through its views."""
        source = self.node.args[position]
        while isinstance(source, torch.fx.Node):
            if len([user for user in source.users if str(user.target) not in IGNORED]) != 1:
                return False
            producer = self._values[source.name].producer
            views = (self._values.get(earlier.name) for earlier in source.all_input_nodes)
            same = [isinstance(value, View) and value.producer == producer for value in views]
            source = next((earlier for earlier, is_same in zip(source.all_input_nodes, same, strict=True) if is_same), None)
        return True


def numel(constant: Constant) -> int:
    """Elements of a constant; 1 for a plain number."""
    return int(constant.value.numel()) if isinstance(constant.value, torch.Tensor) else 1


def is_zero(value: object) -> bool:
    """True for 0, and for a constant tensor of zeros."""
    known = value.value if isinstance(value, Constant) else value
    if isinstance(known, torch.Tensor):
        return known.dtype != torch.bool and not bool(torch.any(known != 0))
    return isinstance(known, int | float) and known == 0


def is_true(value: object) -> bool:
    """True for a constant boolean tensor that is True everywhere: a mask that hides nothing."""
    known = value.value if isinstance(value, Constant) else value
    return isinstance(known, torch.Tensor) and known.dtype == torch.bool and bool(torch.all(known))


def shape_of(node: torch.fx.Node) -> tuple[int, ...]:
    """Shape of a call's result; ImportModelError if it is not fixed."""
    shape = node.meta["val"].shape
    if not all(isinstance(size, int) for size in shape):
        raise ImportModelError(f"{where(node)}: shape {tuple(shape)} is not fixed; export the model without dynamic shapes")
    return tuple(shape)


def owner_of(parameter: Parameter) -> str:
    """The module that owns a parameter: 'classifier.weight' -> 'classifier'."""
    return parameter.name.rpartition(".")[0] or parameter.name


def path_of(node: torch.fx.Node, operation: str = "") -> str:
    """The innermost module around a call, and the operation: 'vit.layers.0.attention.matmul'."""
    stack = node.meta.get("nn_module_stack") or {}
    path = [entry[0] for entry in stack.values()][-1] if stack else ""
    return ".".join(part for part in (path, operation) if part) or node.name


def where(node: torch.fx.Node) -> str:
    """A call's place for a message: its module and its name in the program."""
    return f"{path_of(node)} (node {node.name})"
