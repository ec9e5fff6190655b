"""The shared level (L2): one SRAM between the memories and the on-chip buffers, whose port serves everything that crosses it.

A byte that comes from a memory crosses the port twice, written and then read, and so does a spill on its way out. A byte that lies in the
level for good (placement `l2`) crosses it once, whenever it is read or written.

Disputable assumptions: the port alone is contended, the macros behind it keep up; what lies here for good is here when the first
inference begins; each transfer has its space here from its issue on, so the level never stalls for room. With a clock of its own a
request is seen at the level's next edge, and what has crossed at the core's next one: no cycle more for a synchronizer.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accelsim.quantities import Bits, Bytes, HertzOrNone, unit
from accelsim.records import Record
from accelsim.result import SHARED_LEVEL, TRAINED_OPERANDS

L2 = SHARED_LEVEL  # its name as a memory

Bypass = Literal["none", "weights", "activations"]


class L2Spec(Record):
    """A shared SRAM between DRAM or flash and the on-chip buffers, with one port."""

    capacity: Bytes = Field(gt=0, le=2**34, description="size of the level")
    width_bits: Bits = Field(gt=0, le=2**27, multiple_of=8, description="bits that the port moves per cycle of the level; a multiple of 8")
    clock: HertzOrNone = Field(
        default=None, ge=10**6, le=10**11, examples=["500 MHz"], description="clock of the level and its port; null: the core's"
    )
    burst: Bytes = Field(default=64, gt=0, le=2**24, description="bytes for which a client holds the port at most")
    arbitration: Literal["priority", "round_robin"] = Field(
        default="priority",
        description="who goes first when a burst ends: activation reads, activation writes, weights, traffic with memory; or in turn",
    )
    banks: Annotated[int, unit("banks")] = Field(default=1, ge=1, le=1024, description="SRAM macros that make up the level")
    bypass: Bypass = Field(default="none", description="transfers with memory that pass around the level: none, weights or activations")

    @property
    def width_bytes(self) -> int:
        """Bytes that the port moves per cycle."""
        return self.width_bits // 8


def crossings(bypass: Bypass, memory: str, weight_side: bool) -> int:
    """Times that a byte which lies in `memory` crosses the port on its way."""
    if memory == L2:
        return 1
    return 0 if bypass == ("weights" if weight_side else "activations") else 2


def operand_crossings(bypass: Bypass, operand: str, memory: str) -> int:
    """`crossings` of an operand of the traffic; what a memory adds to whole bursts does not leave it."""
    if operand == "burst_rounding":
        return 0
    return crossings(bypass, memory, operand in (*TRAINED_OPERANDS, "padding", "kv_read"))
