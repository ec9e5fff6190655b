"""The width that accumulators need so that no sum of a layer can leave it, whatever the activations and weights are.

The data type bound of A2Q (Colbert et al., arXiv 2308.13504): K products of int8 activations and weights of magnitude W add up to
128 W K at most. Disputable assumption: real weights are far from all being extreme at once, so most layers would do with fewer bits.
Activations are int8, wider ones add their bits; outputs of softmax, unsigned in a machine, add up to about 1 and are counted as int8 too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from accelsim.accelerator import Accelerator
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.weight_format import WeightFormat
from accelsim.hw.core_spec import ArraySpec
from accelsim.ops.mac_layers import MacLayer
from accelsim.trace.trace import Trace

ACTIVATION_MAGNITUDE = 128  # of int8
FLOAT_BITS = 32  # scaled sums of groups are added up in float32
_NAMED = 3
_WARNING = "array.psum_bits = "


def bits_for(k: int, weight_magnitude: int) -> int:
    """Bits of two's complement for a sum of `k` products: 2^(bits - 1) exceeds 128 x magnitude x k."""
    return (ACTIVATION_MAGNITUDE * weight_magnitude * k).bit_length() + 1


def weight_magnitude(path: DecodePath) -> int:
    """Largest magnitude of an integer that a decoder hands to the array, zero point subtracted."""
    levels = path.raw.multiplied if path.raw else None
    return max(map(abs, levels)) if levels else 1 << path.lane_bits - 1


def accumulator_bits(layer: MacLayer, array: ArraySpec, input_bits: int = 8) -> int:
    """Bits that the accumulators of `array` need for a layer whose rows have elements of `input_bits` bits.

    Sums of groups with scales end with the group or the K-tile; they are then float32, which needs 32 bits however short the group is.
    """
    wider = max(0, input_bits - 8)
    if layer.weights is None:
        return bits_for(layer.k, ACTIVATION_MAGNITUDE) + wider
    return _sum_bits(layer.weights.format, layer.k, array.rows, array.scale_at == "weight", wider)


@lru_cache(1024)
def _sum_bits(weights: WeightFormat, k: int, rows: int, scaled: bool, wider: int) -> int:
    """Bits of the sums of `k` weights, `scaled` by integers before they are multiplied where the format has such, for `wider` inputs."""
    path = weights.decode_path()
    levels = path.scale_levels
    if not levels:
        return bits_for(k, weight_magnitude(path)) + wider
    if scaled and weights.scaled_bits is not None:
        group, magnitude = levels[-1][0], 1 << weights.scaled_bits - 1
    else:
        group, magnitude = levels[0][0], weight_magnitude(path)
    return max(FLOAT_BITS, bits_for(min(k, group, rows), magnitude) + wider)


def group_bits(weights: WeightFormat, k: int, input_bits: int = 8) -> int:
    """Bits of the exact sum of a group of the float scale, integer scales and what the array lacked included; sub-minima ask for fewer."""
    path = weights.decode_path()
    magnitude = weight_magnitude(path) + path.less if weights.scaled_bits is None else 1 << weights.scaled_bits - 1
    return bits_for(min(k, path.scale_levels[-1][0]), magnitude) + max(0, input_bits - 8)


def most_accumulator_bits(array: ArraySpec, traces: Iterable[Trace]) -> int:
    """Bits with which no sum of the traces can overflow; 0 without a layer on the array."""
    return max((bits for trace in traces for _, bits in _bits_of_layers(array, trace)), default=0)


def _bits_of_layers(array: ArraySpec, trace: Trace) -> Iterator[tuple[str, int]]:
    """(layer, bits that the accumulators need for it) of each product."""
    for layer in trace.products():
        yield layer.name, accumulator_bits(layer, array, trace.shapes[layer.inputs[0]].bits)


def range_warnings(accelerator: Accelerator, traces: Iterable[Trace]) -> tuple[str, ...]:
    """One line if sums can exceed `array.psum_bits`: the layers that need most, and their bits; else nothing."""
    array = accelerator.array
    needed = {name: bits for trace in traces for name, bits in _bits_of_layers(array, trace) if bits > array.psum_bits}
    if not needed:
        return ()
    first = sorted(needed, key=lambda name: -needed[name])[:_NAMED]
    names = ", ".join(f"{name} needs {needed[name]}" for name in first) + (", ..." if len(needed) > _NAMED else "")
    count = f"{len(needed)} layers" if len(needed) > 1 else "1 layer"
    return (
        f"{_WARNING}{array.psum_bits}: sums of {count} can overflow ({names}); "
        f"no sum can with {max(needed.values())} bits, --functional computes at the stated width",
    )


def is_range_warning(text: str) -> bool:
    """Whether a warning of a run is one of `range_warnings`."""
    return text.startswith(_WARNING)
