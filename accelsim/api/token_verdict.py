"""Sentences on a run over tokens: what limits each phase, the shares of a step's bytes, where the cache outgrows the weights.

Each resource is that of the step's own verdict, with its gain, or estimated where no idealization was simulated. Disputable
assumption: between two simulated contexts with the same resource it limits as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from accelsim.report.tables.text import count, decimal_bytes, percent, times
from accelsim.report.verdict import NO_RESOURCE, limits
from accelsim.result import ESTIMATED, TRAINED_OPERANDS

if TYPE_CHECKING:
    from accelsim.api.tokens import TokenStep


def verdict_of(prefill: TokenStep | None, decode: Sequence[TokenStep]) -> tuple[str, ...]:
    """The sentences of a run; those of a decode need its simulated steps in ascending order of their contexts."""
    found: list[str] = []
    if prefill is not None:
        found += [f"prefill: {_clause(prefill)}", f"prefill: {_bytes(prefill)}"]
    if decode:
        last = f"after {count(decode[-1].context)} tokens"
        found.append(f"decode: {_limits(decode)}")
        found += [f"{last}: {_clause(decode[-1])}", f"{last}: {_bytes(decode[-1])}"]
        crossing = _crossing(decode)
        if crossing is not None:
            added, tokens = (count(value) for value in crossing)
            found.append(f"each token in the cache adds {added} B to a step; {tokens} tokens are as many bytes as the weights")
    return tuple(found)


def _clause(step: TokenStep) -> str:
    """The sentence of the step's verdict, behind a colon."""
    sentence = step.verdict.sentence
    return f"{sentence[:1].lower()}{sentence[1:].removesuffix('.')}"


def _limits(decode: Sequence[TokenStep]) -> str:
    """The resources, in the order of the contexts at which they limit."""
    parts = [list(steps) for _, steps in groupby(decode, key=lambda step: step.verdict.label)]
    if len(parts) == 1:
        return f"{_limit(decode)} {'at the simulated context' if len(decode) == 1 else 'at all simulated contexts'}"
    return ", ".join(f"{_limit(steps)} {_span(steps)}" for steps in parts)


def _limit(steps: Sequence[TokenStep]) -> str:
    """'memory limits (1.94x to 1.96x if free)', 'memory limits (estimated)': of steps with the same resource."""
    verdicts = [step.verdict for step in steps]
    if verdicts[0].resource == NO_RESOURCE:
        return "no resource limits alone"
    gains = [verdict.gain for verdict in verdicts if verdict.gain is not None]
    ends = " to ".join(dict.fromkeys(times(gain) for gain in (min(gains), max(gains)))) if gains else ""
    return f"{limits(' or '.join(verdicts[0].alike))} ({f'{ends} if free' if ends else ESTIMATED})"


def _span(steps: Sequence[TokenStep]) -> str:
    first, last = count(steps[0].context), count(steps[-1].context)
    return f"after {first} tokens" if first == last else f"after {first} to {last} tokens"


def _bytes(step: TokenStep) -> str:
    """The shares of a step's bytes, but for those below a thousandth."""
    weights, cache = weight_bytes(step), step.bytes.get("kv_read", 0) + step.bytes.get("kv_write", 0)
    whole = sum(step.bytes.values())
    parts = {"the head": step.head_bytes, "other weights": weights - step.head_bytes, "the cache": cache}
    parts["the rest"] = whole - weights - cache
    shares = ", ".join(f"{name} {percent(size, whole)}" for name, size in parts.items() if 1000 * size >= whole)
    return f"a step moves {decimal_bytes(whole)}: {shares}" if whole else "a step moves no bytes"


def weight_bytes(step: TokenStep) -> int:
    """Bytes of all that is trained."""
    return sum(step.bytes.get(operand, 0) for operand in TRAINED_OPERANDS)


def _crossing(decode: Sequence[TokenStep]) -> tuple[int, int] | None:
    """(bytes per token in the cache, tokens that are as many bytes as the weights); None with a window, or where nothing is read."""
    if not all(step.whole_cache for step in decode):
        return None
    rates = {step.bytes.get("kv_read", 0) / (step.context + step.tokens) for step in decode if step.context}
    if len(rates) != 1 or not (rate := rates.pop()):
        return None
    return round(rate), round(weight_bytes(decode[-1]) / rate)
