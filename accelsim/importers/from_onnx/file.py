"""An ONNX file, read and checked as far as it can be without knowing any operation: names, shapes of inputs, opsets.

Model-local functions are inlined by the onnx package, once it is known that they end. Shapes come from the inputs alone, never from
the file's annotations of intermediate tensors: those may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.definitions import spelled_out
from accelsim.importers.from_onnx.functions import inlined
from accelsim.importers.from_onnx.inputs import OnnxInput, read_inputs
from accelsim.importers.from_onnx.node import require_text
from accelsim.importers.from_onnx.stand_ins import find_stand_ins, stand_in
from accelsim.importers.from_onnx.tensors import FLOATS, external_files, read_tensor
from accelsim.importers.graph.values import Array
from accelsim.reading import check_file
from accelsim.trace.payload import file_sha256

STANDARD_DOMAINS = ("", "ai.onnx")
OLDEST_OPSET = 7  # below, broadcasting had an attribute of its own
_MAX_NODES = 50_000
_MAX_BYTES = (1 << 31) - 1  # of a protocol buffer
_BYTES = frozenset({TensorProto.INT8, TensorProto.UINT8})


@dataclass(frozen=True)
class OnnxModel:
    """A checked file.

    Attributes
    ----------
    path
        Where it lies.
    graph
        onnx.GraphProto without local functions.
    opset
        Version of the standard operations.
    inputs
        The model's inputs, all sizes known.
    initializers
        onnx.TensorProto by name.
    replaced
        Values that stand for those of initializers, by name.
    shapes_only
        True: trained values are not wanted, so that weights are not read and may be absent.
    """

    path: Path
    graph: Any
    opset: int
    inputs: dict[str, OnnxInput]
    initializers: dict[str, Any]
    replaced: Mapping[str, Array] = field(default_factory=dict)
    shapes_only: bool = False

    def read(self, name: str) -> Array:
        """The values of an initializer."""
        if name in self.replaced:
            return self.replaced[name]
        what = f"{self.path}: initializer {name!r}"
        if name in self._stand_ins:
            return stand_in(self.initializers[name], what)
        return read_tensor(self.initializers[name], self.path.parent, what)

    @cached_property
    def _stand_ins(self) -> dict[str, bool]:
        return find_stand_ins(self.graph, self.initializers, self.path.parent) if self.shapes_only else {}

    @cached_property
    def trained(self) -> frozenset[str]:
        """Names of the initializers of a floating-point or 8-bit type and more than one element."""
        kinds = FLOATS | _BYTES
        return frozenset(name for name, tensor in self.initializers.items() if tensor.data_type in kinds and list(tensor.dims))

    def stored_as_integers(self, names: Iterable[str]) -> tuple[str, ...]:
        """A note on the matrices and filters of 8 bits among tensors that layers hold, as a float trace has their real values."""
        tensors = [self.initializers[name] for name in names if name in self.initializers]
        count = sum(tensor.data_type in _BYTES and len(tensor.dims) > 1 for tensor in tensors)
        text = f"{count} weight tensors that the file stores in 8 bits are real numbers in this float trace; to run at 8 bits, compress it"
        return (text,) if count else ()

    def notes(self) -> tuple[str, ...]:
        """One line per file of external data that is read, with its SHA-256; or one on the tensors of which only the shape is there."""
        if self.shapes_only:
            absent = sum(self._stand_ins.values())
            return (f"{absent} trained tensors of the file have no values: their shapes are used",) if absent else ()
        files = external_files(self.initializers.values(), self.path.parent)
        return tuple(f"external data {file.name}: SHA-256 {file_sha256(file)}" for file in files)


def load_onnx(path: Path, bindings: Mapping[str, int], fill: Mapping[str, int]) -> OnnxModel:
    """Read a model.

    Parameters
    ----------
    path
        The file.
    bindings
        Sizes of symbolic dimensions by name ('batch'), or of nameless ones by place ('pixel_values.0').
    fill
        The value of every element of an input, by name.

    Raises
    ------
    ImportModelError
        Not a whole ONNX file, a dimension without a size, a binding or a filling of nothing, a name given twice, or no opset.
    """
    model = _parse(path)
    model = inlined(model, path, _MAX_NODES) if model.functions else model
    model = spelled_out(model, path, _MAX_NODES)
    graph = model.graph
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = next((opsets[domain] for domain in STANDARD_DOMAINS if domain in opsets), 0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ImportModelError(f"{path}: opset {opset or 'missing'}; allowed: {OLDEST_OPSET} to {newest}")
    if len(graph.node) > _MAX_NODES:
        raise ImportModelError(f"{path}: {len(graph.node)} nodes; allowed: at most {_MAX_NODES}")
    if graph.sparse_initializer:
        raise ImportModelError(f"{path}: sparse initializers are not supported; allowed: dense ones")
    require_text(*(item.name for group in (graph.initializer, graph.input, graph.output) for item in group))
    initializers: dict[str, Any] = {}
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in initializers:
            raise ImportModelError(f"{path}: initializer {tensor.name!r} has no name, or one that is given twice")
        initializers[tensor.name] = tensor
    return OnnxModel(path, graph, opset, read_inputs(path, graph, initializers, bindings, fill), initializers)


def file_nodes(path: Path) -> tuple[str, dict[str, str]]:
    """The graph's name and the node that makes each tensor, as viewers name them: '<main>' and '<node_3>' where the file has no name.

    Raises
    ------
    ImportModelError
        A name is not UTF-8 text.
    """
    graph = _parse(path).graph
    names = {output: node.name or f"<node_{place}>" for place, node in enumerate(graph.node) for output in node.output if output}
    require_text(graph.name, *names, *names.values())
    return graph.name or "<main>", names


def _parse(path: Path) -> Any:
    try:
        check_file(path, ImportModelError)
        if path.stat().st_size > _MAX_BYTES:
            raise ImportModelError(f"{path}: has {path.stat().st_size} bytes; allowed: at most {_MAX_BYTES}, with external data beside it")
        content = path.read_bytes()
    except OSError as error:
        raise ImportModelError(f"{path}: {'no such file' if not path.exists() else f'cannot be read: {error.strerror}'}") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RecursionError) as error:
        raise ImportModelError(f"{path}: is not a complete ONNX model: {str(error).splitlines()[0]}") from None
    if not model.HasField("graph") or not model.graph.node:
        raise ImportModelError(f"{path}: is not an ONNX model: it has no graph with nodes")
    return model
