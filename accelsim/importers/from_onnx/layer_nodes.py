"""The node of an ONNX file that each imported layer comes from, by the names that viewers of ONNX files give to nodes.

Disputable assumption: a layer belongs to one node. A product into which later nodes are folded (a bias, a factor) belongs to the product's
node; a layer that stands for several nodes (a recognized attention) belongs to the last, with which it was complete.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.importers.from_onnx.file import OnnxModel, file_nodes
from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.from_onnx.walk import OnnxWalk
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.values import Deferred


@dataclass(frozen=True)
class LayerNodes:
    """Layers of a file and their nodes.

    Attributes
    ----------
    graph : name of the file's graph, '<main>' for one without a name
    nodes : layer -> name of its node; '<node_3>' for a node without a name, by its place
    nameless : layers of nodes that the file itself does not hold: those inside a local function
    """

    graph: str
    nodes: dict[str, str]
    nameless: tuple[str, ...]


def layer_nodes(model: OnnxModel) -> LayerNodes:
    """The nodes that the layers of a model come from; ImportModelError for a model that does not import by its shapes."""
    walk = _Tracing(model)
    walk.run()
    graph, names = file_nodes(model.path)
    nodes = {layer: names[output] for layer, output in walk.made_by.items() if output in names}
    return LayerNodes(graph, nodes, tuple(layer for layer in walk.made_by if layer not in nodes))


class _Tracing(OnnxWalk):
    """A walk that notes in which node's visit each layer appears; `made_by` maps it to the node's first output."""

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model, GraphBuilder(), keep_values=False)
        self.made_by: dict[str, str] = {}
        self._deferred: dict[str, OnnxNode] = {}  # tensors whose layer waits for what folds into it, by the node of the layer

    def _visit(self, node: OnnxNode) -> None:
        waiting = next((self._deferred[name] for name in node.inputs if name in self._deferred), None)
        super()._visit(node)
        for layer in list(self.recorder.builder.layers)[len(self.made_by) :]:
            owner = waiting if waiting is not None and layer.macs else node
            self.made_by[layer.name] = owner.outputs[0]
        for name in node.outputs:
            if isinstance(self.values.get(name), Deferred):
                self._deferred[name] = waiting or node
