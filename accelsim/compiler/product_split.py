"""How a product falls into runs of the array: by groups, N-stripes and M-chunks.

A product is one run per group over all its N-stripes while its rows fit the accumulators; with more rows it is one run per stripe and
M-chunk, so that the weights of one stripe are used by all chunks before the next stripe comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accelsim.compiler.image import Packing
from accelsim.compiler.plan import Op, RowTile
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import ConvLayer


@dataclass(frozen=True)
class Part:
    """One run of a product: its group, its first N-stripe within the group, and its M-chunk."""

    group: int
    stripe: int
    chunk: int

    @property
    def first(self) -> bool:
        """Whether it is the first run of the product."""
        return self.group == self.stripe == self.chunk == 0


@dataclass(frozen=True)
class ProductSplit:
    """The runs of a product, in one row tile of it.

    Attributes
    ----------
    geometry : the core as these runs see it
    m, k : rows (of the row tile) and reduction
    groups : of a grouped convolution, else 1
    columns, stripes : outputs and N-stripes of a group
    kt_count : K-tiles of a stripe
    chunks, chunk_rows : M-chunks, and rows of each but the last
    row_tile : which rows of the whole product these are
    per_stripe : a run takes one stripe rather than all of its group
    """

    geometry: CoreGeometry
    m: int
    k: int
    groups: int
    columns: int
    stripes: int
    kt_count: int
    chunks: int
    chunk_rows: int
    row_tile: RowTile
    per_stripe: bool

    @property
    def packing(self) -> Packing:
        """How the weights' image is packed for these runs."""
        return "stripe" if self.per_stripe else "layer"

    @property
    def run_stripes(self) -> int:
        """N-stripes of a run, and of its stream of weights."""
        return 1 if self.per_stripe else self.stripes

    @property
    def all_stripes(self) -> int:
        """N-stripes of all groups."""
        return self.stripes * self.groups

    @property
    def stream_count(self) -> int:
        """Streams that hold the weights once."""
        return self.all_stripes // self.run_stripes

    @property
    def stream_words(self) -> int:
        """Words of one stream of weights."""
        return self.geometry.words(self.k, self.run_stripes)

    @property
    def image_bytes(self) -> int:
        """Bytes of all words of the weights."""
        return self.stream_count * self.stream_words * self.geometry.word_bits // 8

    def parts(self) -> Iterator[Part]:
        """The runs, in the order in which the array takes them."""
        for group in range(self.groups):
            for stripe in range(0, self.stripes, self.run_stripes):
                for chunk in range(self.chunks):
                    yield Part(group, stripe, chunk)

    def nt0(self, part: Part) -> int:
        """Number of a run's first N-stripe among those of all groups."""
        return part.group * self.stripes + part.stripe

    def run_columns(self, part: Part) -> int:
        """Outputs of a run, without those that only fill its last stripe."""
        cols = self.geometry.cols
        return min(self.columns, (part.stripe + self.run_stripes) * cols) - part.stripe * cols

    def rows_of(self, part: Part) -> tuple[int, int]:
        """(first row, rows) of a run's chunk."""
        first = part.chunk * self.chunk_rows
        return first, min(self.chunk_rows, self.m - first)


def split_product(op: Op, geometry: CoreGeometry, max_m: int) -> ProductSplit:
    """The runs of `op` on an array whose accumulators take `max_m` rows."""
    groups = op.layer.bounds.G if isinstance(op.layer, ConvLayer) else 1
    columns, chunks = op.n // groups, -(-op.m // max_m)
    row_tile = op.row_tile or RowTile(0, 1, 0, op.m, op.m)
    return ProductSplit(
        geometry=geometry,
        m=op.m,
        k=op.k,
        groups=groups,
        columns=columns,
        stripes=-(-columns // geometry.cols),
        kt_count=-(-op.k // geometry.rows),
        chunks=chunks,
        chunk_rows=-(-op.m // chunks),
        row_tile=row_tile,
        per_stripe=row_tile.all_rows > max_m,
    )
