"""The sentences on a run over tokens, from steps made up by hand."""

from __future__ import annotations

from accelsim.accelerator import load_accelerator
from accelsim.api.token_verdict import verdict_of
from accelsim.api.tokens import TokenStep, run_tokens
from accelsim.cost.technology import load_technology
from tests.trace.test_token_step import HIDDEN, WORDS, model


def step(context: int, limiter: str, tokens: int = 1, **more: int) -> TokenStep:
    """Weights of 800 B, of which the head has 200, and a cache of 2 B per token."""
    moved = {"raw_weights": 700, "scales_bias": 100, "kv_read": 2 * (context + tokens), "kv_write": 2 * tokens, **more}
    return TokenStep(tokens, context, 1, 1.0, 1.0, limiter, moved, 200)


def test_one_resource_is_named_once_with_shares_and_the_crossing() -> None:
    # After 98 tokens: 800 B of weights, 2 x 99 B read and 2 B written are 1,000 B; 800 B / 2 B per token are 400 tokens.
    assert verdict_of(None, [step(48, "memory"), step(98, "memory")]) == (
        "decode: by bounds memory limits at all simulated contexts",
        "after 98 tokens a step moves 1.000 kB: the head 20.0 %, other weights 60.0 %, the cache 20.0 %",
        "each token in the cache adds 2 B to a step; 400 tokens are as many bytes as the weights",
    )


def test_resources_that_change_are_named_by_their_contexts() -> None:
    steps = [step(1, "decoding"), step(2, "decoding"), step(9000, "memory")]
    assert verdict_of(None, steps)[0] == "decode: by bounds decoding limits after 1 to 2 tokens, memory limits after 9,000 tokens"
    assert verdict_of(None, steps[:1])[0] == "decode: by bounds decoding limits at the simulated context"


def test_a_window_has_no_crossing() -> None:
    assert len(verdict_of(None, [step(48, "memory"), step(98, "memory", kv_read=98)])) == 2


def test_a_prefill_has_a_sentence_of_its_own() -> None:
    (sentence,) = verdict_of(step(0, "array", 50, kv_read=0, padding=100), ())
    assert sentence.startswith("prefill: by bounds array limits; a step moves 1.000 kB: ")
    assert sentence.endswith("the head 20.0 %, other weights 60.0 %, the cache 10.0 %, the rest 10.0 %")


def test_the_head_of_a_run_is_its_last_product_with_weights() -> None:
    chip = load_accelerator("edge-64x64")
    run = run_tokens(chip, model(), load_technology("nangate45"), prefill=0, decode=1, context=9)
    assert run.decode[0].head_bytes == WORDS * HIDDEN + WORDS * chip.vector_unit.channel_bits // 8
    assert run.to_dict()["verdict"] == list(run.verdict)
