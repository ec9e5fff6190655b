"""All obstacles of an ONNX file in one walk: behind each, the walk goes on with an activation of the shape that onnx infers.

Disputable assumption: such an activation is a new input, so an obstacle that only a folded weight or a known function would show behind
another obstacle is found once the first is gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import onnx
from onnx import shape_inference
from pydantic import ValidationError

from accelsim.errors import ImportModelError, TraceError
from accelsim.importers.from_onnx.file import OnnxModel
from accelsim.importers.from_onnx.inputs import OnnxInput
from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.from_onnx.walk import OnnxWalk
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Constant, Plain
from accelsim.importers.obstacle import Obstacle
from accelsim.problems import one_problem

Shape = tuple[int, ...]


def explain_onnx(model: OnnxModel) -> tuple[Obstacle, ...]:
    """The obstacles in the order of the nodes, outputs last; none for a model that imports by its shapes."""
    walk = _Explaining(model)
    walk.run()
    return tuple(walk.obstacles)


class _Explaining(OnnxWalk):
    """A walk that notes what it cannot take, and goes on."""

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model, GraphBuilder(), keep_values=False)
        self.obstacles: list[Obstacle] = []
        self._inferred = _shapes(model)
        self._unknown: dict[str, int] = {}  # tensors without a value or a shape, by the obstacle that they are behind

    def _input(self, name: str, source: OnnxInput) -> Value:
        with self._noting(source.shape):
            return super()._input(name, source)
        return self._substitute(name, source.shape)

    def _visit(self, node: OnnxNode) -> None:
        origin = next((self._unknown[name] for name in node.inputs if name in self._unknown), None)
        if origin is not None:
            self.obstacles[origin] = replace(self.obstacles[origin], behind=self.obstacles[origin].behind + 1)
            self._unknown.update(dict.fromkeys(node.outputs, origin))
            return
        with self._noting(*(shape for shape in map(self._shape, node.inputs) if shape is not None)):
            super()._visit(node)
            return
        for name in node.outputs:
            if name and name not in self.made:
                self._replace(name)

    def _output(self, name: str) -> View | None:
        if name not in self._unknown:
            with self._noting():
                return super()._output(name)
        return None

    @contextmanager
    def _noting(self, *shapes: Shape) -> Iterator[None]:
        """Note what the body refuses."""
        try:
            yield
        except ValidationError as error:
            self.obstacles.append(Obstacle(one_problem(error), shapes))
        except (ImportModelError, TraceError) as error:
            self.obstacles.append(Obstacle(str(error).removeprefix(f"{self.model.path}: "), shapes))

    def _replace(self, name: str) -> None:
        """Go on with a new activation in the place of a result, or without it if its shape is not known."""
        shape = self._inferred.get(name)
        if shape is not None:
            with self._noting(shape):
                self._bind(name, self._substitute(name, shape))
                return
        self._unknown[name] = len(self.obstacles) - 1

    def _substitute(self, name: str, shape: Shape) -> Value:
        builder = self.recorder.builder
        if len(shape) == 4 and shape[0] == 1:
            return Plain(builder.image(builder.unique(name), *shape[1:]))
        *outer, width = shape or (1,)
        return Plain(builder.tokens(builder.unique(name), math.prod(outer), width).reshape(shape))

    def _shape(self, name: str) -> Shape | None:
        value = self.values.get(name)
        if value is not None:
            return value.array.shape if isinstance(value, Constant) else value.shape
        tensor = self.model.initializers.get(name)
        return self._inferred.get(name) if tensor is None else tuple(tensor.dims)


def _shapes(model: OnnxModel) -> dict[str, Shape]:
    """Shapes by onnx's own inference, of tensors whose sizes are all known; the inputs have the sizes that were bound."""
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    for source in graph.input:
        if source.name in model.inputs:
            dims = source.type.tensor_type.shape.dim
            for dim, size in zip(dims, model.inputs[source.name].shape, strict=True):
                dim.dim_value = size
    domains = {node.domain for node in graph.node} - {"", "ai.onnx"}
    opsets = [onnx.helper.make_opsetid("", model.opset), *(onnx.helper.make_opsetid(domain, 1) for domain in sorted(domains))]
    try:
        found: Any = shape_inference.infer_shapes(onnx.helper.make_model(graph, opset_imports=opsets), data_prop=True).graph
    except (shape_inference.InferenceError, ValueError):  # the file's own annotations contradict it, or it exceeds a protocol buffer
        return {}
    shapes = {}
    for value in (*found.value_info, *found.output):
        sizes = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        if sizes and min(sizes) > 0:
            shapes[value.name] = sizes
    return shapes
