"""The base of all dataflows: mapping of a GEMM to a systolic array, order of its folds, and the earliest start of each.

A GEMM is Y[M,N] = A[M,K] x Wt[K,N]. Two of its loops are spatial, over rows and columns of PEs; the third is time, one step per cycle.
A spatial loop longer than the array is cut into folds; the last one is trimmed, and the PEs that it leaves idle are still clocked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from accelsim.errors import CompileError, ConfigError
from accelsim.formats.weight_format import WeightFormat

Loop = Literal["M", "N", "K"]
Convention = Literal["physical", "scale_sim"]
MAX_SIDE = 4096  # PEs
MAX_WEIGHT_FILE = 256  # values per PE
MAX_RAW_BITS = 8  # the multipliers' width


@dataclass(frozen=True)
class SystolicArray:
    """The array that folds run on.

    Attributes
    ----------
    rows, cols : PEs
    double_buffered : a PE holds the next stationary value (or a finished sum) beside the one in use
    load_rows : array rows of a stationary operand that are loaded in a cycle; None: a whole tile, a load that never limits
    weight_file : weights that a PE of an `enhanced_weight_stationary` array holds; the other dataflows hold one value

    Raises
    ------
    ConfigError
        A size that no array has.
    """

    rows: int
    cols: int
    double_buffered: bool = True
    load_rows: int | None = None
    weight_file: int = 16

    def __post_init__(self) -> None:
        sizes = {
            "rows": (self.rows, MAX_SIDE),
            "cols": (self.cols, MAX_SIDE),
            "load_rows": (self.rows_a_load, self.rows),
            "weight_file": (self.weight_file, MAX_WEIGHT_FILE),
        }
        for name, (size, allowed) in sizes.items():
            if not 1 <= size <= allowed:
                raise ConfigError(f"systolic array: {name} = {size}; allowed: 1..{allowed}")

    @property
    def rows_a_load(self) -> int:
        """Array rows that one load cycle fills."""
        return self.rows if self.load_rows is None else self.load_rows


@dataclass(frozen=True)
class SpatialMap:
    """Which loop of the GEMM runs over array rows, over array columns, and over time."""

    rows: Loop
    cols: Loop
    time: Loop


@dataclass(frozen=True)
class Fold:
    """One pass over the array.

    Attributes
    ----------
    rows, cols : PE rows that it uses, and columns: of a fold of several tiles the sum over them
    steps : rows or columns of the passing operand, each read once
    tiles : stationary values that a PE holds; each passing value meets them one after the other
    """

    rows: int
    cols: int
    steps: int
    tiles: int = 1

    @property
    def cycles(self) -> int:
        """Cycles in which the array is given a value."""
        return self.steps * self.tiles


class FoldTiming(ABC):
    """When folds start and end. Cycle 0 is the first that is counted; a fold's start is the cycle of its first step at PE(0,0)'s input."""

    @abstractmethod
    def first_start(self, array: SystolicArray, fold: Fold) -> int:
        """Start of the first fold."""

    @abstractmethod
    def next_start(self, array: SystolicArray, start: int, fold: Fold, following: Fold) -> int:
        """Start of the fold `following` after `fold`, which started at `start`."""

    @abstractmethod
    def total(self, array: SystolicArray, start: int, fold: Fold) -> int:
        """Cycles of the whole GEMM, whose last fold `fold` started at `start`."""


class Dataflow(ABC):
    """Base of every dataflow's SPEC.

    Attributes
    ----------
    kind : its name; short_name : as SCALE-Sim's files abbreviate it, "" if they do not
    stationary : the operand held in the PEs
    spatial : the spatial map
    outer : the spatial loop whose folds change last; the other one is the inner loop
    runs : a chip can have it (`array.dataflow`); the others are cycle rules alone
    """

    kind: ClassVar[str]
    short_name: ClassVar[str] = ""
    stationary: ClassVar[Literal["weights", "outputs", "inputs"]]
    spatial: ClassVar[SpatialMap]
    outer: ClassVar[Loop]
    runs: ClassVar[bool] = False
    physical: ClassVar[FoldTiming]

    @abstractmethod
    def scale_sim_fold_cycles(self, array: SystolicArray, fold: Fold) -> int:
        """Cycles of a fold in the convention of SCALE-Sim, where each fold runs alone on the whole array."""

    def tiles_a_fold(self, array: SystolicArray) -> int:
        """Tiles along the outer loop that a PE holds at once."""
        return 1

    def check_format(self, weight_format: WeightFormat) -> None:
        """Check that weights in this format can meet activations in this dataflow.

        Raises
        ------
        CompileError
            They cannot: says why and what is allowed.
        """
        path, kind = weight_format.decode_path(), weight_format.kind
        if not path.decode and path.lane_bits > MAX_RAW_BITS:
            hint = " (compress the float trace first)" if path.raw_bits == 32 else ""
            raise CompileError(
                f"format {kind!r} of {path.lane_bits} bits cannot run {self.kind} on {MAX_RAW_BITS}-bit multipliers; "
                f"allowed: at most {MAX_RAW_BITS} bits{hint}"
            )
