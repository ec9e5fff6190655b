"""Weights that several cores read alike, as where a product is split over rows: one read lands on all of these cores.

Disputable assumption: a layer's weights are broadcast if all cores that have some of it read the same bytes of the memory in the same
order; else, as where cores read them again for tiles of their own, each core reads for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from accelsim.compiler.inference import Lowering
from accelsim.program import Int64, Transfers

_OF_ACTIVATIONS = ("activations_in", "activations_out", "spill_in", "spill_out", "kv_write", "kv_read", "burst_rounding")


def cores_transfers(lows: Sequence[Lowering]) -> list[Transfers]:
    """The transfers of each core; if the chip broadcasts weights, a read that several cores share is booked to the first of them."""
    found = [low.streams.transfers() for low in lows]
    if not lows[0].target.control.weight_broadcast or len(lows) == 1:
        return found
    reads = [transfers.broadcast.copy() for transfers in found]
    count = 0
    for layer in range(len(lows[0].layers)):
        own = {core: np.flatnonzero(transfers.layer == layer) for core, transfers in enumerate(found)}
        takers = [core for core, transfers in own.items() if transfers.size]
        if len(takers) > 1 and all(_alike(found[one], own[one], found[other], own[other]) for one, other in pairwise(takers)):
            for core in takers:
                reads[core][own[core]] = count + np.arange(own[core].size)
            count += own[takers[0]].size
            for core in takers[1:]:
                _receive(lows[core], layer, found[core], own[core])
            lows[0].layers[layer].notes.append(f"weights broadcast to {len(takers)} cores")
    return [replace(transfers, broadcast=numbers) for transfers, numbers in zip(found, reads, strict=True)]


def _alike(one: Transfers, first: Int64, other: Transfers, second: Int64) -> bool:
    """Whether transfers of two cores read the same bytes in the same order."""
    return np.array_equal(one.address[first], other.address[second]) and np.array_equal(one.size[first], other.size[second])


def _receive(low: Lowering, layer: int, transfers: Transfers, own: Int64) -> None:
    """Book a layer's weights, which another core reads, as received."""
    build, memory = low.layers[layer], low.weight_memory
    burst, address, size = low.burst_bytes[memory], transfers.address[own], transfers.size[own]
    bus = (-(-(address + size) // burst) - address // burst) * burst
    received = {key: bits for key, bits in build.bits.items() if key[1:] == (memory, False) and key[0] not in _OF_ACTIVATIONS}
    for key in received:
        del build.bits[key]
    build.bits["burst_rounding", memory, False] -= 8 * int((bus - size).sum())
    build.figures["broadcast_bits"] += sum(received.values())
