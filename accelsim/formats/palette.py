"""Palettized weights: indices into a small table of values or of short vectors, one table per tensor or per equal share of the outputs.

The form of Apple's weight palettization (coremltools) and of look-up instructions with 16 entries. Tables are int8 with a scale of their
own, where Core ML may keep binary16: disputable, but what an integer array can multiply.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelsim.errors import FormatError
from accelsim.formats.codewords import Axis, codebook_stream, index_stream, look_up, look_up_in_tables
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, Scale
from accelsim.formats.weight_format import Arrays, Stream, WeightFormat
from accelsim.quantities import unit

KIND = "palette"
EXAMPLES = ("palette:bits=4", "palette:bits=4,tables=8", "palette:bits=6,d=2,tables=4", "palette:bits=8,d=4,axis=1")


class PaletteFormat(WeightFormat):
    """Streams: indices [K,N/d] (axis 0) or [K/d,N] (axis 1), codebook [tables*2^bits,d] int8, scales [tables].

    Table t serves outputs t*N/tables to (t+1)*N/tables - 1.
    """

    kind: Literal["palette"] = "palette"

    bits: Annotated[int, Field(ge=1, le=8, description="bits of an index")]
    d: Annotated[int, Field(ge=1, le=16, description="elements of an entry: 1 for single values"), unit("elements")] = 1
    tables: Annotated[int, Field(ge=1, le=4096, description="tables per matrix, one per equal share of the outputs"), unit("tables")] = 1
    axis: Axis = 0

    def _lookup(self) -> Lookup:
        return Lookup(1 << self.bits, self.d, tables=self.tables)

    def decode_path(self) -> DecodePath:
        """Index and table."""
        return DecodePath((self._lookup(), Scale("tensor" if self.tables == 1 else "channel")), self.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """`tables` must divide N, and d the dimension along which it lies; with axis 0 a table's share of N."""
        share = n // self.tables
        if n % self.tables or (self.axis == 0 and share % self.d):
            raise FormatError(
                f"palette: tables={self.tables} of d={self.d} do not part N={n} into equal shares of whole entries; "
                f"allowed: a divisor of {n}{' whose share is a multiple of d' if self.d > 1 else ''}"
            )
        return {
            "indices": index_stream(self.kind, self._lookup(), self.axis, k, n),
            "codebook": codebook_stream(self._lookup()),
            "scales": Stream(shape=(self.tables,), bits=32, number="float", place="requantization", in_paper_count=False),
        }

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: the entries."""
        if self.tables == 1:
            return look_up(arrays["codebook"], arrays["indices"], self.axis)
        columns = n // self.tables if self.axis else n // self.tables // self.d
        rows, shares = np.zeros(arrays["indices"].shape[0], np.int64), np.arange(arrays["indices"].shape[1]) // columns
        return look_up_in_tables(arrays["codebook"].reshape(self.tables, -1, self.d), rows, shares, arrays["indices"], self.axis)

    def column_scales(self, arrays: Arrays, n: int) -> npt.NDArray[np.float64]:
        """The scale of the table of each column."""
        return np.repeat(arrays["scales"].astype(np.float64), n // self.tables)


SPEC = PaletteFormat
