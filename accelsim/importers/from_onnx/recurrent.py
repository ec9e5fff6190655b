"""ONNX's LSTM, GRU and RNN, written out step by step in ONNX's own operations: one sequence, its length known.

All steps of the input are one product ahead of the first step; each later step has a product of its own with the state before. A state
that begins at zero takes no product in the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from onnx import helper, numpy_helper

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.node import OnnxNode

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_MOST_STEPS = 4096


class InitialState(Enum):
    """A state ahead of the first step: left out or all zeros, another constant, or an activation."""

    ZERO = 0
    KNOWN = 1
    MOVING = 2


class _Way(NamedTuple):
    """One direction: its place among the weights, and the order of the steps."""

    place: int
    steps: Sequence[int]


class _Writer:
    """Nodes in order, each with results of its own."""

    def __init__(self, node: OnnxNode) -> None:
        self.prefix = node.label
        self.nodes: list[Any] = []
        self.known: set[str] = set()  # states that are constants

    def make(self, op: str, *operands: str, result: str = "", **attributes: Any) -> str:
        """Append a node; the name of its result."""
        result = result or f"{self.prefix}::{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(operands), [result], f"{self.prefix}/{op}_{len(self.nodes)}", **attributes))
        return result

    def product(self, state: str, weights: str, bias: str = "") -> str:
        """state W' + bias; of a constant state a constant."""
        if state not in self.known:
            return self.make("Gemm", state, weights, *([bias] if bias else []), transB=1)
        found = self.make("MatMul", state, self.make("Transpose", weights, perm=[1, 0]))
        return self.make("Add", found, bias) if bias else found

    def integers(self, *values: int) -> str:
        return self.make("Constant", value=numpy_helper.from_array(np.array(values, np.int64)))

    def part(self, source: str, axis: int, first: int, stop: int) -> str:
        return self.make("Slice", source, self.integers(first), self.integers(stop), self.integers(axis))


def written_out(node: OnnxNode, shape: Sequence[int], states: Sequence[InitialState]) -> list[Any]:
    """The nodes (onnx.NodeProto) of a recurrent layer.

    Parameters
    ----------
    shape
        Of its first operand: (steps, 1, width), or (1, steps, width) where `layout` is 1.
    states
        The initial states, of h and of c.

    Raises
    ------
    ImportModelError
        Several sequences, other activations, peepholes, clips, lengths of sequences.
    """
    first = node.integer("layout", 0)
    if len(shape) != 3 or shape[1 - first] != 1 or shape[first] > _MOST_STEPS:
        raise ImportModelError(f"{node.where}: sequences of shape {tuple(shape)}; allowed: one, of at most {_MOST_STEPS} steps")
    steps, hidden = shape[first], node.integer("hidden_size", 0)
    direction = node.text("direction", "forward")
    ways = {
        "forward": [_Way(0, range(steps))], "reverse": [_Way(0, range(steps)[::-1])],
        "bidirectional": [_Way(0, range(steps)), _Way(1, range(steps)[::-1])],
    }.get(direction)  # fmt: skip
    if ways is None or hidden < 1:
        raise ImportModelError(f"{node.where}: direction {direction!r} and hidden_size {hidden}; allowed: forward, reverse, bidirectional")
    given = [
        text.decode("utf-8", "replace")
        for attribute in node.proto.attribute
        if attribute.name == "activations"
        for text in attribute.strings
    ]
    if given and given != list(_DEFAULTS[node.op]) * len(ways):
        raise ImportModelError(f"{node.where}: activations {given}; allowed: {', '.join(_DEFAULTS[node.op])}")
    used = [name for name in ("clip", "input_forget") if node.has(name) and node.attribute(name)]
    used += [name for place, name in ((4, "sequence_lens"), (7, "peepholes")) if len(node.inputs) > place and node.inputs[place]]
    if used:
        raise ImportModelError(f"{node.where}: {', '.join(used)} is not supported; allowed: none")
    writer = _Writer(node)
    rows = writer.make("Reshape", node.inputs[0], writer.integers(steps, shape[2]))
    found = [_direction(writer, node, way, rows, hidden, states) for way in ways]
    _results(writer, node, found, steps, hidden, first)
    return writer.nodes


class _Run(NamedTuple):
    """The states of a direction, by step, and the last ones."""

    states: Sequence[str]
    last: tuple[str, str]


def _direction(writer: _Writer, node: OnnxNode, way: _Way, rows: str, hidden: int, states: Sequence[InitialState]) -> _Run:
    width = _GATES[node.op] * hidden

    def own(place: int, *shape: int) -> str:
        return writer.make("Reshape", writer.part(node.inputs[place], 0, way.place, way.place + 1), writer.integers(*shape))

    weights, back = own(1, width, -1), own(2, width, hidden)
    both = own(3, 2 * width) if len(node.inputs) > 3 and node.inputs[3] else ""
    biases = [writer.part(both, 0, place * width, (place + 1) * width) for place in range(2)] if both else ["", ""]
    if both and node.op != "GRU":  # added up, as both are added to the same gates
        biases = [writer.make("Add", *biases), ""]
    inputs = writer.make("Gemm", rows, weights, *biases[:1], transB=1) if biases[0] else writer.make("Gemm", rows, weights, transB=1)
    state, cell = (
        "" if states[place] is InitialState.ZERO else writer.make(
            "Reshape", writer.part(node.inputs[5 + place], 1 if node.integer("layout", 0) else 0, way.place, way.place + 1),
            writer.integers(1, hidden),
        )
        for place in range(2)
    )  # fmt: skip
    writer.known = {name for name, kind in zip((state, cell), states, strict=True) if kind is InitialState.KNOWN}
    found: dict[int, str] = {}
    for step in way.steps:
        row = writer.part(inputs, 0, step, step + 1)
        state, cell = _STEPS[node.op](writer, node, row, state, cell, back, biases[1], hidden)
        found[step] = state
    return _Run([found[step] for step in sorted(found)], (state, cell))


def _gates(writer: _Writer, row: str, hidden: int, count: int) -> list[str]:
    return [writer.part(row, 1, place * hidden, (place + 1) * hidden) for place in range(count)]


def _lstm(writer: _Writer, node: OnnxNode, row: str, state: str, cell: str, back: str, bias: str, hidden: int) -> tuple[str, str]:
    """Gates i, o, f, c: c' = f c + i tanh(c), h = o tanh(c')."""
    if state:
        row = writer.make("Add", row, writer.product(state, back))
    i, o, f, c = _gates(writer, row, hidden, 4)
    fresh = writer.make("Mul", writer.make("Sigmoid", i), writer.make("Tanh", c))
    if cell:
        fresh = writer.make("Add", writer.make("Mul", writer.make("Sigmoid", f), cell), fresh)
    return writer.make("Mul", writer.make("Sigmoid", o), writer.make("Tanh", fresh)), fresh


def _gru(writer: _Writer, node: OnnxNode, row: str, state: str, cell: str, back: str, bias: str, hidden: int) -> tuple[str, str]:
    """Gates z, r, n: h' = (1 - z) n + z h = n + z (h - n).

    n = tanh(x + r (h R + b)) or, with `linear_before_reset` 0, tanh(x + (r h) R + b).
    """
    z, r, n = _gates(writer, row, hidden, 3)
    ahead = bool(node.integer("linear_before_reset", 0))
    gates = (2 if state and not ahead else 3) * hidden
    constants = writer.part(bias, 0, 0, gates) if bias else ""
    term = ""
    if state:
        parts = _gates(writer, writer.product(state, writer.part(back, 0, 0, gates), constants), hidden, gates // hidden)
    else:
        parts = [writer.part(bias, 0, place * hidden, (place + 1) * hidden) for place in range(3)] if bias else []
    if parts:
        z, r = writer.make("Add", z, parts[0]), writer.make("Add", r, parts[1])
    z, r = writer.make("Sigmoid", z), writer.make("Sigmoid", r)
    if len(parts) == 3:
        term = writer.make("Mul", r, parts[2]) if ahead else parts[2]
    elif state:
        last = [writer.part(source, 0, 2 * hidden, 3 * hidden) for source in (back, bias) if source]
        term = writer.product(writer.make("Mul", r, state), *last)
    n = writer.make("Tanh", writer.make("Add", n, term) if term else n)
    if not state:
        return writer.make("Sub", n, writer.make("Mul", z, n)), ""
    return writer.make("Add", n, writer.make("Mul", z, writer.make("Sub", state, n))), ""


def _rnn(writer: _Writer, node: OnnxNode, row: str, state: str, cell: str, back: str, bias: str, hidden: int) -> tuple[str, str]:
    """h' = tanh(x + h R)."""
    return writer.make("Tanh", writer.make("Add", row, writer.product(state, back)) if state else row), ""


_STEPS: dict[str, Callable[..., tuple[str, str]]] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
RECURRENT = frozenset(_STEPS)


def _results(writer: _Writer, node: OnnxNode, found: Sequence[_Run], steps: int, hidden: int, first: int) -> None:
    """Y (steps, directions, 1, hidden), the last h and c (directions, 1, hidden); with `layout` 1 the sequence comes first."""
    names = [*node.outputs, "", "", ""][:3]
    if names[0]:
        runs = []
        for run in found:
            rows = writer.make("Concat", *run.states, axis=0) if steps > 1 else run.states[0]
            runs.append(writer.make("Reshape", rows, writer.integers(*((1, steps, 1, hidden) if first else (steps, 1, 1, hidden)))))
        _joined(writer, runs, names[0], 2 if first else 1)
    for place in (0, 1):
        if names[1 + place]:
            lasts = [writer.make("Reshape", run.last[place], writer.integers(1, 1, hidden)) for run in found]
            _joined(writer, lasts, names[1 + place], 1 if first else 0)


def _joined(writer: _Writer, parts: Sequence[str], result: str, axis: int) -> None:
    if len(parts) > 1:
        writer.make("Concat", *parts, result=result, axis=axis)
    else:
        writer.make("Identity", parts[0], result=result)
