"""Weights of a '.safetensors' file in the place of an ONNX file's initializers.

A tensor goes to the initializer of its name. Exporters turn the matrices of linear layers and then call them 'onnx::MatMul_12' or
'val_3': such a one takes the tensor LAYER.weight, of shape (outputs, inputs), by the layer's name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from accelsim.importers.from_onnx.file import OnnxModel
from accelsim.importers.from_onnx.walk import walk_onnx
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.values import Array
from accelsim.importers.weights_file import match, open_weights


def with_weights(model: OnnxModel, path: Path) -> OnnxModel:
    """The model with the file's values.

    Raises
    ------
    ImportModelError
        The file is not whole, or its names and shapes are not those of the initializers that the layers read.
    """
    file = open_weights(path)
    graph = walk_onnx(model, GraphBuilder(), keep_values=False)
    shapes = graph.read
    layers = {initializer: layer for layer, initializer in graph.stored.items() if len(shapes.get(initializer, ())) == 2}
    turned = {name: f"{layer}.weight" for name, layer in layers.items() if name not in file.tensors and f"{layer}.weight" not in shapes}
    wanted = {turned.get(name, name): shape[::-1] if name in turned else shape for name, shape in shapes.items()}
    found = match(file, wanted, str(model.path))
    values: dict[str, Array] = {}
    for name in shapes:
        value = file.read(found[turned.get(name, name)])
        values[name] = value.T if name in turned else value
    return replace(model, replaced=values)
