"""The memory channel as the accelerator names it: a DRAM device by its timing table, or an ideal device.

An ideal device has a latency and a bandwidth and nothing else; bandwidth 0 stands for an infinite one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Protocol

from pydantic import Field, field_validator, model_validator

from accelsim.errors import ConfigError
from accelsim.hw.dram.controller import POLICIES, load_policy
from accelsim.hw.dram.device import FOLDER, load_device
from accelsim.hw.dram.mapping import MAPPINGS
from accelsim.presets import preset_names
from accelsim.quantities import PS_PER_S, Bytes, BytesPerSecond, Picoseconds, unit
from accelsim.records import Record
from accelsim.registry import KnownNames, suggest

IDEAL = "ideal"
Complete = Callable[[int], None]


class Channel(Protocol):
    """One memory, with all its channels."""

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        """Take a transfer that arrives now."""

    def counters(self) -> dict[str, int]:
        """Named totals, with `bus_bytes` among them."""

    def waiting(self) -> str:
        """Describe the pending transfers."""


class BackgroundSpec(Record):
    """Another client of the channel (CPU, camera): reads at a steady rate, in its own address range."""

    bandwidth: BytesPerSecond = Field(gt=0, le=10**12, description="rate at which it asks for data; less than the memory's peak")
    transfer: Bytes = Field(default=512, gt=0, le=2**20, description="size of one of its reads")


class MemorySpec(Record):
    """The shared channel or channels."""

    device: Annotated[str, KnownNames(lambda: (*preset_names(FOLDER), IDEAL), or_file=True)] = Field(
        description="DRAM device, or an ideal one"
    )
    channels: Annotated[int, unit("channels")] = Field(default=1, ge=1, le=16, description="equal channels side by side")
    interleave: Bytes = Field(default=1024, ge=64, le=2**20, description="consecutive bytes in one channel")
    mapping: Annotated[str, KnownNames(lambda: MAPPINGS)] = Field(
        default="RoBaBgCo", description="address bits of a DRAM, most significant first"
    )
    policy: Annotated[str, KnownNames(lambda: POLICIES, or_file=True)] = Field(default="frfcfs", description="controller of a DRAM")
    latency: Picoseconds = Field(default=0, ge=0, le=10**9, description="from request to data of the ideal device")
    bandwidth: BytesPerSecond = Field(default=0, ge=0, le=10**15, description="peak of the ideal device; 0: infinite")
    background: BackgroundSpec | None = Field(
        default=None, description="another client of the channel (CPU, camera)", examples=[{"bandwidth": "200 MB/s", "transfer": "512 B"}]
    )

    def named_files(self) -> dict[str, Any]:
        """Contents of the files that `device` and `policy` name: a device with an edited table is another device."""
        if self.device == IDEAL:
            return {}
        return {"device": load_device(self.device).model_dump(mode="json"), "policy": load_policy(self.policy).model_dump(mode="json")}

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if value != IDEAL:
            try:
                load_device(value)
            except ConfigError as error:
                raise ValueError(f"{error}; or 'ideal'") from error
        return value

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, value: str) -> str:
        try:
            load_policy(value)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("mapping")
    @classmethod
    def _known_mapping(cls, value: str) -> str:
        if value not in MAPPINGS:
            raise ValueError(f"unknown mapping; known: {', '.join(MAPPINGS)}{suggest(value, MAPPINGS)}")
        return value

    @model_validator(mode="after")
    def _background_leaves_room(self) -> MemorySpec:
        peak = float(self.bandwidth or "inf") if self.device == IDEAL else load_device(self.device).peak_bytes_per_s * self.channels
        if self.background is not None and self.background.bandwidth >= peak:
            raise ValueError(f"background.bandwidth = {self.background.bandwidth} B/s leaves nothing of the memory's {peak:.0f} B/s")
        return self

    @model_validator(mode="after")
    def _ideal_only(self) -> MemorySpec:
        if self.device != IDEAL and (self.latency or self.bandwidth):
            raise ValueError(f"latency and bandwidth belong to device 'ideal'; device {self.device!r} has a timing table")
        return self


class IdealTiming:
    """When each transfer of an ideal device ends: back to back at its bandwidth, each after the latency."""

    def __init__(self, latency_ps: int, bandwidth_bytes_per_s: int) -> None:
        self._latency_ps = latency_ps
        self._bandwidth = bandwidth_bytes_per_s
        self._free_ps = 0
        self._sent_bytes = 0
        self._origin_ps = 0

    def serve(self, now_ps: int, size_bytes: int) -> int:
        """Time in ps at which the last byte of a transfer that arrives at `now_ps` is there."""
        if not self._bandwidth:
            return now_ps + self._latency_ps
        if now_ps > self._free_ps:
            self._origin_ps, self._sent_bytes = now_ps, 0
        self._sent_bytes += size_bytes  # rounded once over a burst of transfers, not once each
        self._free_ps = self._origin_ps + -(-self._sent_bytes * PS_PER_S // self._bandwidth)
        return self._free_ps + self._latency_ps
