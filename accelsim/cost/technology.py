"""A technology: cost of a gate equivalent, an SRAM, a ROM bit and an action at a node, each with a range and its source.

Disputable assumption: one factor turns gate equivalents into silicon for all logic of a node, and one scales all large SRAMs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.cost.span import Span
from accelsim.cost.sram_grid import Device, grid_nodes
from accelsim.presets import find_preset, source_name
from accelsim.quantities import unit
from accelsim.reading import read_yaml
from accelsim.records import Record, build

FOLDER = "technology"

Positive = Annotated[float, Field(gt=0, le=1e12), unit("that of the figure's name")]


class Figure(Record):
    """A constant with its range and where it comes from.

    `status`: read (in the named source), measured (own run of the named tool), derived (arithmetic on such figures), estimate
    (nobody's figure: a stated guess with a wide range), unverified (second hand).
    """

    value: Positive = Field(description="nominal figure")
    low: Positive = Field(description="lower end of its range")
    high: Positive = Field(description="upper end of its range")
    source: str = Field(min_length=3, description="where it comes from, with table or page")
    status: Literal["read", "measured", "derived", "estimate", "unverified"] = Field(
        description="read in the source, measured with the tool named, derived from such figures, a stated estimate, or unverified"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Figure:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"must have low <= value <= high; low = {self.low:g}, value = {self.value:g}, high = {self.high:g}")
        return self

    @property
    def span(self) -> Span:
        return Span(self.value, self.low, self.high)

    @property
    def citation(self) -> str:
        """The source, marked unless it was read, measured or derived."""
        return f"{self.source} ({self.status})" if self.status in ("estimate", "unverified") else self.source


class LogicTable(Record):
    """From gate equivalents (1 GE = one two-input NAND of drive 1) to silicon."""

    um2_per_ge: Figure = Field(description="area of a gate equivalent")
    mac_array_factor: Figure = Field(description="area of the PEs over that of the synthesis that the gate counts were fitted to")
    placement_density: Annotated[Figure, unit("ratio")] = Field(description="cell area over placed area; memories are not divided by it")
    pe_delay_ns: Figure = Field(description="longest path of a PE, before wires")
    gate_delay_ns: Figure = Field(description="a gate of a longest path, before wires")

    @model_validator(mode="after")
    def _density(self) -> LogicTable:
        if self.placement_density.high > 1:
            raise ValueError(f"placement_density: must be at most 1 (got high = {self.placement_density.high:g})")
        return self


class MemoryTable(Record):
    """Memories: CACTI points of `grid_node_nm`, scaled, and the circuits that CACTI does not know."""

    grid_node_nm: int = Field(description="node of the CACTI points")
    device: Device = Field(description="hp: high performance; lop: low operating power; lstp: low standby power (ITRS)")
    area_factor: Figure = Field(description="area over CACTI's at the grid's node")
    energy_factor: Figure = Field(description="energy of an access over CACTI's at the grid's node")
    leakage_factor: Figure = Field(description="leakage over CACTI's at the grid's node")
    small_sram_um2_per_bit: Figure = Field(description="least um2 per bit of a one-port SRAM of up to 4 KiB, where CACTI is too small")
    codebook_sram_um2_per_bit: Figure = Field(description="area of a bit of a codebook SRAM")
    codebook_sram_fixed_um2: Figure = Field(description="area of a codebook SRAM besides its bits")
    rom_macro_um2_per_bit: Figure = Field(description="area of a bit of a ROM macro")

    @model_validator(mode="after")
    def _node_has_table(self) -> MemoryTable:
        if self.grid_node_nm not in grid_nodes():
            raise ValueError(f"grid_node_nm = {self.grid_node_nm} has no SRAM table; allowed: {grid_nodes()}")
        return self


class EnergyTable(Record):
    """Energy of actions, background power and leakage. DRAM and flash constants belong to the memory, not to the node."""

    mac_pj: Figure = Field(description="8x8 multiply and the PE's add")
    psum_add_pj: Figure = Field(description="32-bit add of an accumulator")
    register_bit_pj: Figure = Field(description="a clocked register bit, a cycle")
    idle_fraction: Figure = Field(description="share of a PE's register energy that an idle, clock-gated cycle still costs")
    gate_pj: Figure = Field(description="a gate equivalent of a block in use, an action")
    vector_op_pj: Figure = Field(description="one lane's operation on an element")
    dma_pj_per_bit: Figure = Field(description="a bit through the DMA and the fabric on chip")
    dram_pj_per_bit: Figure = Field(description="a bit across the DRAM bus, with the device's own work")
    dram_background_mw: Figure = Field(description="a channel's standby and refresh power")
    flash_pj_per_bit: Figure = Field(description="a bit read from flash")
    flash_background_mw: Figure = Field(description="standby power of the flash")
    logic_leakage_nw_per_ge: Figure = Field(description="leakage of a gate equivalent")

    @model_validator(mode="after")
    def _fractions(self) -> EnergyTable:
        if self.idle_fraction.high > 1:
            raise ValueError(f"idle_fraction: must be at most 1 (got high = {self.idle_fraction.high:g})")
        return self


class Technology(Record):
    """A node, or a calibration at it."""

    name: str = Field(min_length=1, max_length=100, description="name in tables and results")
    description: str = Field(min_length=1, description="one line for lists")
    node_nm: int = Field(ge=1, le=1000, description="process node")
    logic: LogicTable = Field(description="area and delay of logic")
    memory: MemoryTable = Field(description="area, energy and leakage of memories on chip")
    energy: EnergyTable = Field(description="energy of actions, background power and leakage")


def load_technology(name: str) -> Technology:
    """A technology from a preset's name or the path of a YAML file.

    Raises
    ------
    ConfigError
        Unknown name, unreadable file, a missing or negative constant, low above high, a node without a table.
    """
    path = find_preset(FOLDER, name, "technology")
    return build(Technology, read_yaml(path), source_name(path))
