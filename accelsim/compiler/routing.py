"""Mixtures of experts as plain layers: a product for each expert that some token takes, with the rows of its tokens.

Which experts a token takes is the trace's, where it records them, else drawn evenly by the seed; those of a batch's other sequences are
drawn. Disputable assumptions: an expert's rows are gathered once the choice is known, but its weights are prefetched as any layer's are, as
if it were known before; they come with the scales of its outputs and the codebook of its layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accelsim.errors import CompileError
from accelsim.ops.experts import ExpertsLayer
from accelsim.ops.operation import LayerBase
from accelsim.ops.route import RouteLayer
from accelsim.ops.shapes import TensorShape
from accelsim.ops.take import TakeLayer
from accelsim.trace.layers import Layer
from accelsim.trace.trace import Trace


def with_experts_chosen(trace: Trace, batch: int, seed: int) -> tuple[Trace, str]:
    """The trace with the products of the experts that are used, without the bits of its weights, and how they were chosen.

    A trace without experts is returned as it is, with an empty text.

    Raises
    ------
    CompileError
        A layer that reads the rows of experts and works on rows together.
    """
    if all(layer.router is None for layer in trace.layers):
        return trace, ""
    routing = _Routing(seed, batch, trace.shapes)
    for layer in trace.layers:
        routing.add(layer)
    return Trace(trace.manifest.with_fields(layers=tuple(routing.layers), payload=None, calibration=None)), routing.how()


@dataclass
class _Routing:
    """Layers so far.

    Attributes
    ----------
    tokens : router -> tokens of each expert that some token takes, ascending by expert
    parts : result that is computed expert by expert -> the layers that hold it
    taken : (rows, router) -> the layers that hold the rows of each expert's tokens
    rows : of each layer of one expert
    read, stored : experts; recorded, drawn : some choices were the trace's, some by the seed
    """

    seed: int
    batch: int
    shapes: Mapping[str, TensorShape]
    layers: list[Layer] = field(default_factory=list)
    tokens: dict[str, dict[int, int]] = field(default_factory=dict)
    parts: dict[str, dict[int, str]] = field(default_factory=dict)
    taken: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    read: int = 0
    stored: int = 0
    recorded: bool = False
    drawn: bool = False

    def add(self, layer: Layer) -> None:
        """Append a layer, or the layers that stand for it."""
        if layer.router is not None:
            self.tokens[layer.name] = self._chosen(layer.router)
            self.layers.append(layer.with_fields(constants={}))
        elif layer.expert_product is not None:
            self._products(layer.expert_product)
        elif layer.combines:
            parts = self._parts_of(layer, layer.inputs[0])
            self.layers.append(layer.with_fields(inputs=(*parts.values(), layer.inputs[-1]), parts=len(parts), sequences=self.batch))
        elif any(name in self.parts for name in layer.inputs):
            self._elementwise(layer)
        else:
            weighted = layer.weighted
            bare = {} if weighted is None else {"weight": weighted.in_format(weighted.weight.format).weight}
            self.layers.append(layer.with_fields(constants={}, **bare))

    def _append(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.rows[layer.name] = layer.output.rows

    def how(self) -> str:
        """How the experts were chosen, and how many are read."""
        drawn = f"drawn evenly (seed {self.seed})"
        if self.recorded:
            rest = f"{self.batch - 1} other{'s' if self.batch > 2 else ''}" if self.batch > 1 else "layers without records"
            source = f"as the trace records them, those of {rest} {drawn}" if self.drawn else "as the trace records them"
        else:
            source = drawn
        return f"{source}: the weights of {self.read} of {self.stored} are read"

    def _chosen(self, router: RouteLayer) -> dict[int, int]:
        tokens, experts = router.output.rows, router.output.width
        recorded = np.array(router.chosen, np.int64).reshape(-1, router.top_k)
        draws = np.random.default_rng([self.seed, len(self.tokens)]).random((tokens * self.batch - len(recorded), experts))
        places = np.concatenate([recorded, np.argsort(draws, axis=1)[:, : router.top_k]])
        self.recorded |= len(recorded) > 0
        self.drawn |= len(draws) > 0
        counts = np.bincount(places.reshape(-1), minlength=experts)
        self.read += int((counts > 0).sum())
        self.stored += experts
        return {int(expert): int(counts[expert]) for expert in np.flatnonzero(counts)}

    def _products(self, layer: ExpertsLayer) -> None:
        source, router = layer.inputs
        if router not in self.tokens:
            raise CompileError(f"layer {layer.name!r}: reads the weights of its experts from {router!r}; allowed: a layer of op 'route'")
        rows = self._rows_of(layer) if layer.per_token else self._parts_of(layer, source)
        made = [layer.of_expert(expert, count, rows[expert]) for expert, count in self.tokens[router].items()]
        for product in made:
            self._append(product)
        self.parts[layer.name] = dict(zip(self.tokens[router], (product.name for product in made), strict=True))

    def _rows_of(self, layer: ExpertsLayer) -> dict[int, str]:
        """The layers that hold the rows of each expert's tokens, made where they are not."""
        source, router = layer.inputs
        found = self.taken.setdefault((source, router), {})
        for expert, count in self.tokens[router].items() if not found else ():
            fields: dict[str, Any] = {
                "name": f"{router}.rows[{expert}]", "inputs": (source, router), "output": self.shapes[source].with_fields(rows=count),
                "expert": expert, "top_k": layer.top_k, "sequences": self.batch,
            }  # fmt: skip
            self.layers.append(TakeLayer(**fields))
            found[expert] = fields["name"]
        return found

    def _parts_of(self, layer: LayerBase, name: str) -> dict[int, str]:
        if name not in self.parts:
            raise CompileError(f"layer {layer.name!r}: reads rows of experts from {name!r}, which no layer computes expert by expert")
        return self.parts[name]

    def _elementwise(self, layer: Layer) -> None:
        """An operation of single rows of experts, as one for each of them."""
        operands = [self._parts_of(layer, name) for name in layer.inputs]
        if layer.vector is None or not (layer.by_rows and layer.in_step) or layer.constant_sizes:
            raise CompileError(
                f"layer {layer.name!r} ({layer.op}): reads rows of experts; allowed: products of experts, the sum of their results, and "
                "operations of single rows without constants"
            )
        made: dict[int, str] = {}
        for expert in operands[0]:
            inputs = tuple(parts[expert] for parts in operands)
            shape = layer.output.with_fields(rows=self.rows[inputs[0]])
            made[expert] = f"{layer.name}[{expert}]"
            self._append(layer.with_fields(name=made[expert], inputs=inputs, output=shape))
        self.parts[layer.name] = made
