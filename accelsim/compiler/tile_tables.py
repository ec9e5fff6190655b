"""Tables of blocks of a matrix on a chip: those that begin in a K-tile travel ahead of its records, into the codebook RAM.

They take pops of their own, as scales of groups do (H = bits of the tables over those of a group, rounded up), which no swap wave holds;
the records of the tile before are decoded by then, so one set of tables serves. Each stripe brings the tables of its columns, also where
the one before had the same. Disputable assumption: a pop writes as many entries as it brings, which latches and flops can, and macros only
if they are as wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from accelsim.compiler.target import Target
from accelsim.errors import CompileError
from accelsim.formats.parts import Lookup
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer


def with_tables(target: Target, geometry: CoreGeometry, layer: WeightedLayer, lookup: Lookup, name: str) -> CoreGeometry:
    """The core as the runs of a layer see it whose blocks have tables of their own; of other layers, `geometry` itself.

    Parameters
    ----------
    name : of the layer and format, for messages

    Raises
    ------
    CompileError
        A ROM, blocks that neither divide a tile's columns nor are a multiple of them, groups of outputs, or blocks that cores would split.
    """
    if lookup.block is None:
        return geometry
    (rows, cols), width = lookup.block, geometry.cols
    if target.codebook.store == "rom":
        raise CompileError(
            f"{name}: tables of blocks are written ahead of their tiles, but codebook.store = 'rom' of {target.name!r}; allowed: 'ram'"
        )
    if width % cols and cols % width:
        raise CompileError(
            f"{name}: blocks of {cols} outputs and N-tiles of {width} on {target.name!r} cut each other; "
            f"allowed: blocks of a divisor or a multiple of {width} outputs"
        )
    if layer.bounds.G > 1:
        raise CompileError(f"{name}: blocks of {cols} outputs do not follow the layer's {layer.bounds.G} groups; allowed: one group")
    if target.cores > 1 and cols > width:
        raise CompileError(
            f"{name}: blocks of {cols} outputs would be split over the {target.cores} cores of {target.name!r}; "
            f"allowed: blocks of a divisor of {width} outputs, or cores = 1"
        )
    tables = TileTables(rows, min(cols, width), lookup.codewords, lookup.d, lookup.element_bits)
    return replace(geometry, block=_tile_block(geometry.rows, rows), table_rows=rows, table_bits=tables.bits(width))


def _tile_block(array_rows: int, rows: int) -> int:
    """Rows of the reduction after which K-tiles restart: each ends with a block, or holds a part of one."""
    if rows < array_rows:
        return array_rows // rows * rows
    return rows if rows % array_rows else array_rows


@dataclass(frozen=True)
class TileTables:
    """Tables of the blocks of a stripe: `rows` x `cols` weights share `codewords` entries of `d` elements of `element_bits` bits."""

    rows: int
    cols: int
    codewords: int
    d: int
    element_bits: int

    @classmethod
    def of(cls, lookup: Lookup | None, width: int) -> TileTables | None:
        """Those of a format's lookup in stripes of `width` columns; None where blocks have none."""
        if lookup is None or lookup.block is None:
            return None
        return cls(lookup.block[0], min(lookup.block[1], width), lookup.codewords, lookup.d, lookup.element_bits)

    def bits(self, columns: int) -> int:
        """Bits of the tables of one row of blocks over so many columns of a stripe."""
        return -(-columns // self.cols) * self.codewords * self.d * self.element_bits

    def stripe_bits(self, k: int, n: int, width: int) -> int:
        """Bits of the tables of all stripes of a K x N matrix, those of columns past the last output left out."""
        return -(-k // self.rows) * sum(self.bits(min(width, n - first)) for first in range(0, n, width))

    def begun(self, rows: range) -> range:
        """Rows of blocks that begin in a tile."""
        return range(-(-rows.start // self.rows), -(-rows.stop // self.rows))

    def columns(self, first: int, n: int, width: int) -> Iterator[int]:
        """First column of each block of the stripe of `width` columns from `first` on that has any of the n outputs."""
        yield from range(first, min(n, first + width), self.cols)
