"""The sentences on a run over tokens, from steps made up by hand."""

from __future__ import annotations

import pytest

import accelsim
from accelsim.accelerator import load_accelerator
from accelsim.api import result as api_result
from accelsim.api.token_verdict import verdict_of
from accelsim.api.tokens import TokenStep, run_tokens
from accelsim.cost.technology import load_technology
from accelsim.result import Verdict
from accelsim.trace.token_step import at_tokens
from tests.trace.test_token_step import HIDDEN, WORDS, model


def step(context: int, resource: str, gain: float | None = None, tokens: int = 1, **more: int) -> TokenStep:
    """Weights of 800 B, of which the head has 200, and a cache of 2 B per token."""
    moved = {"raw_weights": 700, "scales_bias": 100, "kv_read": 2 * (context + tokens), "kv_write": 2 * tokens, **more}
    return TokenStep(tokens, context, 1, 1.0, 1.0, Verdict(resource, gain, None, "", f"It is the {resource}."), moved, 200)


def test_one_resource_is_named_once_with_shares_and_the_crossing() -> None:
    # After 98 tokens: 800 B of weights, 2 x 99 B read and 2 B written are 1,000 B; 800 B / 2 B per token are 400 tokens.
    assert verdict_of(None, [step(48, "memory"), step(98, "memory")]) == (
        "decode: memory limits (estimated) at all simulated contexts",
        "after 98 tokens: it is the memory",
        "after 98 tokens: a step moves 1.000 kB: the head 20.0 %, other weights 60.0 %, the cache 20.0 %",
        "each token in the cache adds 2 B to a step; 400 tokens are as many bytes as the weights",
    )


def test_resources_that_change_are_named_by_their_contexts() -> None:
    steps = [step(1, "decoder"), step(2, "decoder"), step(9000, "memory")]
    assert (
        verdict_of(None, steps)[0] == "decode: decoder limits (estimated) after 1 to 2 tokens, memory limits (estimated) after 9,000 tokens"
    )
    assert verdict_of(None, steps[:1])[0] == "decode: decoder limits (estimated) at the simulated context"


def test_gains_are_given_where_idealizations_were_simulated() -> None:
    steps = [step(1, "shadow weights", 1.5), step(2, "shadow weights", 1.25), step(3, "memory", 1.1), step(4, "memory")]
    assert verdict_of(None, steps)[0] == (
        "decode: shadow weights limit (1.25x to 1.50x if free) after 1 to 2 tokens, memory limits (1.10x if free) after 3 tokens, "
        "memory limits (estimated) after 4 tokens"
    )
    assert verdict_of(None, [step(1, "none", 1.001)])[0] == "decode: no resource limits alone at the simulated context"


def test_a_window_has_no_crossing() -> None:
    assert len(verdict_of(None, [step(48, "memory"), step(98, "memory", kv_read=98)])) == 3


@pytest.mark.parametrize("context", [9, 50])
def test_a_window_has_no_crossing_at_one_context_either(context: int) -> None:
    """Short of the window as behind it: what a token adds, it adds to the window's end alone."""
    found = run_tokens(load_accelerator("edge-64x64"), model(reach=16), load_technology("nangate45"), prefill=0, decode=1, context=context)
    assert not [text for text in found.verdict if "each token in the cache" in text]


def test_a_prefill_has_sentences_of_its_own() -> None:
    first, second = verdict_of(step(0, "MAC array", None, 50, kv_read=0, padding=100), ())
    assert first == "prefill: it is the MAC array"
    assert second == "prefill: a step moves 1.000 kB: the head 20.0 %, other weights 60.0 %, the cache 10.0 %, the rest 10.0 %"


def test_a_step_has_the_verdict_of_a_run_of_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short steps, whose idealizations are simulated; estimated where no run is short, unless they are asked for."""
    chip, node = load_accelerator("edge-64x64"), load_technology("nangate45")

    def verdicts(**options: bool) -> list[Verdict]:
        run = run_tokens(chip, model(), node, prefill=12, decode=2, context=50, **options)
        assert run.prefill is not None
        return [item.verdict for item in (run.prefill, *run.decode)]

    steps = [at_tokens(model(), 12, 50), at_tokens(model(), 1, 62), at_tokens(model(), 1, 63)]
    by_gain = [accelsim.simulate(chip, item, what_if=True).decided.verdict for item in steps]
    assert verdicts() == by_gain
    assert all(item is not None and item.gain == max(gain.speed_up for gain in item.gains) for item in by_gain)
    monkeypatch.setattr(api_result, "CHEAP_CYCLES", 0)
    assert [item.gain for item in verdicts()] == [None] * 3
    assert verdicts(what_if=True) == by_gain


def test_the_head_of_a_run_is_its_last_product_with_weights() -> None:
    chip = load_accelerator("edge-64x64")
    run = run_tokens(chip, model(), load_technology("nangate45"), prefill=0, decode=1, context=9)
    assert run.decode[0].head_bytes == WORDS * HIDDEN + WORDS * chip.vector_unit.channel_bits // 8
    assert run.to_dict()["verdict"] == list(run.verdict)
