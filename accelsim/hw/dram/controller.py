"""The memory controller's policy: how requests wait and which command goes first; named presets, and YAML files beside them.

The presets are close to two published simulators, so that each can be checked against its own figures; which of them a
real controller resembles is the question a reader may ask. The queue depths are those of both simulators' defaults.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from accelsim.errors import ConfigError
from accelsim.presets import find_preset
from accelsim.reading import read_yaml
from accelsim.records import Record, build
from accelsim.registry import suggest


class ControllerPolicy(Record):
    """One policy; the kernels `dram_frfcfs` and `dram_bank_queues` implement the kinds."""

    name: str = Field(min_length=1, max_length=100)
    kind: Literal["frfcfs", "bank_queues"]
    read_queue: int = Field(default=32, ge=1, le=1024, description="bursts")
    write_queue: int = Field(default=32, ge=1, le=1024, description="bursts")
    drain_above: int = Field(ge=0, le=1024, description="writes are drained when more than this many wait")
    drain_below: int = Field(default=0, ge=0, le=1024, description="frfcfs: reads come back when fewer than this many writes wait")
    row_hits_first: bool = Field(default=False, description="frfcfs: a PRE may not overtake an older hit of its bank")
    lpddr5_commands: bool = Field(default=False, description="frfcfs: sends ACT2 and the WCK-sync CAS to a device that has them")
    bank_queue: int = Field(default=8, ge=1, le=256, description="bank_queues: bursts that the scheduler sees of a bank")
    hits_before_cut: int = Field(default=4, ge=0, le=2**16, description="bank_queues: RD and WR after which a PRE may cut off hits")

    @model_validator(mode="after")
    def _consistent(self) -> ControllerPolicy:
        if self.drain_above >= self.write_queue:
            raise ValueError(f"drain_above = {self.drain_above} must be below write_queue = {self.write_queue}")
        if self.kind == "frfcfs" and self.drain_below > self.drain_above + 1:
            raise ValueError(f"drain_below = {self.drain_below} must be at most drain_above + 1 = {self.drain_above + 1}")
        if self.kind == "bank_queues" and self.lpddr5_commands:
            raise ValueError("lpddr5_commands: the kind 'bank_queues' does not send them; allowed: false")
        return self


POLICIES: dict[str, ControllerPolicy] = {
    policy.name: policy
    for policy in (
        # Ramulator 2.1 (c5b1c3a, 2026-06-29), FRFCFS: watermarks at 0.8 and 0.2 of 32 writes
        ControllerPolicy(name="frfcfs", kind="frfcfs", drain_above=25, drain_below=7, lpddr5_commands=True),
        # the same with its scheduler FRFCFS-RowHit
        ControllerPolicy(name="frfcfs-row-hit", kind="frfcfs", drain_above=25, drain_below=7, row_hits_first=True, lpddr5_commands=True),
        # DRAMsim3 (2981759, 2021-04-05), PER_BANK command queues of 8, transaction queue of 32; it knows no LPDDR5 commands
        ControllerPolicy(name="bank-queues", kind="bank_queues", drain_above=8),
    )
}
DEFAULT_POLICY = "frfcfs"


def load_policy(name: str) -> ControllerPolicy:
    """The policy of a preset's name or a YAML file; ConfigError if there is none or it does not fit."""
    if name in POLICIES:
        return POLICIES[name]
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = find_preset("dram", name, "controller policy")
        return build(ControllerPolicy, read_yaml(path), str(path))
    known = ", ".join(POLICIES)
    raise ConfigError(f"unknown controller policy {name!r}; known: {known} (or the path of a .yaml file){suggest(name, POLICIES)}")
