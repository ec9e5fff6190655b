"""Layers of a mixture of experts: the router's choice, the experts' products, and the weighted sum of their results."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from accelsim.importers.graph.call import Call
from accelsim.importers.graph.expert_values import PLAIN, Choice, Chosen, ChosenMatrices, Treatment, Weighted
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.readings import without_repeats
from accelsim.importers.graph.values import Array, Constant, Deferred, Fused, Plain

_GUARD = 1e-5  # beside a sum of scores, each of which is above 0


def choose(call: Call, top_k: int, dim: int) -> tuple[Chosen, Chosen]:
    """(scores, numbers) of the largest elements of each row."""
    view = call.view(0)
    if len(view.shape) != 2 or dim % 2 != 1:
        call.refuse(f"the largest of {view.shape} along dimension {dim}; allowed: experts of (tokens, experts), along the last")
    choice = Choice(view, top_k, call.node.path("route"))
    shape = (view.shape[0], top_k)
    return Chosen(choice, "scores", shape), Chosen(choice, "numbers", shape)


def scores_of(call: Call, weights: View, numbers: Chosen, dim: int) -> Chosen:
    """The weights of each token's experts, which were chosen by other scores: `weights` with a correction."""
    choice = numbers.choice
    if numbers.what != "numbers" or len(numbers.shape) != 2 or weights.shape != choice.scores.shape or dim % 2 != 1:
        call.refuse(
            f"elements of {weights.shape} by {numbers!r} along dimension {dim}; allowed: those of (tokens, experts), along the last"
        )
    if choice.made or choice.weights is not None:
        call.refuse(f"{numbers!r} take weights a second time; allowed: once")
    choice.weights = weights
    return Chosen(choice, "scores", numbers.shape)


def softmax_of_scores(call: Call, scores: Chosen, dim: int) -> Chosen:
    """The softmax of each token's scores: that of all experts' scores, over its sum for those that are chosen."""
    choice = scores.choice
    if scores.what != "scores" or scores.treatment != PLAIN or choice.made or choice.weights is not None or dim % 2 != 1:
        call.refuse(f"a softmax of {scores!r} along dimension {dim}; allowed: of the scores as they were chosen, along the last")
    choice.scores = call.builder.softmax(call.node.path("softmax"), choice.scores, -1)
    return scores.treated(PLAIN._replace(normalized=True))


def sums_of(call: Call, scores: Chosen, dims: list[int], keep: bool) -> Chosen:
    """The sum of each token's scores."""
    if scores.what != "scores" or scores.treatment != PLAIN or [dim % 2 for dim in dims] != [1] or not keep or len(scores.shape) != 2:
        call.refuse(f"a sum of {scores!r} over {dims}; allowed: of the scores of each token")
    return replace(scores, what="sums", shape=(scores.shape[0], 1))


def guarded(call: Call, sums: Chosen, least: object) -> Chosen:
    """Sums plus, or at least, a small number, which keeps them from 0 and changes nothing else."""
    if sums.what != "sums" or not isinstance(least, int | float) or not 0 <= least <= _GUARD:
        call.refuse(f"{sums!r} plus, or at least, {least!r}; allowed: sums of scores and a number up to {_GUARD:g}")
    return sums


def normalized(call: Call, scores: Chosen, sums: object) -> Chosen:
    """Scores over their sum."""
    fits = isinstance(sums, Chosen) and sums.choice is scores.choice and (scores.what, sums.what) == ("scores", "sums")
    if not fits or scores.treatment != PLAIN:
        call.refuse(f"{scores!r} divided by {sums!r}; allowed: by their sum")
    return scores.treated(PLAIN._replace(normalized=True))


def scaled(call: Call, scores: Chosen, factor: object) -> Chosen:
    """Scores times a number."""
    number = factor.array.item() if isinstance(factor, Constant) and factor.array.size == 1 else math.nan
    if scores.what != "scores" or not 0 < number < math.inf:
        call.refuse(f"{scores!r} times {factor!r}; allowed: scores, by a number above 0")
    return scores.treated(scores.treatment._replace(factor=scores.treatment.factor * number))


def matrices(call: Call, stack: Constant, numbers: object) -> ChosenMatrices:
    """The matrix of each token and expert."""
    if not isinstance(numbers, Chosen) or numbers.what != "numbers" or stack.array.ndim != 3 or len(numbers.shape) != 1:
        call.refuse(f"a selection of {stack!r} by {numbers!r}; allowed: (experts, outputs, inputs) by the numbers of chosen experts")
    if stack.array.shape[0] != numbers.choice.scores.shape[1]:
        call.refuse(f"{stack!r} for {numbers.choice.scores.shape[1]} experts; allowed: as many matrices")
    return ChosenMatrices(numbers.choice, stack)


def multiplied_by_experts(call: Call, chosen: ChosenMatrices, rows: View) -> Fused:
    """Matrices (S, outputs, inputs) times rows (S, inputs, 1), as a layer that may be cut along its outputs."""
    choice, stack = chosen.choice, chosen.stack
    experts, outputs, reduction = stack.array.shape
    count = chosen.shape[0]
    if rows.shape != (count, reduction, 1):
        call.refuse(f"matrices of experts {chosen.shape} times {rows.shape}; allowed: {(count, reduction, 1)}")
    rows = rows.reshape((count, reduction))
    source, repeats = without_repeats(rows)
    per_token = repeats > 1
    if repeats not in (1, choice.top_k):
        call.refuse(f"rows that are repeated {repeats} times; allowed: once for each of {choice.top_k} experts")
    router = _made(call, choice, choice.last)

    def columns(pending: Deferred, first: int, stop: int) -> View:
        if pending.scale is not None or pending.shift is not None:
            call.refuse("a factor or a term of experts is not supported")
        part = None if stop - first == outputs else (first, stop)
        name = stack.label if part is None else f"{stack.label}[{first}:{stop}]"
        result = call.builder.experts(name, source, router, stop - first, experts, choice.top_k, per_token=per_token)
        call.recorder.keep_weight(result, lambda: _side_by_side(stack.array[:, first:stop]), stack.sources, part)
        return result

    linear = Deferred((count, outputs), 1, lambda pending: columns(pending, 0, outputs), per_channel=False, columns=columns)
    fused = Fused.of(linear)
    return replace(fused, place=fused.place.reshape((count, outputs, 1)))


def weighted(call: Call, rows: View, scores: Chosen) -> Weighted:
    """Rows of experts times their scores."""
    if scores.what != "scores" or scores.shape != (rows.shape[0], 1) or len(rows.shape) != 2:
        call.refuse(f"an activation {rows.shape} times {scores!r}; allowed: rows of experts times a score each")
    return Weighted(rows, scores, rows.shape)


def summed(call: Call, value: Weighted, dims: list[int], keep: bool) -> Plain:
    """The sum over each token's experts."""
    choice = value.scores.choice
    tokens, width = choice.scores.shape[0], value.rows.shape[1]
    if value.shape != (tokens, choice.top_k, width) or [dim % 3 for dim in dims] != [1] or keep:
        call.refuse(f"a sum of {value!r} {value.shape} over {dims}; allowed: over the experts of each token")
    router = _made(call, choice, value.scores.treatment)
    return Plain(call.builder.combine(call.node.path("combine"), value.rows, router, choice.top_k))


def _made(call: Call, choice: Choice, treatment: Treatment) -> View:
    """The layer of a choice."""
    if treatment not in choice.made:
        weights, by = (choice.scores, None) if choice.weights is None else (choice.weights, choice.scores)
        choice.made[treatment] = call.builder.route(choice.name, weights, choice.top_k, chosen_by=by, **treatment._asdict())
    return choice.made[treatment]


def _side_by_side(stack: Array) -> Array:
    """Wt[K, N * experts] of (experts, N, K)."""
    return np.ascontiguousarray(stack.transpose(2, 0, 1).reshape(stack.shape[2], -1))
