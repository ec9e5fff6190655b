"""The codebook that a trace asks of a chip, as overrides: the store, the entries and the length of a codeword.

Assumes that a designer who builds a chip for one format gives it this format's codebook and nothing else: a RAM for codebooks of the
layers (macros where flops would be many), a ROM for one that they share, a single entry where no layer has any. Ports, sets, banks and
latency stay the chip's own.
"""

from __future__ import annotations

from accelsim.accelerator import Accelerator
from accelsim.trace.trace import Trace

LOGIC_ROM_BITS = 65_536  # the largest ROM that was synthesized as logic; a larger one is a macro
FLOP_BITS = 8_192  # the largest codebook of flops or latches that was synthesized; a larger one is SRAM macros


def codebook_overrides(accelerator: Accelerator, trace: Trace) -> tuple[str, ...]:
    """Overrides like 'codebook.codewords=1024' that give the chip the codebook of a trace; entries are rounded up to a power of two."""
    formats = dict.fromkeys(layer.weight.format for layer in trace.weighted_layers())
    coded = [item for item in formats if item.codebook_scope != "none"]
    entries = max((1 << (item.decode_path().codewords - 1).bit_length() for item in coded), default=1)
    length = max([accelerator.codebook.codeword_length, *(item.decode_path().d for item in coded)])
    out = [f"codebook.codewords={entries}", f"codebook.codeword_length={length}"]
    bits = 8 * entries * length
    if any(item.codebook_scope == "shared" for item in coded):
        store, circuit = "rom", "logic_rom" if bits <= LOGIC_ROM_BITS else "rom_macro"
    else:
        kept = accelerator.codebook.circuit if accelerator.codebook.store == "ram" else "flops"
        store, circuit = "ram", kept if bits <= FLOP_BITS else "sram"
    return (*out, f"codebook.store={store}", f"codebook.circuit={circuit}")
