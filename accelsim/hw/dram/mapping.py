"""Address mapping: a burst's number as row, bank, bank group and column, in a table of orders, most significant field first.

Disputable assumption: plain bit fields; no hashing of bank bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import ConfigError
from accelsim.hw.dram.device import DramDevice
from accelsim.registry import suggest

# Ro row, Ba bank in its group, Bg bank group, Co column (burst in the row).
MAPPINGS: dict[str, tuple[str, str, str, str]] = {
    "RoBaBgCo": ("row", "bank", "group", "column"),  # a stream keeps to a row, then continues in the next bank group
    "RoCoBaBg": ("row", "column", "bank", "group"),  # a stream rotates over the bank groups, then over the banks
}
DEFAULT_MAPPING = "RoBaBgCo"


@dataclass(frozen=True)
class Field:
    """Bits of a burst's number: (number >> shift) & mask."""

    shift: int
    mask: int

    def of(self, burst: int) -> int:
        """The field's value in a burst's number."""
        return (burst >> self.shift) & self.mask


def address_fields(device: DramDevice, mapping: str) -> dict[str, Field]:
    """The four fields by name; ConfigError for an unknown mapping."""
    if mapping not in MAPPINGS:
        raise ConfigError(f"unknown address mapping {mapping!r}; known: {', '.join(MAPPINGS)}{suggest(mapping, MAPPINGS)}")
    sizes = {"row": device.rows, "bank": device.banks_per_group, "group": device.bank_groups, "column": device.bursts_per_row}
    fields, shift = {}, 0
    for name in reversed(MAPPINGS[mapping]):
        fields[name] = Field(shift, sizes[name] - 1)
        shift += sizes[name].bit_length() - 1
    return fields
