"""A node of an ONNX graph as its reader sees it: attributes of the right type, its place for a message, a name for its layer.

Names come, in this order, from the module that owns a trained tensor ('classifier.weight'), from the scopes that PyTorch's exporters
note or put in the node's name ('/vit/layers.0/attention/MatMul'), or from the node.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from onnx import AttributeProto

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.tensors import read_tensor
from accelsim.importers.graph.values import Array

_SCOPES = "pkg.torch.onnx.name_scopes"  # of torch.onnx.export(dynamo=True): a list of module paths, the operation last
_MAX_SCOPES = 1 << 14
_MAX_NAME = 160  # of a layer: a trace allows 256, and a number may follow
_FIELDS = {AttributeProto.INT: "i", AttributeProto.FLOAT: "f", AttributeProto.INTS: "ints", AttributeProto.FLOATS: "floats"}


class OnnxNode:
    """One node.

    Attributes
    ----------
    op
        Operation, with its domain unless that is the standard one: 'Conv', 'com.microsoft.Attention'.
    inputs, outputs
        Names of tensors; '' for an input that is left out.
    opset
        Version of the standard operations.
    folder
        Where external data lie.
    """

    def __init__(self, proto: Any, opset: int, folder: Path) -> None:
        require_text(proto.name, proto.op_type, proto.domain, *proto.input, *proto.output, *(item.name for item in proto.attribute))
        self.proto = proto
        self.opset = opset
        self.op = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
        self.inputs: tuple[str, ...] = tuple(proto.input)
        self.outputs: tuple[str, ...] = tuple(proto.output)
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}
        self.folder = folder

    @property
    def label(self) -> str:
        """The node's name, or its output's."""
        return self.proto.name or next(iter(self.outputs), "") or self.op

    @property
    def where(self) -> str:
        """The node's place for a message."""
        return f"node {self.label!r} ({_printable(self.op)})"

    def has(self, name: str) -> bool:
        """True if the attribute is there."""
        return name in self._attributes

    def attribute(self, name: str, kinds: Iterable[int] = tuple(_FIELDS)) -> Any:
        """A number or a list of numbers."""
        attribute = self._attributes[name]
        if attribute.type not in kinds:
            raise ImportModelError(f"{self.where}: attribute {name!r} is not of the type that the operation has")
        value = getattr(attribute, _FIELDS[attribute.type])
        return value if attribute.type in (AttributeProto.INT, AttributeProto.FLOAT) else list(value)

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self.attribute(name, (AttributeProto.INT,))) if self.has(name) else default

    def optional_integer(self, name: str) -> int | None:
        """An integer attribute that may be absent."""
        return self.integer(name, 0) if self.has(name) else None

    def number(self, name: str, default: float) -> float:
        """A floating-point attribute."""
        return float(self.attribute(name, (AttributeProto.FLOAT,))) if self.has(name) else default

    def ints(self, name: str) -> list[int] | None:
        """A list of integers that may be absent."""
        return list(self.attribute(name, (AttributeProto.INTS,))) if self.has(name) else None

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        if not self.has(name):
            return default
        value: bytes = self._attributes[name].s
        return value.decode("utf-8", "replace")

    def tensor(self, name: str) -> Array:
        """A tensor attribute."""
        attribute = self._attributes[name]
        if attribute.type != AttributeProto.TENSOR:
            raise ImportModelError(f"{self.where}: attribute {name!r} is not a tensor")
        return read_tensor(attribute.t, self.folder, f"{self.where}: attribute {name!r}")

    def graph(self, name: str) -> Any:
        """A subgraph attribute (onnx.GraphProto)."""
        if not self.has(name) or self._attributes[name].type != AttributeProto.GRAPH:
            raise ImportModelError(f"{self.where}: attribute {name!r} is not a graph")
        return self._attributes[name].g

    def path(self, operation: str = "") -> str:
        """The innermost module around the node, and the operation: 'vit.layers.0.attention.matmul'."""
        module = self._module()
        name = ".".join(part for part in (module, operation) if part) if module else self.label
        return _printable(name)

    def layer_names(self, trained: Iterable[str], operation: str = "") -> Iterator[str]:
        """Names for the layer that reads these trained tensors, best first: those of the modules that own them, then `path`."""
        for tensor in trained:
            owner, dot, last = tensor.rpartition(".")
            if dot and owner and last.isidentifier():
                yield _printable(owner)
        yield self.path(operation)

    def _module(self) -> str:
        noted = next((entry.value for entry in self.proto.metadata_props if entry.key == _SCOPES), "")
        if noted and len(noted) < _MAX_SCOPES:
            try:
                scopes = ast.literal_eval(noted)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                scopes = None
            if isinstance(scopes, list) and len(scopes) > 1 and all(isinstance(scope, str) for scope in scopes):
                return str(scopes[-2])
        parts = [part for part in self.proto.name.split("/") if part]
        return ".".join(parts[:-1]) if self.proto.name.startswith("/") else ""


def require_text(*names: object) -> None:
    """Refuse names that are not UTF-8 text, which protocol buffers hand over as bytes."""
    for name in names:
        if not isinstance(name, str):
            raise ImportModelError(f"the name {name!r:.80} is not UTF-8 text")


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:_MAX_NAME] or "layer"
