"""The rate of a codebook ROM that cores share: Q ports serve floor(Q / P) groups of P lookups per cycle, or one in ceil(P / Q) cycles."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.compiler.target import Target


class SharedRom(NamedTuple):
    """Groups per cycle, 0 where no group ever waits for another core's, and cycles of a group."""

    rom_groups: int
    rom_cycles: int

    def least_cycles(self, groups: int) -> int:
        """Cycles in which it serves so many groups at the earliest."""
        return groups * self.rom_cycles // self.rom_groups if self.rom_groups else 0


def shared_rom(target: Target) -> SharedRom:
    """The rate of a chip's ROM; with ports for all cores it is as a ROM per core."""
    shared, ports = target.codebook.shared_ports, target.codebook.ports
    if shared is None or shared >= target.cores * ports:
        return SharedRom(0, 1)
    return SharedRom(max(1, shared // ports), -(-ports // shared))
