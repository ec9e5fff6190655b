"""A mixture of experts by itself: router, gated feed-forward of each expert, and the weighted sum."""

from __future__ import annotations

import json
from typing import Any

from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace
from tests.tiny_machines import SOURCE

WIDTH, INNER, EXPERTS, TOP_K = 16, 24, 4, 2
CHOSEN = ((0, 1), (0, 2), (1, 0))  # expert 0 has three tokens, 1 has two, 2 has one, 3 has none
INT8: dict[str, Any] = {"kind": "uniform", "bits": 8}


def manifest_of_experts(
    tokens: int, chosen: tuple[tuple[int, ...], ...] = (), weight_format: dict[str, Any] = INT8, **changes: dict[str, Any]
) -> dict[str, Any]:
    """Its manifest; `changes` of the fields of layers, by their names."""
    rows = tokens * TOP_K

    def experts(name: str, source: str, reduction: int, outputs: int, per_token: bool) -> dict[str, Any]:
        return {
            "op": "experts", "name": name, "inputs": [source, "route"], "output": {"rows": rows, "width": outputs},
            "bounds": {"K": outputs, "C": reduction, "OX": rows}, "experts": EXPERTS, "top_k": TOP_K, "per_token": per_token,
            "weight": {"format": weight_format, "k": reduction, "n": outputs * EXPERTS},
        }  # fmt: skip

    scores = {"rows": tokens, "width": EXPERTS}
    inner = {"rows": rows, "width": INNER}
    layers: list[dict[str, Any]] = [
        {
            "op": "gemm", "name": "router", "inputs": ["x"], "output": scores, "bounds": {"K": EXPERTS, "C": WIDTH, "OX": tokens},
            "weight": {"format": INT8, "k": WIDTH, "n": EXPERTS},
        },
        {"op": "softmax", "name": "softmax", "inputs": ["router"], "output": scores},
        {"op": "route", "name": "route", "inputs": ["softmax"], "output": scores, "top_k": TOP_K, "chosen": chosen},
        experts("gate", "x", WIDTH, INNER, per_token=True),
        experts("up", "x", WIDTH, INNER, per_token=True),
        {"op": "silu", "name": "silu", "inputs": ["gate"], "output": inner},
        {"op": "multiply", "name": "gated", "inputs": ["up", "silu"], "output": inner},
        experts("down", "gated", INNER, WIDTH, per_token=False),
        {"op": "combine", "name": "sum", "inputs": ["down", "route"], "output": {"rows": tokens, "width": WIDTH}, "top_k": TOP_K},
    ]  # fmt: skip
    return {
        "name": "experts",
        "source": SOURCE,
        "inputs": [{"name": "x", "shape": {"rows": tokens, "width": WIDTH}}],
        "outputs": ["sum"],
        "layers": [{**layer, **changes.get(layer["name"], {})} for layer in layers],
    }


def trace_of_experts(tokens: int, chosen: tuple[tuple[int, ...], ...] = (), **changes: Any) -> Trace:
    """The trace of `manifest_of_experts`."""
    return Trace(Manifest.model_validate_json(json.dumps(manifest_of_experts(tokens, chosen, **changes))))
