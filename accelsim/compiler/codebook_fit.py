"""The codebook that a trace requires of a chip, as fields to set: the store, the entries and the length of a codeword.

A ROM takes all codebooks that the trace's formats define, one after the other. Assumes that a designer who builds a chip for one format
gives it this format's codebook and nothing else: a RAM for codebooks of the layers, or for the tables of a tile (macros where flops would
be many), a ROM for a shared one, a single entry where no layer has any; and a decoder for their masks if all have the same N:M. Ports,
sets, banks and latency remain the chip's own. Raw records are as long as an entry, so a palette of single values parts them finer. An
element is as wide as the widest that is stored; where formats define all values of elements, as a number of them, if that takes fewer bits.
A ROM holds 256 entries at least there, so the table behind each element that is read is smaller than what it saves.

The circuit of a RAM is the smaller one, as far as macros are known. By the figures of every built-in technology an SRAM macro is smaller
than flops or latches from 200 bits on, at 1 to 16 ports; but the compiled macros that the project has figures of (FakeRAM45) begin at 256
bytes, so a smaller codebook, or bank of one, stays in the chip's registers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from accelsim.accelerator import Accelerator
from accelsim.formats.codebook_elements import ElementCode, stored_bits
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.weight_format import WeightFormat, built_in_entries
from accelsim.trace.trace import Trace

LOGIC_ROM_BITS = 65_536  # the largest ROM that was synthesized as logic; a larger one is a macro
LEAST_MACRO_BITS = 2_048  # of an SRAM macro, or bank: 256 bytes


def codebook_fields(accelerator: Accelerator, trace: Trace) -> dict[str, str | int]:
    """Fields, by their dotted paths, that give the chip the codebook of a trace; entries are rounded up to a power of two."""
    return codebook_fields_for(accelerator, [layer.weight.format for layer in trace.weighted_layers()])


def codebook_fields_for(accelerator: Accelerator, formats: Iterable[WeightFormat]) -> dict[str, str | int]:
    """The same for the formats of a trace."""
    coded = [item for item in dict.fromkeys(formats) if item.codebook_scope != "none"]
    tile = accelerator.array.rows, accelerator.array.dense_cols
    entries = max([sum(built_in_entries(coded).values()), *(_rounded_entries(item.decode_path(), *tile) for item in coded), 1])
    length = _length(accelerator.codebook.codeword_length, max((item.decode_path().d for item in coded), default=0))
    width, code = _elements(coded)
    bits = width * entries * length
    if any(item.codebook_scope == "shared" for item in coded):
        store, circuit = "rom", "logic_rom" if bits <= LOGIC_ROM_BITS else "rom_macro"
    else:
        kept = accelerator.codebook.circuit if accelerator.codebook.store == "ram" else "flops"
        store, circuit = "ram", kept if bits < LEAST_MACRO_BITS * (accelerator.codebook.banks or 1) else "sram"
    masks = {item.decode_path().mask for item in coded} - {None}
    decoder = [{"codebook.mask.keep": mask[0], "codebook.mask.of": mask[1]} for mask in masks if mask is not None]
    return {
        "codebook.codewords": entries,
        "codebook.codeword_length": length,
        "codebook.store": store,
        "codebook.circuit": circuit,
        "codebook.element_bits": width,
        "codebook.element_code": code,
        **(decoder[0] if len(decoder) == 1 else {}),
    }


def _elements(coded: Sequence[WeightFormat]) -> tuple[int, ElementCode]:
    """Bits of a stored element, and what they stand for; a byte where no layer has a codebook."""
    integer, table = stored_bits(coded, "integer") or 8, stored_bits(coded, "table")
    return (table, "table") if table and table < integer else (integer, "integer")


def _length(own: int, needed: int) -> int:
    """Elements of an entry for codewords of `needed`: the fewest that part the chip's own raw records evenly, so that they stay whole."""
    if not needed:
        return own
    return next((length for length in range(needed, own + 1) if own % length == 0), needed)


def _rounded_entries(path: DecodePath, rows: int, cols: int) -> int:
    """Entries of all codebooks, or of a tile's, rounded up to a power of two; a residual codebook is one more store, rounded by itself."""
    residual = path.lookup.residual if path.lookup else 0
    rounded = 1 << (path.entries_of_tile(rows, cols) - residual - 1).bit_length()
    return rounded + (1 << (residual - 1).bit_length()) if residual else rounded


def codebook_overrides(accelerator: Accelerator, trace: Trace) -> tuple[str, ...]:
    """The same as overrides like 'codebook.codewords=1024'."""
    return tuple(f"{path}={value}" for path, value in codebook_fields(accelerator, trace).items())
