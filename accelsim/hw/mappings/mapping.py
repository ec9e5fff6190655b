"""A mapping: where weights meet activations and where sums stand. The base is the core's own: tile by tile in the PEs, sums outside.

A mapping estimates the cycles of a product, by which the compiler ranks it. Disputable assumptions: memory, bank conflicts and what begins
and ends a layer are not part of the estimate; the lanes drain what the array adds up, at their own rate, behind it.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from accelsim.hw.row_accesses import row_accesses
from accelsim.hw.sram import ActivationBufferSpec
from accelsim.hw.vector_unit import VectorUnitSpec
from accelsim.ops.mac_layers import MacLayer

if TYPE_CHECKING:
    from accelsim.hw.decode_mac_core import CoreGeometry

Int64 = npt.NDArray[np.int64]


class ProductRuns(Protocol):
    """The runs of a product; see `compiler.product_split.ProductSplit`."""

    @property
    def geometry(self) -> CoreGeometry: ...
    @property
    def k(self) -> int: ...
    @property
    def kt_count(self) -> int: ...
    @property
    def columns(self) -> int: ...
    @property
    def stripes(self) -> int: ...
    @property
    def stripe_columns(self) -> int: ...
    @property
    def file(self) -> int: ...
    @property
    def runs(self) -> int: ...
    @property
    def chunks(self) -> int: ...
    @property
    def chunk_rows(self) -> int: ...
    @property
    def run_columns(self) -> Int64: ...
    @property
    def stripe_cycles(self) -> int: ...
    @property
    def nt0(self) -> Int64: ...
    @property
    def nt_counts(self) -> Int64: ...
    @property
    def first_rows(self) -> Int64: ...
    @property
    def run_rows(self) -> Int64: ...


class RankedArray(Protocol):
    """The fields of an array that estimates read; see `hw.core_spec.ArraySpec`."""

    @property
    def rows_per_cycle(self) -> int: ...
    @property
    def accumulator_banks(self) -> int: ...


class RankedChip(Protocol):
    """The fields of a chip that estimates read; see `Accelerator`."""

    @property
    def array(self) -> RankedArray: ...
    @property
    def activation_buffer(self) -> ActivationBufferSpec: ...
    @property
    def vector_unit(self) -> VectorUnitSpec: ...


class Product(NamedTuple):
    """A product whose cycles are estimated.

    Attributes
    ----------
    layer : where it comes from
    rows : all of them, whatever tiles they fall into
    k : reduction
    n : outputs, of all groups
    """

    layer: MacLayer
    rows: int
    k: int
    n: int


def row_steps(chip: RankedChip, layer: MacLayer, rows: int, elements: int) -> int:
    """Cycles in which rows of so many elements are taken in and read: those that take several accesses wait for a port of the buffer."""
    waits = rows * (-(-row_accesses(chip.activation_buffer, layer, elements) // chip.activation_buffer.port_accesses) - 1)
    return -(-rows // chip.array.rows_per_cycle) + waits


class Stripes(NamedTuple):
    """How the outputs of a layer lie in N-stripes.

    Attributes
    ----------
    sets : groups of a convolution that have stripes of their own, or one for all
    columns : outputs of each set
    width : of them in a stripe; the last one may have fewer
    """

    sets: int
    columns: int
    width: int

    @property
    def total(self) -> int:
        """Stripes of all sets."""
        return self.sets * -(-self.columns // self.width)

    def holding(self, column: int) -> int:
        """The stripe that holds an output; columns count through all groups."""
        own, inside = divmod(column, self.columns)
        return own * -(-self.columns // self.width) + inside // self.width


@dataclass(frozen=True)
class Mapping:
    """Tile by tile in the PEs, each group of a convolution with tiles of its own.

    Attributes
    ----------
    merged : groups of a convolution that share a tile, as blocks on its diagonal
    own_rows : each column meets rows of its own
    owns_sums : sums stand in registers of the mapping, rather than in the accumulators
    whole_stripes : the K-tiles of a stripe are done together, once all of them are loaded
    packed : how the rows of a stripe are drained; see `kernels.compute_state.TASK`
    turned : rows of A stay and weights pass, so that a column of PEs is a row of the result
    takes_passes : rows may enter in several passes, 8 bits of their elements in each
    part : what a tile of a grouped convolution is called; "" where it has no number
    group_name : the mapping of a grouped convolution in words, for a layer's lowering
    """

    @property
    def merged(self) -> int:
        return 1

    @property
    def own_rows(self) -> bool:
        return False

    @property
    def owns_sums(self) -> bool:
        return False

    @property
    def whole_stripes(self) -> bool:
        return False

    @property
    def packed(self) -> int:
        return 0

    @property
    def turned(self) -> bool:
        return False

    @property
    def takes_passes(self) -> bool:
        return True

    @property
    def part(self) -> str:
        return "group"

    @property
    def group_name(self) -> str:
        return "a tile per group"

    def name(self, geometry: CoreGeometry) -> str:
        """The mapping of a product in words, for a layer's lowering."""
        del geometry
        return "tile by tile"

    def stripes(self, groups: int, columns: int, cols: int) -> Stripes:
        """N-stripes of a layer of so many groups, each of so many outputs, on an array of `cols` columns."""
        return Stripes(groups, columns, cols)

    def run_rows(self, geometry: CoreGeometry, stripes: int) -> int:
        """Rows of a run over so many N-stripes: those that the accumulators hold."""
        return geometry.max_m // min(geometry.file, stripes)

    def row_elements(self, geometry: CoreGeometry) -> int:
        """Elements of a row of A that are read together."""
        return geometry.rows

    def chunk_step(self, layer: MacLayer, most_rows: int) -> int:
        """Rows that an M-chunk is a multiple of, given the rows that the sums' registers hold."""
        del layer, most_rows
        return 1

    def fields(self, geometry: CoreGeometry, k: int) -> dict[str, int]:
        """Fields of a run over a reduction of k that say how it is mapped."""
        del k
        return {"merged": self.merged, "file": geometry.file}

    def run_fields(self, split: ProductRuns) -> dict[str, int | Int64]:
        """Fields of the runs of a product that number their tiles, where these are not N-stripes."""
        del split
        return {}

    def read_fields(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns, rows_per_cycle: int) -> dict[str, int | Int64]:
        """Fields of the runs of a product that say how they read the activation buffer, beside `row_accesses`."""
        del buffer, layer, split, rows_per_cycle
        return {}

    def steps(self, split: ProductRuns) -> Int64:
        """Steps of each run: rows of its tiles, each once. int64 (runs,)."""
        return split.run_rows * split.nt_counts * split.kt_count

    def array_cycles(self, layer: MacLayer, split: ProductRuns, rows_per_cycle: int) -> int:
        """Least cycles of the array for all runs: a row of a K-tile per cycle, or one for each tile of a fold."""
        del layer
        full, rest = np.divmod(split.nt_counts, split.file)  # folds of a K-tile, and tiles of one that holds fewer
        steps = full * -(-split.run_rows * split.file // rows_per_cycle) + -(-split.run_rows * rest // rows_per_cycle)
        return int(steps.sum()) * split.kt_count

    def estimated_cycles(self, chip: RankedChip, product: Product, geometry: CoreGeometry) -> int | None:
        """Estimated cycles tile by tile: each takes its rows, its bits, or its load behind the wave; or the lanes take the rows.

        Rows that the accumulators do not hold together read the tiles again for each chunk of them. None: of a mapping, or of files of
        weights, that no ranking compares.
        """
        if geometry.file > 1 or self != TILES:
            return None
        groups, tiles = product.layer.tile_groups, geometry.tile_count(product.k)
        chunks = -(-product.rows // geometry.max_m)
        rows = -(-product.rows // chunks)
        steps = row_steps(chip, product.layer, rows, geometry.rows)
        array = sum(geometry.tile_period(product.k, kt, steps) for kt in range(tiles))
        drain = rows * chip.vector_unit.row_cycles(geometry.cols, chip.vector_unit.passes.requantize)
        return groups * -(-product.n // groups // geometry.cols) * chunks * max(array, drain)

    def lane_passes(self, k: int) -> int:
        """Passes of the vector unit over each output ahead of its requantization, for a reduction of k."""
        del k
        return 0

    def lane_accesses(self, buffer: ActivationBufferSpec, layer: MacLayer, columns: int) -> int:
        """Accesses of the activation buffer that these passes make for a row of `columns` outputs."""
        del buffer, layer, columns
        return 0

    def figures(self, buffer: ActivationBufferSpec, layer: MacLayer, split: ProductRuns) -> Dictionary[str, int]:
        """Figures of a `LayerResult` that only layers of this mapping have, by name."""
        del buffer, layer, split
        return {}


TILES = Mapping()
