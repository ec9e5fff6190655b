"""Which warnings of a run concern its verdict: those about the model or the size of the limiting resource.

Disputable assumption: a warning names what it is about; each phrase is one that the simulator writes.
"""

from __future__ import annotations

from collections.abc import Mapping

SHARING = "sharing each layer may cost"  # of cores that move more than one core would

_PHRASES: Mapping[str, tuple[str, ...]] = {
    "memory": ("background client", "of reads in flight", SHARING),
    "L2 port": (SHARING,),
    "other cores": (SHARING,),
    "decoder": ("bank conflicts come from", "the codebook in", "sign decoder"),
    "weight buffer width": ("weight_buffer.word_bits", "attention loads its weights", "weight buffer"),
    "activation buffer ports": ("attention loads its weights", "activation buffer"),
    "MAC array": ("a PE",),
}


_OVERFLOW = "array.psum_bits = "  # begins the warning of sums that can leave their accumulators


def is_about_values(warning: str) -> bool:
    """Whether a warning says that the chip may compute wrong values, which concerns every verdict."""
    return warning.startswith(_OVERFLOW)


def concerns(warning: str, resource: str) -> bool:
    """Whether a warning is about `resource`, the limiting one (a key of `result.RESOURCES`)."""
    return any(phrase in warning for phrase in _PHRASES.get(resource, ()))
