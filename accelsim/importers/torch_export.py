"""A walk of a torch.export program: every ATen call becomes a layer, a change of view, or a named error.

Only what depends on the model's input becomes a layer; calls on constants alone (position indices, masks) are computed here, and an
additive mask must come out as zero. Dropout and casts between floats are taken as inference has them: nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch.export.graph_signature import InputKind

from accelsim.errors import ImportModelError
from accelsim.importers.graph_builder import GraphBuilder
from accelsim.importers.imported_graph import ImportedGraph
from accelsim.importers.layout import View
from accelsim.importers.torch_ops import DROPOUTS, HANDLERS, SAME_ELEMENTS
from accelsim.importers.torch_values import IGNORED, Arguments, Constant, Parameter, Recorder, shape_of, where

_MAX_CONSTANT = 1 << 24  # elements that folding a constant may make


def walk(program: torch.export.ExportedProgram, builder: GraphBuilder, keep_values: bool) -> ImportedGraph:
    """Turn a program into layers.

    Parameters
    ----------
    program
        Exported with fixed shapes and batch 1.
    builder
        Empty; takes the layers.
    keep_values
        True: also return the trained values; False: shapes are enough.

    Raises
    ------
    ImportModelError
        An operation, a layout or a shape that is not understood, by name.
    """
    return _Walk(program, builder, keep_values).run()


def _functional(target: str) -> tuple[str, bool]:
    """('aten.relu.default', True) of 'aten.relu_.default': the operation that does the same, and whether it was in place."""
    namespace, _, rest = target.partition(".")
    name, _, overload = rest.partition(".")
    in_place = name.endswith("_") and not name.endswith("__")
    return (f"{namespace}.{name[:-1]}.{overload}", True) if in_place else (target, False)


class _Walk:
    def __init__(self, program: torch.export.ExportedProgram, builder: GraphBuilder, keep_values: bool) -> None:
        self.program = program
        self.recorder = Recorder(program, builder, keep_values)
        self.values: dict[str, Any] = {}
        self.trained = {
            spec.target: math.prod(program.state_dict[spec.target].shape)
            for spec in program.graph_signature.input_specs
            if spec.kind is InputKind.PARAMETER and spec.target is not None
        }

    def run(self) -> ImportedGraph:
        """Visit every node once, in the program's order."""
        specs = {getattr(spec.arg, "name", None): spec for spec in self.program.graph_signature.input_specs}
        outputs: tuple[str, ...] = ()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.values[node.name] = self._placeholder(node, specs[node.name])
            elif node.op == "call_function":
                self.values[node.name] = self._call(node)
            elif node.op == "output":
                outputs = self._outputs(node)
            else:
                raise ImportModelError(f"{node.name}: a node of kind {node.op!r} is not understood; allowed: exported ATen calls")
        recorder = self.recorder
        counted = sum(layer.parameters for layer in recorder.builder.layers)
        read = sum(self.trained[name] for name in recorder.used)
        if counted + recorder.folded != read:
            raise ImportModelError(f"the layers count {counted} parameters, but the program reads {read}: one is shared or partly read")
        unused = tuple(sorted(set(self.trained) - recorder.used))
        folded = f"{recorder.batch_norms} batch norms are folded: {recorder.folded:,} trained numbers are part of weights and biases"
        notes = (folded,) if recorder.batch_norms else ()
        return ImportedGraph(recorder.builder, outputs, recorder.weights, recorder.constants, unused, notes=notes)

    def _placeholder(self, node: torch.fx.Node, spec: Any) -> object:
        if spec.kind is InputKind.PARAMETER:
            return Parameter(spec.target, tuple(self.program.state_dict[spec.target].shape))
        if spec.kind in (InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            stored = self.program.constants if spec.target in self.program.constants else self.program.state_dict
            return Constant(stored[spec.target])
        if spec.kind is not InputKind.USER_INPUT or not isinstance(node.meta.get("val"), torch.Tensor):
            raise ImportModelError(f"{node.name}: an input of kind {spec.kind.name} is not understood; allowed: tensors")
        shape = shape_of(node)
        if shape[0] != 1 or len(shape) not in (3, 4):
            raise ImportModelError(f"input {node.name!r} has shape {shape}; allowed: (1, channels, height, width) or (1, rows, width)")
        builder = self.recorder.builder
        return builder.image(node.name, *shape[1:]) if len(shape) == 4 else builder.tokens(node.name, *shape[1:])

    def _outputs(self, node: torch.fx.Node) -> tuple[str, ...]:
        results: Any = torch.fx.node.map_arg(node.args[0], lambda arg: self.values[arg.name])
        names = []
        for result in results:
            if not isinstance(result, View):
                raise ImportModelError(f"output {result!r} does not depend on the input")
            names.append(result.producer)
        return tuple(names)

    def _call(self, node: torch.fx.Node) -> object:
        target, in_place = _functional(str(node.target))
        sources = [self.values[source.name] for source in node.all_input_nodes]
        if target in IGNORED:
            return Constant(None)
        if all(isinstance(source, Constant) for source in sources):
            return self._fold(node)
        if target in SAME_ELEMENTS and len(sources) == 1:
            return self._same_elements(node, sources[0])
        if target not in HANDLERS:
            known = sorted(HANDLERS.keys() | SAME_ELEMENTS)
            raise ImportModelError(f"{where(node)}: operation {str(node.target)!r} is not understood; known: {known}")
        result = HANDLERS[target](self.recorder, node, Arguments(self.values, node))
        if in_place:
            self._overwrite(node, result)
        return result

    def _overwrite(self, node: torch.fx.Node, result: object) -> None:
        """An operation in place: whoever reads its operand from here on, under any view, reads the result."""
        source = self.values[node.all_input_nodes[0].name]
        if not isinstance(source, View) or not isinstance(result, View) or source.dims != result.dims or source.row != result.row:
            raise ImportModelError(f"{where(node)}: {node.target} changes {source!r} in place, which is not supported")
        for name, value in self.values.items():
            if isinstance(value, View) and value.producer == source.producer:
                self.values[name] = replace(value, producer=result.producer)

    def _fold(self, node: torch.fx.Node) -> Constant:
        """Compute a call whose operands are all known."""
        value = node.meta.get("val")
        size = math.prod(shape_of(node)) if isinstance(value, torch.Tensor) else 1
        if size > _MAX_CONSTANT or not str(node.target).startswith("aten."):
            raise ImportModelError(f"{where(node)}: constant {node.target} of {size} elements is not computed; allowed: {_MAX_CONSTANT}")
        target: Any = node.target
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda arg: self.values[arg.name].value)
        here = {"device": torch.device("cpu")} if "device" in kwargs else {}  # the program may be exported on another device, or on none
        return Constant(target(*args, **{**kwargs, **here}))

    def _same_elements(self, node: torch.fx.Node, source: object) -> object:
        """A call that changes the shape, or nothing: the same elements in the same order."""
        shape = shape_of(node)
        value = node.meta["val"]
        if not value.is_floating_point():
            raise ImportModelError(f"{where(node)}: a cast to {value.dtype} is not supported; allowed: floating-point types")
        if str(node.target) in DROPOUTS and Arguments(self.values, node).get(2, "train", False):
            raise ImportModelError(f"{where(node)}: dropout in training mode; export the model after model.eval()")
        if isinstance(source, Parameter):
            if math.prod(shape) != math.prod(source.shape):
                raise ImportModelError(f"{where(node)}: parameter {source.name!r} of shape {source.shape} is expanded to {shape}")
            return Parameter(source.name, shape)
        if not isinstance(source, View):
            raise ImportModelError(f"{where(node)}: {node.target} of {source!r} is not understood")
        return source.reshape(shape)
