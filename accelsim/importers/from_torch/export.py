"""A walk of a torch.export program: every ATen call becomes a layer, a change of view, a step of a function, a constant, or a named error.

Only calls that depend on the model's input become layers; calls on constants alone (position indices, masks) are computed here. Dropout and
casts between floats are taken as inference has them: nothing.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import replace
from types import NoneType
from typing import Any

import numpy as np
import torch
from torch.export.graph_signature import InputKind

from accelsim.errors import ImportModelError
from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.from_torch.decompose import decomposed
from accelsim.importers.from_torch.fold import folded
from accelsim.importers.from_torch.in_place import without_changes
from accelsim.importers.from_torch.node import IGNORED, TorchNode
from accelsim.importers.from_torch.ops import CUT, EPILOGUE, HANDLERS, VIEWS
from accelsim.importers.from_torch.outputs import free_name, output_names
from accelsim.importers.from_torch.response_norm import with_response_norms
from accelsim.importers.from_torch.values import INTEGERS, NUMBER_TYPES, Known
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.imported_graph import ImportedGraph
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.recorder import GraphRecorder
from accelsim.importers.graph.values import Constant, Deferred, Fused, Indices, Padded, Plain
from accelsim.registry import suggest

_WRAPPERS = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}  # position of the graph among a call's arguments


def walk(
    program: torch.export.ExportedProgram, builder: GraphBuilder, keep_values: bool, fill: Mapping[str, int] | None = None
) -> ImportedGraph:
    """Turn a program into layers.

    Parameters
    ----------
    program
        Exported with fixed shapes and batch 1.
    builder
        Empty; takes the layers.
    keep_values
        True: also return the trained values; False: shapes are enough.
    fill
        The value of every element of an input, by name.

    Raises
    ------
    ImportModelError
        An operation, a layout or a shape that is not understood, by name.
    """
    without = next((name for name, tensor in program.state_dict.items() if tensor.is_meta), None)
    if keep_values and without is not None:
        raise ImportModelError(f"tensor {without!r} is on the device 'meta', and has no numbers; allowed: --seed, or --weights")
    for node in program.graph.nodes:
        if node.op == "placeholder" and isinstance(node.meta.get("val"), torch.Tensor):
            TorchNode(node).shape  # noqa: B018  # one that is not fixed is answered before PyTorch trips over it
    return _Walk(decomposed(with_response_norms(without_changes(program)), HANDLERS), builder, keep_values, fill or {}).run()


class _Walk:
    def __init__(self, program: torch.export.ExportedProgram, builder: GraphBuilder, keep_values: bool, fill: Mapping[str, int]) -> None:
        self.program = program
        self.fill = fill
        inputs = program.graph_signature.input_specs
        self.trained = frozenset(spec.target for spec in inputs if spec.kind is InputKind.PARAMETER and spec.target is not None)
        self.recorder = GraphRecorder(builder, self.trained, keep_values)
        self.values: dict[str, Any] = {}  # Value, tuple of Value, or Known

    def run(self) -> ImportedGraph:
        """Visit every node once, in the program's order."""
        wrong = set(self.fill) - set(self.program.graph_signature.user_inputs)
        if wrong:
            known = sorted(map(str, self.program.graph_signature.user_inputs))
            raise ImportModelError(f"--fill {min(wrong)}: no input has this name; known: {known}{suggest(min(wrong), known)}")
        specs = {getattr(spec.arg, "name", None): spec for spec in self.program.graph_signature.input_specs}
        outputs: dict[str, View] = {}
        live = _live(self.program.graph)
        for node in self.program.graph.nodes:
            if node.op == "call_function" and node not in live:
                continue
            if node.op == "placeholder":
                given = self.values[node.name] = self._placeholder(node, specs[node.name])
                if isinstance(given, Plain):
                    self.recorder.builder.given(given.view)
            elif node.op == "call_function":
                self.values[node.name] = self._call(TorchNode(node))
            elif node.op == "get_attr":  # a graph inside, which some call below applies
                self.values[node.name] = Known(getattr(self.program.graph_module, str(node.target), None))
            elif node.op == "output":
                outputs = self._outputs(TorchNode(node))
            else:
                raise ImportModelError(f"{node.name}: a node of kind {node.op!r} is not understood; allowed: exported ATen calls")
        return self.recorder.graph(outputs, self._unread())

    def _unread(self) -> set[str]:
        """Parameters that no layer reads, under any of their names."""
        stored = self.program.state_dict
        read = {stored[name].data_ptr() for name in self.recorder.used & self.trained if not stored[name].is_meta}
        return {name for name in self.trained - self.recorder.used if stored[name].data_ptr() not in read or stored[name].is_meta}

    def _placeholder(self, node: torch.fx.Node, spec: Any) -> object:
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            stored = self.program.constants if spec.target in self.program.constants else self.program.state_dict
            return Known(stored[spec.target], (spec.target,))
        if spec.kind is InputKind.CONSTANT_TENSOR:
            return Known(self.program.constants[spec.target])
        if spec.kind is InputKind.USER_INPUT and isinstance(node.meta.get("val"), (*NUMBER_TYPES, NoneType)):
            return Known(node.meta["val"])  # an argument that the export fixed, such as use_cache
        if spec.kind is not InputKind.USER_INPUT or not isinstance(node.meta.get("val"), torch.Tensor):
            raise ImportModelError(f"{node.name}: an input of kind {spec.kind.name} is not understood; allowed: tensors")
        value: torch.Tensor = node.meta["val"]
        shape, builder = TorchNode(node).shape, self.recorder.builder
        if node.name in self.fill:
            return Known(torch.full(shape, self.fill[node.name], dtype=value.dtype))
        if not value.is_floating_point():
            return Indices(node.name, shape)
        if len(shape) == 1:
            return Plain(builder.tokens(node.name, 1, *shape).reshape(shape))
        if len(shape) < 2 or shape[0] != 1:
            allowed = "(1, channels, height, width), (1, channels, ..., width), (1, rows, width), (1, width), (width); --batch is of a run"
            raise ImportModelError(f"input {node.name!r} has shape {shape}; allowed: {allowed}")
        if len(shape) == 2:
            return Plain(builder.tokens(node.name, *shape).reshape(shape))
        if len(shape) == 3 and all(str(reader.target).startswith("aten.conv1d") for reader in TorchNode(node).readers):
            return Plain(builder.image(node.name, shape[1], 1, shape[2]).reshape(shape))
        if len(shape) > 4:
            return Plain(builder.image(node.name, shape[1], math.prod(shape[2:-1]), shape[-1]).reshape(shape))
        return Plain(builder.image(node.name, *shape[1:]) if len(shape) == 4 else builder.tokens(node.name, *shape[1:]))

    def _outputs(self, node: TorchNode) -> dict[str, View]:
        """The outputs by the model's names; one without a name has its layer's."""
        outputs: dict[str, View] = {}
        for name, arg in zip(output_names(self.program), node.fx.args[0], strict=True):
            if arg is None:
                continue
            value = self.values[arg.name] if isinstance(arg, torch.fx.Node) else Known(arg)
            if isinstance(value, Known | tuple):
                raise ImportModelError(f"output {arg} does not depend on the input")
            made = self._made(TorchNode(arg), value)
            if made.shape != TorchNode(arg).shape:
                shapes = f"{made.shape} where PyTorch states {TorchNode(arg).shape}"
                raise ImportModelError(f"{TorchNode(arg).where}: an output of such operations is not supported: it would be {shapes}")
            held = self.recorder.builder.output(TorchNode(arg).path("output"), made)
            outputs[free_name(name or held.producer, outputs)] = held
        return outputs

    def _call(self, node: TorchNode) -> object:
        fx = node.fx
        if str(fx.target) in IGNORED:
            return Known(None)
        if str(fx.target) in _WRAPPERS:
            return self._inside(node)
        if fx.target is operator.getitem and isinstance(self.values[fx.args[0].name], tuple):
            return self._item(node, self.values[fx.args[0].name], fx.args[1])
        if all(isinstance(self.values[source.name], Known) for source in fx.all_input_nodes):
            return folded(node, self.values)
        if (integers := self._integers(node)) is not None:
            return integers
        if node.target not in HANDLERS:
            raise ImportModelError(f"{node.where}: operation {str(fx.target)!r} is not understood{suggest(str(fx.target), HANDLERS)}")
        call = TorchCall(node, self.values, self.recorder, lambda position: self._is_sole(fx.args[position]))
        with call.fitting("arguments"):
            result = call.along_a_dimension(HANDLERS[node.target])
        _check_shapes(node, result)
        if isinstance(result, tuple):
            return result
        return self._settled(node, call, result)

    def _integers(self, node: TorchNode) -> Indices | tuple[Indices, ...] | None:
        """Integers computed from integer inputs and known values; None where a call reads or makes other values, or reads a shape alone."""
        sources = [self.values[source.name] for source in node.fx.all_input_nodes]
        moving = [source for source in sources if isinstance(source, Indices)]
        made = node.fx.meta.get("val")
        results = made if isinstance(made, tuple | list) else [made]
        if not moving or len(moving) + sum(isinstance(source, Known) for source in sources) < len(sources) or node.makes_by_shape:
            return None
        if not all(isinstance(result, torch.Tensor) and result.dtype in INTEGERS for result in results):
            return None
        same = node.target in VIEWS and all(source.computed is False for source in moving)
        found = tuple(replace(moving[0], shape=tuple(result.shape), computed=not same) for result in results)
        return found if isinstance(made, tuple | list) else found[0]

    def _inside(self, node: TorchNode) -> tuple[Any, ...]:
        """The results of a graph within the program's, which only sets how gradients or casts are treated."""
        place = _WRAPPERS[str(node.fx.target)]
        graph = getattr(self.program.graph_module, node.fx.args[place].target).graph
        operands = iter([self.values[arg.name] for arg in node.fx.args[place + 1 :]])
        outside, self.values = self.values, {}
        results: tuple[Any, ...] = ()
        for inner in graph.nodes:
            if inner.op == "placeholder":
                self.values[inner.name] = next(operands)
            elif inner.op == "call_function":
                self.values[inner.name] = self._call(TorchNode(inner))
            elif inner.op == "output":
                results = tuple(self.values[arg.name] for arg in inner.args[0])
        self.values = outside
        return results

    def _made(self, node: TorchNode, value: Value) -> View:
        return TorchCall(node, {**self.values}, self.recorder, lambda _: False).made(value)

    @staticmethod
    def _item(node: TorchNode, parts: tuple[Value, ...], index: int) -> Value:
        if index >= len(parts):
            raise ImportModelError(f"{node.where}: output {index} of {node.fx.args[0]} is not supported")
        return parts[index]

    def _settled(self, node: TorchNode, call: TorchCall, result: Value) -> Value | Known:
        """The result; a layer that nothing more can be folded into is made."""
        readers = node.readers
        if isinstance(result, Constant):
            return Known(torch.from_numpy(np.array(result.array)), result.sources)
        if isinstance(result, Expression) and len(readers) != 1:
            return call.settled(result) or result
        if not isinstance(result, Deferred) or (len(readers) == 1 and str(readers[0].target) in EPILOGUE):
            return result
        return Fused.of(result) if result.columns is not None and self._is_cut(node.fx) else Plain(result.view())

    def _is_cut(self, node: torch.fx.Node) -> bool:
        """True if some reader cuts the result, behind changes of its view or what can be folded, and none beside it reads the whole."""
        waiting, seen, is_cut = [node], {node}, False
        while waiting:
            here = waiting.pop()
            for reader in TorchNode(here).readers:
                target = str(reader.target)
                if target in CUT:
                    is_cut = True
                    continue
                folds = target in EPILOGUE and all(
                    isinstance(self.values.get(i.name), Known) for i in reader.all_input_nodes if i is not here
                )
                if not (target in VIEWS or folds):
                    if any(str(other.target) in CUT for other in here.users):
                        return False
                elif reader not in seen:
                    seen.add(reader)
                    waiting.append(reader)
        return is_cut

    def _is_sole(self, source: object) -> bool:
        """True if nothing else reads an activation, on the whole way from the layer that made it through its views."""
        while isinstance(source, torch.fx.Node):
            if len(TorchNode(source).readers) != 1:
                return False
            source = source.args[0] if str(source.target) in VIEWS else None
        return True


def _check_shapes(node: TorchNode, result: object) -> None:
    """ImportModelError where what was made of a call does not have the shape that PyTorch states."""
    stated = node.fx.meta.get("val")
    if node.target in ("aten.expand.default", "aten.expand_as.default"):  # one number of each row, beside the row's elements
        return
    pairs = zip(result, stated, strict=False) if isinstance(result, tuple) and isinstance(stated, tuple | list) else [(result, stated)]
    for value, tensor in pairs:
        if (
            isinstance(value, Plain | Deferred | Fused | Padded | Expression)
            and isinstance(tensor, torch.Tensor)
            and value.shape != tuple(tensor.shape)
        ):
            shapes = f"it would make {value.shape} where PyTorch makes {tuple(tensor.shape)}"
            raise ImportModelError(f"{node.where}: {node.target} on operands of these shapes is not supported: {shapes}")


def _live(graph: torch.fx.Graph) -> set[torch.fx.Node]:
    """Calls that an output needs."""
    live: set[torch.fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "output" or any(user in live for user in node.users):
            live.add(node)
    return live
