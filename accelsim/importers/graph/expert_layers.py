"""Layers of a mixture of experts, built from operations on views."""

from __future__ import annotations

from accelsim.formats.float32 import Float32Format
from accelsim.importers.graph.laid_out import LaidOutLayers
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.readings import Extent
from accelsim.ops.combine import CombineLayer
from accelsim.ops.experts import ExpertsLayer
from accelsim.ops.route import RouteLayer
from accelsim.trace.layers import LoopBounds, WeightRecord


class ExpertLayers(LaidOutLayers):
    """Router, products of experts, and the sum of their results."""

    def route(self, name: str, weights: View, top_k: int, *, normalized: bool, factor: float = 1.0, chosen_by: View | None = None) -> View:
        """The weights of each token's experts, chosen by them or by other scores; logical shape (tokens, experts)."""
        operands = [self._matrix(name, view, all_rows=True) for view in (weights, chosen_by) if view is not None]
        tokens, experts = operands[0].shape
        layer = self._make(
            RouteLayer, name=name, inputs=tuple(view.producer for view in operands), output=self._shape(1, tokens, experts),
            top_k=top_k, normalized=normalized, factor=factor, corrected=chosen_by is not None,
        )  # fmt: skip
        return self._add(layer, Extent(1, tokens, experts)).reshape((tokens, experts))

    def experts(self, name: str, rows: View, weights: View, outputs: int, experts: int, top_k: int, *, per_token: bool) -> View:
        """A product of each row with the matrix of an expert; (rows, inputs) -> (tokens * top_k, outputs)."""
        rows = self._matrix(name, rows, all_rows=True)
        count, reduction = weights.shape[0] * top_k, rows.shape[-1]
        layer = self._make(
            ExpertsLayer, name=name, inputs=(rows.producer, weights.producer), output=self._shape(1, count, outputs),
            bounds=LoopBounds(K=outputs, C=reduction, OX=count), experts=experts, top_k=top_k, per_token=per_token,
            weight=WeightRecord(format=Float32Format(), k=reduction, n=outputs * experts),
        )  # fmt: skip
        return self._add(layer, Extent(1, count, outputs)).reshape((count, outputs))

    def combine(self, name: str, rows: View, weights: View, top_k: int) -> View:
        """The weighted sum of each token's rows; (tokens * top_k, width) -> (tokens, width)."""
        rows = self._matrix(name, rows, all_rows=True)
        tokens, width = weights.shape[0], rows.shape[-1]
        output = self._shape(1, tokens, width)
        layer = self._make(CombineLayer, name=name, inputs=(rows.producer, weights.producer), output=output, top_k=top_k)
        return self._add(layer, Extent(1, tokens, width)).reshape((tokens, width))
