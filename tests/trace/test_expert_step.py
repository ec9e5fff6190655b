"""A mixture of experts in a step over tokens: as many rows for each token, and the choices that the trace records for its tokens."""

from __future__ import annotations

import json

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.errors import TraceError
from accelsim.simulation import simulate
from accelsim.trace.manifest import Manifest
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace
from tests.experts import CHOSEN, EXPERTS, INNER, TOP_K, WIDTH, manifest_of_experts


def language_model(tokens: int, chosen: tuple[tuple[int, ...], ...] = (), **changes: dict[str, object]) -> Trace:
    """One head of causal attention of the input with itself, then the experts."""
    fields = manifest_of_experts(tokens, chosen, **changes)
    scores, rows = {"rows": tokens, "width": tokens}, {"rows": tokens, "width": WIDTH}
    split = {"a": {"split": "columns"}, "b": {"split": "columns"}, "merge": "columns"}
    attention = [
        {"op": "matmul", "name": "scores", "inputs": ["x", "x"], "output": scores, "bounds": {"OX": tokens, "C": WIDTH, "K": tokens},
         "transposed_b": True, **split},
        {"op": "softmax", "name": "attention", "inputs": ["scores"], "output": scores, "mask": "causal"},
        {"op": "matmul", "name": "context", "inputs": ["attention", "x"], "output": rows,
         "bounds": {"OX": tokens, "C": tokens, "K": WIDTH}, **split},
    ]  # fmt: skip
    read = {"router": "context", "gate": "context", "up": "context"}
    layers = [{**layer, "inputs": [read.get(layer["name"], layer["inputs"][0]), *layer["inputs"][1:]]} for layer in fields["layers"]]
    return Trace(Manifest.model_validate_json(json.dumps({**fields, "layers": [*attention, *layers]})))


def test_a_step_has_as_many_rows_of_experts_for_each_token() -> None:
    step = at_tokens(language_model(3), 5, 7)
    rows = {layer.name: layer.output.rows for layer in step.layers}
    assert {rows[name] for name in ("router", "route", "sum", "context")} == {5}
    assert {rows[name] for name in ("gate", "up", "silu", "gated", "down")} == {5 * TOP_K}
    experts = sum(layer.macs for layer in step.layers if layer.expert_product is not None)
    assert experts == 5 * TOP_K * (WIDTH * INNER + WIDTH * INNER + INNER * WIDTH)
    assert step.layer("router").macs == 5 * WIDTH * EXPERTS


@pytest.mark.parametrize(
    ("tokens", "context", "chosen"), [(1, 2, (CHOSEN[2],)), (2, 1, CHOSEN[1:]), (3, 0, CHOSEN), (1, 3, ()), (2, 2, ())]
)
def test_a_step_takes_the_recorded_choices_of_its_tokens(tokens: int, context: int, chosen: tuple[tuple[int, ...], ...]) -> None:
    """Tokens behind the last that the trace records have none."""
    router = at_tokens(language_model(3, CHOSEN), tokens, context).layer("route").router
    assert router is not None
    assert router.chosen == chosen


def test_sequences_have_caches_of_their_own_and_share_the_experts_that_they_read() -> None:
    """Keys and values are the input itself: 2 x 8 tokens of WIDTH bytes for each of 5 sequences; weights are int8."""
    result = simulate(load_accelerator("edge-64x64"), at_tokens(language_model(3), 1, 7), batch=5)
    moved = {key.operand: bits // 8 for key, bits in result.traffic.items()}
    assert moved["kv_read"] == 5 * 2 * 8 * WIDTH
    used = len({layer.name for layer in result.layers if layer.name.startswith("up[") and layer.macs})
    assert moved["raw_weights"] == WIDTH * EXPERTS + used * 3 * WIDTH * INNER
    assert result.macs == 5 * at_tokens(language_model(3), 1, 7).macs


def test_rows_that_are_no_multiple_of_the_tokens_are_refused() -> None:
    trace = language_model(3)
    inputs = (
        *trace.manifest.inputs,
        trace.manifest.inputs[0].model_copy(update={"name": "y", "shape": trace.shapes["x"].with_fields(rows=4)}),
    )
    with pytest.raises(TraceError, match="'y' has 4 rows for 3 tokens; allowed: as many rows for each token"):
        at_tokens(Trace(trace.manifest.with_fields(inputs=inputs)), 1, 0)
