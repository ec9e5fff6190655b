"""ONNX's recurrent layers compute what their definitions do: one sequence, step by step, in one direction or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from accelsim.errors import ImportModelError
from accelsim.trace.trace import Trace
from tests.importers.onnx_models import imported, make, naive_and_bound, node, random

STEPS, WIDTH, HIDDEN = 5, 8, 6
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
X = random(STEPS, 1, WIDTH)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def defined(op: str, w: np.ndarray, r: np.ndarray, b: np.ndarray, h: np.ndarray, c: np.ndarray, reset: int, back: bool) -> np.ndarray:
    """States (steps, hidden) of one direction, by the equations of ONNX's page of operators."""
    wb, rb = np.split(b, 2)
    found = []
    for x in X[::-1, 0] if back else X[:, 0]:
        if op == "LSTM":
            i, o, f, fresh = np.split(x @ w.T + h @ r.T + wb + rb, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(fresh)
            h = sigmoid(o) * np.tanh(c)
        elif op == "GRU":
            (wz, wr, wh), (rz, rr, rh) = np.split(w, 3), np.split(r, 3)
            (bz, br, bh), (cz, cr, ch) = np.split(wb, 3), np.split(rb, 3)
            z, gate = sigmoid(x @ wz.T + h @ rz.T + bz + cz), sigmoid(x @ wr.T + h @ rr.T + br + cr)
            n = np.tanh(x @ wh.T + bh + (gate * (h @ rh.T + ch) if reset else (gate * h) @ rh.T + ch))
            h = (1 - z) * n + z * h
        else:
            h = np.tanh(x @ w.T + h @ r.T + wb + rb)
        found.append(h)
    return np.array(found[::-1] if back else found)


def weights(op: str, ways: int) -> dict[str, np.ndarray]:
    rows = GATES[op] * HIDDEN
    return {
        "w": random(ways, rows, WIDTH) / 3, "r": random(ways, rows, HIDDEN, seed=1) / 3, "b": random(ways, 2 * rows, seed=2),
        "h": random(ways, 1, HIDDEN, seed=3), "c": random(ways, 1, HIDDEN, seed=4),
    }  # fmt: skip


def values(trace: Trace) -> tuple[np.ndarray, float]:
    return naive_and_bound(trace, X)


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "reset"), [("LSTM", 0), ("GRU", 0), ("GRU", 1), ("RNN", 0)])
def test_states_of_every_step(op: str, reset: int, direction: str, state: bool, tmp_path: Path) -> None:
    """A constant state takes no product in the first step, but its gate does: (r h) R of a GRU."""
    ways = 2 if direction == "bidirectional" else 1
    constants = weights(op, ways)
    if not state:
        constants["h"], constants["c"] = np.zeros_like(constants["h"]), np.zeros_like(constants["c"])
    if op != "LSTM":
        del constants["c"]
    attributes: dict[str, Any] = {"linear_before_reset": reset} if op == "GRU" else {}
    operands = ["x", "w", "r", "b", "", "h", *(["c"] if op == "LSTM" else [])]
    nodes = [
        node(op, operands, ["s"], hidden_size=HIDDEN, direction=direction, **attributes),
        node("Transpose", ["s"], ["t"], perm=[0, 2, 1, 3]), node("Reshape", ["t", "shape"], ["y"]),
    ]  # fmt: skip
    model = make(nodes, X.shape, {**constants, "shape": np.array([1, STEPS, ways * HIDDEN])})
    trace = imported(model, tmp_path)
    backs = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    cells = constants.get("c", constants["h"])
    wanted = [
        defined(op, *(constants[name][way] for name in "wrb"), constants["h"][way, 0], cells[way, 0], reset, back)
        for way, back in enumerate(backs)
    ]
    gated = ways * HIDDEN * HIDDEN * (op == "GRU" and not reset and state)
    found, bound = values(trace)
    np.testing.assert_allclose(found.reshape(STEPS, ways * HIDDEN), np.concatenate(wanted, axis=1), rtol=0, atol=bound + 1e-6)
    assert trace.macs == ways * GATES[op] * HIDDEN * (STEPS * WIDTH + (STEPS - 1) * HIDDEN) + gated


@pytest.mark.parametrize(("op", "output"), [("LSTM", 1), ("LSTM", 2), ("GRU", 1)])
def test_the_last_state_and_cell(op: str, output: int, tmp_path: Path) -> None:
    constants = {name: value for name, value in weights(op, 1).items() if name in "wrb"}
    outputs = ["", "", ""]
    outputs[output] = "s"
    nodes = [node(op, ["x", "w", "r", "b"], outputs[: output + 1], hidden_size=HIDDEN), node("Relu", ["s"], ["y"])]
    trace = imported(make(nodes, X.shape, constants), tmp_path)
    zeros = np.zeros(HIDDEN)
    states = defined(op, *(constants[name][0] for name in "wrb"), zeros, zeros, 0, False)
    found, bound = values(trace)
    if output == 1:
        np.testing.assert_allclose(found.reshape(-1), np.maximum(states[-1], 0), rtol=0, atol=bound + 1e-6)
    else:  # h = o tanh(c): its sign is that of the cell
        assert ((found.reshape(-1) > 0) == (states[-1] > 0)).all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"activations": ["Tanh", "Tanh", "Tanh"]}, "activations"), ({"clip": 1.0}, "clip is not supported"),
        ({"direction": "sideways"}, "direction 'sideways'"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], text: str, tmp_path: Path) -> None:
    constants = {name: value for name, value in weights("LSTM", 1).items() if name in "wrb"}
    nodes = [node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=HIDDEN, **change)]
    with pytest.raises(ImportModelError, match=text):
        imported(make(nodes, X.shape, constants), tmp_path)
