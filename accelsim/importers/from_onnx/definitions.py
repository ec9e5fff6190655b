"""Operations that stand for several of ONNX's own: put in place of them before the walk, which knows the others.

ONNX defines some of its operations as functions of others, which the onnx package inlines. The operations that onnxruntime fuses when
it saves an optimized model (domain com.microsoft) are written here as the nodes that it had fused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.checker
import onnx.inliner
from onnx import AttributeProto, helper

from accelsim.errors import ImportModelError

_FUSED_DOMAIN = "com.microsoft"
_NODES_OF_A_FUNCTION = 64  # at most, of ONNX's own
Nodes = Iterator[Any]


def spelled_out(model: Any, path: Path, most_nodes: int) -> Any:
    """The model (onnx.ModelProto) without the operations of `FUSED` and `FUNCTIONS`.

    Raises
    ------
    ImportModelError
        More than `most_nodes` nodes in all, or a function that the onnx package does not inline.
    """
    nodes = model.graph.node
    if any(node.domain == _FUSED_DOMAIN and node.op_type in FUSED for node in nodes):
        made = [inner for node in nodes for inner in _unfused(node)]
        del nodes[:]
        nodes.extend(made)
    wanted = sorted({node.op_type for node in nodes if node.domain in ("", "ai.onnx") and node.op_type in FUNCTIONS})
    if not wanted:
        return model
    calls = sum(node.op_type in wanted for node in nodes)
    if len(nodes) + calls * _NODES_OF_A_FUNCTION > most_nodes:
        raise ImportModelError(f"{path}: {len(nodes)} nodes, {calls} of them functions; allowed: at most {most_nodes} in all")
    for node in nodes:
        if node.op_type in wanted and node.domain in ("", "ai.onnx"):
            node.attribute.extend(_left_out(node))  # a function's body refers to them, and the inliner knows no defaults
    try:
        return onnx.inliner.inline_selected_functions(model, [("", name) for name in wanted], inline_schema_functions=True)
    except (onnx.checker.ValidationError, RuntimeError) as error:
        raise ImportModelError(f"{path}: {', '.join(wanted)} cannot be inlined: {str(error).splitlines()[0]}") from None


def _left_out(node: Any) -> Nodes:
    """Attributes of an operation of ONNX that have a default and are not given."""
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in onnx.defs.get_schema(node.op_type).attributes.items():
        if name not in given and attribute.default_value.name:
            yield attribute.default_value


def _unfused(node: Any) -> Nodes:
    if node.domain == _FUSED_DOMAIN and node.op_type in FUSED:
        yield from FUSED[node.op_type](_Fused(node))
    else:
        yield node


class _Fused:
    """A fused node: its operands by place, '' for one that is left out, and the nodes that it stands for."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.attributes = {attribute.name: attribute for attribute in node.attribute}
        self.name = node.name or node.output[0]
        self.count = 0

    def operand(self, place: int) -> str:
        return self.node.input[place] if place < len(self.node.input) else ""

    def output(self, place: int) -> str:
        return self.node.output[place] if place < len(self.node.output) else ""

    def between(self) -> str:
        """A name for a result between two nodes."""
        self.count += 1
        return f"{self.node.output[0]}::{self.count}"

    def number(self, name: str, default: float) -> float:
        found = self.attributes.get(name)
        return found.f if found is not None and found.type == AttributeProto.FLOAT else default

    def made(self, op: str, operands: Sequence[str], result: str, attributes: Sequence[Any] = (), **more: Any) -> Any:
        """A node of ONNX's own, whose name ends as the fused one's."""
        made = helper.make_node(op, list(operands), [result], f"{self.name}/{op}", **more)
        made.attribute.extend(attributes)
        return made

    def constant(self, value: float, result: str) -> Any:
        return self.made("Constant", (), result, value=helper.make_tensor("value", onnx.TensorProto.FLOAT, [], [value]))


def _activation(fused: _Fused, source: str) -> Nodes:
    """The activation that a fused product names, of `source`."""
    named = fused.attributes.get("activation")
    op = named.s.decode("utf-8", "replace") if named is not None else ""
    given = fused.attributes.get("activation_params")
    alone = [fused.attributes[name].f for name in ("activation_alpha", "activation_beta") if name in fused.attributes]
    values = list(given.floats) if given is not None else alone
    if op == "Clip":
        bounds = [fused.between() for _ in values]
        for value, name in zip(values, bounds, strict=True):
            yield fused.constant(value, name)
        yield fused.made(op, (source, *bounds), fused.output(0))
        return
    names = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}.get(op, ())
    yield fused.made(op or "Identity", (source,), fused.output(0), **dict(zip(names, values, strict=False)))


def _with_activation(op: str, operands: int) -> Callable[[_Fused], Nodes]:
    """A product of so many operands, a sum of the one behind them, and an activation."""

    def nodes(fused: _Fused) -> Nodes:
        own = [attribute for name, attribute in fused.attributes.items() if not name.startswith("activation")]
        at = fused.between()
        yield fused.made(op, [fused.operand(place) for place in range(min(operands, len(fused.node.input)))], at, own)
        if fused.operand(operands):
            at, before = fused.between(), at
            yield fused.made("Add", (before, fused.operand(operands)), at)
        yield from _activation(fused, at)

    return nodes


def _bias_gelu(**attributes: str) -> Callable[[_Fused], Nodes]:
    """Gelu of a sum with a bias, if there is one."""

    def nodes(fused: _Fused) -> Nodes:
        at = fused.operand(0)
        if fused.operand(1):
            at = fused.between()
            yield fused.made("Add", (fused.operand(0), fused.operand(1)), at)
        made = fused.made("Gelu", (at,), fused.output(0), **attributes)
        made.domain = _FUSED_DOMAIN if not attributes else ""
        yield made

    return nodes


def _quick_gelu(fused: _Fused) -> Nodes:
    """x times the sigmoid of alpha x."""
    factor, product, gate = (fused.between() for _ in range(3))
    yield fused.constant(fused.number("alpha", 1.702), factor)
    yield fused.made("Mul", (fused.operand(0), factor), product)
    yield fused.made("Sigmoid", (product,), gate)
    yield fused.made("Mul", (fused.operand(0), gate), fused.output(0))


def _skip_norm(op: str, constants: int) -> Callable[[_Fused], Nodes]:
    """A residual sum, with a bias or without, and its normalization with so many trained vectors."""

    def nodes(fused: _Fused) -> Nodes:
        total, bias = fused.output(3) or fused.between(), fused.operand(2 + constants)
        at = fused.between() if bias else total
        yield fused.made("Add", (fused.operand(0), fused.operand(1)), at)
        if bias:
            yield fused.made("Add", (at, bias), total)
        vectors = [fused.operand(2 + place) for place in range(constants)]
        epsilon = fused.number("epsilon", 1e-12 if constants > 1 else 1e-6)
        made = fused.made(op, (total, *(name for name in vectors if name)), fused.output(0), axis=-1, epsilon=epsilon)
        made.domain = "" if constants > 1 else _FUSED_DOMAIN
        yield made

    return nodes


def _embed_norm(fused: _Fused) -> Nodes:
    """Rows of words, of positions and of segments, their sum and its normalization; positions count from 0 where none are given."""
    ids, segments, words, positions, kinds, gamma, beta, _, places = map(fused.operand, range(9))
    word, at = fused.between(), fused.between()
    yield fused.made("Gather", (words, ids), word, axis=0)
    if places:
        yield fused.made("Gather", (positions, places), at, axis=0)
    else:
        shape, count, first, zero, one, row = (fused.between() for _ in range(6))
        yield fused.made("Shape", (ids,), shape)
        for name, value in ((one, 1), (zero, 0)):
            yield fused.made("Constant", (), name, value=helper.make_tensor("value", onnx.TensorProto.INT64, [1], [value]))
        two = fused.between()
        yield fused.made("Constant", (), two, value=helper.make_tensor("value", onnx.TensorProto.INT64, [1], [2]))
        yield fused.made("Slice", (shape, one, two), count)
        yield fused.made("Slice", (positions, zero, count), row)
        yield fused.made("Unsqueeze", (row, zero), first)
        yield fused.made("Identity", (first,), at)
    total = fused.output(2) or fused.between()
    if segments and kinds:
        half, kind = fused.between(), fused.between()
        yield fused.made("Add", (word, at), half)
        yield fused.made("Gather", (kinds, segments), kind, axis=0)
        yield fused.made("Add", (half, kind), total)
    else:
        yield fused.made("Add", (word, at), total)
    yield fused.made("LayerNormalization", (total, gamma, beta), fused.output(0), axis=-1, epsilon=fused.number("epsilon", 1e-12))


FUSED: dict[str, Callable[[_Fused], Nodes]] = {
    "FusedConv": _with_activation("Conv", 3),
    "FusedGemm": _with_activation("Gemm", 3),
    "BiasGelu": _bias_gelu(),
    "FastGelu": _bias_gelu(approximate="tanh"),
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_norm("LayerNormalization", 2),
    "SkipSimplifiedLayerNormalization": _skip_norm("SimplifiedLayerNormalization", 1),
    "EmbedLayerNormalization": _embed_norm,
}

FUNCTIONS = frozenset(
    {"Celu", "LogSoftmax", "MeanVarianceNormalization", "ReduceL1", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare",
     "SwiGLU", "Swish"}
)  # fmt: skip
