"""Decode cycles of each group of lookups when the codebook has banks in place of ports: from the real indices, or seeded ones.

Disputable assumption: without a payload the indices are drawn evenly, which trained codebooks are not; the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from accelsim.compiler.image import Packing, group_bank_cycles, layer_image
from accelsim.compiler.lru_cache import LruCache
from accelsim.compiler.merged_groups import stripe_count
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.trace import Trace

KNOWN_LAYERS = 128  # cached: those of a network or two for one codebook
_SAMPLE = 4096  # groups drawn to estimate the cost of evenly drawn indices


@dataclass(frozen=True)
class LayerConflicts:
    """The cost of banks for a layer: cycles of each group of its stream, uint8 (groups,), and a summary."""

    cycles: npt.NDArray[np.uint8]
    note: str


Known = LruCache[tuple[str, str, CoreGeometry, Packing, int, int], LayerConflicts]


@dataclass
class BankConflicts:
    """Cycles of all groups of the requested layers, one layer after the other.

    `known` caches the layers of earlier requests, also for other accelerators: they are a function of the trace, the layer,
    the core's geometry, the packing, the banks and the seed.
    """

    banks: int | None
    seed: int
    known: Known
    synthetic: bool = False
    _starts: dict[tuple[str, str], int] = field(default_factory=dict)
    _found: list[LayerConflicts] = field(default_factory=list)
    _notes: dict[tuple[str, str], str] = field(default_factory=dict)
    _count: int = 0

    def start(self, trace: Trace, layer: WeightedLayer, geometry: CoreGeometry, packing: Packing) -> int:
        """First entry of a layer of `trace` in `array`; -1 where no bank can conflict."""
        if self.banks is None or not geometry.decode:
            return -1
        self.synthetic |= not trace.has_payload
        key = (trace.name, layer.name)
        if key not in self._starts:
            asked = (trace.sha256, layer.name, geometry, packing, self.banks, self.seed)
            found = self.known.of(asked, lambda: self._conflicts(trace, layer, geometry, packing))
            self._starts[key] = self._count
            self._notes[key] = found.note
            self._found.append(found)
            self._count += found.cycles.size
        return self._starts[key]

    def note(self, trace: Trace, layer: WeightedLayer) -> str:
        """Describe the cost of banks for a layer after `start`: cycles per group, the source of the indices, the cost of even ones."""
        return self._notes[trace.name, layer.name]

    def _conflicts(self, trace: Trace, layer: WeightedLayer, geometry: CoreGeometry, packing: Packing) -> LayerConflicts:
        cycles = group_bank_cycles(self._indices(trace, layer, geometry, packing), self.banks or 1)
        return LayerConflicts(cycles, self._note(trace, geometry, cycles))

    def _note(self, trace: Trace, geometry: CoreGeometry, cycles: npt.NDArray[np.uint8]) -> str:
        banks = self.banks or 1
        taken = f"{banks} banks: {cycles.mean():.2f} cycles per group of {geometry.ports}, at most {cycles.max()}"
        if not trace.has_payload:
            return f"{taken}, with evenly drawn indices"
        draw = np.random.default_rng([self.seed, geometry.ports, banks])
        even = group_bank_cycles(draw.integers(0, geometry.codewords, (_SAMPLE, geometry.ports), np.int32), banks)
        return f"{taken}, with the trace's indices (evenly drawn ones: {even.mean():.2f})"

    def array(self) -> npt.NDArray[np.uint8]:
        """Cycles of every group: uint8 (groups,)."""
        return np.concatenate([found.cycles for found in self._found]) if self._found else np.zeros(0, np.uint8)

    def _indices(self, trace: Trace, layer: WeightedLayer, geometry: CoreGeometry, packing: Packing) -> npt.NDArray[np.int32]:
        """Indices in the order of the stream: int32 (groups, ports)."""
        if trace.has_payload:
            return layer_image(geometry, layer, trace.arrays(layer.name), packing).indices
        name = np.frombuffer(layer.name.encode(), np.uint8)
        draw = np.random.default_rng([self.seed, *name.tolist()])
        groups = geometry.stripe_groups(layer.k) * stripe_count(geometry, layer)
        return draw.integers(0, geometry.codewords, (groups, geometry.ports), np.int32)
