"""Energy of an access over that of a MAC, beside the ratios that MVQ publishes (ASPLOS 2025, arXiv 2412.10261, Table 8; 40 nm).

Disputable assumptions: the paper does not say how wide an access is; here it is a byte (a psum of 24 bits, one weight of a codeword of
16). Its DRAM ratio is inherited from earlier work. Nothing was fitted to these ratios, and none is judged.
"""

from __future__ import annotations

from math import inf

from accelsim.cost import gate_counts
from accelsim.cost.span import Span
from accelsim.cost.sram_grid import sram_point
from accelsim.cost.technology import Technology
from accelsim.validate.area_published import PUBLISHED_PSUM_BITS, PUBLISHED_WORD_BITS
from accelsim.validate.figure_check import FigureCheck

PUBLISHED_RATIOS = {
    "DRAM": 200.0,
    "L2, 2 MiB": 15.0,
    "L1, 128 KiB": 6.0,
    "psum register file": 0.22,
    "activation register file": 0.11,
    "weight register file": 0.02,
    "codebook register file": 0.02,
}
CODEBOOK_BITS, CODEWORD_LENGTH = 65536, 16


def energy_ratios(technology: Technology) -> tuple[FigureCheck, ...]:
    """The model's ratio of each access to a MAC, and its range, beside the published one."""
    table = technology.energy
    register = table.register_bit_pj.span
    multiplexer = gate_counts.READ_MUX * CODEBOOK_BITS / CODEWORD_LENGTH
    gate = table.gate_pj.span
    accesses = {
        "DRAM": table.dram_pj_per_bit.span * 8,
        "L2, 2 MiB": _sram_byte(technology, 2**21),
        "L1, 128 KiB": _sram_byte(technology, 2**17),
        "psum register file": register * PUBLISHED_PSUM_BITS,
        "activation register file": register * 8,
        "weight register file": register * table.idle_fraction.span * 8,
        "codebook register file": Span(0.1 * gate.nominal, 0.01 * gate.low, gate.high) * multiplexer + register * 8,
    }
    notes = {
        "L2, 2 MiB": "CACTI reads it as one array; built of macros of 128 KiB it would take the L1's energy plus wires",
        "psum register file": "24 clocked bits; the paper's figure corresponds to 16",
        "weight register file": "a weight that is held: the clock-gated share of its registers",
        "codebook register file": "a read multiplexer over all entries, a tenth of whose gates switch; the paper's figure would need one"
        " in some thousand: a file with decoded word lines, or a ratio that counts a lookup once for all reuses of its weights",
    }
    mac = table.mac_pj.value
    return tuple(
        FigureCheck(
            group="mvq40 energy",
            name=name,
            role="predicted",
            unit="x MAC",
            expected=PUBLISHED_RATIOS[name],
            got=span.nominal / mac,
            low=span.low / mac,
            high=span.high / mac,
            tolerance_pct=inf,
            note=notes.get(name, ""),
        )
        for name, span in accesses.items()
    )


def _sram_byte(technology: Technology, size_bytes: int) -> Span:
    """A byte of a word read from an SRAM."""
    memory = technology.memory
    point = sram_point(memory.grid_node_nm, memory.device, "1rw", size_bytes, PUBLISHED_WORD_BITS)
    return memory.energy_factor.span * (point.read_pj * 8 / PUBLISHED_WORD_BITS)
