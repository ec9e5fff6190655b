"""Parts shared by formats with a codebook: one index per subvector of d neighbours, along the outputs (axis 0) or the reduction (axis 1).

A subvector never crosses the edge of a matrix: d must divide the dimension along which it lies.
"""

from __future__ import annotations

from collections.abc import Sequence
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
_PAIRS = 1 << 18  # indices from which a table of all pairs of them pays


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
    return _laid_out(_chosen(codebook, indices), axis)


def look_up_sum(terms: Sequence[tuple[Integers, Integers]], axis: Axis, bits: int) -> Integers:
    """The sum of the matrices that (codebook, indices) select, of `bits` bits: int8 [K, N] up to 8 bits, else int16."""
    kind = np.int8 if bits <= 8 else np.int16
    total = _chosen(*terms[0]).astype(kind, copy=False)
    for codebook, indices in terms[1:]:
        np.add(total, _chosen(codebook, indices), out=total)
    return _laid_out(total, axis)


def look_up_in_tables(tables: Integers, rows: Integers, columns: Integers, indices: Integers, axis: Axis) -> npt.NDArray[np.int8]:
    """The matrix int8 [K, N] that indices select out of tables [tables, codewords, d]: rows[i] + columns[j] is that of index [i, j]."""
    count, codewords, d = tables.shape
    kind = np.uint16 if count * codewords <= 1 << 16 else np.uint32
    entries = indices + (columns * codewords).astype(kind)
    entries += (rows * codewords).astype(kind)[:, None]
    return look_up(tables.reshape(-1, d), entries, axis)


def _chosen(codebook: Integers, indices: Integers) -> npt.NDArray[np.int8]:
    """Codewords int8 [rows, columns, d] by index, whole ones at a time; two of a byte where there are many."""
    rows, columns = indices.shape
    d = codebook.shape[1]
    table = np.ascontiguousarray(codebook, np.int8)
    if d == 1 and indices.dtype == np.uint8 and columns % 2 == 0 and indices.size >= _PAIRS:
        pairs = np.zeros((256, 256, 2), np.int8)  # [second, first]: a pair of indices is a little-endian number
        pairs[:, : table.size, 0] = table[:, 0]
        pairs[: table.size, :, 1] = table
        taken = pairs.view("<u2").reshape(-1).take(np.ascontiguousarray(indices).view("<u2"))
        return taken.view(np.int8).reshape(rows, columns, 1)
    if d in _WORDS:
        return table.view(f"u{d}").reshape(-1).take(indices).view(np.int8).reshape(rows, columns, d)
    return table[indices.astype(np.intp)]


def _laid_out(codewords: Integers, axis: Axis) -> Integers:
    """[rows, columns, d] -> [K, N]: lane e of a codeword is column c0 + e (axis 0) or row k0 + e."""
    rows, columns, d = codewords.shape
    if axis == 0:
        return codewords.reshape(rows, columns * d)
    return codewords.transpose(0, 2, 1).reshape(rows * d, columns)
