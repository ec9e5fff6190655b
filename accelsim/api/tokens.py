"""Runs of a causal language model over tokens: a prefill, then one token after the other over a growing cache.

Disputable assumption: each step runs alone and fetches its weights. Nothing is interpolated: every figure is a simulation at its context.
A step has the verdict of any other run: of a short one its idealizations are simulated, of a longer one where they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelsim import simulation
from accelsim.accelerator import Accelerator
from accelsim.api.simulate import examined
from accelsim.api.token_verdict import verdict_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import Technology
from accelsim.errors import ConfigError
from accelsim.formats.catalog import describe_format
from accelsim.progress import Progress
from accelsim.report.verdict import NO_RESOURCE, decide
from accelsim.result import TRAINED_OPERANDS, Result, Verdict
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace
from accelsim.trace.trace_name import MOST_TOKENS

CONTEXTS = 4  # of a long decode that are simulated, evenly apart, the first and the last among them


@dataclass(frozen=True)
class TokenStep:
    """One step.

    Attributes
    ----------
    tokens, context : of each sequence in the step, and in its cache before it
    batch : sequences, each with a cache of its own
    milliseconds, joules : of the step, all sequences together
    verdict : the resource that limits it, with its gain where idealizations were simulated
    bytes : operand -> useful bytes over the memories
    head_bytes : of these, the weights of the last product that has any
    whole_cache : whether all blocks read all tokens, however many; false with sliding windows
    experts : how those of a mixture were chosen, and how many are read; empty without one
    warnings : of the step's result
    """

    tokens: int
    context: int
    batch: int
    milliseconds: float
    joules: float
    verdict: Verdict
    bytes: dict[str, int]
    head_bytes: int
    whole_cache: bool = True
    experts: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def tokens_per_second(self) -> float:
        """Of all sequences together."""
        return 1e3 * self.tokens * self.batch / self.milliseconds

    @property
    def joules_per_token(self) -> float:
        """Energy of the step over its tokens."""
        return self.joules / (self.tokens * self.batch)

    @property
    def limiter(self) -> str:
        """The resource that the verdict names."""
        return self.verdict.resource

    @property
    def limiter_label(self) -> str:
        """The same with the word for an estimate, for a legend: 'memory', 'memory (estimated)'."""
        return "no resource alone" if self.limiter == NO_RESOURCE else self.verdict.label

    def to_dict(self) -> dict[str, Any]:
        """Plain, for JSON."""
        return {
            "tokens": self.tokens, "context": self.context, "milliseconds": self.milliseconds, "tokens_per_second": self.tokens_per_second,
            "joules_per_token": self.joules_per_token, "limiter": self.limiter, "verdict": self.verdict.to_dict(),
            "gains": {gain.resource: gain.speed_up for gain in self.verdict.gains}, "bytes": self.bytes, "head_bytes": self.head_bytes,
            **({"experts": self.experts} if self.experts else {}),
        }  # fmt: skip


@dataclass(frozen=True)
class TokenRun:
    """A prefill, or None, and the simulated steps of a decode.

    Attributes
    ----------
    formats, head : of the weights, each once, and of the last product's, which bounds what few bits elsewhere can gain
    activation_bits : of the model's input, as of all activations but residual sums
    cache_bits : of an element of the cache
    batch : sequences, each with a cache of its own
    """

    accelerator: str
    trace: str
    formats: tuple[str, ...]
    head: str
    activation_bits: int
    cache_bits: int
    batch: int
    prefill: TokenStep | None
    decode: tuple[TokenStep, ...]

    @property
    def verdict(self) -> tuple[str, ...]:
        """Sentences on what limits it."""
        return verdict_of(self.prefill, self.decode)

    @property
    def widths(self) -> str:
        """The formats of head, cache and activations, which belong to every rate."""
        return f"head {self.head}, cache of {self.cache_bits} bits, activations of {self.activation_bits} bits"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of all steps, each once."""
        steps = (self.prefill, *self.decode)
        return tuple(dict.fromkeys(text for step in steps if step is not None for text in step.warnings))

    @property
    def sentences(self) -> tuple[str, ...]:
        """Formats, how experts were chosen, warnings, the verdict, and how a step without gains gets them."""
        count = f"{self.batch} sequence{'s' if self.batch > 1 else ''}"
        found = [f"weights {', '.join(self.formats)}; {self.widths}; {count}"]
        steps = [step for step in (self.prefill, *self.decode) if step is not None]
        found += [f"experts of {step.tokens} tokens after {step.context}: {step.experts}" for step in steps if step.experts]
        found += [f"warning: {text}" for text in self.warnings]
        asked = all(step.verdict.gain is not None for step in steps)
        return (*found, *self.verdict, *(() if asked else ("--what-if simulates what limits a step",)))

    def to_dict(self) -> dict[str, Any]:
        """Plain, for JSON; figures of the decode by their context."""
        return {
            "accelerator": self.accelerator,
            "trace": self.trace,
            "weight_formats": list(self.formats),
            "head_format": self.head,
            "activation_bits": self.activation_bits,
            "cache_bits": self.cache_bits,
            "batch": self.batch,
            "time_to_first_token_ms": None if self.prefill is None else self.prefill.milliseconds,
            "tokens_per_second": {str(step.context): step.tokens_per_second for step in self.decode},
            "joules_per_token": {str(step.context): step.joules_per_token for step in self.decode},
            "verdict": list(self.verdict),
            "warnings": list(self.warnings),
            "prefill": None if self.prefill is None else self.prefill.to_dict(),
            "decode": [step.to_dict() for step in self.decode],
        }


def run_tokens(
    accelerator: Accelerator,
    trace: Trace,
    technology: Technology,
    *,
    prefill: int,
    decode: int,
    context: int,
    batch: int = 1,
    cache_bits: int = 8,
    seed: int = 0,
    what_if: bool = False,
    progress: Progress | None = None,
) -> TokenRun:
    """Run `prefill` tokens after `context`, then `decode` tokens one by one; `what_if` simulates the idealizations of every step.

    Raises
    ------
    ConfigError
        Neither tokens to prefill nor to decode, or too many.
    TraceError
        The trace is no causal language model.
    CompileError
        A step does not fit the chip.
    """
    for name, value in (("prefill", prefill), ("decode", decode), ("context", context)):
        if not 0 <= value <= MOST_TOKENS:
            raise ConfigError(f"{name} = {value}: allowed: 0..{MOST_TOKENS}")
    if prefill + decode == 0:
        raise ConfigError("prefill = 0 and decode = 0: allowed: tokens of at least one of them")

    head = trace.weighted_layers()[-1].name
    whole_cache = not any(layer.causal_reach for layer in trace.layers)

    def step(tokens: int, before: int) -> TokenStep:
        at_work = at_tokens(trace, tokens, before, cache_bits=cache_bits)
        result = simulation.simulate(accelerator, at_work, batch=batch, seed=seed, progress=progress)
        run = examined(accelerator, [at_work], result, what_if=what_if, functional=False, seed=seed, progress=progress)
        joules = energy_of(result, accelerator, technology).energy_pj().nominal * 1e-12
        return TokenStep(
            tokens, before, batch, result.milliseconds, joules, decide(run.decided), _bytes(result),
            _head_bytes(result, head), whole_cache, result.choices.get("experts", ""), result.warnings,
        )  # fmt: skip

    first = step(prefill, context) if prefill else None
    start, count = context + prefill, min(decode, CONTEXTS)
    apart = [start + (decode - 1) * place // max(1, count - 1) for place in range(count)]
    bits = trace.manifest.inputs[0].shape.bits
    formats = [describe_format(layer.weight.format) for layer in trace.weighted_layers()]
    return TokenRun(
        accelerator.name,
        trace.name,
        tuple(dict.fromkeys(formats)),
        formats[-1],
        bits,
        cache_bits,
        batch,
        first,
        tuple(step(1, before) for before in apart),
    )


def _bytes(result: Result) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, bits in result.traffic.items():
        found[key.operand] = found.get(key.operand, 0) + bits
    return {operand: bits // 8 for operand, bits in found.items()}


def _head_bytes(result: Result, head: str) -> int:
    bits = (item.bits for layer in result.layers if layer.name == head for item in layer.traffic if item.operand in TRAINED_OPERANDS)
    return sum(bits) // 8
