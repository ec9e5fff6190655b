"""ATen calls of a mixture of experts in transformers' batched implementation (`experts_implementation='batched_mm'`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from accelsim.importers.from_torch.call import TorchCall
from accelsim.importers.graph import experts
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.expert_values import Chosen, ChosenMatrices, Weighted
from accelsim.importers.graph.values import Plain

Handler = Callable[[TorchCall], Value]


def largest(call: TorchCall) -> tuple[Value, ...]:
    """The largest elements of each row, and their places."""
    if not call.get(3, "largest", True):
        call.refuse("the smallest elements are not supported; allowed: the largest")
    return experts.choose(call, call.get(1, "k"), call.get(2, "dim", -1))


def select_matrices(call: TorchCall) -> Value:
    """A stack of matrices by the numbers of chosen experts."""
    places = call.get(1, "indices")
    return experts.matrices(call, call.constant(0), places[0] if len(places) == 1 else places)


def repeat_rows(call: TorchCall) -> Value:
    """Each index of a dimension several times."""
    times, dim = call.get(1, "repeats"), call.get(2, "dim")
    if not isinstance(times, int) or dim is None:
        call.refuse(f"repeats {times} along {dim}; allowed: a number, along one dimension")
    return Plain(call.view(0).repeat(dim % len(call.shape(0)), times, each=True))


def sort(call: TorchCall) -> NoReturn:
    """Refused: the grouped implementation sorts rows by expert."""
    call.refuse(
        f"a sort of {call.value(0)!r} is not supported; of a mixture of experts allowed: the batched implementation, "
        "model.set_experts_implementation('batched_mm') before the export"
    )


def or_product(product: Handler) -> Handler:
    """A product of matrices, or of rows with the matrices of their experts."""

    def compute(call: TorchCall) -> Value:
        first = call.value(0)
        return experts.multiplied_by_experts(call, first, call.view(1)) if isinstance(first, ChosenMatrices) else product(call)

    return compute


def or_weighted(multiply: Handler) -> Handler:
    """A product element by element, one of rows with the scores of their experts, or of these scores with a number."""

    def compute(call: TorchCall) -> Value:
        first, second = call.value(0), call.optional(1)
        if isinstance(first, Chosen):
            return experts.scaled(call, first, second)
        return experts.weighted(call, call.view(0), second) if isinstance(second, Chosen) else multiply(call)

    return compute


def or_normalized(divide: Handler) -> Handler:
    """A division, or one of scores by their sum."""

    def compute(call: TorchCall) -> Value:
        first = call.value(0)
        return experts.normalized(call, first, call.optional(1)) if isinstance(first, Chosen) else divide(call)

    return compute


def or_scores(gather: Handler) -> Handler:
    """Elements by known indices, or the scores of chosen experts."""

    def compute(call: TorchCall) -> Value:
        numbers = call.value(2)
        return experts.scores_of(call, call.view(0), numbers, call.get(1, "dim")) if isinstance(numbers, Chosen) else gather(call)

    return compute


def or_softmax(softmax: Handler) -> Handler:
    """A softmax, or one of the scores of chosen experts."""

    def compute(call: TorchCall) -> Value:
        first = call.value(0)
        return experts.softmax_of_scores(call, first, call.get(1, "dim")) if isinstance(first, Chosen) else softmax(call)

    return compute


def or_guarded(handler: Handler, number: str, beside: str, neutral: int | None) -> Handler:
    """An operation with a number, or one that keeps a sum of scores from 0 if its other argument, `beside`, changes nothing."""

    def compute(call: TorchCall) -> Value:
        first = call.value(0)
        if not isinstance(first, Chosen):
            return handler(call)
        return experts.guarded(call, first, call.get(1, number) if call.get(2, beside, neutral) == neutral else None)

    return compute


def or_sum(reduce: Handler) -> Handler:
    """A sum over dimensions, or one over the experts of each token."""

    def compute(call: TorchCall) -> Value:
        first, dims, keep = call.value(0), call.get(1, "dim", []), call.get(2, "keepdim", False)
        if isinstance(first, Chosen):
            return experts.sums_of(call, first, dims, keep)
        return experts.summed(call, first, dims, keep) if isinstance(first, Weighted) else reduce(call)

    return compute
