"""Bits that the unpack buffer of an accelerator gives out per cycle at most: it is built for its widest group of records.

Disputable assumption: the raw path and the codebook's share one unpack buffer, and a chip may run records of either kind, with signs.
"""

from __future__ import annotations

from accelsim.accelerator import Accelerator
from accelsim.formats.masks import pattern_bits


def widest_pop_bits(accelerator: Accelerator) -> int:
    """The larger of a cycle's raw weights at 8 bits, and of `codebook.ports` records of an index, a sign per element and masks."""
    book = accelerator.codebook
    index_bits = max(1, (book.codewords - 1).bit_length())
    field_bits = 1 << (index_bits - 1).bit_length() if book.index_field == "padded" else index_bits
    mask_bits = -(-book.codeword_length // book.mask.of) * pattern_bits(book.mask.keep, book.mask.of) if book.mask else 0
    return accelerator.decode_width.group_bits(field_bits + book.codeword_length + mask_bits)
