"""The clusters of cores that share a codebook ROM, as one cycle engine: whose lookups are served is decided among them in every cycle.

To their DMAs they are clusters like any other; what one of them is told or asked for wakes the engine, which steps all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import simpy

from accelsim.hw.cluster_state import NEVER, ClusterArrays, StateRecord
from accelsim.hw.compute_cluster import LOOK_AHEAD, ComputeCluster
from accelsim.hw.engine import CycleEngine
from accelsim.kernels import compute_state, shared_rom


class ClustersTogether(CycleEngine):
    """Steps clusters that have not begun; `on_denied` is told the number of a cluster and each cycle in which the ROM served others."""

    def __init__(self, env: simpy.Environment, clock_hz: int, clusters: Sequence[ComputeCluster]) -> None:
        super().__init__(env, clock_hz)
        self._clusters = tuple(clusters)
        count = len(self._clusters)
        self._first, self._arrays = _joined(self._clusters)
        self._states, self._looks = (np.concatenate([compute_state.new_state() for _ in range(count)]) for _ in range(2))
        self._saved = np.zeros(count, compute_state.STATE)
        self._rom, self._rom_look = (np.zeros(shared_rom.ROM_STATE, np.int64) for _ in range(2))
        self._rom[shared_rom.SERVED] = -1
        self._told = np.zeros((count, shared_rom.TOLD), np.int64)
        self._denied, self._denied_ahead = (np.zeros((LOOK_AHEAD * count, 2), np.int64) for _ in range(2))
        self._reported = 0  # cycle up to which denials were told
        self.on_denied: Callable[[int, int], None] = _nothing
        self._hand_out()

    def _hand_out(self) -> None:
        """Give each cluster its states."""
        for core, cluster in enumerate(self._clusters):
            own, look = (StateRecord(states[core : core + 1]) for states in (self._states, self._looks))
            cluster.join(self, own, look)

    @property
    def _live(self) -> list[ComputeCluster]:
        return [cluster for cluster in self._clusters if cluster.done_cycle is None]

    # -- the engine

    def must_repredict(self) -> bool:
        live = self._live
        if all(cluster.unaware() for cluster in live):
            for cluster in live:
                cluster.take_landed()
            return False
        return True

    def commit(self, cycle: int) -> None:
        if self._rom[shared_rom.CYCLE] < cycle and self._live:
            never = np.full((len(self._clusters), 2), NEVER, np.int64)
            self._advance(self._states, self._rom, cycle, never, self._denied, 0)
            self._report(self._rom, self._denied)

    def absorb(self) -> None:
        for cluster in self._live:
            cluster.absorb()

    def predict(self) -> int | None:
        np.copyto(self._looks, self._states)
        np.copyto(self._rom_look, self._rom)
        self._looks["starved"] = NEVER
        stops = np.array([(cluster.stop_freed, cluster.stop_tiles) for cluster in self._clusters], np.int64)
        until = int(self._rom[shared_rom.CYCLE]) + LOOK_AHEAD
        reason = self._advance(self._looks, self._rom_look, until, stops, self._denied_ahead, 1)
        for cluster in self._clusters:
            cluster.valid = True
        return None if reason == compute_state.BLOCKED else int(self._rom_look[shared_rom.CYCLE])

    def adopt(self) -> None:
        self._states, self._looks = self._looks, self._states
        self._rom, self._rom_look = self._rom_look, self._rom
        self._hand_out()
        for cluster in self._clusters:
            cluster.valid = False
        self._report(self._rom, self._denied_ahead)

    def publish(self) -> None:
        for cluster in self._live:
            cluster.publish()

    def _advance(
        self, states: np.ndarray, rom: np.ndarray, until: int, stops: np.ndarray, denials: np.ndarray, look_ahead: int
    ) -> int:  # fmt: skip
        return int(
            shared_rom.advance_together(states, self._saved, rom, self._first, *self._arrays, until, stops, self._told, denials, look_ahead)
        )

    def _report(self, rom: np.ndarray, denials: np.ndarray) -> None:
        """Tell of the denials that were not told before."""
        for core, cycle in denials[: rom[shared_rom.LOGGED]].tolist():
            if cycle >= self._reported:
                self.on_denied(core, cycle)
        self._reported = int(rom[shared_rom.CYCLE])


def _joined(clusters: Sequence[ComputeCluster]) -> tuple[np.ndarray, ClusterArrays]:
    """(where each cluster's part begins, as `shared_rom` has it; the arrays of all), of which each cluster then has its part."""
    own = [cluster.arrays for cluster in clusters]
    most = max(arrays.fin.size for arrays in own)
    held = np.zeros((len(own), 2, most), np.int64)
    whole = ClusterArrays(*map(np.concatenate, zip(*(arrays._replace(held=arrays.fin) for arrays in own), strict=True)))
    whole = whole._replace(machine=own[0].machine, held=held)
    sizes = [[getattr(arrays, name).shape[0] for name in _PARTS] for arrays in own]
    first = np.cumsum([[0] * len(_PARTS), *sizes], axis=0).T.copy()
    for core, cluster in enumerate(clusters):
        parts = {name: getattr(whole, name)[first[row, core] : first[row, core + 1]] for row, names in enumerate(_ALIKE) for name in names}
        cluster.place(whole._replace(**parts, held=held[core]))
    return first, whole


# Arrays by the row of `first` that says where each core's part of them begins.
_ALIKE = (
    ("runs", "results"),
    ("tasks",),
    ("drains",),
    ("row_tasks",),
    ("cb_runs", "cb_words"),
    ("group_cost",),
    ("land", "visible", "chunk_end", "chunk_need"),
    ("loaded",),
    ("avail", "due", "fin"),
)
_PARTS = tuple(names[0] for names in _ALIKE)


def _nothing(core: int, cycle: int) -> None:
    del core, cycle
