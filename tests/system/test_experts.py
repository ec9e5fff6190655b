"""A mixture of experts on the machine: only the weights of the experts that some token takes are read, each with its tokens' rows."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import AccelsimError, CompileError
from accelsim.functional import check_functional
from accelsim.result import Result
from accelsim.simulation import simulate
from tests.experts import CHOSEN, EXPERTS, INNER, TOP_K, WIDTH, trace_of_experts
from tests.tiny_machines import tiny_accelerator

CHIP = tiny_accelerator(activation_buffer__capacity=8192)
MATRICES = {"gate": WIDTH * INNER, "up": WIDTH * INNER, "down": INNER * WIDTH}  # weights of one expert


def products_of(result: Result, layer: str) -> dict[int, int]:
    """Expert -> multiply-accumulates of its product of a layer."""
    names = {item.name: item.macs for item in result.layers if item.macs and item.name.startswith(f"{layer}[")}
    return {int(name.removeprefix(f"{layer}[").removesuffix("]")): macs for name, macs in names.items()}


def weight_bytes(result: Result) -> int:
    return sum(bits for key, bits in result.traffic.items() if key.operand == "raw_weights") // 8


def test_each_expert_multiplies_the_rows_of_the_tokens_that_take_it() -> None:
    result = simulate(CHIP, trace_of_experts(3, CHOSEN))
    for layer, weights in MATRICES.items():
        assert products_of(result, layer) == {0: 3 * weights, 1: 2 * weights, 2: weights}
    assert result.macs == 3 * WIDTH * EXPERTS + 3 * TOP_K * sum(MATRICES.values())
    assert result.choices["experts"] == "as the trace records them: the weights of 3 of 4 are read"


def test_the_weights_of_the_experts_that_are_taken_are_read_once() -> None:
    """Three of four experts, whatever the rows of each, and the router's matrix; int8 weights are a byte each."""
    assert weight_bytes(simulate(CHIP, trace_of_experts(3, CHOSEN))) == WIDTH * EXPERTS + 3 * sum(MATRICES.values())


def test_the_scales_of_the_experts_that_are_taken_are_read_with_them() -> None:
    result = simulate(CHIP, trace_of_experts(3, CHOSEN))
    scales = sum(bits for key, bits in result.traffic.items() if key.operand == "scales_bias")
    assert scales == CHIP.vector_unit.channel_bits * (EXPERTS + 3 * (INNER + INNER + WIDTH))


def test_one_token_reads_as_many_experts_as_it_takes() -> None:
    for seed in range(4):
        result = simulate(CHIP, trace_of_experts(1), seed=seed)
        assert len(products_of(result, "gate")) == TOP_K
        assert weight_bytes(result) == WIDTH * EXPERTS + TOP_K * sum(MATRICES.values())


def test_drawn_experts_depend_on_the_seed_and_nothing_else() -> None:
    trace = trace_of_experts(1)
    found = [tuple(products_of(simulate(CHIP, trace, seed=seed), "down")) for seed in (0, 0, 1, 2, 3, 4)]
    assert found[0] == found[1]
    assert len(set(found)) > 1
    assert simulate(CHIP, trace).choices["experts"] == "drawn evenly (seed 0): the weights of 2 of 4 are read"


def test_every_token_takes_different_experts_when_they_are_drawn() -> None:
    """12 tokens of 2 experts: 24 rows, none of an expert more than the tokens."""
    products = products_of(simulate(CHIP, trace_of_experts(12)), "up")
    rows = [macs // MATRICES["up"] for macs in products.values()]
    assert sum(rows) == 24
    assert max(rows) <= 12


def test_an_expert_waits_for_the_choice() -> None:
    """Passes of the router over its row delay everything behind it."""
    slow = tiny_accelerator(activation_buffer__capacity=8192, vector_unit={"lanes": 1, "passes": {"route": 64}})
    fast = tiny_accelerator(activation_buffer__capacity=8192, vector_unit={"lanes": 1, "passes": {"route": 48}})
    trace = trace_of_experts(1)
    late, early = simulate(slow, trace), simulate(fast, trace)
    first = next(item.name for item in late.layers if item.name.startswith("gate["))
    ends = [next(item.end_cycle for item in result.layers if item.name == first) for result in (late, early)]
    assert ends[0] - ends[1] == TOP_K * EXPERTS * (64 - 48)


def test_coded_weights_come_with_the_codebook_of_their_layer() -> None:
    """2 of 4 experts of three layers: an index of 2 bits per 2 weights, a sign per weight, and 4 codewords of 2 bytes with each expert."""
    coded = {"kind": "ssvq", "k": 4, "d": 2}
    bits = {key.operand: bits for key, bits in simulate(CHIP, trace_of_experts(1, weight_format=coded)).traffic.items()}
    weights = TOP_K * sum(MATRICES.values())
    assert bits["indices"] == weights // 2 * 2
    assert bits["signs"] == weights
    assert bits["codebook"] == TOP_K * 3 * 4 * 2 * 8


def test_values_are_those_of_each_tokens_experts() -> None:
    trace = trace_of_experts(3)
    rng = np.random.default_rng(1)
    layer = trace.layer("gate")
    rows, matrix = rng.normal(size=(3, WIDTH)), rng.normal(size=(WIDTH, EXPERTS * INNER))
    weights = np.array([[0.5, 0.3, 0.0, 0.0], [0.0, 0.1, 0.0, 0.2], [0.4, 0.0, 0.4, 0.0]])
    found = layer.evaluate([rows[None], weights[None]], {"weight": matrix})[0]
    taken = [(0, 0), (0, 1), (1, 1), (1, 3), (2, 0), (2, 2)]  # (token, expert), row by row
    for row, (token, expert) in zip(found, taken, strict=True):
        np.testing.assert_allclose(row, rows[token] @ matrix[:, expert * INNER : (expert + 1) * INNER])


def test_parts_of_experts_add_up_to_the_same_sums() -> None:
    """Rows expert by expert, as the machine computes them, and token by token."""
    rng = np.random.default_rng(2)
    weights = np.array([[[0.5, 0.3, 0.0], [0.0, 0.1, 0.2], [0.4, 0.6, 0.0]]])
    rows = rng.normal(size=(1, 6, WIDTH))
    by_token = trace_of_experts(3).layer("sum")
    by_expert = by_token.with_fields(inputs=("a", "b", "c", "route"), parts=3)
    parts = [rows[:, places] for places in ([0, 4], [1, 2, 5], [3])]  # rows of tokens 0, 0, 1, 1, 2, 2 with experts 0, 1, 1, 2, 0, 1
    expected = by_token.evaluate([rows, weights], {})
    np.testing.assert_allclose(by_expert.evaluate([*parts, weights], {}), expected)


@pytest.mark.parametrize(("tokens", "batch"), [(1, 1), (1, 3), (1, 8), (2, 3), (3, 2)])
def test_sequences_choose_apart_and_an_expert_is_read_once_for_all_of_them(tokens: int, batch: int) -> None:
    """The experts that are read are the union over all tokens; each token has `TOP_K` rows, and none twice with one expert."""
    machine = tiny_accelerator(activation_buffer__capacity=16384)
    result = simulate(machine, trace_of_experts(tokens), batch=batch)
    for name, size in MATRICES.items():
        rows = [macs // size for macs in products_of(result, name).values()]
        assert sum(rows) == tokens * batch * TOP_K
        assert 0 < min(rows) <= max(rows) <= tokens * batch
    used = len(products_of(result, "up"))
    bits = {key.operand: bits for key, bits in result.traffic.items()}
    assert bits["raw_weights"] == 8 * (used * sum(MATRICES.values()) + WIDTH * EXPERTS)  # and the router's matrix, once
    assert result.choices["experts"] == f"drawn evenly (seed 0): the weights of {used} of {EXPERTS} are read"
    assert result.macs == batch * trace_of_experts(tokens).macs


def test_rows_of_one_sequence_are_rows_of_several() -> None:
    """Without attention, four sequences of one token are four tokens of one sequence: the same experts, products and bytes."""
    machine = tiny_accelerator(activation_buffer__capacity=16384)
    several, one = simulate(machine, trace_of_experts(1), batch=4), simulate(machine, trace_of_experts(4))
    assert products_of(several, "down") == products_of(one, "down")
    assert several.traffic == one.traffic
    assert several.macs == one.macs


@pytest.mark.parametrize("batch", [2, 5])
def test_the_first_of_several_sequences_takes_the_recorded_choices(batch: int) -> None:
    """CHOSEN by hand: experts 0, 1 and 2 have 3, 2 and 1 rows; those of the other sequences add up to 6 rows each, drawn apart."""
    machine = tiny_accelerator(activation_buffer__capacity=16384)
    result = simulate(machine, trace_of_experts(3, CHOSEN), batch=batch)
    rows = {name: macs // MATRICES["up"] for name, macs in products_of(result, "up").items()}
    drawn = [rows.get(expert, 0) - own for expert, own in enumerate((3, 2, 1, 0))]
    assert min(drawn) >= 0
    assert max(drawn) <= 3 * (batch - 1)
    assert sum(drawn) == 3 * TOP_K * (batch - 1)
    others = "1 other" if batch == 2 else "4 others"
    words = f"as the trace records them, those of {others} drawn evenly (seed 0): the weights of {len(rows)} of {EXPERTS} are read"
    assert result.choices["experts"] == words


def test_a_check_bit_by_bit_is_refused() -> None:
    with pytest.raises(CompileError, match="cannot multiply experts"):
        check_functional(CHIP, trace_of_experts(1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"route": {"chosen": [[0, 0]]}}, "2 different experts below 4"),
        ({"route": {"chosen": [[0, 4]]}}, "2 different experts below 4"),
        ({"route": {"chosen": [[0, 1], [0, 1]]}}, "one for each of 1 tokens"),
        ({"route": {"top_k": 5}}, "at most its 4 experts"),
        ({"gate": {"experts": 3}}, "its experts need 16 x 72"),
        ({"gate": {"bias": True}}, "bias=True"),
        ({"gate": {"inputs": ["x", "softmax"]}}, "a layer of op 'route'"),
        ({"silu": {"op": "softmax"}}, "operations of single rows without constants"),
    ],
)
def test_records_that_make_no_mixture_are_refused_by_name(changes: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(AccelsimError, match=message):
        simulate(CHIP, trace_of_experts(1, **changes))
