"""Steps of a causal language model: the bytes of its caches are the formulas', whatever the chip, and its products those of the step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.errors import AccelsimError, CompileError, TraceError
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.manifest import Manifest
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace
from tests.tiny_machines import SOURCE

HEADS, KV_HEADS, WIDTH, HIDDEN, WORDS, TOKENS = 4, 1, 64, 32, 40, 3


def matrix(name: str, source: str, n: int, k: int, rows: int = TOKENS) -> dict[str, Any]:
    weight = {"format": {"kind": "uniform", "bits": 8}, "k": k, "n": n}
    return {
        "op": "gemm", "name": name, "inputs": [source], "output": {"rows": rows, "width": n}, "bounds": {"K": n, "C": k, "OX": rows},
        "weight": weight,
    }  # fmt: skip


def model(kv_heads: int = KV_HEADS, reach: int = 0, blocks: int = 1) -> Trace:
    """Blocks of attention alone, and a head."""
    shared, scores = HEADS // kv_heads, {"groups": HEADS, "rows": TOKENS, "width": TOKENS}
    layers: list[dict[str, Any]] = []
    source = "x"
    for block in range(blocks):
        q, k, v, s, p, c, o = (f"{name}{block}" for name in "qkvspco")
        shape = {"G": kv_heads, "OX": shared * TOKENS}
        groups, columns = {"split": "groups"}, {"split": "columns"}
        layers += [
            matrix(q, source, HEADS * WIDTH, HIDDEN),
            *(matrix(name, source, kv_heads * WIDTH, HIDDEN) for name in (k, v)),
            {"op": "matmul", "name": s, "inputs": [q, k], "output": scores, "bounds": {**shape, "K": TOKENS, "C": WIDTH}, "a": columns,
             "b": columns, "transposed_b": True, "merge": "groups", "shared": shared},
            {"op": "softmax", "name": p, "inputs": [s], "output": scores, "mask": "causal", "reach": reach},
            {"op": "matmul", "name": c, "inputs": [p, v], "output": {"rows": TOKENS, "width": HEADS * WIDTH},
             "bounds": {**shape, "K": WIDTH, "C": TOKENS}, "a": groups, "b": columns, "merge": "columns", "shared": shared},
            matrix(o, c, HIDDEN, HEADS * WIDTH),
        ]  # fmt: skip
        source = o
    layers.append(matrix("head", source, WORDS, HIDDEN))
    inputs = [{"name": "x", "shape": {"rows": TOKENS, "width": HIDDEN}}]
    fields = {"name": "lm", "source": SOURCE, "inputs": inputs, "outputs": ["head"], "layers": layers}
    return Trace(Manifest.model_validate_json(json.dumps(fields)))


def moved(result: Result, operand: str) -> int:
    """Bytes of an operand."""
    return sum(bits for key, bits in result.traffic.items() if key.operand == operand) // 8


def run(trace: Trace, tokens: int, context: int, batch: int = 1, chip: str = "edge-64x64") -> Result:
    return simulate(load_accelerator(chip), at_tokens(trace, tokens, context), batch=batch)


def test_a_step_reads_each_key_and_value_once_for_all_heads_that_share_it() -> None:
    # 99 tokens before and the current one: 2 x 100 x 64 bytes of one KV head are read for four heads; 2 x 64 are written.
    result = run(model(), 1, 99)
    assert (moved(result, "kv_read"), moved(result, "kv_write")) == (12_800, 128)
    step = at_tokens(model(), 1, 99)
    assert [(step.layer(name).loops.m, step.layer(name).loops.k, step.layer(name).loops.n) for name in ("s0", "c0")] == [
        (4, 64, 100),
        (4, 100, 64),
    ]


def test_appended_rows_leave_the_buffer_once_they_are_in_the_cache() -> None:
    # 64 rows of keys and values in each block: of 16 blocks 128 KiB, twice the buffer, in which a block's scores (64 KiB) run in row bands.
    chip = load_accelerator("edge-64x64", ["activation_buffer.capacity=64 KiB"])
    few, many = (simulate(chip, at_tokens(model(blocks=blocks), 64, 192)) for blocks in (2, 16))
    assert moved(many, "kv_write") == 8 * moved(few, "kv_write") == 16 * 2 * 64 * WIDTH
    assert many.total_cycles < 1.01 * 8 * few.total_cycles  # a block does not find less room than in a network of fewer


def test_the_four_rows_of_a_step_meet_two_tiles_of_keys_and_two_of_values() -> None:
    # 64 x 64 PEs. Keys: 64 x 100, a second tile with 36 of its 64 columns, the others padding: 28 x 64 B. Values: 100 x 64, the second
    # tile with 36 rows, trimmed. 4 rows pass each tile.
    layers = {layer.name: layer for layer in run(model(), 1, 99).layers}
    assert [layers[name].cycles["busy"] for name in ("s0", "c0")] == [2 * 4, 2 * 4]
    padding = [sum(item.bits for item in layers[name].traffic if item.operand == "padding") // 8 for name in ("s0", "c0")]
    assert padding == [28 * 64, 0]


@pytest.mark.parametrize(
    ("kv_heads", "blocks", "tokens", "context", "batch"), [(2, 3, 1, 50, 1), (4, 1, 5, 20, 1), (2, 1, 1, 33, 3), (1, 2, 1, 700, 2)]
)
def test_the_bytes_of_a_cache_are_those_of_its_rows(kv_heads: int, blocks: int, tokens: int, context: int, batch: int) -> None:
    """Sequences have caches of their own; rows of one sequence share one."""
    result = run(model(kv_heads, blocks=blocks), tokens, context, batch)
    row = 2 * blocks * kv_heads * WIDTH
    assert moved(result, "kv_read") == batch * row * (context + tokens)
    assert moved(result, "kv_write") == batch * row * tokens


def test_a_window_bounds_what_is_read() -> None:
    assert moved(run(model(reach=16), 1, 99), "kv_read") == 2 * 16 * WIDTH
    assert moved(run(model(reach=16), 4, 99), "kv_read") == 2 * (16 + 3) * WIDTH
    assert moved(run(model(reach=16), 1, 5), "kv_read") == 2 * 6 * WIDTH


def test_a_prefill_writes_a_cache_and_reads_none() -> None:
    result = run(model(), 12, 0)
    assert (moved(result, "kv_read"), moved(result, "kv_write")) == (0, 2 * 12 * WIDTH)
    products = 12 * HIDDEN * WIDTH * (2 * HEADS + 2 * KV_HEADS) + 2 * 12 * 12 * HEADS * WIDTH
    assert result.macs == products + HIDDEN * WORDS  # the head multiplies the last token alone


def test_weights_are_read_once_per_step_whatever_the_context_and_the_batch() -> None:
    stored = 2 * (HEADS + KV_HEADS) * WIDTH * HIDDEN + HIDDEN * WORDS  # of 8 bits each
    for tokens, context, batch in ((1, 10, 1), (1, 500, 1), (1, 10, 4), (7, 10, 1)):
        assert moved(run(model(), tokens, context, batch), "raw_weights") == stored


def test_a_longer_context_is_never_faster() -> None:
    times = [run(model(), 1, context).total_cycles for context in (1, 64, 65, 300, 2000)]
    assert times == sorted(times)


def test_a_trace_without_causal_attention_is_refused() -> None:
    trace = model()
    layers = tuple(layer.with_fields(mask=None) if layer.op == "softmax" else layer for layer in trace.layers)
    with pytest.raises(TraceError, match="'lm' has no causal attention"):
        at_tokens(Trace(Manifest(**{**dict(trace.manifest), "layers": layers})), 1, 8)


def test_a_cache_needs_weights_that_stream_from_dram() -> None:
    pinned = load_accelerator("edge-64x64", ["weight_buffer.residency=pinned", "weight_buffer.capacity=1 MiB"])
    with pytest.raises(CompileError, match=r"reads a cache; allowed: weight_buffer\.residency = 'stream'"):
        simulate(pinned, at_tokens(model(), 1, 8))


def test_a_cache_has_all_rows_of_its_operand() -> None:
    layer = at_tokens(model(), 1, 8).layer("s0")
    with pytest.raises(AccelsimError, match="cache_rows=3 of 9 rows"):
        layer.with_fields(cache_rows=3).check_inputs(tuple(at_tokens(model(), 1, 8).shapes[name] for name in layer.inputs))
