"""A walk of an ONNX graph: every node becomes a layer, a change of view, a step of a function, a constant, or a named error.

Only nodes that an output needs are walked. A node is read in the file's order, which ONNX wants to be one of its topological orders:
an operand that is not there yet is a cycle, or missing, and is named.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from onnx import AttributeProto

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.dynamic import require_cancelling
from accelsim.importers.from_onnx.file import OnnxModel
from accelsim.importers.from_onnx.fold import FOLDERS, fold, integers_of
from accelsim.importers.from_onnx.inputs import OnnxInput
from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.from_onnx.ops import EPILOGUE, HANDLERS, PARTED, PASSED_THROUGH, WHOLE
from accelsim.importers.from_onnx.recurrent import RECURRENT, InitialState, written_out
from accelsim.importers.from_onnx.shapes import cast_type
from accelsim.importers.from_onnx.tensors import FLOATS
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.imported_graph import ImportedGraph
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.recorder import GraphRecorder
from accelsim.importers.graph.repeated import held
from accelsim.importers.graph.values import Constant, Deferred, Fused, Indices, Plain
from accelsim.registry import suggest

_FREE_CONSTANTS = 1 << 24  # elements that folding may make in all, besides some for each that the file holds
_FOLDS_OF_A_WEIGHT = 16
_LOOPS = ("Loop", "Scan", "SequenceMap")


def walk_onnx(model: OnnxModel, builder: GraphBuilder, keep_values: bool) -> ImportedGraph:
    """Turn a model into layers.

    Parameters
    ----------
    model
        As `load_onnx` reads it.
    builder
        Empty; takes the layers.
    keep_values
        True: also return the trained values; False: shapes are enough.

    Raises
    ------
    ImportModelError
        A node, an operation, a layout or a value that is not understood, by name.
    """
    return OnnxWalk(model, builder, keep_values).run()


class OnnxWalk:
    """The state of a walk: values by tensor name, and who reads each tensor."""

    def __init__(self, model: OnnxModel, builder: GraphBuilder, keep_values: bool) -> None:
        self.model = model
        self.recorder = GraphRecorder(builder, model.trained, keep_values)
        self.nodes = [OnnxNode(proto, model.opset, model.path.parent) for proto in model.graph.node]
        self.outputs = [output.name for output in model.graph.output]
        self.makers = {name: node for node in self.nodes for name in node.outputs if name}
        self.readers: dict[str, list[OnnxNode | None]] = {}
        for node in self.nodes:
            for name in _read_by(node):
                self.readers.setdefault(name, []).append(node)
        for name in self.outputs:
            self.readers.setdefault(name, []).append(None)
        self.unread = Counter({name: len(readers) for name, readers in self.readers.items()})
        self.values: dict[str, Value] = {}
        self.made: set[str] = set()
        self.budget = _FREE_CONSTANTS
        self.copies: dict[str, tuple[int, ...]] = {}  # trained tensors that the exporter stored once for several modules

    def run(self) -> ImportedGraph:
        """Visit the nodes that the outputs need."""
        if not self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise ImportModelError(f"{self.model.path}: outputs {self.outputs}; allowed: at least one, each once")
        needed = self._needed()
        for name, source in self.model.inputs.items():
            if name in needed or not source.indices:
                given = self._input(name, source)
                self._bind(name, Plain(self.recorder.builder.given(given.view)) if isinstance(given, Plain) else given)
        for node in self.nodes:
            if needed.intersection(node.outputs):
                self._visit(node)
        outputs = {name: view for name in self.outputs if (view := self._output(name)) is not None}
        recorder = self.recorder
        unused = tuple(sorted(self.model.trained - recorder.used - self._folded_away()))
        for text in (*self.model.stored_as_integers(recorder.used), *self.model.notes()):
            recorder.note(text)
        stored = {name: tensor for name, tensor in self.model.initializers.items() if tensor.data_type in FLOATS and list(tensor.dims)}
        shapes = {name: tuple(tensor.dims) for name, tensor in stored.items()} | self.copies
        read = {name: shapes[name] for name in sorted(recorder.used) if name in shapes}
        return recorder.graph(outputs, unused, read)

    def _folded_away(self) -> set[str]:
        """Initializers that a needed node reads: they went into a function or a shape, if not into a layer."""
        needed = self._needed()
        return {name for node in self.nodes if needed.intersection(node.outputs) for name in _read_by(node)}

    def _needed(self) -> set[str]:
        """Names of the tensors that the outputs depend on."""
        needed: set[str] = set()
        waiting = list(self.outputs)
        while waiting:
            name = waiting.pop()
            if name and name not in needed:
                needed.add(name)
                if name in self.makers:
                    waiting.extend(_read_by(self.makers[name]))
        return needed

    def _input(self, name: str, source: OnnxInput) -> Value:
        builder, shape = self.recorder.builder, source.shape
        if source.filled is not None:
            return Constant(source.filled)
        if source.indices:
            return Indices(name, shape)
        if len(shape) == 4 and shape[0] == 1:
            return Plain(builder.image(name, *shape[1:]))
        if len(shape) > 4 and shape[0] == 1:
            return Plain(builder.image(name, shape[1], math.prod(shape[2:-1]), shape[-1]).reshape(shape))
        readers = self.readers.get(name, [])
        if len(shape) == 3 and shape[0] == 1 and readers and all(node is not None and node.op == "Conv" for node in readers):
            return Plain(builder.image(name, shape[1], 1, shape[2]).reshape(shape))
        if len(shape) == 3 and shape[0] == 1:
            return Plain(builder.tokens(name, *shape[1:]))
        if len(shape) == 3 and shape[1] == 1 and any(node is not None and node.op in RECURRENT for node in readers):
            return Plain(builder.tokens(name, shape[0], shape[2]).reshape(shape))
        if len(shape) in (1, 2):
            return Plain(builder.tokens(name, *(1, *shape)[-2:]).reshape(shape))
        allowed = "(1, channels, height, width), (1, channels, ..., width), (1, rows, width), (rows, width), (width): one inference"
        if len(shape) > 2:
            allowed = f"one inference at a time: export the model for a batch of 1, and run its trace with --batch {shape[0]}"
        raise ImportModelError(f"{self.model.path}: input {name!r} has shape {shape}; allowed: {allowed}")

    def _visit(self, node: OnnxNode) -> None:
        if node.op in _LOOPS:
            raise ImportModelError(f"{node.where}: loops are not supported; allowed: a graph without them")
        operands = [self._operand(node, name) if name else None for name in node.inputs]
        if node.op == "If":
            self._branch(node, operands)
            return
        if node.op in RECURRENT:
            self._write_out(node, operands)
            return
        known = [operand for operand in operands if isinstance(operand, Constant)]
        folds = len(known) == len([operand for operand in operands if operand is not None])
        if folds and (known or node.op in FOLDERS):
            results: Value | tuple[Value, ...] = self._fold(node, operands, known)
        elif (integers := integers_of(node, operands)) is not None:
            results = integers
        elif node.op in HANDLERS:
            if node.op == "DynamicQuantizeLinear":
                require_cancelling(node, self.readers, self._is_known)
            call = OnnxCall(node, operands, self.recorder, self._sole)
            with call.fitting("operands or attributes"):
                results = call.value(0) if self._is_cast_of_integers(node) else HANDLERS[node.op](call)
            if isinstance(results, Expression) and len(self.readers.get(node.outputs[0], [])) != 1:
                results = call.settled(results) or results
        else:
            raise ImportModelError(f"{node.where}: operation {node.op!r} is not understood{suggest(node.op, HANDLERS)}")
        self._take(node, results if isinstance(results, tuple) else (results,))

    def _take(self, node: OnnxNode, results: tuple[Value, ...]) -> None:
        for position, name in enumerate(node.outputs):
            if position < len(results):
                self._bind(name, results[position])
            elif self.readers.get(name):
                raise ImportModelError(f"{node.where}: output {position} ({name!r}) is not supported")

    def _fold(self, node: OnnxNode, operands: list[Value | None], known: list[Constant]) -> tuple[Value, ...]:
        if any(operand is None for operand in operands[:1]) and node.inputs:
            raise ImportModelError(f"{node.where}: input 0 is missing")
        arrays = [operand.array if isinstance(operand, Constant) else None for operand in operands]
        sources = () if node.op in ("Shape", "Size") else tuple(dict.fromkeys(name for operand in known for name in operand.sources))
        results = fold(node, arrays)
        self.budget -= sum(result.size if self.recorder.keep_values else held(result) for result in results)
        if self.budget < 0:
            raise ImportModelError(
                f"{node.where}: the file's constants grow to more than {_FREE_CONSTANTS} elements when computed; --seed takes shapes alone"
            )
        if node.op == "Identity" and self.model.trained.issuperset(sources) and sources:
            name = node.outputs[0]
            self.copies[name] = results[0].shape
            return (Constant(self.model.replaced.get(name, results[0]), (name,)),)
        return tuple(Constant(result, sources) for result in results)

    def _branch(self, node: OnnxNode, operands: list[Value | None]) -> None:
        """If of a known condition: its branch, in place."""
        condition = operands[0] if operands else None
        if not isinstance(condition, Constant) or condition.array.size != 1:
            raise ImportModelError(f"{node.where}: its condition depends on the model's input; allowed: one that is known")
        graph = node.graph("then_branch" if condition.array.any() else "else_branch")
        if graph.initializer or graph.sparse_initializer:
            raise ImportModelError(f"{node.where}: a branch with initializers is not supported; allowed: those of the whole graph")
        for inner in graph.node:
            self._visit(OnnxNode(inner, node.opset, self.model.path.parent))
        for name, source in zip(node.outputs, graph.output, strict=False):
            self._bind(name, self._operand(node, source.name))

    def _write_out(self, node: OnnxNode, operands: list[Value | None]) -> None:
        """A recurrent layer, step by step, in place."""
        states = [_initial(operands[place] if place < len(operands) else None) for place in (5, 6)]
        shape = OnnxCall(node, operands, self.recorder, self._sole).shape(0)
        for name, operand in zip(node.inputs, operands, strict=True):
            if operand is not None:
                self.values[name] = operand  # the nodes read it again
        inner = [OnnxNode(proto, node.opset, self.model.path.parent) for proto in written_out(node, shape, states)]
        for each in inner:
            for name in each.inputs:
                self.readers.setdefault(name, []).append(each)
                self.unread[name] += 1
        for each in inner:
            self._visit(each)

    def _is_known(self, name: str) -> bool:
        """True for a constant: one of the file, or one that is computed already."""
        return name in self.model.initializers or isinstance(self.values.get(name), Constant)

    def _operand(self, node: OnnxNode, name: str) -> Value:
        if name in self.values:
            value = self.values[name]
        elif name in self.model.initializers:
            value = self.values[name] = Constant(self.model.read(name), (name,), name)
            self.budget += _FOLDS_OF_A_WEIGHT * value.array.size
        elif name in self.makers:
            raise ImportModelError(
                f"{node.where}: reads {name!r} before {self.makers[name].where} makes it: a cycle, or nodes out of order"
            )
        else:
            raise ImportModelError(f"{node.where}: reads {name!r}, which is neither an input, an initializer nor made by a node")
        self.unread[name] -= 1
        if self.unread[name] == 0:  # frees a constant that nothing reads any more
            self.values.pop(name, None)
        return value

    def _bind(self, name: str, value: Value) -> None:
        """A node's result under its name; a layer that nothing more can be folded into is made."""
        if not name:
            return
        if name in self.made or name in self.model.initializers:
            raise ImportModelError(f"{self.model.path}: the name {name!r} is given twice")
        self.made.add(name)
        if isinstance(value, Constant):
            value = replace(value, label=name)
        if isinstance(value, Deferred):
            value = self._settled(name, value)
        self.values[name] = value

    def _settled(self, name: str, value: Deferred) -> Value:
        readers = self.readers.get(name, [])
        if value.columns is not None and self._is_parted(name):
            return value if self._sole_epilogue(readers) else Fused.of(value)
        return value if self._sole_epilogue(readers) else Plain(value.view())

    @staticmethod
    def _sole_epilogue(readers: list[OnnxNode | None]) -> bool:
        return len(readers) == 1 and readers[0] is not None and readers[0].op in EPILOGUE

    def _is_parted(self, name: str) -> bool:
        """True if some reader cuts the tensor, behind changes of its view or what can be folded."""
        waiting, seen = [name], set()
        while waiting:
            here = waiting.pop()
            for reader in self.readers.get(here, []):
                if reader is None or here in seen:
                    continue
                if reader.op in PARTED and here == reader.inputs[0]:
                    return True
                if reader.op in PASSED_THROUGH or (reader.op in EPILOGUE and any(i in self.model.initializers for i in reader.inputs)):
                    waiting.extend(reader.outputs)
            seen.add(here)
        return False

    def _is_cast_of_integers(self, node: OnnxNode) -> bool:
        """True for a cast of integers to numbers, which it leaves as they are: of places and quantized numbers, and of views of them."""
        if node.op != "Cast" or cast_type(node).kind == "b":
            return False
        name = node.inputs[0]
        while name in self.makers and (self.makers[name].op in PASSED_THROUGH or self.makers[name].op in PARTED):
            name = next(iter(self.makers[name].inputs), "")
        return name in self.makers and self.makers[name].op in WHOLE

    def _sole(self, name: str) -> bool:
        """True if nothing else reads a tensor, on the whole way from the node that made its layer through its views."""
        while name in self.makers:
            if len(self.readers.get(name, [])) != 1:
                return False
            maker = self.makers[name]
            if maker.op not in PASSED_THROUGH or not maker.inputs:
                return True
            name = maker.inputs[0]
        return False

    def _output(self, name: str) -> View | None:
        value = self.values.get(name)
        if isinstance(value, Indices):
            raise ImportModelError(f"{self.model.path}: output {name!r} is {value!r}; allowed: an activation")
        if value is None or isinstance(value, Constant):
            what = "does not depend on the input" if name in self.made or name in self.model.initializers else "is made by no node"
            raise ImportModelError(f"{self.model.path}: output {name!r} {what}")
        maker = self.makers.get(name)
        if (
            isinstance(value, Expression)
            and maker is not None
            and maker.op.removeprefix("com.microsoft.").startswith(("Quantize", "QLinear", "QGemm"))
        ):
            return self.recorder.builder.output(name, value.leaf)  # the integers that stand for it
        if isinstance(value, Plain):
            return self.recorder.builder.output(name, value.view)
        if maker is None:
            raise ImportModelError(f"{self.model.path}: output {name!r} is {value!r}; allowed: an activation")
        return self.recorder.builder.output(name, OnnxCall(maker, [value], self.recorder, self._sole).view(0))


def _initial(state: Value | None) -> InitialState:
    if state is None or (isinstance(state, Constant) and not state.array.any()):
        return InitialState.ZERO
    return InitialState.KNOWN if isinstance(state, Constant) else InitialState.MOVING


def _read_by(node: OnnxNode) -> Iterator[str]:
    """Names that a node reads, those of its subgraphs included."""
    waiting = [node.proto]
    while waiting:
        proto = waiting.pop()
        yield from (name for name in proto.input if name)
        for attribute in proto.attribute:
            graphs = [attribute.g] if attribute.type == AttributeProto.GRAPH else list(attribute.graphs)
            for graph in graphs:
                waiting.extend(graph.node)
                yield from (output.name for output in graph.output)
