"""Published areas against the model: MVQ's arrays, SRAMs and codebook register files at 40 nm, EVA's array at 28 nm.

Disputable assumptions about the papers' machines, which do not state them: psums of 24 bits in both arrays, SRAM words of the
64 bits of MVQ's DMA, weight and codebook register files of latches with a read multiplexer per port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accelsim.cost import gate_counts
from accelsim.cost.span import Span
from accelsim.cost.sram_grid import sram_point
from accelsim.cost.technology import Technology, load_technology
from accelsim.validate.figure_check import FigureCheck
from accelsim.validate.reference_csv import ReferenceRow

COLUMNS = ("check", "item", "side", "ports", "value_mm2", "role")
PUBLISHED_PSUM_BITS = 24
PUBLISHED_WORD_BITS = 64
PUBLISHED_CODEWORD_LENGTH = 16
MVQ_WEIGHT_FILE_DEPTH = 16  # weights per PE of the enhanced weight-stationary array (MVQ, section on EWS)
TECHNOLOGIES: Mapping[str, str] = {"mvq40": "mvq40", "eva28": "range28"}  # check -> technology that it is predicted with
TOLERANCES: Mapping[str, float] = {"ws_array": 15, "ews_array": 15, "sram": 15, "codebook_file": 25}
CALIBRATED_PCT = 0.1

_NOTES = {
    ("mvq40", "ews_array", "16"): "outside: the published array grows by 672 um2 per PE over the plain one here, by 396 at 32x32 and 348"
    " at 64x64, so it holds a part of some 0.07 mm2 that does not scale with the PEs and is not modelled",
    ("mvq40", "codebook_file", "65536"): "latches; a file of flops would be 28-46 % too large",
    ("eva28", "ws_array", "32"): "the 40 nm calibration scaled by area; EVA was not used",
}


def published_checks(row: ReferenceRow) -> Iterator[FigureCheck]:
    """One published area."""
    check, item, role = (row.cells[name] for name in ("check", "item", "role"))
    if check not in TECHNOLOGIES:
        raise row.error("check", ", ".join(TECHNOLOGIES))
    if item not in TOLERANCES:
        raise row.error("item", ", ".join(TOLERANCES))
    if role not in ("calibrated", "predicted"):
        raise row.error("role", "calibrated, predicted")
    side, ports = row.integer("side", 1, 2**30), row.integer("ports", 1, 64) if item == "codebook_file" else 1
    expected = row.number("value_mm2")
    if expected == 0:
        raise row.error("value_mm2", "a number above 0")
    labels = {"sram": f"{side} B, 1RW", "codebook_file": f"{side} bits, {ports} ports"}
    area = _area_um2(item, side, ports, load_technology(TECHNOLOGIES[check])) * 1e-6
    yield FigureCheck(
        group=check,
        name=f"{item.replace('_', ' ')} {labels.get(item, f'{side}x{side}')}",
        role="calibrated" if role == "calibrated" else "predicted",
        unit="mm2",
        expected=expected,
        got=area.nominal,
        low=area.low,
        high=area.high,
        tolerance_pct=CALIBRATED_PCT if role == "calibrated" else TOLERANCES[item],
        note=_NOTES.get((check, item, row.cells["side"]), ""),
    )


def _area_um2(item: str, side: int, ports: int, technology: Technology) -> Span:
    """A published item in the model, um2."""
    logic, memory = technology.logic, technology.memory
    if item == "sram":
        return memory.area_factor.span * sram_point(memory.grid_node_nm, memory.device, "1rw", side, PUBLISHED_WORD_BITS).area_um2
    if item == "codebook_file":
        storage = gate_counts.register_file(side, ports, gate_counts.LATCH)
        return logic.um2_per_ge.span * (storage + gate_counts.output_registers(ports, PUBLISHED_CODEWORD_LENGTH))
    weight_file = item == "ews_array"
    one = gate_counts.pe_weight_file(PUBLISHED_PSUM_BITS, MVQ_WEIGHT_FILE_DEPTH) if weight_file else gate_counts.pe(PUBLISHED_PSUM_BITS)
    return logic.um2_per_ge.span * logic.mac_array_factor.span * (side * side * one + gate_counts.skew_registers(side, side))
