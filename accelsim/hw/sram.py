"""On-chip buffers: capacity, banks, word widths and ports.

Disputable assumptions: the compiler keeps tensors that are used at once in different banks, so a buffer serves
banks x ports accesses in every cycle; the DMA has a port of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from accelsim.quantities import Bits, Bytes, unit
from accelsim.records import Record


class WeightBufferSpec(Record):
    """Holds the compressed stream between DMA and unpacker; read one word per cycle."""

    capacity: Bytes = Field(gt=0, le=2**34, description="size of the buffer")
    word_bits: Bits = Field(gt=0, le=2**16, description="W: bits that the unpacker takes in per cycle; a multiple of 8")
    banks: Annotated[int, unit("banks")] = Field(default=1, ge=1, le=1024, description="SRAM macros side by side")
    residency: Literal["stream", "pinned"] = Field(
        default="stream",
        description="stream: weights pass through; pinned: all weights are loaded once and kept; a CompileError if they do not fit",
    )

    @field_validator("word_bits")
    @classmethod
    def _whole_bytes(cls, value: int) -> int:
        if value % 8:
            raise ValueError("must be a multiple of 8")
        return value


class ActivationBufferSpec(Record):
    """Holds activations: row reads of the array, weights that are activations, the vector unit's reads and writes."""

    capacity: Bytes = Field(gt=0, le=2**34, description="size of the buffer")
    banks: Annotated[int, unit("banks")] = Field(ge=1, le=1024, description="banks that serve accesses at once")
    width_bits: Bits = Field(gt=0, le=2**16, description="width of one access to one bank; a multiple of 8")
    ports: Annotated[int, unit("accesses/cycle")] = Field(default=1, ge=1, le=8, description="accesses that a bank serves per cycle")
    loader_bits: Bits = Field(gt=0, le=2**16, description="activations read as weights per cycle; a multiple of 8")
    residency: Literal["buffer", "dram"] = Field(
        default="buffer",
        description="buffer: spilled only where they do not fit; dram: every activation is written out and read back by each reader",
    )

    @field_validator("width_bits", "loader_bits")
    @classmethod
    def _whole_bytes(cls, value: int) -> int:
        if value % 8:
            raise ValueError("must be a multiple of 8")
        return value

    @model_validator(mode="after")
    def _loader_fits(self) -> ActivationBufferSpec:
        if self.accesses(self.loader_bits // 8) > self.port_accesses:
            raise ValueError(
                f"loader_bits = {self.loader_bits} needs more than the {self.port_accesses} accesses of {self.width_bits} bits"
                " that banks x ports serve in a cycle"
            )
        return self

    @property
    def port_accesses(self) -> int:
        """Accesses a cycle that the buffer serves."""
        return self.banks * self.ports

    def accesses(self, size_bytes: int) -> int:
        """Accesses that `size_bytes` consecutive bytes take."""
        return -(-size_bytes * 8 // self.width_bits)
