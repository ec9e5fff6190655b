"""Decode steps of language models whose caches of keys and values are inputs: they run as the same model at one token over its cache."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.recipe import make_recipe
from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

from tests.zoo.test_language_models import BLOCKS, HEADS, HIDDEN, INNER, KV_HEADS, WIDTH, WORDS, imported, network  # noqa: E402

PAST = 20
WEIGHTS = BLOCKS * (2 * HEADS * WIDTH * HIDDEN + 2 * KV_HEADS * WIDTH * HIDDEN + 3 * HIDDEN * INNER) + HIDDEN * WORDS


class Step(torch.nn.Module):
    """Logits of new tokens, and the caches with their keys and values behind them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Any, caches: list[Any]) -> Any:
        cache = transformers.DynamicCache()
        for place, (keys, values) in enumerate(caches):
            cache.update(keys, values, place)
        found = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
        return found.logits, [(layer.keys, layer.values) for layer in found.past_key_values.layers]


def operands(tokens: int) -> tuple[Any, list[Any]]:
    caches = [(torch.zeros(1, KV_HEADS, PAST, WIDTH), torch.zeros(1, KV_HEADS, PAST, WIDTH)) for _ in range(BLOCKS)]
    return torch.ones((1, tokens), dtype=torch.int64), caches


def exported(module: Any, given: tuple[Any, ...], folder: Path) -> Trace:
    with torch.no_grad():
        program = torch.export.export(module, given)
    torch.export.save(program, folder / "step.pt2")
    return import_model(str(folder / "step.pt2"))


def run(trace: Trace) -> Result:
    packed, _ = compress_trace(trace, make_recipe("uniform:bits=8"))
    return simulate(load_accelerator("edge-64x64"), packed)


def moved(result: Result) -> dict[str, int]:
    return {key.operand: bits // 8 for key, bits in result.traffic.items()}


@pytest.mark.parametrize(
    ("name", "attention"), [("Llama", "eager"), ("Llama", "sdpa"), ("Qwen2", "eager"), ("Qwen3", "sdpa"), ("Gemma", "eager")]
)
def test_a_step_exported_with_its_caches_is_the_model_at_one_token(name: str, attention: str, tmp_path: Path) -> None:
    model = network(name, attention)
    trace = exported(Step(model), operands(1), tmp_path)
    assert [layer.op for layer in trace.layers] == [layer.op for layer in imported(model, tmp_path).layers]
    assert len(trace.manifest.inputs) == len(trace.manifest.outputs) == 1
    result = run(trace)
    assert result.macs == WEIGHTS + 2 * BLOCKS * HEADS * WIDTH * (PAST + 1)
    bytes_moved = moved(result)
    assert bytes_moved["raw_weights"] == WEIGHTS
    assert bytes_moved["kv_read"] == 2 * BLOCKS * KV_HEADS * WIDTH * (PAST + 1)
    assert bytes_moved["kv_write"] == 2 * BLOCKS * KV_HEADS * WIDTH
    packed, _ = compress_trace(imported(model, tmp_path), make_recipe("uniform:bits=8"))
    twin = simulate(load_accelerator("edge-64x64"), at_tokens(packed, 1, PAST))
    assert (result.total_cycles, result.traffic) == (twin.total_cycles, twin.traffic)


def test_the_new_token_is_turned_by_the_angles_of_its_place(tmp_path: Path) -> None:
    """Position 20, with the library's default base: angle i is 20 x 10,000 ** (-2 i / 8)."""
    trace = exported(Step(network("Llama")), operands(1), tmp_path)
    angles = [PAST * 10_000 ** (-2 * place / WIDTH) for place in range(WIDTH // 2)]
    turns = [layer.name for layer in trace.layers if layer.op == "rotary"]
    assert len(turns) == 2 * BLOCKS
    for name in turns:
        assert trace.constant(name, "cos") == pytest.approx([math.cos(angle) for angle in angles], abs=1e-5)
        assert trace.constant(name, "sin") == pytest.approx([math.sin(angle) for angle in angles], abs=1e-5)


def test_several_tokens_behind_a_cache_share_it(tmp_path: Path) -> None:
    result = run(exported(Step(network("Llama")), operands(3), tmp_path))
    assert result.macs == 3 * WEIGHTS + 2 * BLOCKS * 3 * HEADS * WIDTH * (PAST + 3)
    assert moved(result)["kv_read"] == 2 * BLOCKS * KV_HEADS * WIDTH * (PAST + 3)
    assert moved(result)["kv_write"] == 3 * 2 * BLOCKS * KV_HEADS * WIDTH


def test_caches_come_through_onnx(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Step(network("Llama")), operands(1), tmp_path / "m.onnx", dynamo=True, verbose=False)
    trace = import_model(str(tmp_path / "m.onnx"))
    assert [layer.head_product.cache_rows for layer in trace.layers if layer.head_product is not None] == [PAST + 1] * 2 * BLOCKS
    assert moved(run(trace))["kv_read"] == 2 * BLOCKS * KV_HEADS * WIDTH * (PAST + 1)


class Read(torch.nn.Module):
    """A cache that is read by another operation than a product."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = torch.nn.Linear(HIDDEN, KV_HEADS * WIDTH)

    def forward(self, rows: Any, past: Any) -> Any:
        new = self.keys(rows).view(1, 1, KV_HEADS, WIDTH).transpose(1, 2)
        return torch.nn.functional.silu(torch.cat([past, new], 2))


def test_a_cache_that_is_read_by_something_else_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"silu: reads the cache of keys or values 'concat\.cache'; allowed: products of attention"):
        exported(Read(), (torch.zeros(1, 1, HIDDEN), torch.zeros(1, KV_HEADS, PAST, WIDTH)), tmp_path)


@pytest.mark.parametrize("beside", ["its convolution", "another image"])
def test_images_joined_along_their_height_are_no_caches(tmp_path: Path, beside: str) -> None:
    class Joined(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.Conv2d(4, 8, 1)

        def forward(self, x: Any, y: Any) -> Any:
            return self.last(torch.cat([x, self.first(x + y) if beside == "its convolution" else y], dim=2))

    trace = exported(Joined(), (torch.randn(1, 4, 6, 5), torch.randn(1, 4, 6, 5)), tmp_path)
    assert trace.macs == (4 * 4 * 9 * 30 if beside == "its convolution" else 0) + 8 * 4 * 60
    assert len(trace.manifest.inputs) == 2
