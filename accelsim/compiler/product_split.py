"""How a product falls into runs of the array: by groups, N-stripes and M-chunks.

A product is one run per group over all its N-stripes while its rows fit the accumulators; with more rows it is one run per stripe and
M-chunk, so that the weights of one stripe are used by all chunks before the next stripe comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from accelsim.compiler.image import Packing
from accelsim.compiler.plan import ColumnTile, Op, RowTile
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.program import Int64


@dataclass(frozen=True)
class ProductSplit:
    """The runs of a product, in one row tile of it: by stream of weights (group and stripe), then by M-chunk.

    Attributes
    ----------
    geometry : the core as these runs see it
    m, k : rows (of the row tile) and reduction of a stripe
    groups : of a grouped convolution whose groups have tiles of their own, else 1
    columns, stripes : outputs and N-stripes of a group
    stripe_columns : outputs of an N-stripe; the last of a group may have fewer
    kt_count : K-tiles of a stripe
    chunks, chunk_rows : M-chunks, and rows of each but the last
    row_tile, column_tile : which rows and columns of the whole product these are, or are alike (`RowTile.likeness`)
    file : N-stripes of a group that the array takes together, as folds of as many tiles
    per_stripe : a run takes one stripe, or one fold's, rather than all of its group
    """

    geometry: CoreGeometry
    m: int
    k: int
    groups: int
    columns: int
    stripes: int
    stripe_columns: int
    kt_count: int
    chunks: int
    chunk_rows: int
    row_tile: RowTile
    column_tile: ColumnTile
    file: int
    per_stripe: bool

    @property
    def packing(self) -> Packing:
        """How the weights' image is packed for these runs."""
        return "stripe" if self.per_stripe else "layer"

    @property
    def run_stripes(self) -> int:
        """N-stripes of a run, and of its stream of weights; the last of a group may have fewer."""
        return self.file if self.per_stripe else self.stripes

    @property
    def streams_of_group(self) -> int:
        """Streams that hold the weights of a group."""
        return -(-self.stripes // self.run_stripes)

    @property
    def has_short_streams(self) -> bool:
        """Whether the last stream of a group holds fewer N-stripes than the others."""
        return self.last_stripes < self.run_stripes

    @property
    def last_stripes(self) -> int:
        """N-stripes of a group's last stream."""
        return self.stripes - (self.streams_of_group - 1) * self.run_stripes

    @property
    def all_tiles(self) -> int:
        """Tiles that hold the weights once."""
        return self.kt_count * self.all_stripes

    @property
    def all_stripes(self) -> int:
        """N-stripes of all groups."""
        return self.stripes * self.groups

    @property
    def stream_count(self) -> int:
        """Streams that hold the weights once."""
        return self.groups * self.streams_of_group

    @property
    def runs(self) -> int:
        """Number of runs."""
        return self.stream_count * self.chunks

    @cached_property
    def stripe_groups(self) -> int:
        """Groups of lookups of one N-stripe."""
        return self.geometry.stripe_groups(self.k)

    @cached_property
    def stripe_cycles(self) -> int:
        """Decode cycles of one N-stripe."""
        return self.geometry.stripe_cycles(self.k)

    @cached_property
    def stream_words(self) -> int:
        """Words of one stream of weights, but for the last of a group."""
        return self.geometry.words(self.k, self.run_stripes)

    @property
    def stream_bytes(self) -> int:
        """Bytes of the words of one stream of weights, but for the last of a group."""
        return self.stream_words * self.geometry.word_bits // 8

    @property
    def image_bytes(self) -> int:
        """Bytes of all words of the weights, those of all column tiles together."""
        stripes = self.stripes if self.column_tile.count == 1 else -(-self.column_tile.all_columns // self.geometry.cols)
        full, rest = divmod(stripes, self.run_stripes)
        last = self.geometry.words(self.k, rest) * self.geometry.word_bits // 8 if rest else 0
        return self.groups * (full * self.stream_bytes + last)

    @property
    def first_stripe(self) -> int:
        """N-stripes of the column tiles, and of the cores, before this one."""
        return self.column_tile.first_of_all // self.geometry.cols

    @cached_property
    def streams(self) -> Int64:
        """The stream of weights that each run reads: int64 (runs,)."""
        return np.arange(self.runs) // self.chunks

    @cached_property
    def nt0(self) -> Int64:
        """Number of each run's first N-stripe among those of all groups in this column tile: int64 (runs,)."""
        group, stream = np.divmod(self.streams, self.streams_of_group)
        first: Int64 = group * self.stripes + stream * self.run_stripes
        return first

    @cached_property
    def nt_counts(self) -> Int64:
        """N-stripes of each run: int64 (runs,)."""
        return np.minimum(self.run_stripes, self.stripes - self.nt0 % self.stripes)

    @cached_property
    def words(self) -> Int64:
        """Words that each run reads: int64 (runs,)."""
        last = self.geometry.words(self.k, self.last_stripes)
        return np.where(self.nt_counts == self.run_stripes, self.stream_words, last)

    @property
    def row_reads(self) -> int:
        """Rows of a K-tile that all runs read: each once for all tiles of a fold."""
        return int((self.run_rows * -(-self.nt_counts // self.file)).sum()) * self.kt_count

    @cached_property
    def run_columns(self) -> Int64:
        """Outputs of each run, without those that only fill its last stripe: int64 (runs,)."""
        first = self.nt0 % self.stripes * self.stripe_columns
        return np.minimum(self.columns - first, self.run_stripes * self.stripe_columns)

    @cached_property
    def run_chunks(self) -> Int64:
        """The M-chunk of each run: int64 (runs,)."""
        return np.arange(self.runs) % self.chunks

    @cached_property
    def first_rows(self) -> Int64:
        """First row of each run's M-chunk: int64 (runs,)."""
        return self.run_chunks * self.chunk_rows

    @cached_property
    def run_rows(self) -> Int64:
        """Rows of each run: int64 (runs,)."""
        return np.minimum(self.chunk_rows, self.m - self.first_rows)


def split_product(op: Op, geometry: CoreGeometry) -> ProductSplit:
    """The runs of `op`."""
    layer, mapping = op.layer.product, geometry.mapping
    assert layer is not None  # the plan puts nothing else on the array
    own_groups = op.layer.tile_groups
    groups, columns, stripe_columns = mapping.stripes(own_groups, op.n // own_groups, geometry.cols)
    k = op.k * mapping.merged
    row_tile = op.row_tile.likeness if op.row_tile else RowTile(0, 1, 0, op.m, op.m)
    column_tile = op.column_tile or ColumnTile(0, 1, 0, op.n, op.n)
    stripes = -(-columns // stripe_columns)
    most_rows = geometry.run_rows(stripes)
    step = mapping.chunk_step(layer, most_rows)
    chunks = -(-op.m // (most_rows // step * step))
    return ProductSplit(
        geometry=geometry,
        m=op.m,
        k=k,
        groups=groups,
        columns=columns,
        stripes=stripes,
        stripe_columns=stripe_columns,
        kt_count=geometry.tile_count(k),
        chunks=chunks,
        chunk_rows=-(-(op.m // step) // chunks) * step,
        row_tile=row_tile,
        column_tile=column_tile,
        file=min(geometry.file, stripes),
        per_stripe=geometry.in_stripes(row_tile.all_rows, stripes) or column_tile.count > 1,
    )
