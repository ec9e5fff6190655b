"""A DRAM device as a table: geometry and timing of one rank, read from `configs/dram`, and the constraint table they make.

Disputable assumptions: one rank; every distance is between the issue of two commands; a command takes one cycle of the
command bus (LPDDR4's four-cycle commands are not modelled; LPDDR5's ACT2 and CAS are); no power-down, no per-bank refresh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from accelsim.kernels.dram_state import (
    ACT,
    COMMANDS,
    N_COMMANDS,
    N_SCOPES,
    NO_CONSTRAINT,
    PRE,
    RANK,
    RD,
    REF,
    SAME_BANK,
    SAME_GROUP,
    WR,
    Ints,
)
from accelsim.presets import find_preset, source_name
from accelsim.quantities import unit
from accelsim.reading import read_yaml
from accelsim.records import Record, build

FOLDER = "dram"
FS_PER_S = 10**15


class DramDevice(Record):
    """One channel of a DRAM device; `n_` fields are cycles of the memory clock CK.

    The memory's own figures use `t_ck_fs`. The system's clock is `clock_hz`, 10^15 / t_ck_fs rounded to a whole number of hertz
    (1,200,480,192 Hz for a period of 0.833 ns: 2e-10 of it is lost); edge n is at ceil(n * 10^12 / clock_hz) ps.
    """

    name: str = Field(min_length=1, max_length=100, description="name in lists and results")
    description: str = Field(default="", description="one line for lists")
    t_ck_fs: int = Field(ge=1000, le=10**8, description="period of the memory clock CK")
    bus_bits: int = Field(ge=4, le=1024, description="data pins of the channel")
    burst_length: Annotated[int, unit("transfers")] = Field(ge=1, le=64, description="transfers of one burst")
    burst_bytes: int = Field(ge=1, le=1024, description="bus_bits * burst_length / 8")
    bank_groups: Annotated[int, unit("bank groups")] = Field(
        ge=1, le=16, description="bank groups of the rank; 1 where the standard has none"
    )
    banks_per_group: Annotated[int, unit("banks")] = Field(ge=1, le=32, description="banks of one bank group")
    rows: Annotated[int, unit("rows")] = Field(ge=1, le=2**24, description="rows of one bank")
    bursts_per_row: Annotated[int, unit("bursts")] = Field(ge=1, le=2**16, description="bursts that an open row holds")
    n_burst: int = Field(ge=1, le=64, description="data-bus time of a burst (B)")
    n_cl: int = Field(ge=1, le=200, description="RD to first data (CL, RL)")
    n_cwl: int = Field(ge=1, le=200, description="WR to first data (CWL, WL)")
    n_rcd: int = Field(ge=1, le=1000, description="ACT to RD or WR of the bank (tRCD)")
    n_rp: int = Field(ge=1, le=1000, description="PRE to ACT or REF (tRP)")
    n_ras: int = Field(ge=1, le=1000, description="ACT to PRE of the bank (tRAS)")
    n_rc: int = Field(ge=1, le=2000, description="ACT to ACT of the bank (tRC)")
    n_rrd_s: int = Field(ge=1, le=200, description="ACT to ACT, other bank group (tRRD_S)")
    n_rrd_l: int = Field(ge=1, le=200, description="ACT to ACT, same bank group (tRRD_L)")
    n_faw: int = Field(ge=1, le=1000, description="window that holds at most four ACT (tFAW)")
    n_ccd_s: int = Field(ge=1, le=200, description="RD to RD or WR to WR, other bank group (tCCD_S); a burst if that is longer")
    n_ccd_l: int = Field(ge=1, le=200, description="RD to RD or WR to WR, same bank group (tCCD_L)")
    n_wr: int = Field(ge=1, le=1000, description="end of write data to PRE of the bank (tWR)")
    n_wtr_s: int = Field(ge=1, le=1000, description="end of write data to RD, other bank group (tWTR_S)")
    n_wtr_l: int = Field(ge=1, le=1000, description="end of write data to RD, same bank group (tWTR_L)")
    n_rtp: int = Field(ge=1, le=1000, description="RD to PRE of the bank (tRTP)")
    n_rtw_gap: int = Field(ge=0, le=200, description="idle data-bus cycles between a read's data and a write's")
    n_refi: int = Field(ge=1, le=10**7, description="refresh interval (tREFI)")
    n_rfc: int = Field(ge=1, le=10**6, description="all-bank REF to ACT (tRFC)")
    n_aad: int = Field(default=0, ge=0, le=15, description="ACT to its second command at most; 0: ACT is one command")
    wck_sync: bool = Field(default=False, description="a CAS must start the data clock before a RD or WR that finds it stopped")
    n_wck_post: int = Field(default=0, ge=0, le=1000, description="cycles that the data clock runs on after the last data")

    @model_validator(mode="after")
    def _consistent(self) -> DramDevice:
        for field in ("bus_bits", "burst_bytes", "bank_groups", "banks_per_group", "rows", "bursts_per_row"):
            value = getattr(self, field)
            if value & (value - 1):
                raise ValueError(f"{field} = {value} must be a power of two: it is cut out of the address by bits")
        if self.burst_bytes * 8 != self.bus_bits * self.burst_length:
            exact = self.bus_bits * self.burst_length / 8
            raise ValueError(f"burst_bytes = {self.burst_bytes} must be bus_bits * burst_length / 8 = {exact:g}")
        at_least = (
            ("n_rc", self.n_rc, "n_ras + n_rp", self.n_ras + self.n_rp),
            ("n_ras", self.n_ras, "n_rcd", self.n_rcd),
            ("n_rcd", self.n_rcd, "n_aad + 1", self.n_aad + 1),
            ("n_rrd_l", self.n_rrd_l, "n_rrd_s", self.n_rrd_s),
            ("n_faw", self.n_faw, "n_rrd_s", self.n_rrd_s),
            ("n_ccd_l", self.n_ccd_l, "n_ccd_s", self.n_ccd_s),
            ("n_wtr_l", self.n_wtr_l, "n_wtr_s", self.n_wtr_s),
            ("n_cl + n_burst + n_rtw_gap", self.n_cl + self.n_burst + self.n_rtw_gap, "n_cwl + 1", self.n_cwl + 1),
            # a refresh closes every bank, refreshes, and leaves time for a row's activation, read or write, and precharge
            ("n_refi", self.n_refi, "n_rfc + n_rp + n_rc + n_cwl + n_burst + n_wr", self.n_rfc + self._row_turn),
        )
        for left, got, right, least in at_least:
            if got < least:
                raise ValueError(f"{left} = {got} must be at least {right} = {least}")
        return self

    @property
    def _row_turn(self) -> int:
        return self.n_rp + self.n_rc + self.n_cwl + self.n_burst + self.n_wr

    @property
    def banks(self) -> int:
        """Banks of the rank."""
        return self.bank_groups * self.banks_per_group

    @property
    def bursts(self) -> int:
        """Bursts that the channel holds."""
        return self.banks * self.rows * self.bursts_per_row

    @property
    def capacity_bytes(self) -> int:
        """Bytes that the channel holds."""
        return self.bursts * self.burst_bytes

    @property
    def clock_hz(self) -> int:
        """Frequency of CK, rounded to a whole hertz."""
        return (FS_PER_S + self.t_ck_fs // 2) // self.t_ck_fs

    @property
    def peak_bytes_per_s(self) -> float:
        """Bytes a second with the data bus always busy."""
        return self.burst_bytes * FS_PER_S / (self.n_burst * self.t_ck_fs)


Scope = Literal["same bank", "same bank group", "rank"]
_SCOPES: dict[Scope, int] = {"same bank": SAME_BANK, "same bank group": SAME_GROUP, "rank": RANK}


@dataclass(frozen=True)
class Constraint:
    """One row: `after` waits at least `cycles(device)` after `before`, both in the scope; "rank" is every bank."""

    before: int
    after: int
    scope: Scope
    name: str
    cycles: Callable[[DramDevice], int]

    @property
    def title(self) -> str:
        """'ACT to RD, same bank: n_rcd'."""
        return f"{COMMANDS[self.before]} to {COMMANDS[self.after]}, {self.scope}: {self.name}"


def _column_s(device: DramDevice) -> int:
    return max(device.n_burst, device.n_ccd_s)


def _column_l(device: DramDevice) -> int:
    return max(device.n_burst, device.n_ccd_l)


# Every distance of the device; the window of four ACT (n_faw) is the one rule beside it. Between bank groups the "rank" row
# holds, inside one the "same bank group" row, which is never shorter.
CONSTRAINTS: tuple[Constraint, ...] = (
    Constraint(ACT, RD, "same bank", "n_rcd", lambda d: d.n_rcd),
    Constraint(ACT, WR, "same bank", "n_rcd", lambda d: d.n_rcd),
    Constraint(ACT, PRE, "same bank", "n_ras", lambda d: d.n_ras),
    Constraint(ACT, ACT, "same bank", "n_rc", lambda d: d.n_rc),
    Constraint(PRE, ACT, "same bank", "n_rp", lambda d: d.n_rp),
    Constraint(ACT, ACT, "same bank group", "n_rrd_l", lambda d: d.n_rrd_l),
    Constraint(ACT, ACT, "rank", "n_rrd_s", lambda d: d.n_rrd_s),
    Constraint(RD, RD, "same bank group", "max(n_burst, n_ccd_l)", _column_l),
    Constraint(WR, WR, "same bank group", "max(n_burst, n_ccd_l)", _column_l),
    Constraint(RD, RD, "rank", "max(n_burst, n_ccd_s)", _column_s),
    Constraint(WR, WR, "rank", "max(n_burst, n_ccd_s)", _column_s),
    Constraint(RD, WR, "rank", "n_cl + n_burst + n_rtw_gap - n_cwl", lambda d: d.n_cl + d.n_burst + d.n_rtw_gap - d.n_cwl),
    Constraint(WR, RD, "same bank group", "n_cwl + n_burst + n_wtr_l", lambda d: d.n_cwl + d.n_burst + d.n_wtr_l),
    Constraint(WR, RD, "rank", "n_cwl + n_burst + n_wtr_s", lambda d: d.n_cwl + d.n_burst + d.n_wtr_s),
    Constraint(RD, PRE, "same bank", "n_rtp", lambda d: d.n_rtp),
    Constraint(WR, PRE, "same bank", "n_cwl + n_burst + n_wr", lambda d: d.n_cwl + d.n_burst + d.n_wr),
    Constraint(PRE, REF, "rank", "n_rp", lambda d: d.n_rp),
    Constraint(REF, ACT, "rank", "n_rfc", lambda d: d.n_rfc),
    Constraint(REF, REF, "rank", "n_rfc", lambda d: d.n_rfc),
)


def constraint_table(device: DramDevice) -> Ints:
    """CONSTRAINTS as cycles: int64 (scopes, commands, commands), [scope, before, after]; NO_CONSTRAINT where no row stands."""
    table = np.full((N_SCOPES, N_COMMANDS, N_COMMANDS), NO_CONSTRAINT, np.int64)
    for row in CONSTRAINTS:
        table[_SCOPES[row.scope], row.before, row.after] = row.cycles(device)
    return table


def load_device(name: str) -> DramDevice:
    """The device of a preset's name or a YAML file; ConfigError if there is none or it does not fit."""
    path = find_preset(FOLDER, name, "DRAM device")
    return _load(path, path.stat().st_mtime_ns)


@cache
def _load(path: Path, modified_ns: int) -> DramDevice:
    del modified_ns  # part of the key: a file that was edited is read again
    return build(DramDevice, read_yaml(path), source_name(path))
