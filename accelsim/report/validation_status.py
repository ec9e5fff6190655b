"""Validation status: each part of the model, its reference and its error; the summary of docs/validation.md, as data.

A report carries it, so that a reader of the file alone learns how its numbers were validated. A test compares every figure here with
that page, whose figures come from commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SOURCE = "docs/validation.md"


@dataclass(frozen=True)
class ValidationRow:
    """One reference.

    Attributes
    ----------
    part : of the model
    reference : as the summary of docs/validation.md names it
    rows, judged : of the reference, and figures compared
    median_pct, largest_pct : error relative to the reference; '' where nothing is judged
    outside : figures outside their tolerance
    section : of docs/validation.md, which explains the misses
    remark : limits of the figures
    """

    part: str
    reference: str
    rows: str
    judged: str
    median_pct: str
    largest_pct: str
    outside: str
    section: str
    remark: str


VALIDATION_STATUS: Sequence[ValidationRow] = (
    ValidationRow(
        "decode-and-MAC core, cycle by cycle",
        "RTL of the decode-and-MAC core",
        "57",
        "399",
        "0",
        "0",
        "0",
        "Core",
        "One run at a time, without memories or vector unit.",
    ),
    ValidationRow(
        "compute cluster, cycle by cycle",
        "RTL of the compute cluster",
        "1,238 in 420 programs",
        "15,954",
        "0",
        "0",
        "0",
        "Cluster",
        "Products alone: no row functions, activation buffer ports, codebook banks or loads, and landings by schedule.",
    ),
    ValidationRow(
        "memory channel and its controller",
        "Ramulator 2.1 and DRAMsim3",
        "320 in 128 groups",
        "504",
        "0.0000",
        "1.10",
        "0",
        "Memory channel",
        "Right within a group's tolerance, set from the spread of the simulators; flash and ideal memories have no reference.",
    ),
    ValidationRow(
        "dataflows of a plain systolic array",
        "SCALE-Sim v3.0.0, DeiT-tiny",
        "36",
        "108",
        "0",
        "0",
        "0",
        "Systolic arrays",
        "In SCALE-Sim's convention; a run times the decode-and-MAC core instead.",
    ),
    ValidationRow(
        "the same, other shapes",
        "SCALE-Sim v3.0.0, random GEMMs",
        "24",
        "72",
        "0",
        "0",
        "0",
        "Systolic arrays",
        "",
    ),
    ValidationRow(
        "area",
        "synthesis and published areas",
        "94",
        "126",
        "by group",
        "25.8",
        "1",
        "Area",
        "Part of the rows is the fit itself; the predicted ones are 1 to 26 % off.",
    ),
    ValidationRow(
        "energy",
        "energy ratios of MVQ, its TOPS/W",
        "9",
        "0: shown only",
        "",
        "",
        "",
        "Energy",
        "Not judged: treat energies as ranges.",
    ),
    ValidationRow(
        "whole machine, against published ones",
        "other people's machines",
        "19",
        "19",
        "1.64",
        "38.2",
        "2",
        "Other people's machines",
        "3 of the figures were fitted, 16 predicted.",
    ),
    ValidationRow(
        "whole machine, against boards",
        "published times of boards",
        "75",
        "32",
        "6.5",
        "123.5",
        "5",
        "Boards",
        "Whole networks, on chips whose shape is in part inferred; 20 rows set parameters, 32 were predicted.",
    ),
)

# The reference of what no RTL covers; the README's table "How far to trust it" says the same.
UNVALIDATED = (
    "No RTL stands behind the whole machine (DMA, buffers, vector unit, control), and of silicon only the boards' times: it is checked "
    "against a clock-by-clock twin of ours on random programs, and every run checks its sums of cycles, bytes and MACs."
)
