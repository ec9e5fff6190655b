"""How far entropy codes of a layer run ahead of, or behind, equal shares of their bits, where a trace holds the values that they code.

A run takes an equal share of a layer's code bits in each decode cycle. That is right as long as the weight buffer holds the difference,
which is measured here tile by tile, in the order of the stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from accelsim.compiler.image import striped
from accelsim.compiler.lru_cache import LruCache
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.quantities import human_bytes
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.trace import Trace

Known = LruCache[tuple[str, str, CoreGeometry], int]


@dataclass
class CodeLengths:
    """Drifts of the layers that were asked for; `known` caches them, a function of the trace, the layer and the core's geometry.

    Attributes
    ----------
    buffer_bytes : of the weight buffer
    """

    buffer_bytes: int
    known: Known
    _beyond: dict[str, int] = field(default_factory=dict)

    def note(self, trace: Trace, layer: WeightedLayer, geometry: CoreGeometry) -> str:
        """'codes lead or lag equal shares by at most 1.5 KiB'; empty without codes or without their values."""
        if layer.weight.format.quantizer is layer.weight.format or not trace.has_payload:
            return ""
        drift = self.known.of((trace.sha256, layer.name, geometry), lambda: drift_bytes(trace, layer, geometry))
        if drift > self.buffer_bytes:
            self._beyond[layer.name] = drift
        return f"codes lead or lag equal shares by at most {human_bytes(drift)}"

    def warnings(self) -> list[str]:
        """A line on layers whose codes drift by more than the weight buffer holds."""
        if not self._beyond:
            return []
        name = max(self._beyond, key=self._beyond.__getitem__)
        return [
            f"entropy codes of {len(self._beyond)} layers lead or lag equal shares of their bits by more than the weight buffer's "
            f"{human_bytes(self.buffer_bytes)} ({name!r}: {human_bytes(self._beyond[name])}), though each decode cycle takes such a share"
        ]


def drift_bytes(trace: Trace, layer: WeightedLayer, geometry: CoreGeometry) -> int:
    """The most that the codes of the first tiles, stripe after stripe, take more or less than tiles of the mean length; rounded up."""
    weight = layer.weight
    bits = weight.format.code_bits(trace.arrays(layer.name), weight.k, weight.n)
    bits = bits.reshape(*bits.shape[:2], geometry.passes, -1).sum(axis=3)
    down, across = weight.k // bits.shape[0], weight.n // bits.shape[1]
    if layer.reduction_order is not None:
        bits = bits[layer.reduction_order]
    tiles = [(geometry.tile_rows(layer.k, kt), kt % geometry.passes) for kt in range(geometry.tile_count(layer.k))]
    sums, counts = (
        np.stack([own[number][:, rows.start // down : -(-rows.stop // down)].sum(axis=(1, 2)) for rows, number in tiles], axis=1).reshape(
            -1
        )
        for own in (
            [striped(part, layer.bounds.G, geometry.cols // across) for part in np.moveaxis(values, 2, 0)]
            for values in (bits, np.ones_like(bits))
        )
    )
    ahead = np.cumsum(sums) - np.cumsum(counts) * (int(sums.sum()) / int(counts.sum()))
    return -int(-np.abs(ahead).max() // 8)
