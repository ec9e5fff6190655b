"""A causal language model at other numbers of tokens: the layers of a prefill, or of a decode step over a cache of keys and values.

Disputable assumptions: logits are computed of the last token alone; what a step appends is read back from the cache with the rest, but does
not wait for its own write. How a cache lies in memory: `accelsim.ops.cache_layout`.
"""

from __future__ import annotations

from typing import Any

from accelsim.errors import TraceError
from accelsim.ops.cache_layout import CACHE_BITS
from accelsim.trace.layers import Layer, MatmulLayer, TensorShape
from accelsim.trace.trace import Trace
from accelsim.trace.trace_name import MOST_TOKENS, SIGN, step_text


def at_tokens(trace: Trace, tokens: int, context: int, name: str | None = None, cache_bits: int = 8) -> Trace:
    """A step of `tokens` tokens after `context` tokens in the cache, without the bits of the weights.

    Parameters
    ----------
    trace
        A model whose attentions have causal masks, at any number of tokens above 1.
    tokens
        Rows of the step.
    context
        Tokens in the cache before the step; 0: keys and values are read from the activation buffer, and only appended.
    name
        Of the step's trace; None: the trace's, `@step:` and the numbers.
    cache_bits
        Of an element of the cache: 4, 8 or 16.

    Raises
    ------
    TraceError
        A number out of its range, a trace that has no causal attention, or a layer whose rows are not its tokens.
    """
    for field, value, least in (("tokens", tokens, 1), ("context", context, 0)):
        if not least <= value <= MOST_TOKENS:
            raise TraceError(f"trace {trace.name!r}: a step's {field} = {value}; allowed: {least} to {MOST_TOKENS:,}")
    if cache_bits not in CACHE_BITS:
        raise TraceError(f"trace {trace.name!r}: a step's cache_bits = {cache_bits}; allowed: {', '.join(map(str, CACHE_BITS))}")
    step = _Step(trace, tokens, context, cache_bits)
    layers = tuple(step.layer(layer) for layer in trace.layers)
    inputs = tuple(item.model_copy(update={"shape": step.rows_of(item.name, item.shape)}) for item in trace.manifest.inputs)
    own = name or f"{trace.name}{SIGN}{step_text({'tokens': tokens, 'context': context, 'cache_bits': cache_bits})}"
    try:
        return Trace(trace.manifest.with_fields(name=own, inputs=inputs, layers=layers, payload=None, interface=None))
    except TraceError as error:
        raise TraceError(f"trace {trace.name!r} cannot be run at {tokens} tokens: {error}") from None


def puts_out_token(trace: Trace) -> bool:
    """Whether an inference is a step of a causal language model: attention that is masked, or that reads a cache."""
    return any(layer.from_cache or layer.causal_reach is not None for layer in trace.layers)


class _Step:
    def __init__(self, trace: Trace, tokens: int, context: int, cache_bits: int) -> None:
        self.name, self.tokens, self.context, self.cache_bits = trace.name, tokens, context, cache_bits
        self.layers = {layer.name: layer for layer in trace.layers}
        masked = [(layer, layer.causal_reach) for layer in trace.layers if layer.causal_reach is not None]
        if not masked:
            raise TraceError(f"trace {trace.name!r} has no causal attention; allowed: models that generate token after token")
        self.before = masked[0][0].output.rows
        self.seen = {
            name: self._columns(reach) for layer, reach in masked for name in self._scores_of(layer)
        }  # scores -> tokens that they see
        self.last = self._after_all_attention(trace)
        self.cached = {layer.inputs[1] for layer in trace.layers if layer.head_product is not None}

    def rows_of(self, name: str, shape: TensorShape) -> TensorShape:
        """An activation's shape in the step."""
        per_token, rest = divmod(shape.rows, self.before)
        if rest or not per_token:
            raise TraceError(
                f"trace {self.name!r}: {name!r} has {shape.rows} rows for {self.before} tokens; allowed: as many rows for each token"
            )
        columns = self.seen.get(name, shape.width)
        bits = 16 if self.cache_bits == 16 and name in self.cached else shape.bits
        return shape.model_copy(update={"rows": 1 if name in self.last else per_token * self.tokens, "width": columns, "bits": bits})

    def layer(self, layer: Layer) -> Layer:
        """A layer in the step."""
        if layer.head_product is not None:
            return self._product(layer.head_product)
        if layer.vector is not None and layer.inputs[0] in self.seen:
            self.seen[layer.name] = self.seen[layer.inputs[0]]
        fields: dict[str, Any] = {"output": self.rows_of(layer.name, layer.output), "constants": {}}
        weighted = layer.weighted
        if weighted is not None:
            rows = fields["output"].rows
            fields |= {
                "bounds": weighted.bounds.model_copy(update={"OX": rows}),
                "weight": weighted.in_format(weighted.weight.format).weight,
            }
            if layer.window is not None:
                fields["image"] = (1, rows)  # tokens side by side: windows of one token
            elif rows < self.tokens:
                fields["input_row"] = self.tokens - 1
        return layer.with_fields(**fields, **layer.step_fields(self.tokens, self.context))

    def _product(self, layer: MatmulLayer) -> MatmulLayer:
        """A product of attention, whose second operand is in the cache."""
        found = self.seen.get(layer.name) or self.seen.get(layer.inputs[0])
        if found is None:
            raise TraceError(f"layer {layer.name!r}: is no product of a causal attention")
        loops = {"OX": layer.shared * self.tokens, "K" if layer.transposed_b else "C": found}
        return layer.with_fields(
            output=self.rows_of(layer.name, layer.output),
            bounds=layer.bounds.model_copy(update=loops),
            cache_rows=found if self.context else 0,
            cache_bits=self.cache_bits,
        )

    def _columns(self, reach: int) -> int:
        """Tokens that the rows of a step see together."""
        seen = self.context + self.tokens
        return min(seen, reach + self.tokens - 1) if reach and self.context else seen

    def _scores_of(self, softmax: Layer) -> tuple[str, ...]:
        """The products of queries and keys whose scores, or sum of scores, a softmax reads, behind a cap or none."""
        read, products = [softmax.inputs[0]], []
        while read:
            layer = self.layers.get(read.pop())
            if layer is not None and layer.vector is not None:
                read += layer.inputs
            elif layer is not None and layer.head_product is not None and layer.head_product.transposed_b:
                products.append(layer.name)
        if not products:
            raise TraceError(f"layer {softmax.name!r}: its scores are no product of queries and keys")
        return tuple(products)

    def _after_all_attention(self, trace: Trace) -> set[str]:
        """The head and what follows it, which a step computes of its last token alone."""
        names: set[str] = set()
        layer: Layer | None = self.layers.get(trace.manifest.outputs[0])
        while layer is not None and layer.vector is not None and len(layer.inputs) == 1:
            names.add(layer.name)
            layer = self.layers.get(layer.inputs[0])
        if layer is None or layer.weights is None or layer.window is not None or len(trace.manifest.outputs) != 1:
            return set()
        return {*names, layer.name} if layer.row_read is None else set()
