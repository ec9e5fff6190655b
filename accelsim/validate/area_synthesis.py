"""Gate counts against synthesis: single blocks in three libraries, and whole cores with their parts.

The formulas were fitted to blocks and cores in Nangate45, so their rows there show the error of a fit; rows of another library were used
for nothing. A ROM that was synthesized is a point of the model: its row is met exactly, and its note has the prediction from the others.
Disputable assumption: cores have psums of 32 bits and 256 accumulator rows, and memories are left out, as in the reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from accelsim.cost import gate_counts
from accelsim.validate.figure_check import FigureCheck
from accelsim.validate.reference_csv import ReferenceRow

BLOCK_COLUMNS = ("block", "params", "lib", "ge", "note")
_SIZES = {"ROWS": 4096, "COLS": 4096, "D": 4096, "KCB": 2**20, "P": 4096, "W": 65536, "DECODE": 1, "SIGN": 1}  # and the largest of each
CORE_COLUMNS = (*_SIZES, "area_um2", "ge")
FITTED_LIBRARY = "nangate45"
OTHER_LIBRARY_PCT = 17.0  # how far gate equivalents carry over to another library, as configs/technology/nangate45.yaml states it
CORE_PSUM_BITS, CORE_MAX_M = 32, 256
MAGNITUDES = "7-bit magnitudes"  # the eighth bit of each element is 0 and costs no logic
_Parameters = Mapping[str, int]


class Block(NamedTuple):
    """Parameters that a block needs, its gate equivalents, and the error of the fit as it was made, percent."""

    needs: tuple[str, ...]
    gates: Callable[[_Parameters], float]
    tolerance_pct: float


BLOCKS: Mapping[str, Block] = {
    "mul8x8": Block((), lambda _: gate_counts.MULTIPLIER_8X8, 1),
    "adder": Block(("N",), lambda p: gate_counts.adder(p["N"]), 3),
    "reg": Block(("N",), lambda p: gate_counts.FLOP * p["N"], 1),
    "reg_en": Block(("N",), lambda p: gate_counts.FLOP_ENABLE * p["N"], 1),
    "pe": Block(("PW",), lambda p: gate_counts.pe(p["PW"]), 3),
    "pe_single_buf": Block(("PW",), lambda p: gate_counts.pe_single_buffer(p["PW"]), 3),
    "pe_sign_inside": Block(("PW",), lambda p: gate_counts.pe_sign_inside(p["PW"]), 3),
    "sign_negate": Block(("L",), lambda p: gate_counts.sign_decoder(p["L"]), 1),
    "sign_xor_only": Block(("L",), lambda p: gate_counts.sign_decoder_xor(p["L"]), 1),
    "unpack": Block(("W", "POPW"), lambda p: gate_counts.unpack_buffer(p["W"], p["POPW"]), 13),
    "rom_logic": Block(("K", "D"), lambda p: gate_counts.logic_rom(p["K"], p["D"]), 10),
    "cb_flop": Block(("KCB", "D", "P"), lambda p: _codebook_file(p, gate_counts.FLOP_ENABLE), 3),
    "cb_latch": Block(("KCB", "D", "P"), lambda p: _codebook_file(p, gate_counts.LATCH), 3),
}


def _codebook_file(p: _Parameters, cell: float) -> float:
    return gate_counts.register_file(8 * p["D"] * p["KCB"], p["P"], cell) + gate_counts.output_registers(p["P"], p["D"])


def block_checks(row: ReferenceRow) -> Iterator[FigureCheck]:
    """A synthesized block."""
    kind, library = row.cells["block"], row.cells["lib"]
    if kind not in BLOCKS:
        raise row.error("block", f"one of {', '.join(BLOCKS)}")
    block = BLOCKS[kind]
    parameters = {name: int(value) for name, value in re.findall(r"(\w+)=(\d{1,6})\b", row.cells["params"])}
    if not all(parameters.get(name, 0) >= 1 for name in block.needs):
        raise row.error("params", "each of " + ", ".join(f"{name}=N" for name in block.needs) + " with N from 1")
    magnitudes = row.cells["note"] == MAGNITUDES
    got, role, note = block.gates(parameters), "fitted", ""
    if kind == "rom_logic":
        got, role, note = _rom(parameters, magnitudes)
    here = library == FITTED_LIBRARY
    yield FigureCheck(
        group="blocks" if here else "other libraries",
        name=" ".join(part for part in (kind, row.cells["params"], "" if here else library, MAGNITUDES if magnitudes else "") if part),
        role="fitted" if here and role == "fitted" else "predicted",
        unit="GE",
        expected=_positive(row, "ge"),
        got=got,
        low=got,
        high=got,
        tolerance_pct=block.tolerance_pct if here else OTHER_LIBRARY_PCT,
        note=note if here else "",
    )


def _rom(p: _Parameters, magnitudes: bool) -> tuple[float, str, str]:
    """Gate equivalents of a ROM, fitted or predicted, and for a point of the model the prediction without that point."""
    size = (p["K"], p["D"])
    if magnitudes:
        return gate_counts.logic_rom(p["K"], p["D"] * 7 / 8), "predicted", ""
    if size not in gate_counts.LOGIC_ROM_GE:
        return gate_counts.logic_rom(*size), "predicted", ""
    rest = {other: gates for other, gates in gate_counts.LOGIC_ROM_GE.items() if other != size}
    error = gate_counts.logic_rom(*size, points=rest) / gate_counts.LOGIC_ROM_GE[size] - 1
    return gate_counts.logic_rom(*size), "fitted", f"a point of the model; without it {100 * error:+.1f} %"


def core_checks(row: ReferenceRow) -> Iterator[FigureCheck]:
    """A whole core without its codebook and accumulator memories, then its parts; the fit of `control` used these rows."""
    size = {name: row.integer(name, 0 if name in ("DECODE", "SIGN") else 1, largest) for name, largest in _SIZES.items()}
    rows, cols, lanes = size["ROWS"], size["COLS"], size["P"] * size["D"]
    index_bits = max(1, (size["KCB"] - 1).bit_length())
    record_bits = index_bits + size["SIGN"] * size["D"] if size["DECODE"] else 8 * size["D"]
    sign_lanes, raw_lanes = (lanes if size["SIGN"] else 0), (0 if size["DECODE"] else lanes)
    parts = {  # column of the reference -> gate equivalents, tolerance in percent
        "array_um2": (rows * cols * gate_counts.pe(CORE_PSUM_BITS) + gate_counts.skew_registers(rows, cols), 3),
        "unpack_um2": (gate_counts.unpack_buffer(size["W"], size["P"] * record_bits), 13),
        "sign_um2": (gate_counts.sign_decoder(sign_lanes), 1),
        "accum_add_um2": (gate_counts.accumulator_adders(cols, CORE_PSUM_BITS), 3),
        "rest_um2": (gate_counts.control(rows, cols, CORE_MAX_M, sign_lanes, raw_lanes), 5),
    }
    form = "raw" if not size["DECODE"] else "index and signs" if size["SIGN"] else "index"
    name = f"{rows}x{cols} D={size['D']} KCB={size['KCB']} P={size['P']} W={size['W']} {form}"
    whole = sum(gates for gates, _ in parts.values())
    expected = _positive(row, "ge")
    yield FigureCheck("cores", name, "fitted", "GE", expected, whole, whole, whole, 2)
    um2_per_ge = _positive(row, "area_um2") / expected
    for column, (gates, tolerance) in parts.items():
        if row.cells.get(column) and row.number(column) > 0:
            part = f"{name}: {column.removesuffix('_um2')}"
            yield FigureCheck("core parts", part, "fitted", "GE", row.number(column) / um2_per_ge, gates, gates, gates, tolerance)


def _positive(row: ReferenceRow, column: str) -> float:
    """The cell as a number above 0."""
    if row.number(column) == 0:
        raise row.error(column, "a number above 0")
    return row.number(column)
