"""Elements of codewords as a chip stores them: integers in two's complement, or numbers of the values of one small table.

A table stands behind the codebook, so it knows values that formats define (the grids of GGUF and QuIP#), never those of a layer's codebook.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from accelsim.formats.weight_format import WeightFormat

ElementCode = Literal["integer", "table"]
LEAST_BITS = 2  # of a stored element on any chip


def stored_bits(formats: Iterable[WeightFormat], code: ElementCode) -> int | None:
    """Bits of a stored element that hold those of all codebooks of these formats; 0 without any.

    None where no table serves: elements of some codebook are any integers.
    """
    coded = [spec for spec in formats if spec.codebook_scope != "none"]
    if code == "integer":
        return max(map(_integer_bits, coded), default=0)
    values = {value for spec in coded for value in spec.element_values or ()}
    if any(spec.element_values is None for spec in coded):
        return None
    return max(LEAST_BITS, (len(values) - 1).bit_length()) if values else 0


def _integer_bits(spec: WeightFormat) -> int:
    """Bits of an element in two's complement."""
    lookup, values = spec.decode_path().lookup, spec.element_values
    if values is not None:
        return max(LEAST_BITS, *(max(value, -value - 1).bit_length() + 1 for value in values))
    return lookup.element_bits if lookup is not None else 0
