"""The one graph of the decoder-only families: norms, attention with grouped heads and rotary embedding, a gated feed-forward part.

Its input is the embeddings of the tokens: rows of a table that no layer multiplies. All rows go through the head, as in the library's own
graphs; a run over tokens takes the rows that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.windows import Convolution
from accelsim.importers.language_models.language_model import LanguageModel
from accelsim.importers.language_models.latent import Latent
from accelsim.importers.language_models.mixture import Mixture
from accelsim.importers.language_models.rotary_angles import Floats, Rotary
from accelsim.importers.language_models.stored_tensors import Surroundings
from accelsim.ops.add import AddLayer
from accelsim.ops.affine import AffineLayer
from accelsim.ops.gelu import GeluLayer
from accelsim.ops.hadamard import HadamardLayer
from accelsim.ops.multiply import MultiplyLayer
from accelsim.ops.rmsnorm import RmsNormLayer
from accelsim.ops.table import TableLayer

INPUT = "embeddings"


@dataclass(frozen=True)
class Part:
    """Outputs `first` to `stop` of a stored tensor."""

    tensor: str
    first: int
    stop: int


@dataclass
class DecoderGraph:
    """Builds the layers of a model, and notes the tensors that they read.

    Attributes
    ----------
    surroundings
        Of the stored matrices that need any, by name.
    weights
        The stored matrix of each layer.
    constants
        Stored vectors of each layer, by the names that the layer gives them.
    computed
        Constants that no tensor stores.
    turned
        Products between Hadamard transforms so far, by the matrices' names.
    """

    model: LanguageModel
    builder: GraphBuilder
    surroundings: Mapping[str, Surroundings] = field(default_factory=dict)
    weights: dict[str, Part] = field(default_factory=dict)
    constants: dict[str, dict[str, Part]] = field(default_factory=dict)
    computed: dict[str, dict[str, Floats]] = field(default_factory=dict)
    turned: dict[str, View] = field(default_factory=dict)

    def build(self, rows: int) -> str:
        """Add all layers for a prompt of `rows` tokens; the name of the last."""
        view = self.builder.tokens(INPUT, rows, self.model.width)
        for block in range(self.model.blocks):
            view = self._block(f"blk.{block}", block, view)
        view = self._norm("output_norm", view)
        tensor = "token_embd.weight" if self.model.tied else "output.weight"
        view = self._linear("output", view, Part(tensor, 0, self.model.vocabulary))
        return self._capped("output", view, self.model.logit_cap).producer

    def _block(self, name: str, block: int, view: View) -> View:
        """One block: two residual sums."""
        attended = self._attention(name, block, self._norm(f"{name}.attn_norm", view))
        if self.model.family.post_norms:
            attended = self._norm(f"{name}.post_attention_norm", attended)
        view = self.builder.pair(AddLayer, f"{name}.attn_add", view, attended)
        fed = self._feed_forward(name, self._norm(f"{name}.ffn_norm", view))
        if self.model.family.post_norms:
            fed = self._norm(f"{name}.post_ffw_norm", fed)
        return self.builder.pair(AddLayer, f"{name}.ffn_add", view, fed)

    def _attention(self, name: str, block: int, view: View) -> View:
        """Grouped-query attention (Ainslie et al., arXiv 2305.13245) with a causal mask."""
        model, reach = self.model, self.model.reach(block)
        rotary = model.local_rotary if reach else model.rotary
        if model.latent is None:
            query, key, value = (self._heads(name, part, view, None if part == "v" else rotary) for part in ("q", "k", "v"))
            key, value = (self._shared(kept, model.heads) for kept in (key, value))
            scores = self._scores(f"{name}.scores", query, key)
        else:
            scores, value = self._latent_scores(name, model.latent, view, rotary)
            value = self._shared(value, model.heads)
        if model.score_cap:
            scores = self._bent(f"{name}.scores", scores, model.score_cap)
        weights = self.builder.softmax(f"{name}.softmax", scores, -1, causal=True, reach=reach)
        context = self.builder.matmul(f"{name}.context", weights, value)
        rows = context.permute((0, 2, 1, 3)).reshape((1, view.shape[1], model.heads * value.shape[-1]))
        if model.latent is not None:
            rows = self._by_head(f"{name}.attn_v_b", rows, model.latent.value_width)
        return self._linear(f"{name}.attn_output", rows, Part(f"{name}.attn_output.weight", 0, model.width))

    def _heads(self, name: str, part: str, view: View, rotary: Rotary | None) -> View:
        """Queries, keys or values as (1, heads, rows, width), normalized and turned as the family has it."""
        model = self.model
        layer, size = f"{name}.attn_{part}", model.query_width if part == "q" else model.kv_width
        stored = Part(f"{layer}.weight", 0, size)
        if model.family.fused:
            first = {"q": 0, "k": model.query_width, "v": model.query_width + model.kv_width}[part]
            stored = Part(f"{name}.attn_qkv.weight", first, first + size)
        bias = f"{layer}.bias" if model.family.biases else ""
        made = self._linear(layer, view, stored, bias)
        if model.family.whole_norms and rotary is not None:
            made = self._norm(f"{layer}_norm", made)
        heads = made.reshape((1, view.shape[1], size // model.head_width, model.head_width))
        if model.family.head_norms and rotary is not None:
            heads = self._norm(f"{layer}_norm", heads)
        if rotary is not None:
            heads = self._turned(layer, heads, rotary)
        return heads.permute((0, 2, 1, 3))

    def _scores(self, layer: str, query: View, key: View) -> View:
        """Products of queries and keys, times their factor."""
        scores = self.builder.matmul(layer, query, key.transpose(-2, -1))
        return self.builder.scale(scores, self.model.score_scale / (self.model.score_cap or 1.0))

    @staticmethod
    def _shared(kept: View, heads: int) -> View:
        """Keys or values (1, kept heads, rows, width), each for as many of `heads`."""
        times = heads // kept.shape[1]
        return kept.repeat(1, times, each=True) if times > 1 else kept

    def _latent_scores(self, name: str, latent: Latent, view: View, rotary: Rotary) -> tuple[View, View]:
        """Scores, and values (1, 1, rows, width) for all heads, of latent attention in its absorbed form."""
        heads, rows = self.model.heads, view.shape[1]
        still = self.model.head_width - latent.turned
        q_b, kv_a = f"{name}.attn_q_b.weight", f"{name}.attn_kv_a_mqa.weight"
        narrow = self._linear(f"{name}.attn_q_a", view, Part(f"{name}.attn_q_a.weight", 0, latent.query_rank))
        narrow = self._norm(f"{name}.attn_q_a_norm", narrow)
        query = self._linear(f"{name}.attn_q_b", narrow, Part(q_b, 0, heads * still))
        query = self._by_head(f"{name}.attn_k_b", query, latent.rank)
        turned = self._linear(f"{name}.attn_q_turned", narrow, Part(q_b, heads * still, heads * self.model.head_width))
        turned = self._turned(f"{name}.attn_q_turned", turned.reshape((1, rows, heads, latent.turned)), rotary).permute((0, 2, 1, 3))
        key = self._linear(f"{name}.attn_k_turned", view, Part(kv_a, latent.rank, latent.rank + latent.turned))
        key = self._turned(f"{name}.attn_k_turned", key.reshape((1, rows, 1, latent.turned)), rotary).permute((0, 2, 1, 3))
        kept = self._norm(f"{name}.attn_kv_a_norm", self._linear(f"{name}.attn_kv_a", view, Part(kv_a, 0, latent.rank)))
        kept = kept.reshape((1, rows, 1, latent.rank)).permute((0, 2, 1, 3))
        query = query.reshape((1, rows, heads, latent.rank)).permute((0, 2, 1, 3))
        scores = self._scores(f"{name}.scores", query, self._shared(kept, heads))
        scores_turned = self._scores(f"{name}.scores_turned", turned, self._shared(key, heads))
        return self.builder.pair(AddLayer, f"{name}.scores_sum", scores, scores_turned), kept

    def _by_head(self, layer: str, view: View, outputs: int) -> View:
        """The product of each head's elements of (1, rows, heads * width) with a matrix of its own."""
        heads, (_, rows, width) = self.model.heads, view.shape
        image = view.reshape((1, 1, rows, width)).permute((0, 3, 1, 2))
        made = self.builder.conv2d(layer, image, Convolution(heads * outputs, (1, 1), (1, 1), (0, 0), (1, 1), heads), bias=False)
        return made.permute((0, 2, 3, 1)).reshape((1, rows, heads * outputs))

    def _turned(self, layer: str, heads: View, rotary: Rotary) -> View:
        """Heads (1, rows, heads, width) turned by their positions."""
        heads = self.builder.rotary(f"{layer}_rotary", heads, turned=rotary.turned, pairs=self.model.family.pairs)
        self.computed[heads.producer] = rotary.angles(heads.shape[1])
        return heads

    def _feed_forward(self, name: str, view: View) -> View:
        """A gated linear unit (Shazeer, arXiv 2002.05202), or several of which each token takes some."""
        if self.model.mixture is not None:
            return self._mixture(name, self.model.mixture, view)
        size, fused = self.model.feed_forward, self.model.family.fused
        parts = {part: Part(f"{name}.ffn_{part}.weight", 0, size) for part in ("gate", "up")}
        if fused:
            halves = ("up", "gate") if self.model.family.up_first else ("gate", "up")
            parts = {part: Part(f"{name}.ffn_up.weight", place * size, (place + 1) * size) for place, part in enumerate(halves)}
        gate, up = (self._linear(f"{name}.ffn_{part}", view, parts[part]) for part in ("gate", "up"))
        gated = self._gated(f"{name}.ffn", gate, up)
        return self._linear(f"{name}.ffn_down", gated, Part(f"{name}.ffn_down.weight", 0, self.model.width))

    def _mixture(self, name: str, mixture: Mixture, view: View) -> View:
        """The experts of each token, and the shared one, whose gate is a mixture of one."""
        scores = self._linear(f"{name}.ffn_gate_inp", view, Part(f"{name}.ffn_gate_inp.weight", 0, mixture.experts))
        scores = self.builder.softmax(f"{name}.ffn_softmax", scores, -1)
        result = self._experts(name, "exps", mixture, scores, view)
        if not mixture.shared:
            return result
        gate = self._linear(f"{name}.ffn_gate_inp_shexp", view, Part(f"{name}.ffn_gate_inp_shexp.weight", 0, 1))
        gate = self.builder.element_operation(TableLayer, f"{name}.ffn_sigmoid_shexp", gate, op="sigmoid")
        one = Mixture(experts=1, top_k=1, feed_forward=mixture.shared, normalized=False)
        shared = self._experts(name, "shexp", one, gate, view)
        return self.builder.pair(AddLayer, f"{name}.ffn_add_shexp", result, shared)

    def _experts(self, name: str, kind: str, mixture: Mixture, scores: View, view: View) -> View:
        """The weighted sum of the experts whose scores are a token's largest."""
        (_, rows, width), experts, top_k = view.shape, mixture.experts, mixture.top_k
        weights = self.builder.route(f"{name}.ffn_route_{kind}", scores.reshape((rows, experts)), top_k, normalized=mixture.normalized)
        made: dict[str, View] = {}
        for part, outputs, _ in mixture.parts(width, mixture.feed_forward):
            if part == "down":
                source = self._gated(f"{name}.ffn_{kind}", made["gate"], made["up"])
            else:
                source = view.reshape((rows, width))
            layer = f"{name}.ffn_{part}_{kind}"
            made[part] = self.builder.experts(layer, source, weights, outputs, experts, top_k, per_token=part != "down")
            self.weights[made[part].producer] = Part(f"{layer}.weight", 0, experts * outputs)
        return self.builder.combine(f"{name}.ffn_sum_{kind}", made["down"], weights, top_k).reshape((1, rows, width))

    def _gated(self, name: str, gate: View, up: View) -> View:
        """A function of the gate, times what it lets through."""
        kinds: dict[str, tuple[type[Any], dict[str, Any]]] = {"silu": (TableLayer, {"op": "silu"}), "gelu": (GeluLayer, {})}
        kind, fields = kinds[self.model.family.gate]
        gate = self.builder.element_operation(kind, f"{name}_{self.model.family.gate}", gate, **fields)
        return self.builder.pair(MultiplyLayer, f"{name}_gated", gate, up)

    def _linear(self, layer: str, view: View, stored: Part, bias: str = "") -> View:
        """The product with a stored matrix, and what that needs around it."""
        around = self.surroundings.get(stored.tensor, Surroundings())
        if around.turned:
            return self._part_of_turned(layer, view, stored)
        inputs = self._scaled(layer, view, stored.tensor) if around.scaled else view
        pieces = [stored]
        views = [inputs]
        if around.pieces:
            pieces = [Part(f"{stored.tensor}.{place}", stored.first, stored.stop) for place in range(len(around.pieces))]
            views = [self._gathered(layer, inputs, f"{stored.tensor}.steps.{place}", taken) for place, taken in enumerate(around.pieces)]
        result = self._product(layer, views[0], pieces[0], bias)
        for piece, source in zip(pieces[1:], views[1:], strict=True):
            result = self.builder.pair(AddLayer, f"{layer}_sum", result, self._product(layer, source, piece))
        if around.shifted:
            shift = self._product(f"{layer}_shift", view, Part(f"{stored.tensor}.shift", 0, 1))
            result = self.builder.pair(AddLayer, f"{layer}_sum", result, shift)
        return result

    def _part_of_turned(self, layer: str, view: View, stored: Part) -> View:
        """Outputs of a product between two Hadamard transforms, which its other outputs share."""
        made = self.turned.get(stored.tensor)
        if made is None:
            outputs, _ = self.model.tensors()[stored.tensor]
            name = stored.tensor.removesuffix(".weight")
            turned = self._hadamard(f"{name}_turn", view, f"{stored.tensor}.signs_in", signs_first=True)
            product = self._product(name, turned, Part(stored.tensor, 0, outputs))
            made = self.turned[stored.tensor] = self._hadamard(f"{name}_back", product, f"{stored.tensor}.signs_out", signs_first=False)
        return self.builder.narrowed(layer, made, len(made.shape) - 1, range(stored.first, stored.stop))

    def _hadamard(self, name: str, view: View, signs: str, *, signs_first: bool) -> View:
        width = view.shape[-1]
        result = self.builder.row_operation(HadamardLayer, name, view, (width,), signs_first=signs_first)
        self.constants[result.producer] = {"signs": Part(signs, 0, width)}
        return result

    def _scaled(self, layer: str, view: View, tensor: str) -> View:
        """A factor per input."""
        result = self.builder.channel_operation(AffineLayer, f"{layer}_scale", view, len(view.shape) - 1, per_channel=True)
        self.constants[result.producer] = {"scale": Part(f"{tensor}.scale", 0, view.shape[-1])}
        self.computed[result.producer] = {"shift": np.zeros(view.shape[-1], np.float32)}
        return result

    def _gathered(self, layer: str, view: View, steps: str, taken: int) -> View:
        """Inputs in the order in which a matrix stores them."""
        result = self.builder.gather(f"{layer}_inputs", view, taken)
        self.constants[result.producer] = {"steps": Part(steps, 0, taken)}
        return result

    def _product(self, layer: str, view: View, stored: Part, bias: str = "") -> View:
        size = stored.stop - stored.first
        result = self.builder.linear(layer, view, size, bool(bias))
        self.weights[result.producer] = stored
        if bias:
            self.constants[result.producer] = {"bias": Part(bias, 0, size)}
        return result

    def _norm(self, layer: str, view: View) -> View:
        result = self.builder.row_operation(RmsNormLayer, layer, view, view.shape[-1:])
        self.constants[result.producer] = {"gamma": Part(f"{layer}.weight", 0, view.shape[-1])}
        return result

    def _capped(self, name: str, view: View, cap: float) -> View:
        """Logits x as cap * tanh(x / cap)."""
        if not cap:
            return view
        return self._bent(name, self.builder.element_operation(AffineLayer, f"{name}_scale", view, factor=1.0 / cap), cap)

    def _bent(self, name: str, view: View, cap: float) -> View:
        """The hyperbolic tangent of values that are in units of the cap, times the cap."""
        bent = self.builder.element_operation(TableLayer, f"{name}_tanh", view, op="tanh")
        return self.builder.element_operation(AffineLayer, f"{name}_cap", bent, factor=cap)
