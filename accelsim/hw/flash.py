"""A serial flash: command, dummy cycles, then a stream of bytes; no rows, no refresh, reads only.

Disputable assumption: a transfer that continues where the last one ended, and arrives before that one is over, goes on in the
same command; any other read pays the command and dummy cycles again.
"""

from __future__ import annotations

from pydantic import Field

from accelsim.quantities import PS_PER_S, Bytes, BytesPerSecond, Cycles, Hertz
from accelsim.records import Record


class FlashSpec(Record):
    """Timing of a serial flash."""

    bandwidth: BytesPerSecond = Field(gt=0, le=10**12, description="rate while it streams")
    clock: Hertz = Field(gt=0, le=10**11, description="clock of the command and dummy cycles")
    command_cycles: Cycles = Field(ge=0, le=1000, description="command and address of a read that does not continue the last one")
    dummy_cycles: Cycles = Field(ge=0, le=1000, description="wait between the address and the first data")
    capacity: Bytes = Field(gt=0, le=2**40, description="size of the flash")


class FlashTiming:
    """When each transfer of a serial flash ends: one after the other, in the order of their arrival."""

    def __init__(self, spec: FlashSpec) -> None:
        self._spec = spec
        self._free_ps = 0
        self._next_address = -1
        self.commands = 0

    def serve(self, now_ps: int, address: int, size_bytes: int) -> int:
        """Time in ps at which the last byte of a read that arrives at `now_ps` is there."""
        spec = self._spec
        start = max(now_ps, self._free_ps)
        if address != self._next_address or now_ps > self._free_ps:
            start += -(-(spec.command_cycles + spec.dummy_cycles) * PS_PER_S // spec.clock)
            self.commands += 1
        self._free_ps = start + -(-size_bytes * PS_PER_S // spec.bandwidth)
        self._next_address = address + size_bytes
        return self._free_ps
