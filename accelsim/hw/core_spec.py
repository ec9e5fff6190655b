"""The fields of a chip that describe its decode-and-MAC core: the array and its accumulators, the codebook and its decoder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.formats.codebook_elements import ElementCode
from accelsim.hw.decode_width import Additive
from accelsim.quantities import Bits, Cycles, unit
from accelsim.records import Record

MVQ_FILE = 16  # weights of a PE's file (MVQ, arXiv 2412.10261)
GEMV_MAX_M = 4  # above about so many, tile by tile is faster (64x64, 256 weights a cycle, two shadow sets)


Depthwise = Literal["column", "block_diagonal", "column_feed", "vector", "cheapest"]
Dataflow = Literal["weight_stationary", "enhanced_weight_stationary", "output_stationary", "input_stationary", "cheapest"]


class SparseTile(Record):
    """In each row, d columns share q multipliers (MVQ, arXiv 2412.10261: H x d becomes H x Q); sums and their registers remain d wide."""

    d: Annotated[int, unit("columns")] = Field(ge=2, le=64, description="columns of a tile")
    q: Annotated[int, unit("multipliers")] = Field(
        ge=1, le=32, description="multipliers of a row of a tile: weights that a mask keeps there"
    )

    @model_validator(mode="after")
    def _fewer(self) -> SparseTile:
        if self.q >= self.d or self.d % self.q:
            raise ValueError(f"q = {self.q} must divide d = {self.d} and be less: a dense layer takes d / q passes")
        return self


class MaskDecoder(Record):
    """Expands the numbers of N:M patterns: `keep` of each `of` neighbours."""

    keep: Annotated[int, unit("elements")] = Field(ge=1, le=15, description="N: elements of each group that are not zero")
    of: Annotated[int, unit("elements")] = Field(ge=2, le=16, description="M: neighbouring elements of a group")

    @model_validator(mode="after")
    def _masks(self) -> MaskDecoder:
        if self.keep >= self.of:
            raise ValueError(f"keep = {self.keep} of {self.of} masks nothing; allowed: keep from 1 to {self.of - 1}")
        return self


class ArraySpec(Record):
    """The MAC array and its accumulators."""

    rows: Annotated[int, unit("PEs")] = Field(ge=1, le=4096, description="R: PEs along the reduction")
    cols: Annotated[int, unit("PEs")] = Field(ge=1, le=4096, description="C: PEs along the outputs")
    max_m: Annotated[int, unit("rows")] = Field(ge=1, le=2**20, description="MAXM: rows that one accumulator bank holds")
    dataflow: Dataflow = Field(
        default="weight_stationary",
        description="operand held in a PE: weight_stationary: one weight; enhanced_weight_stationary: a file of weights, one of each of "
        "neighbouring N-tiles, which a row that is read once meets one after the other; output_stationary: a sum, while decoded weights "
        "and activations pass; input_stationary: an activation, while decoded weights pass (both but for formats with scales per group of "
        "weights, which stay weight stationary); cheapest: of a weight, a sum and an activation (with max_m of at least cols) the one with "
        "the fewest estimated cycles, product by product, or layer by layer for an activation, which needs an image in another order",
    )
    weight_file: Annotated[int | None, unit("weights")] = Field(
        default=None,
        ge=1,
        le=256,
        description="E: weights of a PE's file; accumulators hold E sums for each row. Null: 16 with dataflow: enhanced_weight_stationary",
        examples=[8],
    )
    accumulator_banks: Annotated[Literal[1, 2], unit("banks")] = Field(
        default=1, description="2: one bank drains while the other takes the sums of the next run"
    )
    accumulator_rule: Literal["predicted", "simple"] = Field(
        default="predicted",
        description="when the next sums may replace those that are not drained yet: predicted: as the start of the drain is known; "
        "simple: as it has begun, or is sure to begin when the row comes out",
    )
    accumulator_read: Literal["second_port", "deskew", "stall"] = Field(
        default="second_port",
        description="how sums reach the vector unit: second_port: each macro has one more read port; deskew: from the adders, through "
        "registers (needs lanes for a whole row); stall: through the only read port, once the stripe is added up",
    )
    shadow_sets: Annotated[Literal[1, 2], unit("weight sets")] = Field(
        default=1, description="2: a tile loads while the one before still waits in the other set"
    )
    psum_bits: Bits = Field(default=32, ge=16, le=64, description="width of an accumulator")
    sparse_tile: SparseTile | None = Field(
        default=None,
        description="multipliers only for the weights that a mask keeps; needs a codebook.mask that keeps q of each d",
        examples=[{"d": 16, "q": 4}],
    )
    rows_per_cycle: Annotated[int, unit("rows/cycle")] = Field(
        default=1, ge=1, le=2**20, description="activation rows that the array takes in per cycle; more than 1 idealizes the array"
    )
    depthwise: Depthwise = Field(
        default="column",
        description="tiles of depthwise and grouped convolutions: column: one group each; block_diagonal: as many groups as rows and "
        "columns take, with zeros between them; column_feed: a channel per column, each with a feed of its own; vector: on the lanes of "
        "the vector unit (both for depthwise layers, the others one group each); cheapest: of those that the chip has the one with the "
        "fewest estimated cycles, layer by layer",
    )
    column_feed: Annotated[int | None, unit("elements")] = Field(
        default=None,
        ge=0,
        le=64,
        description="k: each column has a feed from the activation buffer of its own, with a window of k x k registers that a shift moves "
        "by one input position; 0: feeds without windows, which read all taps for each row; null: no feeds",
        examples=[3],
    )

    mapping: Literal["tiles", "gemv", "cheapest"] = Field(
        default="tiles",
        description="how products of at most gemv_max_m rows meet their weights: tiles: tile by tile in the PEs, as all others; gemv: as "
        "they leave the decoder, in multipliers of their own; cheapest: of both the one with fewer estimated cycles, layer by layer",
    )
    gemv_max_m: Annotated[int | None, unit("rows")] = Field(
        default=None,
        ge=1,
        le=256,
        description="rows of sums that each of the two register banks behind the decoder holds. Null: 4, unless mapping: tiles",
        examples=[2],
    )

    scale_at: Literal["channel", "weight", "group"] = Field(
        default="group",
        description="where scales per group of weights are applied: group: to a group's sum as it leaves its column; weight: integer "
        "scales to each decoded weight; channel: nowhere, such formats are refused",
    )
    scale_taps: Annotated[int | None, unit("taps")] = Field(
        default=None,
        ge=1,
        le=4096,
        examples=[2],
        description="multipliers of a column for the sums of groups, evenly spaced along the rows; 1: at the foot; null: at the foot, but "
        "neither area nor energy is counted. A group without a tap at its end takes a K-tile of its own",
    )
    weight_bits: Bits = Field(default=8, ge=8, le=16, description="width of a weight in the PEs; more than 8 for scale_at: weight")
    activation_bits: Annotated[Literal[8, 9], unit("bits")] = Field(
        default=8,
        description="width of an activation in the PEs, signed. 8: unsigned ones enter less 128, which goes into their zero point; that of "
        "rows that meet another activation is paid for by sums of columns on the vector unit. 9: rows enter less their zero point, "
        "unsigned ones as they are, and need no such sums",
    )
    row_bits: Annotated[Literal[8, 16, 32] | None, unit("bits")] = Field(
        default=None,
        examples=[16],
        description="elements of rows that the array takes at most, 8 bits in a pass: for more than 8 the sums of passes are shifted and "
        "added at the foot of a column, and PEs multiply by bytes without a sign; null: up to 32, but neither area nor energy of these is "
        "counted",
    )
    macs_16bit: Annotated[int | None, unit("MACs/cycle")] = Field(
        default=None,
        ge=1,
        le=2**24,
        examples=[2048],
        description="products of rows of 16 bits (integers or floats) that multipliers of that width make per cycle, over the whole "
        "array: a row enters in rows x cols / macs_16bit cycles, rounded up; null: in two passes of 8 bits",
    )
    raw_weights_per_cycle: Annotated[
        Annotated[int, Field(ge=1, le=2**24)] | Literal["tied"] | None,
        unit("weights/cycle"),
    ] = Field(
        default=None,
        examples=[128],
        description="raw weights (no codebook) that the unpacker hands on per cycle, in whole records of codebook.codeword_length: "
        "a number; null: array.cols, or the peak bytes per cycle of the weights' memory if more; tied: codebook.ports x codeword_length",
    )

    symbols_per_cycle: Annotated[int | None, unit("symbols/cycle")] = Field(
        default=None,
        ge=1,
        le=2**20,
        description="entropy-coded symbols (indices, or raw weights) that the decoder hands on per cycle; null: as many as "
        "records of fixed width would bring",
        examples=[8],
    )

    @model_validator(mode="after")
    def _whole_tiles(self) -> ArraySpec:
        taps = self.scale_taps or 1
        if taps > 1 and self.scale_at != "group":
            raise ValueError(f"scale_taps = {taps} needs scale_at = 'group'; allowed with {self.scale_at!r}: 1 or null")
        if self.rows % taps:
            raise ValueError(f"scale_taps = {taps} must divide rows = {self.rows}")
        if self.weight_bits > 8 and self.scale_at != "weight":
            raise ValueError(f"weight_bits = {self.weight_bits} needs scale_at = 'weight'; allowed with {self.scale_at!r}: 8")
        if self.sparse_tile is not None and self.cols % self.sparse_tile.d:
            raise ValueError(f"sparse_tile.d = {self.sparse_tile.d} must divide cols = {self.cols}")
        return self

    @model_validator(mode="after")
    def _wide_rows_fit(self) -> ArraySpec:
        if self.macs_16bit is None:
            return self
        if self.macs_16bit > self.rows * self.cols:
            raise ValueError(f"macs_16bit = {self.macs_16bit} exceeds rows x cols = {self.rows * self.cols}; allowed: at most one per PE")
        if self.row_bits == 8:
            raise ValueError(f"macs_16bit = {self.macs_16bit} needs row_bits = 16, 32 or null; allowed with 8: null")
        return self

    @model_validator(mode="after")
    def _has_feeds(self) -> ArraySpec:
        if self.depthwise == "column_feed" and self.column_feed is None:
            raise ValueError("depthwise = 'column_feed' needs column_feed, 0 to 64; without it: 'column', 'block_diagonal' or 'cheapest'")
        return self

    @model_validator(mode="after")
    def _files_fit(self) -> ArraySpec:
        if self.weight_file is not None and self.dataflow != "enhanced_weight_stationary":
            raise ValueError(
                f"weight_file = {self.weight_file} needs dataflow = 'enhanced_weight_stationary'; allowed with {self.dataflow!r}: null"
            )
        if self.held_weights > self.max_m:
            raise ValueError(
                f"weight_file = {self.held_weights} exceeds max_m = {self.max_m}: a row takes as many accumulator rows; "
                f"allowed: at most {self.max_m}"
            )
        return self

    @model_validator(mode="after")
    def _sums_fit(self) -> ArraySpec:
        if self.holds_inputs and self.max_m < self.cols:
            raise ValueError(
                f"dataflow = 'input_stationary' needs max_m of at least cols = {self.cols}, is {self.max_m}: "
                "accumulators hold whole N-tiles of outputs; allowed there: the other dataflows"
            )
        if (self.may_hold_outputs or self.holds_inputs) and self.sparse_tile is not None:
            raise ValueError(f"dataflow = {self.dataflow!r} needs sparse_tile = null; allowed with a sparse_tile: weight stationary ones")
        return self

    @model_validator(mode="after")
    def _few_rows_fit(self) -> ArraySpec:
        if self.mapping == "tiles":
            if self.gemv_max_m is not None:
                raise ValueError(f"gemv_max_m = {self.gemv_max_m} needs mapping = 'gemv' or 'cheapest'; allowed with 'tiles': null")
            return self
        if self.dataflow != "weight_stationary":
            raise ValueError(f"mapping = {self.mapping!r} needs dataflow = 'weight_stationary'; allowed with {self.dataflow!r}: tiles")
        if self.sparse_tile is not None:
            raise ValueError(f"mapping = {self.mapping!r} needs sparse_tile = null; allowed with a sparse_tile: tiles")
        if self.few_rows > self.max_m:
            raise ValueError(f"gemv_max_m = {self.few_rows} exceeds max_m = {self.max_m}; allowed: at most {self.max_m}")
        return self

    @property
    def most_row_passes(self) -> int:
        """Passes of 8 bits that the array is built for; 1 where it states none, or multiplies rows of 16 bits and takes no wider ones."""
        return 1 if self.row_bits == 16 and self.macs_16bit else (self.row_bits or 8) // 8

    @property
    def states_scaling(self) -> bool:
        """Whether the chip states the logic that scales groups of weights, so that it is counted in area and energy."""
        return self.scale_at == "weight" or self.scale_taps is not None

    @property
    def few_rows(self) -> int:
        """Rows of the products that may meet their weights as they leave the decoder; 0: none may."""
        return 0 if self.mapping == "tiles" else self.gemv_max_m or GEMV_MAX_M

    @property
    def may_hold_outputs(self) -> bool:
        """Whether sums of some layers may stay in the PEs."""
        return self.dataflow in ("output_stationary", "cheapest")

    @property
    def holds_inputs(self) -> bool:
        """Whether activations of all products stay in the PEs."""
        return self.dataflow == "input_stationary"

    @property
    def may_hold_inputs(self) -> bool:
        """Whether activations of some products may stay in the PEs: accumulators take a whole N-tile of outputs."""
        return self.holds_inputs or (self.dataflow == "cheapest" and self.max_m >= self.cols)

    @property
    def held_weights(self) -> int:
        """Weights that a PE multiplies with one activation: those of its file, or one."""
        return self.weight_file or MVQ_FILE if self.dataflow == "enhanced_weight_stationary" else 1

    @property
    def pe_weights(self) -> int:
        """Weights that a PE has room for: its active ones and those that load."""
        return self.held_weights * (1 + self.shadow_sets)

    @property
    def dense_cols(self) -> int:
        """Columns that weights without a matching mask find multipliers for in one pass."""
        return self.cols if self.sparse_tile is None else self.cols * self.sparse_tile.q // self.sparse_tile.d


class CodebookSpec(Record):
    """Where codewords live and how many can be looked up in a cycle.

    A RAM is loaded for each layer; a ROM holds one universal codebook, or those that formats define (grids of GGUF). A port is a copy
    of a ROM, or a read port of a RAM. With
    `banks` there is one copy in single-ported banks instead: codeword i lies in bank i mod banks, and the `ports` lookups of a group
    take as many cycles as its most loaded bank (equal indices merge).
    """

    store: Literal["ram", "rom"] = Field(default="ram", description="ram: loaded for each layer; rom: one universal codebook, never loaded")
    circuit: Literal["sram", "flops", "latches", "logic_rom", "rom_macro"] = Field(
        default="flops", description="circuit that it is built of; sets area and energy"
    )
    ports: Annotated[int, unit("lookups/cycle")] = Field(ge=1, le=1024, description="P: codebook lookups per cycle")
    banks: Annotated[int | None, unit("banks")] = Field(
        default=None,
        ge=1,
        le=1024,
        examples=[8],
        description="single-ported banks in place of ports, whose number is then that of a group; null: ports",
    )
    sets: Annotated[Literal[1, 2], unit("codebooks")] = Field(
        default=2, description="2: the next layer's codebook loads while this one decodes"
    )
    latency: Cycles = Field(default=1, ge=1, le=64, description="from index to codeword")
    codewords: Annotated[int, unit("codewords")] = Field(default=256, ge=1, le=2**20, description="entries that fit")
    index_field: Literal["exact", "padded"] = Field(
        default="exact", description="padded: an index takes the next of 1, 2, 4, 8, 16 bits in the memory image; exact: ceil(log2 k)"
    )
    codeword_length: Annotated[int, unit("elements")] = Field(
        default=8, ge=1, le=256, description="elements of an entry, and of a raw record"
    )
    element_bits: Annotated[int, unit("bits")] = Field(default=8, ge=2, le=8, description="width of a stored element")
    element_code: ElementCode = Field(
        default="integer",
        description="integer: elements in two's complement; table: numbers of the values of one table, which each element read expands "
        "behind the codebook (grids that formats define)",
    )
    additive: Additive = Field(
        default="sum",
        description="vectors of several lookups: sum: codewords are added in the decoder; passes: each codebook's codewords are weights of "
        "their own, for which the rows of a K-tile pass the array again",
    )
    shared_ports: Annotated[int | None, unit("lookups/cycle")] = Field(
        default=None,
        ge=1,
        le=16384,
        examples=[8],
        description="lookups per cycle of one ROM that all cores share, whole groups of `ports` in turn; fewer than `ports`: a group takes "
        "several cycles; null: a ROM per core",
    )
    mask: MaskDecoder | None = Field(
        default=None,
        description="decoder of N:M masks behind the codebook; without it, it costs no area and energy",
        examples=[{"keep": 4, "of": 16}],
    )

    @property
    def codeword_bits(self) -> int:
        """Bits of an entry as it is stored."""
        return self.element_bits * self.codeword_length
