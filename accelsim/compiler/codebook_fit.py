"""The codebook that a trace requires of a chip, as fields to set: the store, the entries and the length of a codeword.

A ROM takes all codebooks that the trace's formats define, one after the other. Assumes that a designer who builds a chip for one format
gives it this format's codebook and nothing else: a RAM for codebooks of the layers, or for the tables of a tile (macros where flops would
be many), a ROM for a shared one, a single entry where no layer has any; and a decoder for their masks if all have the same N:M. Ports,
sets, banks and latency remain the chip's own. Raw records are as long as an entry, so a palette of single values parts them finer.
"""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.accelerator import Accelerator
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.weight_format import WeightFormat, built_in_entries
from accelsim.trace.trace import Trace

LOGIC_ROM_BITS = 65_536  # the largest ROM that was synthesized as logic; a larger one is a macro
FLOP_BITS = 8_192  # the largest codebook of flops or latches that was synthesized; a larger one is SRAM macros


def codebook_fields(accelerator: Accelerator, trace: Trace) -> dict[str, str | int]:
    """Fields, by their dotted paths, that give the chip the codebook of a trace; entries are rounded up to a power of two."""
    return codebook_fields_for(accelerator, [layer.weight.format for layer in trace.weighted_layers()])


def codebook_fields_for(accelerator: Accelerator, formats: Iterable[WeightFormat]) -> dict[str, str | int]:
    """The same for the formats of a trace."""
    coded = [item for item in dict.fromkeys(formats) if item.codebook_scope != "none"]
    tile = accelerator.array.rows, accelerator.array.dense_cols
    entries = max([sum(built_in_entries(coded).values()), *(_rounded_entries(item.decode_path(), *tile) for item in coded), 1])
    length = _length(accelerator.codebook.codeword_length, max((item.decode_path().d for item in coded), default=0))
    bits = 8 * entries * length
    if any(item.codebook_scope == "shared" for item in coded):
        store, circuit = "rom", "logic_rom" if bits <= LOGIC_ROM_BITS else "rom_macro"
    else:
        kept = accelerator.codebook.circuit if accelerator.codebook.store == "ram" else "flops"
        store, circuit = "ram", kept if bits <= FLOP_BITS else "sram"
    masks = {item.decode_path().mask for item in coded} - {None}
    decoder = [{"codebook.mask.keep": mask[0], "codebook.mask.of": mask[1]} for mask in masks if mask is not None]
    return {
        "codebook.codewords": entries,
        "codebook.codeword_length": length,
        "codebook.store": store,
        "codebook.circuit": circuit,
        **(decoder[0] if len(decoder) == 1 else {}),
    }


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
