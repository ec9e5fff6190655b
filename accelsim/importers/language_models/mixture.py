"""The feed-forward part of a block as a mixture of experts: its sizes and its tensors, under the names that a GGUF file gives them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mixture:
    """Experts of each block.

    Attributes
    ----------
    experts, top_k
        Experts of a block, and those that a token takes.
    feed_forward
        Inner width of an expert.
    normalized
        The weights of a token's experts are divided by their sum.
    shared
        Inner width of the expert that every token takes besides, times a gate of its own; 0: there is none.
    """

    experts: int
    top_k: int
    feed_forward: int
    normalized: bool
    shared: int = 0

    def tensors(self, width: int) -> dict[str, tuple[int, ...]]:
        """Shapes of a block's tensors; matrices of experts are stacked, (experts, outputs, inputs)."""
        found: dict[str, tuple[int, ...]] = {"ffn_gate_inp.weight": (self.experts, width)}
        for part, outputs, inputs in self.parts(width, self.feed_forward):
            found[f"ffn_{part}_exps.weight"] = (self.experts, outputs, inputs)
        if self.shared:
            found["ffn_gate_inp_shexp.weight"] = (1, width)
            for part, outputs, inputs in self.parts(width, self.shared):
                found[f"ffn_{part}_shexp.weight"] = (outputs, inputs)
        return found

    @staticmethod
    def parts(width: int, inner: int) -> tuple[tuple[str, int, int], ...]:
        """(part, outputs, inputs) of the matrices of a gated feed-forward part."""
        return ("gate", inner, width), ("up", inner, width), ("down", width, inner)
