"""A call of an exported program as its reader sees it: its place for a message, names for its layers, the shape of its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from accelsim.errors import ImportModelError

IGNORED = {"aten._assert_tensor_metadata.default"}  # calls that compute nothing


class TorchNode:
    """One call."""

    def __init__(self, fx: torch.fx.Node) -> None:
        self.fx: Any = fx  # PyTorch's own type of its arguments lists whatever a graph may ever hold
        self.target = str(fx.target)

    @property
    def where(self) -> str:
        """The call's place for a message: its module and its name in the program."""
        return f"{self.path()} (node {self.fx.name})"

    def path(self, operation: str = "") -> str:
        """The innermost module around the call, and the operation: 'vit.layers.0.attention.matmul'."""
        stack = self.fx.meta.get("nn_module_stack") or {}
        module = [entry[0] for entry in stack.values()][-1] if stack else ""
        return ".".join(part for part in (module, operation) if part) or str(self.fx.name)

    def layer_names(self, trained: Iterable[str], operation: str = "") -> Iterator[str]:
        """Names for the layer that reads these trained tensors: the modules that own them, the layer's own weights first; then `path`."""
        for name in reversed(list(trained)):
            if name:
                yield name.rpartition(".")[0] or name
        yield self.path(operation)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result; ImportModelError if it is not fixed."""
        shape = self.fx.meta["val"].shape
        if not all(isinstance(size, int) for size in shape):
            raise ImportModelError(f"{self.where}: shape {tuple(shape)} is not fixed; export the model without dynamic shapes")
        return tuple(shape)

    @property
    def has_dimensions(self) -> bool:
        """Whether the operation can be told the dimensions along which it works."""
        schema = getattr(self.fx.target, "_schema", None)
        return schema is not None and any(argument.name.startswith("dim") for argument in schema.arguments)

    @property
    def makes_by_shape(self) -> bool:
        """Whether the call reads only the shape of its operand: zeros_like, new_full."""
        return self.target.startswith("aten.new_") or self.target.partition(".")[2].partition(".")[0].endswith("_like")

    @property
    def readers(self) -> list[torch.fx.Node]:
        """Calls that read the result."""
        return [user for user in self.fx.users if str(user.target) not in IGNORED]


def arguments(fx: torch.fx.Node, values: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call, with the values of the nodes among them."""
    args, kwargs = torch.fx.node.map_arg((fx.args, fx.kwargs), lambda arg: values[arg.name])
    return tuple(args), dict(kwargs)
