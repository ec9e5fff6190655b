"""Parts shared by formats with a codebook: one index per subvector of d neighbours, along the outputs (axis 0) or the reduction (axis 1).

A subvector never crosses the edge of a matrix: d must divide the dimension along which it lies.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.errors import FormatError
from accelsim.formats.parts import Lookup
from accelsim.formats.weight_format import Place, Stream
from accelsim.quantities import unit

Integers = npt.NDArray[Any]
Axis = Annotated[Literal[0, 1], Field(description="axis of a codeword: 0 along the outputs, 1 along the reduction"), unit("axis")]
Codewords = Annotated[int, Field(ge=1, le=65536, description="codewords of a codebook"), unit("codewords")]
Lanes = Annotated[int, Field(ge=1, le=64, description="elements of a codeword"), unit("elements")]

_WORDS = (1, 2, 4, 8)  # bytes of the machine's integers


def index_shape(kind: str, d: int, axis: Axis, k: int, n: int) -> tuple[int, int]:
    """Shape of the indices of a K x N matrix: [K, N/d] (axis 0) or [K/d, N] (axis 1).

    Raises
    ------
    FormatError
        d does not divide N (axis 0) or K (axis 1).
    """
    length, name = (n, "N") if axis == 0 else (k, "K")
    if length % d:
        raise FormatError(f"{kind}: d={d} does not divide {name}={length} (axis={axis}); allowed: a divisor of {length}")
    return (k, n // d) if axis == 0 else (k // d, n)


def index_stream(kind: str, lookup: Lookup, axis: Axis, k: int, n: int) -> Stream:
    """The `indices` of a K x N matrix, one per subvector, or one per book and subvector side by side. Errors: see `index_shape`."""
    shape: tuple[int, ...] = index_shape(kind, lookup.d, axis, k, n)
    if lookup.books > 1:
        shape = (*shape, lookup.books)
    return Stream(shape=shape, bits=lookup.index_bits, number="unsigned", place="record", in_paper_count=True)


def codebook_stream(lookup: Lookup) -> Stream:
    """The `codebook` [entries, d] of signed integers, books and tables one after the other; a shared one is the chip's, not a layer's."""
    place: Place = "chip" if lookup.scope == "shared" else "header"
    return Stream(shape=(lookup.entries, lookup.d), bits=lookup.element_bits, number="signed", place=place, in_paper_count=False)


def check_indices(kind: str, indices: Integers, codewords: int) -> None:
    """FormatError if an index is past the codebook (its bits may hold more than there are codewords)."""
    if indices.size and int(indices.max()) >= codewords:
        raise FormatError(f"{kind} stream 'indices': index {int(indices.max())} is past the codebook; allowed: 0..{codewords - 1}")


def look_up(codebook: Integers, indices: Integers, axis: Axis) -> npt.NDArray[np.int8]:
    """The matrix that the indices select: int8 [K, N] out of a codebook [codewords, d]."""
    rows, columns = indices.shape
    d = codebook.shape[1]
    table = np.ascontiguousarray(codebook, np.int8)
    if d in _WORDS:  # whole codewords at a time
        codewords = table.view(f"u{d}").reshape(-1).take(indices).view(np.int8).reshape(rows, columns, d)
    else:
        codewords = table[indices.astype(np.intp)]
    if axis == 0:
        return codewords.reshape(rows, columns * d)
    return codewords.transpose(0, 2, 1).reshape(rows * d, columns)  # [K/d, N, d] -> [K/d, d, N]: lane e is row k0 + e
