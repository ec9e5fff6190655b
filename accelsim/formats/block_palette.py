"""Palettized weights with a table per block of the matrix: a decoder that holds the tables of one tile reads them ahead of its indices.

Blocks of `rows` inputs by `cols` outputs, the last ones of either may be smaller: a tile of the array, a part of it, or several. Tables are
int8 and share a scale per tensor or per output channel, disputable, since a scale of its own would use each table's whole range: but a
scale that changes along the reduction has to be applied to partial sums.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from accelsim.errors import FormatError
from accelsim.formats.codewords import Axis, index_stream, look_up_in_tables
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Lookup, Scale
from accelsim.formats.weight_format import CODEBOOK, Arrays, ScaleGranularity, Stream, WeightFormat, scale_stream
from accelsim.quantities import unit

KIND = "block_palette"
EXAMPLES = (
    "block_palette:bits=3,rows=64,cols=8",
    "block_palette:bits=2,rows=8,cols=16,d=2,scale=channel",
    "block_palette:bits=4,rows=32,cols=8,d=4,axis=1",
)


class BlockPaletteFormat(WeightFormat):
    """Streams: indices [K,N/d] (axis 0) or [K/d,N] (axis 1), codebook [N/cols,K/rows,2^bits,d] int8, scales; quotients are rounded up.

    Table [j,i] serves inputs i*rows to (i+1)*rows - 1 of outputs j*cols to (j+1)*cols - 1.
    """

    kind: Literal["block_palette"] = "block_palette"

    bits: Annotated[int, Field(ge=1, le=8, description="bits of an index")]
    rows: Annotated[int, Field(ge=1, le=65536, description="inputs that share a table"), unit("inputs")]
    cols: Annotated[int, Field(ge=1, le=65536, description="outputs that share a table"), unit("outputs")]
    d: Annotated[int, Field(ge=1, le=16, description="elements of an entry: 1 for single values"), unit("elements")] = 1
    axis: Axis = 0
    scale: ScaleGranularity = "tensor"

    @model_validator(mode="after")
    def _whole_entries(self) -> BlockPaletteFormat:
        name, length = ("rows", self.rows) if self.axis else ("cols", self.cols)
        if length % self.d:
            raise FormatError(f"format 'block_palette': {name}={length} cuts entries of d={self.d}; allowed: multiples of {self.d}")
        entries, vectors = 1 << self.bits, self.rows * self.cols // self.d
        if entries > vectors:
            raise FormatError(
                f"format 'block_palette': {entries} entries for a block of {self.rows} x {self.cols} weights, {vectors} vectors; "
                "allowed: at most one entry per vector"
            )
        return self

    def decode_path(self) -> DecodePath:
        """Index, and the table of the block."""
        return DecodePath((Lookup(1 << self.bits, self.d, block=(self.rows, self.cols)), Scale(self.scale)), self.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """d must divide N (axis 0) or K (axis 1)."""
        lookup = self.decode_path().lookup
        assert lookup is not None  # the path's first part
        tables = (-(-n // self.cols), -(-k // self.rows))
        return {
            "indices": index_stream(self.kind, lookup, self.axis, k, n),
            CODEBOOK: Stream(shape=(*tables, lookup.codewords, self.d), bits=8, number="signed", place="header", in_paper_count=False),
            "scales": scale_stream(self.scale, n),
        }

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """int8 [K,N]: the entries."""
        tables, indices = arrays[CODEBOOK], arrays["indices"]
        down, across = (self.d, 1) if self.axis else (1, self.d)  # weights of an entry
        row, column = (np.arange(size) for size in indices.shape)
        columns = column * across // self.cols * tables.shape[1]
        return look_up_in_tables(tables.reshape(-1, *tables.shape[2:]), row * down // self.rows, columns, indices, self.axis)

    def first_weight(self, name: str, position: int, k: int, n: int) -> tuple[int, int] | None:
        """That of the block, for an entry of a table."""
        stream = self.streams(k, n)[name]
        if name != CODEBOOK:
            return super().first_weight(name, position, k, n)
        column, row = divmod(position // stream.bits // (stream.shape[2] * self.d), stream.shape[1])
        return row * self.rows, column * self.cols


SPEC = BlockPaletteFormat
