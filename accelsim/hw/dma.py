"""The DMA engine: cuts streams into transfers and keeps a bounded number of them, and of their bursts, in flight.

Disputable assumptions: a transfer lands as a whole; the fabric adds the same latency to every read; streams are served
in the order of their ports (activations before weights) whenever a place in flight is free.
"""

from __future__ import annotations

from pydantic import Field

from accelsim.quantities import Bytes, Picoseconds
from accelsim.records import Record

KIND = "dma"


class DmaSpec(Record):
    """Sizes of the engine and of the path to memory."""

    transfer: Bytes = Field(gt=0, le=2**24, description="bytes of one transfer; the last of a stream may be shorter")
    max_transfers: int = Field(default=4, ge=1, le=64, description="transfers in flight")
    max_outstanding_bursts: int = Field(default=64, ge=1, le=4096, description="read bursts in flight at one channel")
    fabric_latency: Picoseconds = Field(default=100_000, ge=0, le=10**9, description="ps from data at the channel to data in the buffer")
