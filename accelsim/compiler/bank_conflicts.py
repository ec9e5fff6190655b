"""Decode cycles of each group of lookups when the codebook has banks in place of ports: from the real indices, or seeded ones.

Disputable assumption: without a payload the indices are drawn evenly, which trained codebooks are not; the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from accelsim.compiler.image import Packing, group_bank_cycles, layer_image, stripe_count
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.trace import Trace

_SAMPLE = 4096  # groups that are drawn to say what evenly drawn indices would take


@dataclass
class BankConflicts:
    """Cycles of all groups of the layers that were asked for, one layer after the other."""

    banks: int | None
    seed: int
    synthetic: bool = False
    _starts: dict[tuple[str, str], int] = field(default_factory=dict)
    _notes: dict[tuple[str, str], str] = field(default_factory=dict)
    _cycles: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    _count: int = 0

    def start(self, trace: Trace, layer: WeightedLayer, geometry: CoreGeometry, packing: Packing) -> int:
        """First entry of a layer of `trace` in `array`; -1 where no bank can conflict."""
        if self.banks is None or not geometry.decode:
            return -1
        key = (trace.name, layer.name)
        if key not in self._starts:
            cycles = group_bank_cycles(self._indices(trace, layer, geometry, packing), self.banks)
            self._starts[key] = self._count
            self._notes[key] = self._note(trace, geometry, cycles)
            self._cycles.append(cycles)
            self._count += cycles.size
        return self._starts[key]

    def note(self, trace: Trace, layer: WeightedLayer) -> str:
        """What banks cost a layer that `start` was asked for: cycles a group, where the indices come from, what even ones would take."""
        return self._notes[trace.name, layer.name]

    def _note(self, trace: Trace, geometry: CoreGeometry, cycles: npt.NDArray[np.uint8]) -> str:
        banks = self.banks or 1
        taken = f"{banks} banks: {cycles.mean():.2f} cycles a group of {geometry.ports}, at most {cycles.max()}"
        if not trace.has_payload:
            return f"{taken}, with evenly drawn indices"
        draw = np.random.default_rng([self.seed, geometry.ports, banks])
        even = group_bank_cycles(draw.integers(0, geometry.codewords, (_SAMPLE, geometry.ports), np.int32), banks)
        return f"{taken}, with the trace's indices (evenly drawn ones: {even.mean():.2f})"

    def array(self) -> npt.NDArray[np.uint8]:
        """Cycles of every group: uint8 (groups,)."""
        return np.concatenate(self._cycles) if self._cycles else np.zeros(0, np.uint8)

    def _indices(self, trace: Trace, layer: WeightedLayer, geometry: CoreGeometry, packing: Packing) -> npt.NDArray[np.int32]:
        """Indices in the order of the stream: int32 (groups, ports)."""
        if trace.has_payload:
            return layer_image(geometry, layer, trace.arrays(layer.name), packing).indices
        self.synthetic = True
        name = np.frombuffer(layer.name.encode(), np.uint8)
        draw = np.random.default_rng([self.seed, *name.tolist()])
        groups = geometry.stripe_groups(layer.k) * stripe_count(geometry, layer)
        return draw.integers(0, geometry.codewords, (groups, geometry.ports), np.int32)
