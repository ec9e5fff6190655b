"""Caches of 4, 8 and 16 bits: their bytes are those of a formula written out here, and cycles follow bytes and passes."""

from __future__ import annotations

import json
from pathlib import Path

import numba
import pytest
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.compression.open_trace import open_trace
from accelsim.errors import AccelsimError, CompileError, TraceError
from accelsim.functional import check_functional
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import save_trace
from tests.trace.test_token_step import HEADS, WIDTH, model, moved

SCALE_BYTES = 2  # of a token in a head, for keys and for values, at 4 bits alone


def run(
    bits: int, tokens: int, context: int, *overrides: str, kv_heads: int = 1, blocks: int = 1, batch: int = 1, reach: int = 0
) -> Result:
    step = at_tokens(model(kv_heads, reach, blocks), tokens, context, cache_bits=bits)
    return simulate(load_accelerator("edge-64x64", list(overrides)), step, batch=batch)


def on_paper(bits: int, kv_heads: int, blocks: int, tokens: int) -> int:
    """Bytes of the keys and values of so many tokens."""
    return 2 * blocks * kv_heads * tokens * (WIDTH * bits // 8 + (SCALE_BYTES if bits == 4 else 0))


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize(
    ("kv_heads", "blocks", "tokens", "context", "batch"), [(1, 1, 1, 99, 1), (2, 3, 1, 50, 1), (4, 1, 5, 20, 1), (2, 1, 1, 33, 3)]
)
def test_the_bytes_of_a_cache_are_those_on_paper(bits: int, kv_heads: int, blocks: int, tokens: int, context: int, batch: int) -> None:
    result = run(bits, tokens, context, kv_heads=kv_heads, blocks=blocks, batch=batch)
    assert moved(result, "kv_read") == batch * on_paper(bits, kv_heads, blocks, context + tokens)
    assert moved(result, "kv_write") == batch * on_paper(bits, kv_heads, blocks, tokens)


def test_the_bytes_of_one_head_are_those_worked_by_hand() -> None:
    # 100 tokens of 64 elements, keys and values: 4 bits 2 x 100 x (32 + 2), 8 bits 2 x 100 x 64, 16 bits 2 x 100 x 128.
    assert [moved(run(bits, 1, 99), "kv_read") for bits in (4, 8, 16)] == [6_800, 12_800, 25_600]
    assert [moved(run(bits, 1, 99), "kv_write") for bits in (4, 8, 16)] == [68, 128, 256]


@pytest.mark.parametrize("bits", [4, 16])
def test_a_window_bounds_what_is_read(bits: int) -> None:
    assert moved(run(bits, 1, 99, reach=16), "kv_read") == on_paper(bits, 1, 1, 16)


@pytest.mark.parametrize("bits", [4, 16])
def test_a_prefill_writes_the_cache_and_reads_none(bits: int) -> None:
    result = run(bits, 12, 0)
    assert (moved(result, "kv_read"), moved(result, "kv_write")) == (0, on_paper(bits, 1, 1, 12))
    assert result.macs == run(8, 12, 0).macs


def test_products_and_weights_are_the_same_at_all_bits() -> None:
    found = [run(bits, 1, 700) for bits in (4, 8, 16)]
    assert len({(result.macs, moved(result, "raw_weights")) for result in found}) == 1


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="long caches are too slow as plain Python")
def test_a_long_context_takes_the_time_of_its_bytes() -> None:
    """A narrow memory of 1 byte per cycle: from 8,000 to 16,000 tokens the step grows by the bytes of 8,000 tokens, within 1 %."""
    slow = ("dram={device: ideal, bandwidth: 1 GB/s}", "activation_buffer.capacity=2 MiB", "weight_buffer.capacity=256 KiB")
    for bits in (4, 8, 16):
        short, long = (run(bits, 1, context, *slow).total_cycles for context in (8_000, 16_000))
        assert long - short == pytest.approx(on_paper(bits, 1, 1, 8_000), rel=0.01)


def test_the_scales_of_a_4_bit_cache_cost_passes_of_the_vector_unit() -> None:
    """Two over the 64 new keys and 64 new values (a row of 64 lanes each), and one over the probabilities: 4 heads x ceil(100 / 64)."""
    cycles = {bits: run(bits, 1, 99).bounds["vector"] for bits in (4, 8, 16)}
    assert cycles[8] == cycles[16]
    assert cycles[4] - cycles[8] == 2 * 2 + HEADS * 2


def test_a_way_that_is_narrower_than_a_record_is_refused() -> None:
    with pytest.raises(
        CompileError,
        match="a record of 8 elements of a 16-bit cache does not leave the unpacker in a cycle; allowed: raw values of at least 128",
    ):
        run(16, 1, 9, "array.raw_weights_per_cycle=8")


def test_a_run_says_that_16_bits_are_rounded() -> None:
    said = {bits: any("of 16 bits are rounded to 8" in text for text in run(bits, 1, 9).warnings) for bits in (4, 8, 16)}
    assert said == {4: False, 8: False, 16: True}


def test_other_bits_are_refused() -> None:
    with pytest.raises(TraceError, match="a step's cache_bits = 5; allowed: 4, 8, 16"):
        at_tokens(model(), 1, 9, cache_bits=5)
    layer = model().layer("s0")
    with pytest.raises(AccelsimError, match="cache_bits=4 without a cache"):
        layer.with_fields(cache_bits=4)


def test_the_functional_check_refuses_a_cache_by_name() -> None:
    with pytest.raises(CompileError, match="layer 's0': the functional check has no tokens for its cache of 4 bits"):
        check_functional(load_accelerator("edge-64x64"), at_tokens(model(), 1, 9, cache_bits=4))


def test_names_and_the_command_line_take_the_bits(tmp_path: Path) -> None:
    save_trace(model(), tmp_path / "lm")
    named = open_trace(f"{tmp_path / 'lm'}@step:context=40,cache_bits=4")
    assert named.layers == at_tokens(model(), 1, 40, cache_bits=4).layers
    options = ["run", "edge-64x64", str(tmp_path / "lm"), "--decode", "1", "--context", "40", "--cache-bits", "4"]
    said = json.loads(CliRunner().invoke(app, [*options, "--json"]).stdout)
    assert (said["cache_bits"], said["decode"][0]["bytes"]["kv_read"]) == (4, on_paper(4, 1, 1, 41))
    assert "cache of 4 bits" in CliRunner().invoke(app, options).stdout
    wrong = CliRunner().invoke(app, [*options[:-1], "5"])
    assert (wrong.exit_code, "cache_bits = 5; allowed: 4, 8, 16" in wrong.stderr) == (2, True)
