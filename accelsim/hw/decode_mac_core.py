"""The decode-and-MAC core: unpack buffer, codebook, sign decoder, shadow registers and MAC array as one unit.

They are one unit because each hands to the next within a cycle. The core stands alone here (one GEMM, a word supply given
as a formula), through the kernel that the machine uses; the validation against RTL runs this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, log2

import numpy as np

from accelsim.hw.lane_cycles import with_lane_cycles
from accelsim.hw.mappings.mapping import TILES, Mapping
from accelsim.kernels import compute, compute_state


@dataclass(frozen=True)
class CoreGeometry:
    """Sizes of the core and the form of its records.

    Parameters
    ----------
    rows, cols : PEs along the reduction and along the outputs
    codeword_length : elements D of a codeword; along the outputs for axis 0, along the reduction for axis 1
    codewords : entries of a codebook; ports : records per cycle, P: vectors looked up, or raw ones
    word_bits : width of the weight buffer's read port, a cycle
    decode : a record is an index (and codeword_length sign bits if `sign`), else that many raw values of `raw_bits`
    max_m : rows that the accumulators hold
    mask_bits : bits of the mask numbers that follow an index; 0 without masks
    padded_index : an index takes a power of two of bits in its record; the bits above it are zero and are padding
    shadow_sets : tiles that wait for their swap; with 2, a tile loads behind the wave of the tile before the last
    books : indices of a record, whose codewords are added up; tables : codebooks of a layer, `books` for each share of the outputs
    parity : neighbouring weights of which one sign is the parity of the others, and has no bit; 0: each sign has
    block : rows of the reduction after which K-tiles restart, so that a scale's group ends with a tile; 0: `rows`
    scales : (rows of a group, bits of its scales per output), finest of at most two first; popped ahead of a tile in which groups begin
    table_rows, table_bits : rows of blocks with tables of their own, and bits of the tables of a row of blocks in a tile, popped likewise
    drain_stages : registers between the last PE of a column and its accumulator
    residual : codewords of a residual codebook, whose index follows the others unpadded, or has a pass of its own; 0: none
    passes : K-tiles one after the other that hold the same rows, each with the codewords of one of a record's codebooks; their records are
        as wide as those of the largest
    row_passes : cycles in which a row enters, 8 bits of its elements in each
    coded_index_bits : of a record's indices on average, entropy-coded; 0: fixed fields
    file : weights of a PE's file: a fold is as many neighbouring N-tiles of one K-tile, and each row meets all of them
    mapping : how weights meet activations; of one that owns its sums `max_m` rows of them are registers
    groups_per_cycle, words_per_cycle : groups of `ports` records that a decode cycle takes from a tile, and words that a cycle reads: 1, or
        more where a run is imagined with an ideal decoder or width, but with the image of the chip as it is
    """

    rows: int
    cols: int
    codeword_length: int
    codewords: int
    ports: int
    word_bits: int
    decode: bool
    sign: bool
    axis: int
    max_m: int
    raw_bits: int | Fraction = 8
    mask_bits: int = 0
    shadow_sets: int = 1
    padded_index: bool = False
    books: int = 1
    tables: int = 1
    parity: int = 0
    block: int = 0
    scales: tuple[tuple[int, int], ...] = ()
    table_rows: int = 0
    table_bits: int = 0
    drain_stages: int = 0
    file: int = 1
    mapping: Mapping = TILES
    residual: int = 0
    passes: int = 1
    row_passes: int = 1
    coded_index_bits: Fraction = Fraction(0)
    groups_per_cycle: int = 1
    words_per_cycle: int = 1

    def planned_as(self, other: CoreGeometry) -> CoreGeometry:
        """As many records and bits per cycle, at least, with the mapping of `other`, and with its groups and words: the same image."""
        return replace(
            self,
            mapping=other.mapping,
            max_m=other.max_m,
            file=other.file,
            ports=other.ports,
            groups_per_cycle=-(-self.cycle_records // other.ports),
            word_bits=other.word_bits,
            words_per_cycle=-(-self.words_per_cycle * self.word_bits // other.word_bits),
        )

    @property
    def cycle_records(self) -> int:
        """Records that a decode cycle takes, at most."""
        return self.groups_per_cycle * self.ports

    @property
    def codebook_words(self) -> int:
        """Codewords that a layer loads ahead of all tiles."""
        return 0 if self.table_rows else self.codewords * self.tables + self.residual

    @property
    def ahead(self) -> tuple[tuple[int, int], ...]:
        """(rows of a group, bits) of all that travels ahead of a tile in which groups begin, for all its columns: scales, or tables."""
        tables = ((self.table_rows, self.table_bits),) if self.table_rows else ()
        return (*((group, self.cols * bits) for group, bits in self.scales), *tables)

    @property
    def index_bits(self) -> int:
        return max(1, ceil(log2(self.codewords))) if self.codewords > 1 else 1

    @property
    def residual_bits(self) -> int:
        """Bits of an index into a residual codebook; 0 without one."""
        return max(1, (self.residual - 1).bit_length()) if self.residual else 0

    @property
    def index_field_bits(self) -> int:
        """Bits that an index takes in its record: its own, where codebooks have passes those of the largest, or the next power of two."""
        bits = self.index_bits if self.passes == 1 else max(self.index_bits, self.residual_bits)
        return 1 << (bits - 1).bit_length() if self.padded_index else bits

    @property
    def record_bits(self) -> int | Fraction:
        """Bits of a record; a fraction where several records share bits."""
        if not self.decode:
            return self.raw_bits * self.codeword_length
        signs = self.codeword_length if self.sign else 0
        residual_bits = self.residual_bits if self.passes == 1 else 0
        parities = Fraction(signs, self.parity) if self.parity else 0
        indices = self.coded_index_bits or self.books * self.index_field_bits
        return indices + residual_bits + signs - parities + self.mask_bits

    @property
    def group_weights(self) -> int:
        """Weights X that a group of records has room for."""
        return self.ports * self.codeword_length

    @property
    def cycle_weights(self) -> int:
        """Weights that a decode cycle has room for."""
        return self.groups_per_cycle * self.group_weights

    @property
    def group_lookups(self) -> int:
        """Codebook lookups of a group; 0 for raw records."""
        return self.ports * (self.books + bool(self.residual and self.passes == 1)) if self.decode else 0

    @property
    def pop_bits(self) -> int:
        """Bits n of a group, and of a pop of scales."""
        return ceil(self.ports * self.record_bits)

    @property
    def buffer_bits(self) -> int:
        """Bits B of the unpack buffer: those of a cycle in and of one out, and again of the larger."""
        read, taken = self.words_per_cycle * self.word_bits, self.groups_per_cycle * self.pop_bits
        return read + taken + max(read, taken)

    @property
    def block_rows(self) -> int:
        """Rows of the reduction after which K-tiles restart."""
        return self.block or self.rows

    def tile_count(self, k: int) -> int:
        """K-tiles of a stripe."""
        blocks, rest = divmod(k, self.block_rows)
        return self.passes * (blocks * -(-self.block_rows // self.rows) + -(-rest // self.rows))

    def tile_rows(self, k: int, kt: int) -> range:
        """Rows of the reduction that a tile holds."""
        block, inside = divmod(kt // self.passes, -(-self.block_rows // self.rows))
        first = block * self.block_rows + inside * self.rows
        return range(first, min(first + self.rows, (block + 1) * self.block_rows, k))

    def tile_of_row(self, row: int) -> int:
        """The K-tile that holds a row of the reduction; of those of several passes the first."""
        block, inside = divmod(row, self.block_rows)
        return self.passes * (block * -(-self.block_rows // self.rows) + inside // self.rows)

    def scale_pops(self, k: int, kt: int) -> int:
        """Pops that the scales of all groups, or the tables of all blocks, that begin in a tile take ahead of its records."""
        if not self.ahead:
            return 0
        own = self.tile_rows(k, kt)
        return -(-sum(bits * (-(-own.stop // group) - -(-own.start // group)) for group, bits in self.ahead) // self.pop_bits)

    def tile_groups(self, k: int, kt: int) -> int:
        """Groups of a tile: its records over the ports, rounded up; rows are trimmed, columns are not."""
        used = len(self.tile_rows(k, kt))
        if self.axis == 0:
            records = used * (self.cols // self.codeword_length)
        else:
            records = -(-used // self.codeword_length) * self.cols
        return -(-records // self.ports)

    def stripe_groups(self, k: int) -> int:
        """Groups of one N-stripe: all its K-tiles."""
        if self.block:
            return sum(self.tile_groups(k, kt) for kt in range(self.tile_count(k)))
        kt_count = -(-k // self.rows)
        return self.passes * ((kt_count - 1) * self.tile_groups(k, 0) + self.tile_groups(k, self.tile_count(k) - 1))

    def stripe_cycles(self, k: int) -> int:
        """Decode cycles of one N-stripe: those of its groups, of which a cycle takes several of one tile, or one."""
        if self.groups_per_cycle == 1:
            return self.stripe_groups(k)
        return sum(-(-self.tile_groups(k, kt) // self.groups_per_cycle) for kt in range(self.tile_count(k)))

    def last_row(self, group: int) -> int:
        """Lowest row of PEs that a group of a full tile writes."""
        last = min(group * self.ports + self.ports - 1, self.rows * self.cols // self.codeword_length - 1)
        if self.axis == 0:
            return last // (self.cols // self.codeword_length)
        return last // self.cols * self.codeword_length + self.codeword_length - 1

    @property
    def group_rows(self) -> int:
        """Most rows of the reduction that a cycle's groups have weights of: no more than a tile has."""
        records = self.cycle_records
        if self.axis == 0:
            line, rows = self.cols // self.codeword_length, 1  # records side by side, and the rows that they lie in
        else:
            line, rows = self.cols, self.codeword_length
        lines = max(1, records // line) if records % line == 0 or line % records == 0 else (records - 2) // line + 2
        return min(self.rows, self.block_rows, rows * lines)

    def tile_pops(self, k: int) -> np.ndarray:
        """Pops of each K-tile of a stripe, of scales or tables and of records: int64 (tiles,)."""
        return np.array([self.scale_pops(k, kt) + self.tile_groups(k, kt) for kt in range(self.tile_count(k))], np.int64)

    def stripe_pops(self, k: int) -> int:
        """Pops of one N-stripe, of scales or tables and of records."""
        return int(self.tile_pops(k).sum()) if self.ahead else self.stripe_groups(k)

    def width_cycles(self, pops: int) -> int:
        """Cycles in which the weight buffer's port reads the bits of so many pops."""
        return -(-pops * self.pop_bits // self.word_bits)

    def tile_period(self, k: int, kt: int, steps: int) -> int:
        """Cycles from a tile's swap to the next one's, whose rows take `steps`: a group is popped behind the row of PEs that it ends in."""
        groups = self.tile_groups(k, kt)
        behind = max(self.last_row(0) + groups - 1, self.last_row(groups - 1)) + self.cols
        pops = groups + self.scale_pops(k, kt)
        load = max(pops, self.width_cycles(pops), -(-behind // self.shadow_sets))
        return max(load, steps)

    def run_rows(self, stripes: int) -> int:
        """Rows of a run over so many N-stripes."""
        return self.mapping.run_rows(self, stripes)

    def in_stripes(self, rows: int, stripes: int) -> bool:
        """Whether a product of so many rows takes a run, and a stream of weights, for each N-stripe or fold rather than for all."""
        return rows > self.run_rows(stripes) or self.mapping.turned

    def folds(self, stripes: int) -> list[int]:
        """N-tiles of each fold of a stream of so many N-stripes; the last fold may hold fewer."""
        return [min(self.file, stripes - first) for first in range(0, stripes, self.file)]

    def words(self, k: int, stripes: int) -> int:
        """Words of the weight buffer that hold `stripes` N-stripes, packed without gaps."""
        return -(-self.stripe_pops(k) * stripes * self.pop_bits // self.word_bits)

    def scale_fields(self) -> dict[str, int]:
        """The fields of a run that say where its tiles end, how often they and rows pass, and the scales or tables ahead of them."""
        (fine, fine_bits), (coarse, coarse_bits) = (*self.ahead, (0, 0), (0, 0))[:2]
        return {
            "passes": self.passes,
            "row_passes": self.row_passes,
            "block": self.block_rows,
            "fine_group": fine,
            "fine_bits": fine_bits,
            "coarse_group": coarse,
            "coarse_bits": coarse_bits,
        }


@dataclass(frozen=True)
class WordSupply:
    """Word i is there from cycle latency + floor(i * denominator / numerator); numerator 0: all are there from cycle 0."""

    numerator: int = 0
    denominator: int = 1
    latency: int = 0

    def arrivals(self, words: int) -> np.ndarray:
        """Cycle from which each word can be read: int64 (words,)."""
        if self.numerator == 0:
            return np.zeros(words, np.int64)
        return self.latency + np.arange(words, dtype=np.int64) * self.denominator // self.numerator


@dataclass(frozen=True)
class CoreCounters:
    """Cycles with busy high, and where they went: before the first row, between tiles, loader held by the wave or by short bits."""

    cycles: int
    st_start: int
    st_tile: int
    ld_haz: int
    ld_bits: int
    cp_rows: int
    words: int

    def __add__(self, other: CoreCounters) -> CoreCounters:
        return CoreCounters(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def run_stand_alone(
    geometry: CoreGeometry, m: int, k: int, n: int, supply: WordSupply | None = None, lanes: int = 0, banks: int = 2
) -> CoreCounters:
    """One GEMM of (m x k) by (k x n) on a stand-alone core: runs of as many rows as fit, each with a fresh supply; sums over them.

    Sums that are registers of a mapping are drained through `lanes` (0: at once) within `cycles`; those that stay in the PEs have `banks`.
    """
    supply = supply or WordSupply()
    total = CoreCounters(0, 0, 0, 0, 0, 0, 0)
    rows = geometry.run_rows(-(-n // geometry.cols))
    for first in range(0, m, rows):
        total += _one_run(geometry, min(rows, m - first), k, n, supply, lanes, banks)
    return total


def _one_run(geometry: CoreGeometry, m: int, k: int, n: int, supply: WordSupply, lanes: int, banks: int) -> CoreCounters:
    stripes = -(-n // geometry.cols)
    words = geometry.words(k, stripes)
    arrivals = supply.arrivals(words)

    machine = np.zeros(1, compute_state.MACHINE)
    machine["rows"], machine["cols"] = geometry.rows, geometry.cols
    for name in ("codebook_latency", "codebook_sets", "port_accesses", "rows_per_cycle"):
        machine[name] = 1
    if geometry.mapping.owns_sums:
        machine["lanes"], machine["accumulator_banks"] = lanes, banks
    machine["shadow_sets"], machine["drain_stages"] = geometry.shadow_sets, geometry.drain_stages

    run = np.zeros(1, compute_state.RUN)
    run["m"] = run["out_rows"] = m
    for name, value in geometry.mapping.fields(geometry, k).items():
        run[name] = value
    run["k"], run["nt_count"], run["kt_count"] = k, stripes, geometry.tile_count(k)
    for name, value in geometry.scale_fields().items():
        run[name] = value
    run["d"], run["axis"], run["ports"] = geometry.codeword_length, geometry.axis, geometry.ports
    run["pop_bits"], run["buffer_bits"], run["word_bits"] = geometry.pop_bits, geometry.buffer_bits, geometry.word_bits
    run["words"] = run["chunk_count"] = words
    run["codebook_load"] = run["codebook_release"] = run["cost0"] = run["in_task"] = run["w_task"] = -1

    task = np.zeros(1, compute_state.TASK)
    task["units"], task["rows"], task["tile_cols"], task["width"] = m * stripes, m, geometry.cols, n
    task["file"], task["packed"], task["passes"] = geometry.file, geometry.mapping.packed, 1
    for name in ("chunk", "dep0", "dep1", "after0", "after1", "after2"):
        task[name] = -1

    state = compute_state.new_state()
    results = np.zeros((1, len(compute_state.RUN_RESULTS)), np.int64)
    nothing = np.zeros(0, np.int64)
    units = np.zeros(m * stripes, np.int64)
    compute.advance(
        state, machine, run, with_lane_cycles(task, machine), np.zeros(1, np.int64), nothing, nothing, nothing, np.zeros(0, np.uint8),
        arrivals, np.arange(words), -(-np.arange(1, words + 1) * geometry.word_bits // 8), np.zeros(words, np.int64),
        nothing, units, units.copy(), np.zeros((2, units.size), np.int64), units.copy(), results,
        compute_state.NEVER, compute_state.NEVER, compute_state.NEVER, 1,
    )  # fmt: skip
    out = dict(zip(compute_state.RUN_RESULTS, results[0].tolist(), strict=True))
    return CoreCounters(
        cycles=int(state["finish"][0]),
        st_start=out["st_start"],
        st_tile=out["st_tile"],
        ld_haz=out["ld_haz"],
        ld_bits=out["ld_bits"],
        cp_rows=out["cp_rows"],
        words=out["pushed"],
    )
